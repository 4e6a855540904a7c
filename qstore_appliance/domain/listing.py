"""A page of a list: what is asked, and what comes back."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

Item = TypeVar("Item")

MAX_LIMIT = 100


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """`sort` is a field name of the noun's own list, with `-` in front for descending."""

    limit: int = 20
    offset: int = 0
    sort: str = "-created_at"


class Listed(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """`total` counts what the filters match, not what the page holds."""

    items: list[Item]
    total: int
    limit: int
    offset: int
