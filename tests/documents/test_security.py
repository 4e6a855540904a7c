"""`docs/security-asvs.md`: every requirement is decided once, and what is said to be shown by a test is shown by one that exists."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security-asvs.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([\d.]+) \| (\d) \| ([^|]+) \| (met|not applicable|open) \| ([^|]+) \|$", PAGE, re.MULTILINE)
#: Requirements of levels 1 and 2 by chapter, as the standard has them.
CHAPTERS = {1: 27, 2: 11, 3: 19, 4: 10, 5: 9, 6: 35, 7: 18, 8: 7, 9: 7, 10: 29, 11: 14, 12: 9, 13: 13, 14: 9, 15: 13, 16: 16, 17: 7}  # fmt: skip


def test_every_requirement_is_decided_once() -> None:
    """Each number stands there once, in order, and every chapter is whole."""
    numbers = [tuple(map(int, number.split("."))) for number, *_ in ROWS]

    assert numbers == sorted(set(numbers))
    assert Counter(number[0] for number in numbers) == CHAPTERS
    assert len(numbers) == sum(CHAPTERS.values()) == 253


def test_what_is_met_is_shown_by_a_test() -> None:
    """Whoever says met names tests that exist; whatever else names one names one that exists, too."""
    for number, _, _, state, shown in ROWS:
        named = re.findall(r"`tests/([\w/]+\.py)(?:::(\w+))?`", shown)
        assert named or state != "met", number
        for file, test in named:
            path = ROOT / "tests" / file
            assert path.is_file(), (number, file)
            assert not test or re.search(rf"\bdef {test}\b", path.read_text(encoding="utf-8")), (number, test)


def test_the_sums_are_right() -> None:
    """What stands at the top of the page is what the page holds."""
    states = Counter(state for _, _, _, state, _ in ROWS)

    for state, count in states.items():
        assert f"**{count} {state}**" in PAGE
