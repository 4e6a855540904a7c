"""Arguments as services take them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from qstore_appliance.api.inputs import MAX_OFFSET
from qstore_appliance.domain.listing import MAX_LIMIT, Page
from qstore_appliance.errors import ValidationFailed


def page(paging: Mapping[str, Any], sorts: Collection[str] = ("created_at",), default: str = "-created_at") -> Page:
    """
    `limit`, `offset` and `sort` of a list, which may be left out or null.

    Raises:
        ValidationFailed: Out of range, or an unknown field to sort by.
    """
    values = sent(paging)
    limit, offset, sort = values.get("limit", Page().limit), values.get("offset", 0), values.get("sort", default)
    if not 1 <= limit <= MAX_LIMIT:
        raise ValidationFailed.field("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    if not 0 <= offset <= MAX_OFFSET:
        raise ValidationFailed.field("offset", f"must be a whole number from 0 to {MAX_OFFSET}")
    if sort.removeprefix("-") not in sorts:
        raise ValidationFailed.field("sort", f"must be one of {', '.join(sorted(sorts))}, with - for descending")
    return Page(limit=limit, offset=offset, sort=sort)


def sent(value: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null: a variable that a client leaves empty was not sent."""
    return {name: _sent(inner) for name, inner in value.items() if inner is not None}


def _sent(value: Any) -> Any:
    # Only what the schema's own inputs made; a JSON value keeps its nulls.
    if isinstance(value, Input):
        return sent(value)
    return [_sent(inner) for inner in value] if isinstance(value, list) else value


class Input(dict[str, Any]):
    """A value of one of the schema's input types, as resolvers get it."""
