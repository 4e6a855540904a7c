"""Identifiers: sortable, unguessable, recognisable."""

from __future__ import annotations

import time

import pytest

from qstore_appliance.domain import ids


def test_ids_made_later_sort_later() -> None:
    """Text order is creation order to the millisecond."""
    first = ids.new("job")
    time.sleep(0.002)

    assert first < ids.new("job")


def test_ids_do_not_repeat() -> None:
    """Ten thousand ids of the same instant are all different."""
    assert len({ids.new("job") for _ in range(10_000)}) == 10_000


def test_the_random_part_is_a_version_7_uuid() -> None:
    """Version and variant bits are where RFC 9562 puts them, and the first 48 bits are the time."""
    value = 0
    for letter in ids.new("circuit").split("_")[1]:
        value = value << 5 | ids.ALPHABET.index(letter)

    assert value >> 76 & 0xF == 7
    assert value >> 62 & 0b11 == 0b10
    assert abs((value >> 80) - time.time() * 1000) < 5_000


@pytest.mark.parametrize(
    "text", ["", "job_", "job_short", "circuit_" + "0" * 26, "job_" + "u" * 26, None, 7, "job_" + "0" * 27]
)
def test_what_is_no_job_id_is_refused(text: object) -> None:
    """Other prefixes, wrong lengths, letters outside the alphabet and other types are no job ids."""
    assert not ids.is_id("job", text)
