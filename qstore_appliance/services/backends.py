"""The backends of this installation: listed with what was measured of them, priced and limited by the operator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec
from tortoise.functions import Count

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.circuit_jobs import CircuitJobRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.backends import BackendRecord, BackendStatus, Measured, PriceRecord, Window
from qstore_appliance.domain.circuit_jobs import CircuitJobStatus
from qstore_appliance.domain.costs import Metered, micros, price
from qstore_appliance.domain.jobs import Status
from qstore_appliance.domain.ports import Calculator, Clock
from qstore_appliance.engine.backend import Limits, Prices
from qstore_appliance.errors import ConfigurationInvalid, NotFound, RateLimited
from qstore_appliance.services.admission import Admission
from qstore_appliance.services.choices import AUTO, Choices
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.fleet import Fleet
from qstore_appliance.services.probes import FASTEST, PRICE_KEYS
from qstore_appliance.settings import Settings

__all__ = ["AUTO", "FASTEST", "Backends"]


class Backends(Choices):
    """
    Args:
        calculator: Gives each call a process of its own: a plugin that hangs or crashes takes only that along.
        costs: For what an organization ran today.
        fleet: Other machines that take jobs; none where it is left out.

    Raises:
        ConfigurationInvalid: A price or a limit of `[backends.<name>]` makes no sense.
    """

    def __init__(
        self,
        database: Database,
        calculator: Calculator,
        settings: Settings,
        clock: Clock,
        costs: Costs,
        fleet: Fleet | None = None,
    ) -> None:
        super().__init__(database, calculator, settings, clock, fleet)
        self._costs = costs
        self._prices = {name: _prices(name, options) for name, options in settings.backends.items()}
        for name, options in settings.backends.items():
            _check_limits(name, options)
        self._admission = Admission(database, clock, self._measurements, self._maintenance, self.limits)

    # Reading -----------------------------------------------------------------------------------------------------

    async def listed(self, caller: Caller, status: str | None = None) -> list[BackendRecord]:
        """Every installed backend. Where no server probes them in the background, they are probed now."""
        caller.require("backends:read")
        if self._round is None:
            await self.probed()
        facts = await self._facts()
        found = [self._record(name, facts) for name in self._names]
        return [record for record in found if status is None or record.status == status]

    async def status(self, caller: Caller, id: str) -> BackendRecord:
        """
        Raises:
            NotFound: There is no backend with this id.
        """
        caller.require("backends:read")
        for name in self._names:
            if id == _id(name):
                today = await self._costs.circuits_today(caller.organization_id, name)
                return msgspec.structs.replace(self._record(name, await self._facts()), circuits_today=today)
        raise NotFound.of("backend", id)

    def id_of(self, id: str) -> str:
        """
        The id itself, for whoever wants to listen to that backend.

        Raises:
            NotFound: There is no backend with this id.
        """
        if id not in map(_id, self._names):
            raise NotFound.of("backend", id)
        return id

    async def states(self) -> tuple[dict[str, BackendStatus], datetime | None]:
        """Every backend's status as this machine has found it, and when the next maintenance window begins or ends."""
        now, windows = self._clock.now(), await self._maintenance.windows()
        present = {window.backend: window for window in windows if window.covers(now)}
        moments = [moment for window in windows for moment in (window.start, window.end) if moment > now]
        states = {name: self._state(name, present.get(name), now, first_hand=True)[0] for name in self._names}
        return states, min(moments, default=None)

    async def records(self, names: Collection[str]) -> list[BackendRecord]:
        """These backends as `listed` shows them, as they are known now."""
        facts = await self._facts()
        return [self._record(name, facts) for name in names]

    # Prices and limits -------------------------------------------------------------------------------------------

    def all_options(self) -> dict[str, dict[str, Any]]:
        return {name: self.options(name) for name in self._settings.backends}

    def prices(self, name: str) -> Prices:
        """The operator's, over the plugin's own."""
        described = self._described.get(name)
        own = described.prices if described else Prices()
        return msgspec.structs.replace(own, **self._prices.get(name, {}))

    def price(self, name: str, circuits: int, shots: int) -> int:
        """Micro-dollars for so many circuits and shots on a backend."""
        return self.price_of(name, Metered(circuits=circuits, shots=shots))

    def price_of(self, name: str, ran: Metered, *, minimum: bool = True) -> int:
        """
        Micro-dollars for all that was metered on a backend.

        Args:
            minimum: Its minimum charge counts.
        """
        prices = self.prices(name)
        return price(
            ran.circuits,
            ran.shots,
            per_circuit=prices.per_circuit,
            per_shot=prices.per_shot,
            minimum_charge=prices.minimum_charge if minimum else 0,
            cpu_microseconds=ran.cpu_microseconds,
            gpu_microseconds=ran.gpu_microseconds,
            per_cpu_second=prices.per_cpu_second,
            per_gpu_second=prices.per_gpu_second,
        )

    def costs_something(self, name: str) -> bool:
        """Whether a job on it may cost anything: by the price list, or because a provider charges for it."""
        described = self._described.get(name)
        remote = described is not None and described.capabilities is not None and described.capabilities.remote
        return remote or any(msgspec.structs.astuple(self.prices(name)))

    async def price_list(self, caller: Caller, name: str | None = None) -> list[PriceRecord]:
        """
        The prices in force of one backend or of all, and where each comes from; waits for their first probes.

        Raises:
            NotFound: No backend has this name.
        """
        caller.require("backends:read")
        if name is None:
            await self._all_settled()
        else:
            await self._settled(name)
        found = []
        for one in [name] if name is not None else self._names:
            described, ours = self._described.get(one), self._prices.get(one, {})
            loaded = described is not None and described.capabilities is not None
            prices = msgspec.structs.asdict(self.prices(one))
            found.append(
                PriceRecord(
                    name=one,
                    **{key: prices[key] if loaded or key in ours else None for key in PRICE_KEYS},
                    origins={
                        key: "qstore.toml" if key in ours else "plugin" for key in PRICE_KEYS if loaded or key in ours
                    },
                )
            )
        return found

    def limits(self, name: str) -> Limits:
        """The plugin's, tightened by the operator; the operator's alone until the plugin's are known."""
        described = self._described.get(name)
        if described is not None and described.capabilities is not None:
            return described.limits
        return Limits().tightened(self._settings.backends.get(name, {}))

    # Maintenance -------------------------------------------------------------------------------------------------

    async def windows(self, caller: Caller, name: str | None = None) -> list[Window]:
        """
        Present and future maintenance windows, of one backend or of all.

        Raises:
            NotFound: No backend has this name.
        """
        caller.require("backends:read")
        return await self._maintenance.windows(None if name is None else self._known(name))

    async def maintain(
        self, caller: Caller, name: str, start: datetime | None, end: datetime, note: str | None = None
    ) -> Window:
        """
        Set a maintenance window, for operators: see `Maintenance.plan`.

        Raises:
            NotFound: No backend has this name.
        """
        window = await self._maintenance.plan(caller, self._known(name), start, end, note)
        self.changed()
        return window

    async def clear_maintenance(self, caller: Caller, name: str) -> int:
        """
        End the present window and forget the future ones, for operators. Returns how many there were.

        Raises:
            NotFound: No backend has this name.
        """
        cleared = await self._maintenance.clear(caller, self._known(name))
        self.changed()
        return cleared

    # Jobs that start and run -------------------------------------------------------------------------------------

    async def held(self) -> dict[str, str]:
        """Backends that take no further job now, each with the sentence that says why."""
        return await self._admission.held(self._names)

    async def hold(self, name: str) -> str | None:
        """Inside the transaction that takes a job: why it may not start on this backend now, or None."""
        return await self._admission.hold(name)

    async def used_up(self, name: str) -> str | None:
        """Why a running job has to wait before its next epoch, or None."""
        return await self._admission.used_up(name)

    async def require_circuits(self, name: str) -> None:
        """
        For whoever cannot wait.

        Raises:
            RateLimited: The backend's circuits of the hour are used up.
        """
        seconds = await self._admission.seconds_until_free(name)
        if seconds is not None:
            most = self.limits(name).rate_limit_per_hour
            raise RateLimited(f"The {most} circuits that {name} runs in an hour are used up.", retry_after=seconds)

    async def started(self, name: str, wait_seconds: float) -> None:
        """Inside the transaction that takes a job: count it."""
        await self._measurements.started(name, wait_seconds)

    async def ran(self, name: str, circuits: int, seconds: float | None = None) -> None:
        """
        Inside the transaction that saves what ran: count it.

        Args:
            seconds: That it took; None where that was not measured, and only the limit of the hour is concerned.
        """
        if seconds is not None:
            await self._measurements.ran(name, circuits, seconds)
        if self.limits(name).rate_limit_per_hour is not None:
            await self._measurements.used(name, circuits)

    # Inside ------------------------------------------------------------------------------------------------------

    async def _facts(self) -> _Facts:
        depths: dict[str, int] = {}
        for waiting in (JobRow.filter(status=Status.QUEUED), CircuitJobRow.filter(status=CircuitJobStatus.READY)):
            counted = waiting.annotate(depth=Count("id")).group_by("backend")
            for name, depth in await counted.values_list("backend", "depth"):
                depths[str(name)] = depths.get(str(name), 0) + int(depth)
        return _Facts(depths, await self._measurements.of_all(), await self._maintenance.next_of_all())

    def _record(self, name: str, facts: _Facts) -> BackendRecord:
        found, window = self._shown(name), facts.windows.get(name)
        measured = facts.measured.get(name, Measured())
        status, reason = self._state(name, window, self._clock.now())
        return BackendRecord(
            id=_id(name),
            name=name,
            type=found.kind if found else "unknown",
            provider=found.provider if found else "unknown",
            status=status,
            reason=reason,
            capabilities=msgspec.to_builtins(found.capabilities) if found and found.capabilities else {},
            prices=msgspec.to_builtins(self.prices(name)),
            limits=msgspec.to_builtins(self.limits(name)) if found else {},
            queue_depth=facts.depths.get(name, 0),
            avg_wait_seconds=measured.avg_wait_seconds,
            avg_latency_ms=measured.avg_latency_ms,
            throughput=measured.throughput,
            uptime=measured.uptime,
            window=window,
        )


class _Facts(msgspec.Struct, frozen=True):
    """What the database knows of backends, by name."""

    depths: Mapping[str, int]
    measured: Mapping[str, Measured]
    windows: Mapping[str, Window]


def _id(name: str) -> str:
    return f"backend_{name}_001"


def _check_limits(name: str, options: Mapping[str, object]) -> None:
    try:
        Limits().tightened(options)
    except ConfigurationInvalid as error:
        raise ConfigurationInvalid(f"backends.{name}.{error.message}") from None


def _prices(name: str, options: Mapping[str, object]) -> dict[str, int]:
    found = {}
    for key in PRICE_KEYS:
        if key not in options:
            continue
        value = options[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e6:
            raise ConfigurationInvalid(
                f"backends.{name}.{key}: expects US dollars between 0 and 1000000, not {value!r}"
            )
        found[key] = micros(value)
    return found
