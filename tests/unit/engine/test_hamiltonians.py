from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import molecules
from qstore_appliance.engine.ground_state import ground_energy
from qstore_appliance.engine.hamiltonians import Hamiltonian, build
from qstore_appliance.errors import ValidationFailed

PAULIS = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def dense(hamiltonian: Hamiltonian, n_qubits: int) -> np.ndarray:
    """The matrix by Kronecker products, qubit 0 leftmost."""
    total = hamiltonian.constant * np.eye(2**n_qubits, dtype=complex)
    for observable, coefficient in hamiltonian.terms:
        factors = dict(observable.terms)
        total += coefficient * functools.reduce(np.kron, [PAULIS[factors.get(q, "I")] for q in range(n_qubits)])
    return total


class TestMolecules:
    @pytest.mark.parametrize("length", molecules.bond_lengths("H2"))
    def test_every_hydrogen_of_the_table_has_the_energy_that_it_says(self, length: float) -> None:
        """Diagonalising the dense matrix gives the stored exact energy, below the stored Hartree-Fock energy."""
        found = build({"molecule": "H2", "bond_length": length}, 4)
        matrix = dense(found, 4)

        assert np.linalg.eigvalsh(matrix)[0] == pytest.approx(found.exact_energy, abs=1e-8)
        assert matrix[0b1100, 0b1100].real == pytest.approx(found.hartree_fock_energy, abs=1e-7)

    def test_hydrogen_at_its_equilibrium_has_the_known_energy(self) -> None:
        """-1.13730604 hartree in STO-3G at 0.735 angstrom; without a length the lowest of the table is taken."""
        at_equilibrium = build({"molecule": "H2", "bond_length": 0.735}, 4)

        assert ground_energy(at_equilibrium) == pytest.approx(-1.13730604, abs=1e-7)
        assert build({"molecule": "H2"}, 4).exact_energy == at_equilibrium.exact_energy

    def test_lithium_hydride_has_the_energy_that_it_says(self) -> None:
        """Ten qubits by Lanczos; Hartree-Fock's state is that of the two lowest spin orbitals."""
        found = build({"molecule": "LiH", "bond_length": 1.6}, 10)

        assert len(found.terms) == 275
        assert ground_energy(found) == pytest.approx(found.exact_energy, abs=1e-7)
        assert found.exact_energy == pytest.approx(-7.882097, abs=1e-5)
        assert found.hartree_fock_energy is not None
        assert found.exact_energy < found.hartree_fock_energy

    def test_an_unknown_length_lists_those_there_are(self) -> None:
        """Nothing is interpolated."""
        with pytest.raises(ValidationFailed, match=r"there is no LiH at 1\.61 angstrom; there is 1, 1\.3, 1\.6, 2"):
            build({"molecule": "LiH", "bond_length": 1.61}, 10)


class TestChains:
    @pytest.mark.parametrize("periodic", [False, True])
    def test_an_ising_chain_is_written_out(self, periodic: bool) -> None:
        """-j ZZ on the bonds, -h X on the spins, and one more bond around a ring."""
        found = build({"model": "ising", "j": 0.5, "h": 2.0, "periodic": periodic}, 3)

        terms = {observable.text: coefficient for observable, coefficient in found.terms}
        around = {"Z0 Z2": -0.5} if periodic else {}
        assert terms == {"Z0 Z1": -0.5, "Z1 Z2": -0.5, **around, "X0": -2.0, "X1": -2.0, "X2": -2.0}

    def test_a_periodic_ising_chain_has_its_known_energy(self) -> None:
        """At the critical field the ring of N spins has -2 / sin(pi / 2N) (Pfeuty 1970)."""
        found = build({"model": "ising", "periodic": True}, 8)

        assert ground_energy(found) == pytest.approx(-2.0 / np.sin(np.pi / 16), abs=1e-8)

    def test_a_heisenberg_ring_of_four_has_its_known_energy(self) -> None:
        """-8 in units of j for Pauli matrices."""
        assert ground_energy(build({"model": "heisenberg", "periodic": True}, 4)) == pytest.approx(-8.0)

    def test_two_spins_have_one_bond_even_around_a_ring(self) -> None:
        """The bond is not counted twice."""
        found = build({"model": "ising", "periodic": True, "h": 0.0}, 2)

        assert [(observable.text, coefficient) for observable, coefficient in found.terms] == [("Z0 Z1", -1.0)]


class TestTerms:
    def test_equal_strings_are_added_up(self) -> None:
        """However they are spelled; what cancels is gone, and identities are the constant."""
        found = build(
            [
                {"pauli": "Z0 Z1", "coeff": 1.0},
                {"pauli": "Z1*Z0", "coeff": 0.5},
                {"pauli": "X0", "coeff": 1.0},
                {"pauli": "X0", "coeff": -1.0},
                {"pauli": "I", "coeff": 2.0},
            ],
            2,
        )

        assert [(observable.text, coefficient) for observable, coefficient in found.terms] == [("Z0 Z1", 1.5)]
        assert found.constant == 2.0

    @pytest.mark.parametrize("n_qubits", [1, 3, 6, 7, 8])
    def test_the_lowest_energy_is_that_of_the_dense_matrix(self, n_qubits: int) -> None:
        """Random Pauli strings with X, Y and Z, on both sides of where Lanczos takes over."""
        random = np.random.default_rng(n_qubits)
        terms = []
        for _ in range(20):
            letters = random.choice(list("IXYZ"), n_qubits)
            text = " ".join(f"{pauli}{qubit}" for qubit, pauli in enumerate(letters) if pauli != "I") or "I"
            terms.append({"pauli": text, "coeff": float(random.normal())})
        found = build([*terms, {"pauli": f"Z{n_qubits - 1}", "coeff": 0.3}], n_qubits)

        assert ground_energy(found) == pytest.approx(np.linalg.eigvalsh(dense(found, n_qubits))[0], abs=1e-8)

    def test_nobody_waits_for_a_large_matrix(self) -> None:
        """Beyond 14 qubits there is no exact energy."""
        assert ground_energy(build({"model": "ising"}, 15)) is None


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (None, ""),
        ("H2", ""),
        ([], ""),
        ({}, ""),
        ([{"pauli": "Q0", "coeff": 1.0}], "[0].pauli"),
        ([{"pauli": "Z0", "coeff": 1.0}, {"pauli": 3, "coeff": 1.0}], "[1].pauli"),
        ([{"pauli": "Z0", "coeff": float("nan")}], "[0].coeff"),
        ([{"pauli": "Z0", "coeff": True}], "[0].coeff"),
        ([{"pauli": "Z0"}], "[0]"),
        ([{"pauli": "I", "coeff": 1.0}], ""),
        ([{"pauli": "Z4", "coeff": 1.0}], ""),
        ([{"pauli": "Z0", "coeff": 1e308}, {"pauli": "Z0", "coeff": 1e308}], ""),
        ({"model": "hubbard"}, ".model"),
        ({"model": "ising", "j": "1"}, ".j"),
        ({"model": "ising", "j": 0.0, "h": 0.0}, ""),
        ({"molecule": "H2", "bond_length": float("inf")}, ".bond_length"),
        ({"molecule": "LiH"}, ""),
    ],
)
def test_nonsense_is_refused_by_its_field(config: Any, field: str) -> None:
    """On four qubits; the fault names the part of the Hamiltonian."""
    with pytest.raises(ValidationFailed) as refused:
        build(config, 4)

    assert refused.value.details["errors"][0]["field"] == f"config.hamiltonian{field}"
