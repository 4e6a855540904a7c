"""A circuit's versions: the present one, and what it was before each change of its gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from tortoise.queryset import QuerySet

from qstore_appliance.database.tables.circuits import CircuitVersionRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.circuit_versions import CircuitVersion, VersionDifference, WholeCircuitVersion
from qstore_appliance.domain.circuits import CircuitHead, StoredCircuit
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.ports import Calculator
from qstore_appliance.errors import NotFound
from qstore_appliance.services.circuits import Circuits

DIFFER = "qstore_appliance.engine.comparing:differ"
DEADLINE_SECONDS = 60.0
SORTS = ("version",)
_SIZES = ("version", "n_qubits", "depth", "gate_count")

Made = StoredCircuit | CircuitVersionRow


class CircuitVersions:
    """
    Args:
        calculator: Tells two versions apart.
    """

    def __init__(self, circuits: Circuits, calculator: Calculator) -> None:
        self._circuits = circuits
        self._calculator = calculator

    async def listed(self, caller: Caller, circuit_id: str, page: Page) -> Listed[CircuitVersion]:
        """
        Raises:
            NotFound: No such circuit in the caller's organization.
        """
        circuit = (await self._circuits.heads(caller, [circuit_id])).get(circuit_id)
        if circuit is None:
            raise NotFound.of("circuit", circuit_id)
        kept = _kept(circuit)
        total = 1 + await kept.count()
        start, end = page.offset, min(page.offset + page.limit, total)
        if page.sort == "version":
            start, end = total - end, max(0, total - start)
        # The newest first, which has no row of its own; and one more, for it knows who made the one before.
        rows = kept.order_by("-version").offset(max(0, start - 1)).limit(page.limit + 1)
        found: list[Made | CircuitHead] = list(await rows.only("id", *_SIZES, "replaced_by", "replaced_at"))
        if start == 0:
            found = [circuit, *found]
        items = [
            _shown(circuit, one, found[index + 1 : index + 2]) for index, one in enumerate(found[: max(0, end - start)])
        ]
        if page.sort == "version":
            items.reverse()
        return Listed(items=items, total=total, limit=page.limit, offset=page.offset)

    async def get(self, caller: Caller, circuit_id: str, version: int) -> WholeCircuitVersion:
        """
        Raises:
            NotFound: No such circuit in the caller's organization, or no such version.
        """
        circuit = await self._circuits.get(caller, circuit_id)
        found, before = await _found(circuit, version), await _kept(circuit).get_or_none(version=version - 1)
        return WholeCircuitVersion(
            **msgspec.structs.asdict(_shown(circuit, found, [before] if before else [])),
            circuit_id=circuit.id,
            parameters=found.parameters,
            circuit_definition=found.circuit_definition,
        )

    async def difference(self, caller: Caller, circuit_id: str, a: int, b: int | None = None) -> VersionDifference:
        """
        The gates that are in one of two versions alone.

        Args:
            b: None for the present one.

        Raises:
            NotFound: No such circuit in the caller's organization, or no such version.
            DeadlineExceeded: It takes longer than a minute.
        """
        circuit = await self._circuits.get(caller, circuit_id)
        one, other = await _found(circuit, a), await _found(circuit, circuit.version if b is None else b)
        pair = [(found.n_qubits, found.circuit_definition["gates"]) for found in (one, other)]
        diff = await self._calculator.call(DIFFER, *pair, timeout=DEADLINE_SECONDS)
        answer = {"circuit_id": circuit.id, "a": one.version, "b": other.version, "diff": diff}
        return msgspec.convert(answer, VersionDifference)


def _kept(circuit: StoredCircuit | CircuitHead) -> QuerySet[CircuitVersionRow]:
    return CircuitVersionRow.filter(circuit_id=circuit.id)


async def _found(circuit: StoredCircuit, version: int) -> Made:
    if version == circuit.version:
        return circuit
    row = await _kept(circuit).get_or_none(version=version)
    if row is None:
        raise NotFound("This circuit has no such version.", details={"id": circuit.id, "version": version})
    return row


def _shown(circuit: StoredCircuit | CircuitHead, found: Made | CircuitHead, before: Sequence[Any]) -> CircuitVersion:
    user_id, created_at = None, None
    if before and before[0].version == found.version - 1:
        user_id, created_at = before[0].replaced_by, before[0].replaced_at
    elif found.version == 1:
        user_id, created_at = circuit.user_id, circuit.created_at
    return CircuitVersion(**{name: getattr(found, name) for name in _SIZES}, user_id=user_id, created_at=created_at)
