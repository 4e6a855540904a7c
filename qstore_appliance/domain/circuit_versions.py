"""What a circuit was before its gates were changed, and what it is now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from qstore_appliance.domain.optimisations import CircuitDifference


class CircuitVersion(msgspec.Struct, frozen=True, kw_only=True):
    """
    One of a circuit's versions, without its gates.

    Attributes:
        user_id, created_at: Who made it and when; null where the version before it was not kept.
    """

    version: int
    n_qubits: int
    depth: int
    gate_count: int
    user_id: str | None
    created_at: datetime | None


class WholeCircuitVersion(CircuitVersion, frozen=True, kw_only=True):
    """With its gates; `circuit_definition` is `{"format": "unified", "gates": […]}`."""

    circuit_id: str
    parameters: dict[str, Any]
    circuit_definition: dict[str, Any]


class VersionDifference(msgspec.Struct, frozen=True, kw_only=True):
    """`a` and `b` are numbers of versions; `diff` is what to take out of `a`, and what to put there."""

    circuit_id: str
    a: int
    b: int
    diff: CircuitDifference
