"""Answers in the words of IonQ's API (v0.4): no envelope, money in dollars, errors as `statusCode`, `error`, `message`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import bare
from qstore_appliance.domain.circuit_jobs import BATCH, SIMULATOR, CircuitJob, CircuitJobStatus, Target
from qstore_appliance.domain.costs import dollars
from qstore_appliance.errors import QStoreError

UNIT = "usd"


def failure(request: Request, error: QStoreError, status: int) -> HTTPResponse:
    """A refusal; what we call unprocessable is a bad request to IonQ."""
    status = 400 if status == 422 else status
    content: dict[str, Any] = {"statusCode": status, "error": error.code, "message": error.message}
    faults = error.details.get("errors")
    if isinstance(faults, list):
        content["validation"] = {"source": "payload", "keys": [fault["field"] for fault in faults]}
    elif error.details:
        content["details"] = error.details
    return bare(content, status)


def job(found: CircuitJob) -> dict[str, Any]:
    """A job as `GET /v0.4/jobs/{uuid}` shows it."""
    content: dict[str, Any] = {
        "id": found.id,
        "status": found.status,
        "type": found.type,
        "backend": found.target,
        "dry_run": found.dry_run,
        "submitter_id": found.user_id,
        "project_id": None,
        "parent_job_id": None,
        "child_job_ids": found.child_ids or None,
        "session_id": None,
        "metadata": found.metadata,
        "name": found.name,
        "submitted_at": found.created_at,
        "started_at": found.started_at,
        "completed_at": found.completed_at,
        "predicted_wait_time_ms": None,
        "predicted_execution_duration_ms": None,
        "execution_duration_ms": _milliseconds(found.started_at, found.completed_at),
        "shots": found.shots,
        # `error` is where cirq-ionq looks for the sentence.
        "failure": None if found.failure is None else {**found.failure, "error": found.failure["message"]},
        "output": {},
        "settings": found.settings,
        "stats": {
            "qubits": found.n_qubits,
            "circuits": found.n_circuits,
            "gate_counts": {"1q": found.gates_1q, "2q": found.gates_2q},
        },
        "results": _results(found),
    }
    if found.failure is None:
        # cirq-ionq asks whether the key is there, not what it holds.
        del content["failure"]
    if found.target == SIMULATOR:
        content["noise"] = found.noise or {"model": "ideal"}
    else:
        message = f"{found.target} was simulated on this server by {found.backend}; no quantum computer was used."
        content["warning"] = {"messages": [message]}
    return content


def _results(found: CircuitJob) -> dict[str, Any] | None:
    if found.status != CircuitJobStatus.COMPLETED or found.dry_run:
        return None
    kind = "probabilities/aggregated" if found.type == BATCH else "probabilities"
    return {"probabilities": {"url": f"/v0.4/jobs/{found.id}/results/{kind}"}}


def cost(found: CircuitJob) -> dict[str, Any]:
    return {
        "dry_run": found.dry_run,
        "estimated_cost": {"value": dollars(found.estimated_cost), "unit": UNIT},
        "cost": {"value": dollars(found.cost), "unit": UNIT},
    }


def estimate(asked: dict[str, Any], amount: int) -> dict[str, Any]:
    """IonQ has renamed these fields once; both spellings are there."""
    total = dollars(amount)
    return {
        "estimate_context": {**asked, "organization": None, "project": None},
        "input_values": asked,
        "estimated_at": datetime.now(UTC),
        "estimated_unit": UNIT,
        "cost_unit": UNIT,
        "rate_card": {"id": "local", "rates": []},
        "rate_information": {},
        "estimated_total_cost": total,
        "estimated_cost": total,
        "estimated_execution_time": 0,
        "current_predicted_queue_time": 0,
    }


def backend(found: Target) -> dict[str, Any]:
    return {
        "backend": found.name,
        "status": "available" if found.available else "unavailable",
        "degraded": False,
        "qubits": found.qubits,
        "average_queue_time": 0,
        "last_updated": datetime.now(UTC),
        "location": "this server, simulated" if found.simulated else "this server",
        "supported_gates": found.gates,
        "supported_native_gates": found.native_gates,
        **({"reason": found.reason} if found.reason else {}),
    }


def _milliseconds(began: datetime | None, ended: datetime | None) -> int | None:
    if began is None or ended is None:
        return None
    return max(0, round((ended - began).total_seconds() * 1000))
