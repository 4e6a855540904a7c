"""What the verbs print: columns, and one error line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]], nothing: str) -> None:
    """Left-aligned columns, or the sentence that says that there is nothing."""
    if not rows:
        print(nothing)
        return
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(h), *(len(row[i]) for row in cells)) for i, h in enumerate(headings)]
    for line in ([h.upper() for h in headings], *cells):
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(harmless(str(v)) for v in value)
    return harmless(str(value))


def harmless(text: str) -> str:
    """Text of others for the terminal, which would obey what a name may contain."""
    return "".join(c if c.isprintable() else "?" for c in text)


def more(listed: dict[str, Any]) -> None:
    """Say that a page is not all."""
    shown = listed["offset"] + len(listed["items"])
    if listed["items"] and shown < listed["total"]:
        print(f"{shown} of {listed['total']}; go on with --offset {shown}")


def complain(message: str) -> None:
    """One line on standard error, whatever the message holds."""
    print("qstore: " + harmless(" ".join(message.split())), file=sys.stderr, flush=True)
