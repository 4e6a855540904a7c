"""Texts that a database cannot hold: Postgres takes no NUL, nobody takes half a surrogate pair. Both databases refuse alike."""

from __future__ import annotations

from typing import Any

import msgspec

from qstore_appliance.errors import ValidationFailed


def refuse_unstorable(**fields: Any) -> None:
    """
    Check every text inside the given fields, however deep.

    Raises:
        ValidationFailed: Naming the field.
    """
    for field, value in fields.items():
        try:
            encoded = msgspec.json.encode(value)
        except UnicodeEncodeError:
            raise ValidationFailed.field(field, "contains half a surrogate pair") from None
        # A backslash of the text itself is written as two.
        if b"\\u0000" in encoded.replace(b"\\\\", b""):
            raise ValidationFailed.field(field, "contains a NUL character")


def storable(text: str, length: int) -> str:
    """The beginning of a text from outside that is worth keeping but not worth refusing, such as a user agent."""
    return text[:length].encode("utf-8", "replace").decode().replace("\x00", "?")
