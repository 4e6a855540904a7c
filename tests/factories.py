"""Things that are valid by default; a test changes with one keyword what it is about."""

from __future__ import annotations

import asyncio
import importlib
from datetime import UTC, datetime, timedelta
from typing import Any

from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import SCOPES, ApiKeyDraft, Caller, Role, SetupDraft
from qstore_appliance.domain.circuits import CircuitDraft
from qstore_appliance.errors import DeadlineExceeded

PASSWORD = "correct horse battery"


class SteppingClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: datetime | None = None) -> None:
        self._now = now or datetime.now(UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, **step: float) -> None:
        """`clock.advance(hours=24)`"""
        self._now += timedelta(**step)


class ThreadCalculator:
    """A `Calculator` in threads of this process: the true functions, without children."""

    async def call(self, function: str, /, *args: Any, timeout: float = 30.0, **kwargs: Any) -> Any:
        module, _, name = function.partition(":")
        work = getattr(importlib.import_module(module), name)
        try:
            return await asyncio.wait_for(asyncio.to_thread(work, *args, **kwargs), timeout)
        except TimeoutError:
            raise DeadlineExceeded from None


def make_caller(role: Role | str = Role.DEVELOPER, **overrides: Any) -> Caller:
    """A signed-in user of an organization of their own; the rows behind it are not made."""
    role = Role(role)
    values: dict[str, Any] = {
        "user_id": ids.new("user"),
        "organization_id": ids.new("org"),
        "email": "ada@example.org",
        "role": role,
        "scopes": SCOPES[role],
        "session_id": ids.new("session"),
    }
    return Caller(**{**values, **overrides})


def make_circuit_draft(**overrides: Any) -> CircuitDraft:
    """The specification's example: H, CNOT, RY(theta_0) on four qubits."""
    values: dict[str, Any] = {
        "name": "VQE Ansatz",
        "n_qubits": 4,
        "gates": [
            {"type": "H", "targets": [0]},
            {"type": "CNOT", "targets": [0, 1]},
            {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
        ],
        "metadata": {"tags": ["vqe", "chemistry"]},
    }
    return CircuitDraft(**{**values, **overrides})


def make_setup_draft(token: str, **overrides: Any) -> SetupDraft:
    values = {"token": token, "email": "ada@example.org", "password": PASSWORD, "organization": "Analytical Engines"}
    return SetupDraft(**{**values, **overrides})


def make_key_draft(**overrides: Any) -> ApiKeyDraft:
    return ApiKeyDraft(**{"name": "Notebook", "scopes": ["circuits:read", "jobs:submit"], **overrides})


async def make_job_row(caller: Caller, **overrides: Any) -> JobRow:
    """A stored job, queued."""
    values: dict[str, Any] = {
        "id": ids.new("job"),
        "organization_id": caller.organization_id,
        "user_id": caller.user_id,
        "circuit_id": ids.new("circuit"),
        "circuit": {"n_qubits": 1, "format": "unified", "gates": [{"type": "H", "targets": [0]}]},
        "status": "queued",
        "config": {"dataset": {"type": "digits"}},
        "backend": "native",
    }
    return await JobRow.create(**{**values, **overrides})


async def make_model_row(caller: Caller, **overrides: Any) -> ModelRow:
    """A stored model, trained and not deployed; its artifact is not there."""
    values: dict[str, Any] = {
        "id": ids.new("model"),
        "organization_id": caller.organization_id,
        "user_id": caller.user_id,
        "name": "digits-classifier",
        "version": "1",
        "circuit_id": ids.new("circuit"),
        "status": "trained",
        "artifact_digest": "sha256:" + "0" * 64,
        "artifact_bytes": 0,
    }
    return await ModelRow.create(**{**values, **overrides})
