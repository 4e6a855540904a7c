"""Circuits made smaller, and circuits held against each other: what is asked, and what is answered with a certificate."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from pydantic import Field, StringConstraints

from qstore_appliance.domain.drafts import Draft


class OptimisationDraft(Draft):
    """`POST /v1/circuits/{id}/optimize`. Without `target_backend` any backend may run the result."""

    target_backend: Annotated[str, StringConstraints(min_length=1, max_length=50)] | None = None
    optimization_level: int = Field(default=2, ge=0, le=3)


class ComparisonDraft(Draft):
    """`POST /v1/circuits/compare`: two circuits by id."""

    a: Annotated[str, StringConstraints(max_length=64)]
    b: Annotated[str, StringConstraints(max_length=64)]


class CounterExample(msgspec.Struct, frozen=True, kw_only=True):
    """
    A state that two circuits make different states of.

    Attributes:
        parameters: Numbers for the symbols.
        preparation: Gates that make the state of |0…0>; none is that state itself.
        overlap: Of the two states that come out, in magnitude.
    """

    parameters: dict[str, float]
    preparation: list[dict[str, Any]]
    overlap: float


class EquivalenceCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        equivalent: The same up to a global phase; null where that was too much to compute.
        method: `unitary` (whole matrices, up to 10 qubits), `random_states`, or `none`.
        overlap: The least that was found, 1 for circuits that do the same.
        bindings: The random numbers that symbols had, set by set.
        states: How many random states were looked at; 0 for whole matrices.
    """

    equivalent: bool | None
    method: str
    overlap: float | None
    bindings: list[dict[str, float]]
    states: int
    counter_example: CounterExample | None = None


class GateCounts(msgspec.Struct, frozen=True, kw_only=True):
    """`two_qubit_gates` are those on two or three qubits, `gates` how many there are of each name."""

    depth: int
    gate_count: int
    two_qubit_gates: int
    gates: dict[str, int]


class Optimised(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        gate_reduction: How many of a hundred gates are gone, such as "37.8%"; negative where a target needs more.
        passes: What was applied, in its order.
        refused: Passes that had no certificate, and so were not applied.
    """

    original_depth: int
    optimized_depth: int
    gate_reduction: str
    optimized_circuit_id: str
    before: GateCounts
    after: GateCounts
    passes: list[str]
    refused: list[str]
    certificate: EquivalenceCertificate


class CircuitSizes(GateCounts, frozen=True, kw_only=True):
    n_qubits: int
    symbols: int


class ComparedSizes(msgspec.Struct, frozen=True, kw_only=True):
    a: CircuitSizes
    b: CircuitSizes


class CircuitChange(msgspec.Struct, frozen=True, kw_only=True):
    """`removed` stand in the first circuit from `index_a` on, `added` in the second from `index_b` on."""

    index_a: int
    removed: list[dict[str, Any]]
    index_b: int
    added: list[dict[str, Any]]


class CircuitDifference(msgspec.Struct, frozen=True, kw_only=True):
    """`removed`, `added` and `same` are numbers of gates; not `complete` where there are more than 1,000 changes."""

    changes: list[CircuitChange]
    removed: int
    added: int
    same: int
    complete: bool


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """`equivalent`, `overlap` and `counter_example` are the certificate's."""

    equivalent: bool | None
    overlap: float | None
    counter_example: CounterExample | None
    resources: ComparedSizes
    diff: CircuitDifference
    certificate: EquivalenceCertificate
