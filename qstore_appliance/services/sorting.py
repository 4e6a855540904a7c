"""What a list may be sorted by: an allow-list per noun, never a column name from outside."""

from __future__ import annotations

from collections.abc import Sequence

from qstore_appliance.errors import ValidationFailed


def order_of(sort: str, allowed: Sequence[str]) -> tuple[str, str]:
    """
    `-created_at` as Tortoise's order, with the id behind it so that pages never overlap.

    Raises:
        ValidationFailed: Another name than the allowed ones.
    """
    descending, name = sort.startswith("-"), sort.removeprefix("-")
    if name not in allowed:
        raise ValidationFailed.field("sort", f"must be one of {', '.join(allowed)}, with - in front for descending")
    sign = "-" if descending else ""
    return f"{sign}{name}", f"{sign}id"
