"""What requests are made of: bodies without what was not given, and addresses whose ids cannot lead elsewhere."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote


def sent(**values: Any) -> dict[str, Any]:
    """A body of what was given; what is None is left to the server."""
    return {name: value for name, value in values.items() if value is not None}


def at(path: str, id: str, *more: str) -> str:
    """
    The address of one thing.

    Raises:
        ValueError: There is no id, or one that an address takes for something else.
    """
    if not id or id in (".", ".."):
        raise ValueError(f"no id: {id!r}")
    return "/".join((path, quote(id, safe=""), *more))
