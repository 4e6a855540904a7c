"""
Hamiltonians as weighted Pauli strings: spelled out, of a named molecule, or of a chain of spins. Light: a submitted job
is checked with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from qstore_appliance.engine import molecules, observables
from qstore_appliance.engine.observables import MAX_OBSERVABLES, Observable
from qstore_appliance.errors import ValidationFailed

FIELD: Final = "config.hamiltonian"
MODELS: Final = ("ising", "heisenberg")
IDENTITY: Final = Observable()


class Hamiltonian(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        label: for people, such as `H2 at 0.735 angstrom`.
        constant: what the identity contributes.
        terms: pairs of (observable, coefficient), none of them the identity, each observable once.
        exact_energy, hartree_fock_energy: where a table knows them.
    """

    label: str
    constant: float
    terms: tuple[tuple[Observable, float], ...]
    exact_energy: float | None = None
    hartree_fock_energy: float | None = None

    @property
    def n_qubits(self) -> int:
        """Qubits that it acts on, counted from 0."""
        return max((observable.last_qubit for observable, _ in self.terms), default=-1) + 1

    @property
    def observables(self) -> tuple[Observable, ...]:
        return tuple(observable for observable, _ in self.terms)

    @property
    def coefficients(self) -> tuple[float, ...]:
        return tuple(coefficient for _, coefficient in self.terms)


def build(config: object, n_qubits: int) -> Hamiltonian:
    """
    The Hamiltonian that a job's config describes, on a circuit of `n_qubits`.

    Args:
        config: `[{"pauli": "Z0 Z1", "coeff": -0.47}, …]`; or `{"molecule": "H2", "bond_length": 0.735}`; or
            `{"model": "ising" | "heisenberg", "j"?: 1.0, "h"?, "periodic"?: false}`, a chain over all qubits.

    Raises:
        ValidationFailed: `config.hamiltonian…`: an unknown name or bond length, a Pauli string that cannot be read, a
            coefficient that is not finite, or more qubits than the circuit has.
    """
    if isinstance(config, Mapping):
        if "molecule" in config:
            found = _molecule(config)
        elif "model" in config:
            found = _chain(config, n_qubits)
        else:
            raise ValidationFailed.field(FIELD, "name a molecule or a model, or list Pauli terms")
    elif isinstance(config, Sequence) and not isinstance(config, str | bytes):
        found = _listed(config)
    else:
        raise ValidationFailed.field(FIELD, "an energy needs one: Pauli terms, a molecule, or a model")
    if not found.terms:
        raise ValidationFailed.field(FIELD, "it acts on no qubit, so there is nothing to minimise")
    if found.n_qubits > n_qubits:
        raise ValidationFailed.field(
            FIELD, f"{found.label} acts on {found.n_qubits} qubits; the circuit has {n_qubits}"
        )
    return found


def _molecule(config: Mapping[str, Any]) -> Hamiltonian:
    name, length = config["molecule"], config.get("bond_length")
    if length is not None:
        length = _number(length, f"{FIELD}.bond_length")
    geometry = molecules.molecule(str(name), length)
    found = _summed(
        f"{name}" if length is None else f"{name} at {length:g} angstrom",
        [(observables.parse(text), coefficient) for text, coefficient in geometry.terms.items()],
    )
    return msgspec.structs.replace(
        found, exact_energy=geometry.exact_energy, hartree_fock_energy=geometry.hartree_fock_energy
    )


def _chain(config: Mapping[str, Any], n_qubits: int) -> Hamiltonian:
    """
    Ising in a transverse field: H = -j Σ Z_i Z_i+1 - h Σ X_i (j > 0 is ferromagnetic; h is 1 unless given).
    Heisenberg: H = j Σ (X_i X_i+1 + Y_i Y_i+1 + Z_i Z_i+1) + h Σ Z_i (j > 0 is antiferromagnetic; h is 0 unless given).
    """
    model = config["model"]
    if model not in MODELS:
        raise ValidationFailed.field(f"{FIELD}.model", f"{str(model)[:40]!r} is none of {', '.join(MODELS)}")
    coupling = _number(1.0 if config.get("j") is None else config["j"], f"{FIELD}.j")
    default = 1.0 if model == "ising" else 0.0
    field = _number(default if config.get("h") is None else config["h"], f"{FIELD}.h")
    if n_qubits < 2:
        raise ValidationFailed.field(f"{FIELD}.model", "a chain needs at least two qubits")
    # The bond from the last spin to the first would be there twice in a chain of two.
    bonds = [(qubit, qubit + 1) for qubit in range(n_qubits - 1)]
    if config.get("periodic") and n_qubits > 2:
        bonds.append((0, n_qubits - 1))
    terms: list[tuple[Observable, float]] = []
    for left, right in bonds:
        paulis, factor = ("Z", -coupling) if model == "ising" else ("XYZ", coupling)
        terms += [(Observable(((left, pauli), (right, pauli))), factor) for pauli in paulis]
    pauli, factor = ("X", -field) if model == "ising" else ("Z", field)
    terms += [(Observable(((qubit, pauli),)), factor) for qubit in range(n_qubits)]
    return _summed(f"{model} chain of {n_qubits}", terms)


def _listed(config: Sequence[Any]) -> Hamiltonian:
    if not 1 <= len(config) <= MAX_OBSERVABLES:
        raise ValidationFailed.field(FIELD, f"must have 1 to {MAX_OBSERVABLES:,} terms")
    terms = []
    for index, term in enumerate(config):
        place = f"{FIELD}[{index}]"
        if not isinstance(term, Mapping) or set(term) != {"pauli", "coeff"}:
            raise ValidationFailed.field(place, 'must look like {"pauli": "Z0 Z1", "coeff": -0.47}')
        try:
            observable = observables.parse(term["pauli"])
        except ValueError as error:
            raise ValidationFailed.field(f"{place}.pauli", f"{error}") from error
        terms.append((observable, _number(term["coeff"], f"{place}.coeff")))
    return _summed("the Hamiltonian", terms)


def _summed(label: str, terms: Sequence[tuple[Observable, float]]) -> Hamiltonian:
    sums: dict[Observable, float] = {}
    for observable, coefficient in terms:
        sums[observable] = sums.get(observable, 0.0) + coefficient
    constant = sums.pop(IDENTITY, 0.0)
    kept = tuple((observable, coefficient) for observable, coefficient in sums.items() if coefficient != 0.0)
    if not all(math.isfinite(coefficient) for coefficient in (constant, *sums.values())):
        raise ValidationFailed.field(FIELD, "its coefficients add up to more than a number holds")
    return Hamiltonian(label=label, constant=constant, terms=kept)


def _number(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValidationFailed.field(place, "must be a finite number")
    return float(value)
