"""`POST /v1/circuits/{id}/run`: what a circuit gives, at once."""

from __future__ import annotations

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.inputs import body
from qstore_appliance.api.registry import Routes
from qstore_appliance.domain.costs import dollars
from qstore_appliance.domain.executions import Executed, ExecutionDraft, Expectation, Pair

routes = Routes("circuits")


class ExecutionAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    Bit strings have qubit 0 on the left. `counts` is there with shots; `statevector` (pairs of real and imaginary part),
    `bloch` (x, y, z of each qubit) and `entanglement` (concurrence of each pair) are there where the run is exact and has
    at most 12 qubits. `cost` in US dollars.
    """

    backend: str
    n_qubits: int
    seed: int
    shots: int | None
    probabilities: dict[str, float]
    n_outcomes: int
    expectations: list[Expectation]
    duration_ms: float
    cost: float
    counts: dict[str, int] | None = None
    statevector: list[tuple[float, float]] | None = None
    bloch: list[tuple[float, float, float]] | None = None
    entanglement: list[Pair] | None = None


@routes.post("/v1/circuits/{id}/run", "jobs:submit", body=ExecutionDraft, answer=ExecutionAnswer)
async def run(request: Request, id: str) -> HTTPResponse:
    """Run a circuit with numbers for its symbols: counts, probabilities, expectations, and the state of small ones."""
    draft = body(request, ExecutionDraft)
    found: Executed = await request.app.ctx.appliance.executions.run(request.ctx.caller, id, draft)
    return success(request, ExecutionAnswer(**{**msgspec.structs.asdict(found), "cost": dollars(found.cost)}))
