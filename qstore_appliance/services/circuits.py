"""Stored circuits: checked, written down in one spelling, listed by tag, deleted for a day before they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from tortoise.expressions import Subquery

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.circuits import CircuitRow, CircuitTagRow, CircuitVersionRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.circuits import (
    CircuitDraft,
    CircuitHead,
    CircuitImport,
    CircuitPatch,
    CircuitSummary,
    Format,
    StoredCircuit,
)
from qstore_appliance.domain.jobs import LIVE
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.models import ModelStatus
from qstore_appliance.domain.ports import Calculator, Clock
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.formats import unified
from qstore_appliance.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from qstore_appliance.services.initial_values import described
from qstore_appliance.services.sorting import order_of
from qstore_appliance.services.texts import refuse_unstorable

RESTORABLE = timedelta(hours=24)
SORTS = ("created_at", "updated_at", "name", "n_qubits", "depth", "gate_count")
#: From so many gates on, reading a circuit would hold up the loop for milliseconds.
_MANY_GATES = 500
_SUMMARY = ("id", "name", "n_qubits", "depth", "gate_count", "metadata", "version", "created_at", "updated_at")
_HEAD = ("user_id", "description", *_SUMMARY)
_SERVED = (ModelStatus.DEPLOYING.value, ModelStatus.DEPLOYED.value)


#: Reading a long text of OpenQASM takes seconds, of a process that is not this one.
_READ = "qstore_appliance.engine.formats.spelling:read"
_WRITE = "qstore_appliance.engine.formats.spelling:write"
_DRAW = "qstore_appliance.engine.formats.spelling:draw"
_PARSE_SECONDS = 60.0


class Circuits:
    """
    Args:
        calculator: Reads and writes the formats of others.
    """

    def __init__(self, database: Database, clock: Clock, calculator: Calculator) -> None:
        self._database = database
        self._clock = clock
        self._calculator = calculator

    async def create(self, caller: Caller, draft: CircuitDraft) -> StoredCircuit:
        """
        Raises:
            InvalidCircuit: With the gate and its index.
            ValidationFailed: `parameters` does not fit the circuit's symbols.
        """
        return await self._create(caller, draft, None)

    async def create_from(self, caller: Caller, source: StoredCircuit, draft: CircuitDraft) -> StoredCircuit:
        """
        Store a circuit that was made of another one, whose initial values it keeps where they fit.

        Raises:
            InvalidCircuit: With the gate and its index.
        """
        return await self._create(caller, draft, source.parameters)

    async def _create(self, caller: Caller, draft: CircuitDraft, kept: dict[str, Any] | None) -> StoredCircuit:
        caller.require("circuits:write")
        refuse_unstorable(name=draft.name, description=draft.description, metadata=draft.metadata)
        circuit = await _read(draft.n_qubits, draft.gates)
        row = CircuitRow(
            id=ids.new("circuit"),
            organization_id=caller.organization_id,
            user_id=caller.user_id,
            name=draft.name,
            description=draft.description,
            parameters=described(circuit, draft.parameters, kept),
            metadata=draft.metadata,
            **_measured(circuit),
        )
        async with self._database.transaction():
            await row.save(force_create=True)
            await _tag(row)
        return row.to_domain()

    async def import_from(self, caller: Caller, draft: CircuitImport) -> StoredCircuit:
        """
        Store a circuit that is written in another format.

        Raises:
            InvalidCircuit: With the gate's index, or the line and column of a text.
            ValidationFailed: `parameters` does not fit the circuit's symbols.
            DeadlineExceeded: A text that takes longer than a minute to read.
        """
        caller.require("circuits:write")
        found = await self._calculator.call(_READ, draft.format, draft.source, timeout=_PARSE_SECONDS)
        return await self.create(
            caller,
            CircuitDraft(
                name=draft.name,
                description=draft.description,
                n_qubits=found["n_qubits"],
                gates=found["gates"],
                parameters=draft.parameters,
                metadata=draft.metadata,
            ),
        )

    async def written(self, caller: Caller, id: str, format: Format) -> str | dict[str, Any]:
        """
        A circuit in a format of others, up to a global phase: a text or an object.

        Raises:
            NotFound: No such circuit in the caller's organization.
            InvalidCircuit: The format cannot express a gate; with its index.
        """
        circuit = await self.get(caller, id)
        gates = circuit.circuit_definition["gates"]
        found: str | dict[str, Any] = await self._calculator.call(_WRITE, format, circuit.n_qubits, gates)
        return found

    async def drawn(self, caller: Caller, id: str, format: str = "svg", theme: str = "light") -> str:
        """
        A circuit's drawing.

        Args:
            format: `svg` or `text`.
            theme: `light` or `dark`: the colours of an SVG.

        Raises:
            NotFound: No such circuit in the caller's organization.
        """
        circuit = await self.get(caller, id)
        gates = circuit.circuit_definition["gates"]
        return str(await self._calculator.call(_DRAW, format, circuit.n_qubits, gates, theme))

    async def get(self, caller: Caller, id: str) -> StoredCircuit:
        """
        Raises:
            NotFound: No such circuit in the caller's organization.
        """
        caller.require("circuits:read")
        return (await self._row(caller, id)).to_domain()

    async def heads(self, caller: Caller, wanted: Collection[str]) -> dict[str, CircuitHead]:
        """Several circuits by id, without their gates, in one query; what is not the organization's is left out."""
        caller.require("circuits:read")
        rows = CircuitRow.filter(id__in=_known(wanted), organization_id=caller.organization_id, deleted_at=None)
        return {row.id: row.to_head() for row in await rows.only(*_HEAD)}

    async def several(self, caller: Caller, wanted: Collection[str]) -> dict[str, StoredCircuit]:
        """Several circuits by id, whole, in one query; what is not the organization's is left out."""
        caller.require("circuits:read")
        rows = CircuitRow.filter(id__in=_known(wanted), organization_id=caller.organization_id, deleted_at=None)
        return {row.id: row.to_domain() for row in await rows}

    async def listed(self, caller: Caller, page: Page, tags: Sequence[str] = ()) -> Listed[CircuitSummary]:
        """
        The organization's circuits; with tags, those that carry any of them.

        Raises:
            ValidationFailed: The sort.
        """
        caller.require("circuits:read")
        refuse_unstorable(tags=list(tags))
        rows = CircuitRow.filter(organization_id=caller.organization_id, deleted_at=None)
        if tags:
            tagged = CircuitTagRow.filter(organization_id=caller.organization_id, tag__in=list(tags))
            rows = rows.filter(id__in=Subquery(tagged.values("circuit_id")))
        found = await rows.order_by(*order_of(page.sort, SORTS)).offset(page.offset).limit(page.limit).only(*_SUMMARY)
        items = [row.to_summary() for row in found]
        return Listed(items=items, total=await rows.count(), limit=page.limit, offset=page.offset)

    async def update(
        self, caller: Caller, id: str, patch: CircuitPatch, expected: Collection[str] | None = None
    ) -> StoredCircuit:
        """
        Change what is sent. Other gates or qubits make a new version; metadata is replaced as a whole.

        Args:
            expected: Entity tags, one of which the circuit has to have.

        Raises:
            NotFound: No such circuit in the caller's organization.
            PreconditionFailed: It was changed meanwhile.
            InvalidCircuit: With the gate and its index.
            ValidationFailed: `parameters` does not fit the circuit's symbols.
        """
        caller.require("circuits:write")
        refuse_unstorable(name=patch.name, description=patch.description, metadata=patch.metadata)
        circuit = await self._changed(caller, id, patch)
        async with self._database.transaction():
            row = await self._row(caller, id, change=True)
            _require_unchanged(row, expected)
            if patch.name is not None:
                row.name = patch.name
            if patch.description is not None:
                row.description = patch.description
            if patch.metadata is not None:
                row.metadata = patch.metadata
                await CircuitTagRow.filter(circuit_id=row.id).delete()
                await _tag(row)
            if circuit is not None:
                await self._keep(caller, row)
                kept = None if patch.parameters is not None else row.parameters
                row.parameters = described(circuit, patch.parameters, kept)
                row.update_from_dict(_measured(circuit))
                row.version += 1
            elif patch.parameters is not None:
                stored = unified.read({"n_qubits": row.n_qubits, **row.circuit_definition})
                row.parameters = described(stored, patch.parameters)
            await row.save()
        return row.to_domain()

    async def delete(self, caller: Caller, id: str, expected: Collection[str] | None = None) -> None:
        """
        Vanishes at once, and can be restored for a day.

        Args:
            expected: Entity tags, one of which the circuit has to have.

        Raises:
            NotFound: No such circuit in the caller's organization.
            PreconditionFailed: It was changed meanwhile.
            Forbidden: Somebody else's, and the caller may only delete their own.
            Conflict: A live job or a deployed model uses it.
        """
        caller.require("circuits:write")
        async with self._database.transaction():
            row = await self._row(caller, id, change=True)
            _require_own(caller, row)
            _require_unchanged(row, expected)
            job = await JobRow.filter(
                organization_id=caller.organization_id, circuit_id=id, status__in=[status.value for status in LIVE]
            ).first()
            if job is not None:
                raise Conflict(f"Job {job.id} uses this circuit; cancel it first.", details={"job_id": job.id})
            model = await ModelRow.filter(
                organization_id=caller.organization_id, circuit_id=id, status__in=_SERVED, deleted_at=None
            ).first()
            if model is not None:
                raise Conflict(f"Model {model.id} uses this circuit; retire it first.", details={"model_id": model.id})
            row.deleted_at = self._clock.now()
            await row.save(update_fields=["deleted_at"])

    async def restore(self, caller: Caller, id: str) -> StoredCircuit:
        """
        Undo a delete of the last 24 hours; restoring what is not deleted changes nothing.

        Raises:
            NotFound: No such circuit, or it is too late.
            Forbidden: Somebody else's, and the caller may only delete their own.
        """
        caller.require("circuits:write")
        async with self._database.transaction():
            wanted = CircuitRow.filter(id=id, organization_id=caller.organization_id).select_for_update()
            row = await wanted.first() if ids.is_id("circuit", id) else None
            if row is None or (row.deleted_at is not None and row.deleted_at <= self._clock.now() - RESTORABLE):
                raise NotFound.of("circuit", id)
            _require_own(caller, row)
            row.deleted_at = None
            await row.save(update_fields=["deleted_at"])
        return row.to_domain()

    async def purge(self) -> int:
        """Free the space of what was deleted more than a day ago; returns how many went."""
        gone = CircuitRow.filter(deleted_at__lte=self._clock.now() - RESTORABLE)
        async with self._database.transaction():
            # Not what `delete()` returns: SQLite counts the tags that go with them.
            count = await gone.count()
            await gone.delete()
        return count

    async def _row(self, caller: Caller, id: str, *, change: bool = False) -> CircuitRow:
        wanted = CircuitRow.filter(id=id, organization_id=caller.organization_id, deleted_at=None)
        row = await (wanted.select_for_update() if change else wanted).first() if ids.is_id("circuit", id) else None
        if row is None:
            raise NotFound.of("circuit", id)
        return row

    async def _keep(self, caller: Caller, row: CircuitRow) -> None:
        """What it is now becomes one of its versions of before."""
        kept = ("version", "n_qubits", "depth", "gate_count", "circuit_definition", "parameters")
        await CircuitVersionRow.create(
            circuit_id=row.id,
            replaced_by=caller.user_id,
            replaced_at=self._clock.now(),
            **{name: getattr(row, name) for name in kept},
        )

    async def _changed(self, caller: Caller, id: str, patch: CircuitPatch) -> Circuit | None:
        """The new circuit where the patch has one, read before the transaction begins."""
        if patch.gates is None and patch.n_qubits is None:
            return None
        row = await self._row(caller, id)
        gates = patch.gates if patch.gates is not None else row.circuit_definition["gates"]
        return await _read(patch.n_qubits if patch.n_qubits is not None else row.n_qubits, gates)


