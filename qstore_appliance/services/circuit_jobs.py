"""Circuit jobs of clients that speak IonQ's API: take in, look, cancel, delete, estimate. `circuit_runs.py` runs them."""

from __future__ import annotations

import asyncio
from typing import Any

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.circuit_jobs import CircuitJobRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.circuit_jobs import (
    BATCH,
    COMPUTERS,
    SIMULATOR,
    CircuitJob,
    CircuitJobDraft,
    CircuitJobStatus,
    Target,
    is_id,
    new_id,
)
from qstore_appliance.domain.ports import Clock
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.formats import ionq, ionq_native
from qstore_appliance.errors import BackendCannot, Conflict, InsufficientMemory, NotFound, QStoreError, RateLimited
from qstore_appliance.services.backends import FASTEST, Backends
from qstore_appliance.services.circuit_runs import CircuitRuns
from qstore_appliance.services.machine import memory_available
from qstore_appliance.services.pauses import Pauses
from qstore_appliance.services.submission import settings_of
from qstore_appliance.services.texts import refuse_unstorable
from qstore_appliance.settings import Settings

#: Whoever only looks waits so long for a simulator's first probe.
PATIENCE_SECONDS = 3.0
#: From so many gates on, reading a job would hold up the loop for milliseconds.
_MANY_GATES = 500
#: The state in double precision, as much to work in, and its probabilities while they are made.
BYTES_PER_AMPLITUDE = 48
#: Everything but the circuits and the answer.
_SEEN = tuple(CircuitJob.__struct_fields__)


