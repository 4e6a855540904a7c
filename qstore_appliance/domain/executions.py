"""One run of a stored circuit: what somebody asks for, and what came out."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from pydantic import Field, StringConstraints

from qstore_appliance.domain.drafts import Draft

MAX_SHOTS = 1_000_000
MAX_OBSERVABLES = 200


class ExecutionDraft(Draft):
    """`POST /v1/circuits/{id}/run`. `shots` null: exact. `backend` "auto" takes the fastest that can."""

    parameters: dict[Annotated[str, StringConstraints(max_length=200)], float] = Field(
        default_factory=dict, max_length=10_000
    )
    backend: Annotated[str, StringConstraints(min_length=1, max_length=50)] = "auto"
    shots: int | None = Field(default=None, ge=1, le=MAX_SHOTS)
    observables: list[Annotated[str, StringConstraints(max_length=400)]] = Field(
        default_factory=list, max_length=MAX_OBSERVABLES
    )
    noise: dict[str, Any] | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**63)


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """`std_error` is 0 where the value is exact."""

    observable: str
    value: float
    std_error: float


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """How entangled two qubits are with each other, from 0 to 1."""

    qubits: tuple[int, int]
    concurrence: float


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came out.

    Attributes:
        counts: How often each bit string (qubit 0 leftmost) was drawn, the commonest first; with shots only.
        probabilities: By bit string: exact ones, or frequencies. At most 4,096.
        n_outcomes: How many there are in all.
        statevector: Amplitudes as pairs of real and imaginary part; exact, and up to 12 qubits. So are the next two.
        bloch: x, y, z of each qubit.
        cost: Micro-dollars.
    """

    backend: str
    n_qubits: int
    seed: int
    shots: int | None
    probabilities: dict[str, float]
    n_outcomes: int
    expectations: list[Expectation]
    duration_ms: float
    cost: int
    counts: dict[str, int] | None = None
    statevector: list[tuple[float, float]] | None = None
    bloch: list[tuple[float, float, float]] | None = None
    entanglement: list[Pair] | None = None
