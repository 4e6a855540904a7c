"""
Observables: Pauli strings such as `Z0 Z1`, and the readouts of a job made of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import msgspec

MAX_OBSERVABLES: Final = 4_096

_FACTOR = re.compile(r"([IXYZ])([0-9]{1,2})", re.ASCII)


class Observable(msgspec.Struct, frozen=True):
    """
    A product of Pauli matrices on distinct qubits; without terms it is the identity.

    Attributes:
        terms: Pairs of (qubit, "X" | "Y" | "Z"), by ascending qubit.
    """

    terms: tuple[tuple[int, str], ...] = ()

    @property
    def text(self) -> str:
        """Canonical spelling, such as `Z0 Z1`; `I` for the identity."""
        return " ".join(f"{pauli}{qubit}" for qubit, pauli in self.terms) or "I"

    @property
    def diagonal(self) -> bool:
        """Whether it can be read from bit strings alone."""
        return all(pauli == "Z" for _, pauli in self.terms)

    @property
    def last_qubit(self) -> int:
        """The highest qubit that it acts on, -1 for the identity."""
        return self.terms[-1][0] if self.terms else -1

    def __str__(self) -> str:
        return self.text


def parse(text: str) -> Observable:
    """
    Read a Pauli string: factors such as `X2`, separated by spaces or `*`, or `I`.

    Raises:
        ValueError: With a sentence that says what is wrong.
    """
    if not isinstance(text, str):
        raise ValueError("an observable is a text such as 'Z0 Z1'")
    if len(text) > 400:
        raise ValueError("an observable has at most 400 characters")
    factors = text.replace("*", " ").split()
    if not factors:
        raise ValueError("an observable needs at least one factor, such as Z0")
    terms: dict[int, str] = {}
    for factor in factors:
        if factor == "I":
            continue
        match = _FACTOR.fullmatch(factor)
        if match is None:
            raise ValueError(f"{factor[:20]!r} is not a Pauli matrix on a qubit, such as X2")
        pauli, qubit = match[1], int(match[2])
        if qubit in terms:
            raise ValueError(f"{text[:60]!r} names qubit {qubit} twice")
        terms[qubit] = pauli
    return Observable(tuple(sorted((qubit, pauli) for qubit, pauli in terms.items() if pauli != "I")))


def readout(spec: str | Sequence[str], n_qubits: int) -> tuple[Observable, ...]:
    """
    The observables of a readout.

    Args:
        spec: `z` (Z of every qubit), `z+zz` (those, then Z_i Z_j for i < j), or a list of Pauli strings.
        n_qubits: Qubits of the circuit.

    Raises:
        ValueError: With a sentence that says what is wrong.
    """
    if isinstance(spec, str):
        if spec not in ("z", "z+zz"):
            raise ValueError("a readout is 'z', 'z+zz' or a list of Pauli strings")
        singles = [Observable(((qubit, "Z"),)) for qubit in range(n_qubits)]
        if spec == "z":
            return tuple(singles)
        pairs = [Observable(((i, "Z"), (j, "Z"))) for i, j in combinations(range(n_qubits), 2)]
        return (*singles, *pairs)
    if not isinstance(spec, (list, tuple)) or not spec:
        raise ValueError("a readout is 'z', 'z+zz' or a list of Pauli strings")
    if len(spec) > MAX_OBSERVABLES:
        raise ValueError(f"a readout has at most {MAX_OBSERVABLES:,} observables")
    observables = tuple(parse(text) for text in spec)
    check_fit(observables, n_qubits)
    return observables


def check_fit(observables: Sequence[Observable], n_qubits: int) -> None:
    """
    Check that observables act on qubits that exist.

    Raises:
        ValueError: Naming the first that does not.
    """
    for observable in observables:
        if observable.last_qubit >= n_qubits:
            raise ValueError(f"{observable.text} acts on a qubit that is not in 0..{n_qubits - 1}")
