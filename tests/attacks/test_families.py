"""No family of attacks is forgotten: each is tried by a marked test, or named with what it waits for."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
FAMILIES = {f"A{number:02}" for number in range(1, 65)}


def test_every_family_is_tried_or_due() -> None:
    """A01 to A64 are each in a marker or in DUE.md, and in one of them only."""
    tried: set[str] = set()
    for file in HERE.parent.rglob("test_*.py"):
        for arguments in re.findall(r"\.attack\(([^)]*)\)", file.read_text(encoding="utf-8")):
            tried |= set(re.findall(r'"(A\d\d)"', arguments))
    tokens = HERE / "test_tokens.py"
    # Its rows are marked from a table.
    tried |= set(re.findall(r'"(A0[2-6])": [A-Z]+', tokens.read_text(encoding="utf-8")))
    due = set(re.findall(r"^\| (A\d\d) \|", (HERE / "DUE.md").read_text(encoding="utf-8"), re.MULTILINE))

    assert tried | due == FAMILIES
    assert tried & due == set()
