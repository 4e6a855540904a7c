"""The backends of this installation: probed in children, priced by the operator, picked for a circuit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import structlog
from tortoise.functions import Count

from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.accounts import Caller, OrganizationSettings
from qstore_appliance.domain.backends import BackendRecord
from qstore_appliance.domain.costs import micros, price
from qstore_appliance.domain.jobs import Status
from qstore_appliance.domain.ports import Calculator, Clock
from qstore_appliance.engine import discovery, machine_speed
from qstore_appliance.engine.backend import Prices
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.discovery import Description
from qstore_appliance.errors import (
    BackendCannot,
    BackendUnavailable,
    ConfigurationInvalid,
    Forbidden,
    NotFound,
    QStoreError,
)
from qstore_appliance.services.costs import Costs
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

AUTO = "auto"
#: What "auto" tries, the fastest first; then every other simulator by name. Hardware is only ever named.
FASTEST = ("native", "lightning", "qsim")
PRICE_KEYS = ("per_circuit", "per_shot", "minimum_charge")
#: A child that imports the heaviest plugin on a busy machine gets so long before it counts as hung.
PROBE_SECONDS = 60.0
#: The launcher measures this machine when it sets up; a server that was installed otherwise does so in the background.
MEASURE = "qstore_appliance.engine.machine_speed:measure"
MEASURE_SECONDS = 120.0
#: Somebody who wants a backend waits so long for its first probe; the very first one may compile the kernels.
PATIENCE_SECONDS = 90.0


class Backends:
    """
    Args:
        calculator: Gives each call a process of its own: a plugin that hangs or crashes takes only that along.
        costs: For what an organization ran today.
    """

    def __init__(self, calculator: Calculator, settings: Settings, clock: Clock, costs: Costs) -> None:
        self._calculator = calculator
        self._settings = settings
        self._clock = clock
        self._costs = costs
        self._names = _in_order(discovery.names())
        self._described: dict[str, Description] = {}
        self._prices = {name: _prices(name, options) for name, options in settings.backends.items()}
        self._probes: dict[str, asyncio.Task[Description]] = {}
        self._round: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Probe every backend in the background, one after the other, the built-in one first."""
        if self._round is None:
            self._round = asyncio.create_task(self._probe_all(), name="backends.probe")
            self._measuring = asyncio.create_task(self._measure(), name="backends.measure")

    async def close(self) -> None:
        tasks = [task for task in (self._measuring, self._round, *self._probes.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._probes.clear()
        self._round = self._measuring = None

    async def probed(self) -> None:
        """Wait until every backend has been probed once."""
        await self.start()
        if self._round is not None:
            await self._round

    async def listed(self, caller: Caller, status: str | None = None) -> list[BackendRecord]:
        """Every installed backend. Where no server probes them in the background, they are probed now."""
        caller.require("backends:read")
        if self._round is None:
            await self.probed()
        depths = await self._queue_depths()
        found = [self._record(name, depths.get(name, 0)) for name in self._names]
        return [record for record in found if status is None or record.status == status]

    async def status(self, caller: Caller, id: str) -> BackendRecord:
        """
        Raises:
            NotFound: There is no backend with this id.
        """
        caller.require("backends:read")
        for name in self._names:
            if id == _id(name):
                depths = await self._queue_depths()
                today = await self._costs.circuits_today(caller.organization_id, name)
                record = self._record(name, depths.get(name, 0))
                return msgspec.structs.replace(record, circuits_today=today)
        raise NotFound.of("backend", id)

    async def pick(
        self,
        organization: OrganizationSettings,
        wanted: str | None,
        preferences: Mapping[str, Any],
        circuit: Circuit,
        shots: int | None,
    ) -> tuple[str, str]:
        """
        The backend to use, and what "auto" would have taken.

        A named backend is used or refused, never replaced. A preference is tried first and passed over where it cannot.

        Raises:
            NotFound: No backend has the wanted name.
            Forbidden: The organization does not allow it.
            BackendUnavailable: It does not work on this machine; the reason is the plugin's.
            BackendCannot: It cannot run this circuit, or for "auto" none can.
        """
        if wanted is not None and wanted != AUTO:
            await self._check(wanted, organization, circuit, shots)
            try:
                return wanted, await self._fastest(organization, circuit, shots)
            except QStoreError:
                return wanted, wanted
        preferred = preferences.get("default_backend")
        auto = await self._fastest(organization, circuit, shots)
        if wanted is None and isinstance(preferred, str) and preferred in self._names:
            with contextlib.suppress(QStoreError):
                await self._check(preferred, organization, circuit, shots)
                return preferred, auto
        return auto, auto

    async def description(self, name: str) -> Description:
        """
        What the first probe found; waits for it.

        Raises:
            NotFound: No backend has this name.
            BackendUnavailable: Its probe is not over yet, or it did not load.
        """
        found = await self._settled(name)
        if found.capabilities is None:
            raise BackendUnavailable(f"The backend {name} is not available: {found.reason}")
        return found

    def options(self, name: str) -> dict[str, Any]:
        """What the operator wrote for the plugin; prices are ours."""
        return {k: v for k, v in self._settings.backends.get(name, {}).items() if k not in PRICE_KEYS}

    def all_options(self) -> dict[str, dict[str, Any]]:
        return {name: self.options(name) for name in self._settings.backends}

    def prices(self, name: str) -> Prices:
        """The operator's, over the plugin's own."""
        described = self._described.get(name)
        own = described.prices if described else Prices()
        return msgspec.structs.replace(own, **self._prices.get(name, {}))

    def price(self, name: str, circuits: int, shots: int) -> int:
        """Micro-dollars for so much work on a backend."""
        prices = self.prices(name)
        return price(
            circuits,
            shots,
            per_circuit=prices.per_circuit,
            per_shot=prices.per_shot,
            minimum_charge=prices.minimum_charge,
        )

    # Inside ------------------------------------------------------------------------------------------------------

    async def _probe_all(self) -> None:
        for name in self._names:
            await asyncio.shield(self._probe(name))

    async def _measure(self) -> None:
        """Once per machine: which simulator is the faster one, from which size on."""
        await self.probed()
        if machine_speed.load() is None:
            try:
                await self._calculator.call(MEASURE, timeout=MEASURE_SECONDS)
            except QStoreError as error:
                # "auto" and estimates go by what is known of machines in general until the next start.
                log.info("backends.unmeasured", reason=error.message)

    def _probe(self, name: str) -> asyncio.Task[Description]:
        task = self._probes.get(name)
        if task is None:
            task = self._probes[name] = asyncio.create_task(self._describe(name), name=f"backends.probe.{name}")
        return task

    async def _describe(self, name: str) -> Description:
        try:
            found: Description = await self._calculator.call(
                "qstore_appliance.engine.discovery:describe", name, self.options(name), timeout=PROBE_SECONDS
            )
        except QStoreError as error:
            found = Description(name=name, reason=error.message)
        self._described[name] = found
        if not found.available:
            log.info("backends.unavailable", backend=name, reason=found.reason)
        return found

    async def _settled(self, name: str) -> Description:
        if name not in self._names:
            known = ", ".join(self._names)
            raise NotFound(f"No backend is called {name[:50]!r}; there are {known}.", details={"backend": name[:50]})
        if name in self._described:
            return self._described[name]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.shield(self._probe(name))
        except TimeoutError as error:
            raise BackendUnavailable(f"The backend {name} is still starting.", retry_after=5.0) from error

    async def _fastest(self, organization: OrganizationSettings, circuit: Circuit, shots: int | None) -> str:
        refusals = []
        for name in machine_speed.auto_order(circuit.n_qubits, self._names):
            try:
                found = await self._check(name, organization, circuit, shots)
            except QStoreError as error:
                refusals.append(f"{name}: {error.message}")
                continue
            # A circuit leaves this machine only when somebody says so.
            if found.kind == "simulator" and not (found.capabilities and found.capabilities.remote):
                return name
        raise BackendCannot("No simulator can run this. " + " ".join(refusals), details={"reasons": refusals})

    async def _check(
        self, name: str, organization: OrganizationSettings, circuit: Circuit, shots: int | None
    ) -> Description:
        allowed = organization.allowed_backends
        if name in self._names and allowed is not None and name not in allowed:
            raise Forbidden(f"Your organization does not allow the backend {name}.", details={"backend": name})
        found = await self._settled(name)
        if not found.available or found.capabilities is None:
            raise BackendUnavailable(f"The backend {name} is not available: {found.reason}")
        if found.kind == "hardware" and not organization.enable_hardware:
            raise Forbidden(f"Your organization has not enabled hardware, which {name} is.", details={"backend": name})
        _check_fit(found, circuit, shots)
        return found

    def _record(self, name: str, depth: int) -> BackendRecord:
        found = self._described.get(name)
        status = "starting" if found is None else "available" if found.available else "unavailable"
        return BackendRecord(
            id=_id(name),
            name=name,
            type=found.kind if found else "unknown",
            provider=found.provider if found else "unknown",
            status=status,
            reason=found.reason if found else "It is being probed.",
            capabilities=msgspec.to_builtins(found.capabilities) if found and found.capabilities else {},
            prices=msgspec.to_builtins(self.prices(name)),
            limits=msgspec.to_builtins(found.limits) if found else {},
            queue_depth=depth,
        )

    async def _queue_depths(self) -> dict[str, int]:
        waiting = JobRow.filter(status=Status.QUEUED).annotate(depth=Count("id")).group_by("backend")
        return dict(await waiting.values_list("backend", "depth"))


def _check_fit(found: Description, circuit: Circuit, shots: int | None) -> None:
    can = found.capabilities
    if can is None:
        raise BackendUnavailable(f"The backend {found.name} is not available: {found.reason}")
    if circuit.n_qubits > can.max_qubits:
        raise BackendCannot(
            f"{found.name} takes at most {can.max_qubits} qubits on this machine; the circuit has {circuit.n_qubits}."
        )
    if can.max_depth is not None and circuit.depth > can.max_depth:
        raise BackendCannot(f"{found.name} takes circuits up to depth {can.max_depth}; this one has {circuit.depth}.")
    unknown = sorted({gate.name for gate in circuit.gates} - set(can.gates))
    if unknown:
        raise BackendCannot(f"{found.name} does not know {', '.join(unknown)}.", details={"gates": unknown})
    if shots is None and not can.exact:
        raise BackendCannot(f"{found.name} measures; say how many shots.")
    if shots is not None and not can.shots:
        raise BackendCannot(f"{found.name} computes exactly and takes no shots.")


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (FASTEST.index(name) if name in FASTEST else len(FASTEST), name))


def _id(name: str) -> str:
    return f"backend_{name}_001"


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
