"""
Named molecules as qubit Hamiltonians, from a table that ships with the product: nothing is fetched, nothing is fitted.

Source of every number in `molecules.json`: computed, not copied. `scripts/molecules` runs a restricted Hartree-Fock in the
minimal basis STO-3G (Hehre, Stewart and Pople, J. Chem. Phys. 51, 2657, 1969) with PennyLane's solver (Arrazola et al.
2021, arXiv:2111.09967), turns spin orbitals into qubits by Jordan and Wigner, and diagonalises what comes out.

- H2: both orbitals, 4 qubits, 2 electrons. At 0.735 angstrom the lowest energy is -1.137306 hartree.
- LiH: five of six orbitals, lithium's 1s doubly occupied, 10 qubits, 2 electrons.

Qubits alternate spin up and spin down, the doubly occupied orbital first: Hartree-Fock is |1100…⟩.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from qstore_appliance.errors import ValidationFailed

#: Bond lengths closer than this are the same, in angstrom.
_SAME = 1e-6


class Geometry(msgspec.Struct, frozen=True):
    """
    A molecule at one bond length.

    Attributes:
        n_qubits, n_electrons: of the active space.
        terms: coefficients in hartree by Pauli string; `I` is the constant, with the nuclei's repulsion.
        hartree_fock_energy, exact_energy: in hartree; exact within the active space and the basis.
    """

    n_qubits: int
    n_electrons: int
    terms: Mapping[str, float]
    hartree_fock_energy: float
    exact_energy: float


def names() -> list[str]:
    return list(_table())


def bond_lengths(name: str) -> list[float]:
    """What the table has, in angstrom, ascending."""
    return sorted(float(length) for length in _table()[name]["bond_lengths"])


def molecule(name: str, bond_length: float | None = None) -> Geometry:
    """
    Args:
        name: such as `H2`.
        bond_length: in angstrom; None takes the one of the table with the lowest energy.

    Raises:
        ValidationFailed: `config.hamiltonian.molecule` or `.bond_length`, with what there is.
    """
    table = _table()
    if name not in table:
        raise ValidationFailed.field("config.hamiltonian.molecule", f"{name[:40]!r} is none of {', '.join(table)}")
    found = table[name]["bond_lengths"]
    if bond_length is None:
        key = min(found, key=lambda length: float(found[length]["exact_energy"]))
    else:
        near = [length for length in found if abs(float(length) - bond_length) < _SAME]
        if not near:
            known = ", ".join(f"{length:g}" for length in bond_lengths(name))
            raise ValidationFailed.field(
                "config.hamiltonian.bond_length", f"there is no {name} at {bond_length:g} angstrom; there is {known}"
            )
        key = near[0]
    return Geometry(
        n_qubits=table[name]["n_qubits"],
        n_electrons=table[name]["n_electrons"],
        terms=found[key]["terms"],
        hartree_fock_energy=found[key]["hartree_fock_energy"],
        exact_energy=found[key]["exact_energy"],
    )


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("molecules.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)["molecules"]
    return table