class CircuitJobs:
    def __init__(
        self,
        database: Database,
        backends: Backends,
        runs: CircuitRuns,
        clock: Clock,
        settings: Settings,
        pauses: Pauses | None = None,
    ) -> None:
        self._database = database
        self._pauses = pauses
        self._backends = backends
        self._runs = runs
        self._clock = clock
        self._settings = settings

    async def submit(self, caller: Caller, draft: CircuitJobDraft) -> CircuitJob:
        """
        Take a job in. A dry run is over at once and has no answer.

        Raises:
            InvalidCircuit: With the gate's index; in a batch with the circuit's number too.
            BackendCannot, BackendUnavailable, Forbidden: No local simulator can run it, or may.
            InsufficientMemory: With the bytes needed and available.
            RateLimited: Too many jobs of the organization wait already.
            BudgetExceeded: The month's budget has no room for it, or one of its alerts admits no new jobs.
        """
        caller.require("jobs:submit")
        if self._pauses is not None and not draft.dry_run:
            await self._pauses.admit(caller.organization_id)
        circuits = await _circuits(draft)
        refuse_unstorable(name=draft.name, metadata=draft.metadata, settings=draft.settings, input=draft.input)
        backend = await self._backend(caller, max(circuits, key=lambda circuit: circuit.n_qubits))
        shots = int(draft.shots)
        now = self._clock.now()
        row = CircuitJobRow(
            id=new_id(),
            organization_id=caller.organization_id,
            user_id=caller.user_id,
            type=draft.type,
            name=draft.name,
            target=draft.backend,
            backend=backend,
            status=CircuitJobStatus.COMPLETED if draft.dry_run else CircuitJobStatus.READY,
            input=draft.input,
            shots=shots,
            dry_run=draft.dry_run,
            metadata=draft.metadata,
            settings=draft.settings or {},
            noise=None if draft.noise is None else draft.noise.model_dump(),
            child_ids=[new_id() for _ in circuits] if draft.type == BATCH else [],
            n_qubits=max(circuit.n_qubits for circuit in circuits),
            n_circuits=len(circuits),
            gates_1q=sum(len(gate.targets) == 1 for circuit in circuits for gate in circuit.gates),
            gates_2q=sum(len(gate.targets) > 1 for circuit in circuits for gate in circuit.gates),
            estimated_cost=self._price(backend, draft.backend, len(circuits), shots),
            created_at=now,
            completed_at=now if draft.dry_run else None,
        )
        async with self._database.transaction():
            waiting = await CircuitJobRow.filter(
                organization_id=caller.organization_id, status=CircuitJobStatus.READY
            ).count()
            if waiting >= self._settings.jobs.max_queued:
                raise RateLimited(f"{waiting} jobs of your organization wait already.", retry_after=60.0)
            if not draft.dry_run and self._backends.costs_something(backend):
                # What processor time costs is known only afterwards; a micro-dollar stands for it.
                await self._runs.reservations.hold(row.id, row.organization_id, max(1, row.estimated_cost))
            await row.save(force_create=True)
        self._runs.wake()
        return row.to_domain()

    async def get(self, caller: Caller, id: str) -> CircuitJob:
        """
        Raises:
            NotFound: No such job in the caller's organization.
        """
        caller.require("jobs:read")
        return (await self._row(caller, id)).to_domain()

    async def listed(
        self, caller: Caller, *, status: CircuitJobStatus | None = None, limit: int = 25, after: str | None = None
    ) -> tuple[list[CircuitJob], str | None]:
        """
        The organization's jobs, the newest first, and the token of the next page, None on the last.

        Args:
            after: The token of this page.
        """
        caller.require("jobs:read")
        rows = CircuitJobRow.filter(organization_id=caller.organization_id)
        if status is not None:
            rows = rows.filter(status=status)
        if after is not None:
            rows = rows.filter(id__lt=after)
        found = await rows.order_by("-id").limit(limit + 1).only(*_SEEN)
        more = found[limit - 1].id if len(found) > limit else None
        return [row.to_domain() for row in found[:limit]], more

    async def results(self, caller: Caller, id: str) -> bytes:
        """
        The answer as JSON: probabilities by little-endian outcome, of a batch by child.

        Raises:
            NotFound: No such job in the caller's organization, or it has no answer (yet).
        """
        caller.require("jobs:read")
        row = await self._row(caller, id, "results")
        if row.status != CircuitJobStatus.COMPLETED or row.results is None:
            raise NotFound(f"The job has no results: it is {row.status}.", details={"id": id, "status": row.status})
        return bytes(row.results)

    async def cancel(self, caller: Caller, id: str) -> CircuitJob:
        """
        Cancel a job that waits or runs; one that is complete loses its results, as IonQ has it, and keeps its charge.

        Raises:
            NotFound: No such job in the caller's organization.
            Conflict: It has failed.
        """
        caller.require("jobs:cancel")
        async with self._database.transaction():
            row = await self._row(caller, id)
            if row.status == CircuitJobStatus.FAILED:
                raise Conflict("The job has failed already.")
            if row.status != CircuitJobStatus.CANCELED:
                mine = CircuitJobRow.filter(id=row.id, organization_id=caller.organization_id)
                ended = row.completed_at or self._clock.now()
                await mine.update(status=CircuitJobStatus.CANCELED, results=None, completed_at=ended)
                await self._runs.reservations.release(row.id)
        return (await self._row(caller, id)).to_domain()

    async def delete(self, caller: Caller, id: str) -> str:
        """
        Forget a job, whatever its state; what it cost stays in the ledger. Returns its id.

        Raises:
            NotFound: No such job in the caller's organization.
        """
        caller.require("jobs:cancel")
        async with self._database.transaction():
            row = await self._row(caller, id)
            await CircuitJobRow.filter(id=row.id, organization_id=caller.organization_id).delete()
            await self._runs.reservations.release(row.id)
        return row.id

    async def estimate(self, caller: Caller, target: str, circuits: int, shots: int) -> int:
        """What so much would cost, in micro-dollars."""
        caller.require("jobs:submit")
        name, _, _ = await self._simulator()
        return self._price(name, target, circuits, shots)

    async def targets(self, caller: Caller) -> list[Target]:
        """What a job may name as its backend."""
        caller.require("backends:read")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                _, most, reason = await self._simulator()
        except TimeoutError:
            # Whoever submits a job waits for it; one that only looks is told that there is something to wait for.
            most, reason = 0, None
        named = {SIMULATOR: most, **{name: min(qubits, most) for name, qubits in COMPUTERS.items()}}
        return [
            Target(
                name=name,
                qubits=qubits,
                available=reason is None,
                simulated=name != SIMULATOR,
                reason=reason,
                gates=list(ionq.QIS),
                native_gates=list(ionq_native.NAMES),
            )
            for name, qubits in named.items()
        ]

    async def _row(self, caller: Caller, id: str, *more: str) -> CircuitJobRow:
        wanted = CircuitJobRow.filter(id=id, organization_id=caller.organization_id)
        row = await wanted.first().only(*_SEEN, *more) if is_id(id) else None
        if row is None:
            raise NotFound.of("job", id)
        return row

    async def _simulator(self) -> tuple[str, int, str | None]:
        """The fastest local simulator that works with its largest circuit; else the first, and why it does not."""
        refusal: str | None = None
        for name in await self._backends.in_service(FASTEST):
            try:
                found = await self._backends.description(name)
            except NotFound:
                continue
            except QStoreError as error:
                refusal = refusal or error.message
                continue
            if found.available and found.capabilities is not None and found.capabilities.statevector:
                return name, found.capabilities.max_qubits, None
            refusal = refusal or found.reason
        return FASTEST[0], 0, refusal or "No local simulator has state vectors."

    async def _backend(self, caller: Caller, circuit: Circuit) -> str:
        """The fastest local simulator in service that has state vectors and that the organization allows."""
        organization = await settings_of(caller)
        refusal: QStoreError | None = None
        for name in await self._backends.in_service(FASTEST):
            try:
                await self._backends.pick(organization, name, {}, circuit, None)
                _check_memory(circuit.n_qubits)
                found = await self._backends.description(name)
            except NotFound:
                continue
            except QStoreError as error:
                refusal = refusal or error
                continue
            if found.capabilities is not None and found.capabilities.statevector:
                return name
        raise refusal or BackendCannot("No local simulator can run this.")

    def _price(self, backend: str, target: str, circuits: int, shots: int) -> int:
        return self._backends.price(backend, circuits, circuits * shots if target != SIMULATOR else 0)


def _check_memory(n_qubits: int) -> None:
    needed, available = BYTES_PER_AMPLITUDE << n_qubits, memory_available()
    if needed > available:
        raise InsufficientMemory(
            f"{n_qubits} qubits with all amplitudes need {needed:,} bytes of memory; {available:,} are available.",
            details={"needed_bytes": needed, "available_bytes": available},
        )


async def _circuits(draft: CircuitJobDraft) -> list[Circuit]:
    def read() -> list[Circuit]:
        return ionq.read_many(draft.input) if draft.type == BATCH else [ionq.read(draft.input)]

    rows: Any = draft.input.get("circuit")
    small = isinstance(rows, list) and len(rows) < _MANY_GATES and not any("controls" in str(row) for row in rows)
    return read() if small else await asyncio.to_thread(read)
