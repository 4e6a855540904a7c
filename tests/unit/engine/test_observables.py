"""Pauli strings and readouts."""

from __future__ import annotations

import pytest

from qstore_appliance.engine.observables import Observable, parse, readout


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Z0", ((0, "Z"),)),
        ("Z1 X0", ((0, "X"), (1, "Z"))),
        ("Y2*Z10", ((2, "Y"), (10, "Z"))),
        ("I", ()),
        ("I3 Z0", ((0, "Z"),)),
    ],
)
def test_pauli_strings_are_read(text: str, terms: tuple[tuple[int, str], ...]) -> None:
    """Factors are sorted by qubit, identities vanish, and the canonical text reads back equal."""
    observable = parse(text)

    assert observable.terms == terms
    assert parse(observable.text) == observable


@pytest.mark.parametrize("text", ["", "Z", "0", "Q0", "z0", "Z0 X0", "Z-1", "Z1.5", "Z0;X1", "Z100", "Z0 " * 200, 7])
def test_nonsense_is_refused(text: object) -> None:
    """Anything else is a ValueError with a sentence."""
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        parse(text)  # type: ignore[arg-type]


def test_named_readouts() -> None:
    """`z` is Z of each qubit; `z+zz` appends every pair in order."""
    assert [o.text for o in readout("z", 3)] == ["Z0", "Z1", "Z2"]
    assert [o.text for o in readout("z+zz", 3)] == ["Z0", "Z1", "Z2", "Z0 Z1", "Z0 Z2", "Z1 Z2"]
    assert len(readout("z+zz", 8)) == 36
    assert readout("z+zz", 1) == (Observable(((0, "Z"),)),)


def test_a_list_is_a_readout() -> None:
    """Pauli strings on existing qubits are taken as they come."""
    assert [o.text for o in readout(["X1", "Z0 Z1"], 2)] == ["X1", "Z0 Z1"]
    assert [o.diagonal for o in readout(["X1", "Z0 Z1", "I"], 2)] == [False, True, True]


@pytest.mark.parametrize("spec", ["zz", "", [], ["Z2"], ["Z0", "nope"], None, 3, {"z": 1}, ["Z0"] * 5000])
def test_wrong_readouts_are_refused(spec: object) -> None:
    """Unknown names, empty lists, absent qubits and too many observables are ValueErrors."""
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        readout(spec, 2)  # type: ignore[arg-type]