async def _read(n_qubits: int, gates: list[dict[str, Any]]) -> Circuit:
    definition = {"n_qubits": n_qubits, "gates": gates}
    if len(gates) < _MANY_GATES:
        return unified.read(definition)
    return await asyncio.to_thread(unified.read, definition)


def _measured(circuit: Circuit) -> dict[str, Any]:
    return {
        "n_qubits": circuit.n_qubits,
        "depth": circuit.depth,
        "gate_count": circuit.gate_count,
        "circuit_definition": unified.write(circuit),
    }


async def _tag(row: CircuitRow) -> None:
    tags = dict.fromkeys(row.metadata.get("tags", []))
    await CircuitTagRow.bulk_create(
        [CircuitTagRow(organization_id=row.organization_id, tag=tag, circuit_id=row.id) for tag in tags]
    )


def _require_own(caller: Caller, row: CircuitRow) -> None:
    if row.user_id != caller.user_id and not caller.may("circuits:delete"):
        raise Forbidden("This circuit is somebody else's; only an admin may delete it.")


def _require_unchanged(row: CircuitRow, expected: Collection[str] | None) -> None:
    if expected is not None and (tag := row.to_domain().entity_tag) not in expected:
        raise PreconditionFailed("The circuit was changed meanwhile; read it again.", details={"etag": tag})


def _known(wanted: Collection[str]) -> list[str]:
    """Those that can be ids at all."""
    return [id for id in wanted if ids.is_id("circuit", id)]
