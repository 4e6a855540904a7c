"""
Circuit jobs: circuits that a client of IonQ's API (v0.4) sends to be run once, each or as a batch.

Not training jobs: nothing is learned, the answer is a distribution of outcomes.
"""

from __future__ import annotations

import enum
import os
import re
import time
import uuid
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import Field, StringConstraints, field_validator

from qstore_appliance.domain.drafts import Draft

BATCH: Final = "ionq.multi-circuit.v1"
SINGLE: Final = "ionq.circuit.v1"
SIMULATOR = "simulator"
MAX_SHOTS = 1_000_000
#: Quantum computers of IonQ whose jobs are taken, and simulated, so that scripts run without them: qubits of each.
COMPUTERS = {"qpu.aria-1": 25, "qpu.forte-1": 36, "qpu.forte-enterprise-1": 36}
_TARGET = re.compile(r"simulator|qpu(\.[a-z0-9-]{1,40})?")


class CircuitJobStatus(enum.StrEnum):
    """IonQ's words for it."""

    #: Waits.
    READY = "ready"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELED = "canceled"
    FAILED = "failed"


def new_id() -> str:
    """A UUIDv7, as IonQ's: sorts by the time at which it was made."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64
    return str(uuid.UUID(int=value | 0b10 << 62 | (random & ((1 << 62) - 1))))


def is_id(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


class NoiseDraft(Draft):
    model: Annotated[str, StringConstraints(max_length=40)]
    seed: int | None = None


class CircuitJobDraft(Draft):
    """What `POST /v0.4/jobs` takes; `input` is read by `engine/formats/ionq.py`."""

    backend: Annotated[str, StringConstraints(max_length=50)]
    type: Literal["ionq.circuit.v1", "ionq.multi-circuit.v1"] = SINGLE
    input: dict[str, Any]
    lang: Literal["json"] = "json"
    name: Annotated[str, StringConstraints(max_length=255)] | None = None
    metadata: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=400_000)] | int | float | bool | None],
        Field(max_length=100),
    ] | None = None  # fmt: skip
    settings: dict[str, Any] | None = None
    shots: int | str = 100
    noise: NoiseDraft | None = None
    dry_run: bool = False
    session_id: None = None

    @field_validator("backend")
    @classmethod
    def _known_target(cls, value: str) -> str:
        if _TARGET.fullmatch(value) is None:
            raise ValueError("is 'simulator' or a quantum computer such as 'qpu.forte-1'")
        return value

    @field_validator("shots")
    @classmethod
    def _whole_shots(cls, value: int | str) -> int:
        """cirq-ionq sends them as text."""
        if isinstance(value, str):
            if re.fullmatch(r"[0-9]{1,7}", value) is None:
                raise ValueError(f"is a whole number from 1 to {MAX_SHOTS}")
            value = int(value)
        if not 1 <= value <= MAX_SHOTS:
            raise ValueError(f"is a whole number from 1 to {MAX_SHOTS}")
        return value

    @field_validator("noise")
    @classmethod
    def _ideal_noise(cls, value: NoiseDraft | None) -> NoiseDraft | None:
        if value is not None and value.model != "ideal":
            raise ValueError("this server simulates without noise: the model is 'ideal'")
        return value


class CircuitJob(msgspec.Struct, frozen=True, kw_only=True):
    """
    One such job. Money in micro-dollars.

    Attributes:
        target: What the client asked for, `simulator` or a quantum computer.
        backend: The local simulator that runs it.
        child_ids: One per circuit of a batch.
        gates_1q, gates_2q: Gates on one qubit and on more, of all circuits.
        failure: Code and sentence of a failed job.
    """

    id: str
    organization_id: str
    user_id: str
    type: str
    name: str | None
    target: str
    backend: str
    status: CircuitJobStatus
    shots: int
    dry_run: bool
    metadata: dict[str, Any] | None
    settings: dict[str, Any]
    noise: dict[str, Any] | None
    child_ids: list[str]
    n_qubits: int
    n_circuits: int
    gates_1q: int
    gates_2q: int
    failure: dict[str, str] | None
    estimated_cost: int
    cost: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Somewhere that a circuit job may name, and what stands behind it here."""

    name: str
    qubits: int
    available: bool
    simulated: bool
    reason: str | None
    gates: list[str]
    native_gates: list[str]
