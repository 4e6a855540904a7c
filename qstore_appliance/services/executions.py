"""Runs of stored circuits that are answered at once, and what they cost."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import msgspec

from qstore_appliance.database.connection import Database
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.costs import CostEvent, Metered
from qstore_appliance.domain.executions import Executed, ExecutionDraft
from qstore_appliance.domain.ports import Calculator
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.noise import Noise
from qstore_appliance.errors import BackendCannot
from qstore_appliance.services.backends import AUTO, Backends
from qstore_appliance.services.circuits import Circuits
from qstore_appliance.services.reservations import Reservations
from qstore_appliance.services.submission import settings_of

FUNCTION = "qstore_appliance.engine.running:run"
#: What takes longer is to be a job.
DEADLINE_SECONDS = 30.0
#: Beyond the deadline a run is over within so long, and what was reserved for it is nobody's any more.
GRACE_SECONDS = 60.0


class Executions:
    """
    Args:
        calculator: Gives each run a process for itself; one that takes too long goes with it.
    """

    def __init__(
        self,
        database: Database,
        circuits: Circuits,
        backends: Backends,
        calculator: Calculator,
        reservations: Reservations,
    ) -> None:
        self._database = database
        self._circuits = circuits
        self._backends = backends
        self._calculator = calculator
        self._reservations = reservations

    async def run(self, caller: Caller, circuit_id: str, draft: ExecutionDraft) -> Executed:
        """
        Run a circuit once, here and now.

        Raises:
            NotFound: No such circuit in the caller's organization, or no such backend.
            ValidationFailed: `parameters`, `observables[i]` or `noise`.
            BackendCannot: The backend is a provider's: that takes a job.
            BackendUnavailable, Forbidden, InsufficientMemory: The backend cannot be used.
            RateLimited: The circuits of the hour of its backend are used up.
            BudgetExceeded: The month's budget has no room for it.
            DeadlineExceeded: It takes longer than half a minute; a job of `task: "sampling"` may.
        """
        caller.require("jobs:submit")
        stored = await self._circuits.get(caller, circuit_id)
        gates = stored.circuit_definition["gates"]
        circuit = await asyncio.to_thread(unified.read, {"n_qubits": stored.n_qubits, "gates": gates})
        organization = await settings_of(caller)
        wanted = None if draft.backend == AUTO else draft.backend
        noise = Noise.of(draft.noise)
        choice = await self._backends.choose(
            organization, wanted, caller.preferences, circuit, draft.shots, noise=noise
        )
        backend = choice.backend
        found = await self._backends.description(backend)
        if found.capabilities is None or found.capabilities.remote:
            raise BackendCannot(f"{backend} is asked by jobs alone: submit one with task sampling.")
        await self._backends.require_circuits(backend)
        held = await self._hold(caller, backend, draft)
        seed = draft.seed if draft.seed is not None else secrets.randbelow(2**53)
        try:
            ran = await self._calculator.call(
                FUNCTION,
                backend,
                self._backends.options(backend),
                stored.n_qubits,
                gates,
                draft.parameters,
                draft.shots,
                draft.observables,
                draft.noise,
                seed,
                timeout=DEADLINE_SECONDS,
            )
            return await self._settled(caller, backend, draft, seed, ran, held)
        except BaseException:
            if held is not None:
                async with self._database.transaction():
                    await self._reservations.release(held)
            raise

    async def _hold(self, caller: Caller, backend: str, draft: ExecutionDraft) -> str | None:
        """Reserve what it will cost at the most; None where nothing is to be expected."""
        circuits = 1 + len(draft.observables)
        amount = self._backends.price(backend, circuits, circuits * (draft.shots or 0))
        if not amount and not self._backends.costs_something(backend):
            return None
        id = ids.new("cost")
        async with self._database.transaction():
            # What processor time costs is known only afterwards: a micro-dollar stands for it.
            await self._reservations.hold(
                id, caller.organization_id, max(1, amount), seconds=DEADLINE_SECONDS + GRACE_SECONDS
            )
        return id

    async def _settled(
        self, caller: Caller, backend: str, draft: ExecutionDraft, seed: int, ran: dict[str, Any], held: str | None
    ) -> Executed:
        metered = Metered(
            circuits=ran["circuits"], shots=ran["shots"], cpu_microseconds=round(ran["cpu_seconds"] * 1e6)
        )
        cost = self._backends.price_of(backend, metered)
        event = CostEvent(
            id=ids.new("cost"),
            organization_id=caller.organization_id,
            user_id=caller.user_id,
            event_type="circuit",
            backend=backend,
            amount=cost,
            circuits=metered.circuits,
            shots=metered.shots,
            cpu_microseconds=metered.cpu_microseconds,
        )
        async with self._database.transaction():
            if held is None:
                await self._reservations.costs.record(event)
            else:
                await self._reservations.settle(held, event)
            await self._backends.ran(backend, metered.circuits, ran["seconds"])
        shown = {name: ran[name] for name in Executed.__struct_fields__ if name in ran and name != "shots"}
        return msgspec.convert(
            {
                **shown,
                "backend": backend,
                "seed": seed,
                "shots": draft.shots,
                "duration_ms": round(ran["seconds"] * 1e3, 3),
                "cost": cost,
            },
            Executed,
        )
