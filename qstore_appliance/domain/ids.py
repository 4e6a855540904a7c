"""
Identifiers: a prefix that says what it is, and a sortable random part.

`circuit_01k9x…`: a UUIDv7 (RFC 9562 §5.7) in 26 characters of Crockford's base 32, the spelling of TypeID. Rows, logs
and answers all show the same text.
"""

from __future__ import annotations

import os
import re
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
PREFIXES = frozenset(
    (
        *("user", "org", "session", "key", "circuit", "dataset", "job", "model", "deploy", "cost", "req", "stream"),
        *("setup", "window", "sweep", "outbox", "fired", "worker", "audit", "reset", "factor", "recovery", "identity"),
        *("member", "invite", "role"),
    )
)
_SHAPE = re.compile(r"[a-z]+_[0-9a-hjkmnp-tv-z]{26}")


def new(prefix: str) -> str:
    """A new id, sortable by creation time to the millisecond."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | (random & ((1 << 62) - 1))
    letters = [ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(letters)}"


def is_id(prefix: str, text: object) -> bool:
    """Whether this text can be an id of that kind; says nothing about whether it exists."""
    return isinstance(text, str) and text.startswith(prefix + "_") and _SHAPE.fullmatch(text) is not None
