"""
Probing backends: each in a child process, one at a time, at the start and again later.

What a probe costs decides how often it is repeated: a local plugin takes seconds of processor time to import, a remote
one asks its provider two small questions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

import msgspec
import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.domain.ports import Calculator, Clock
from qstore_appliance.engine import discovery, machine_speed
from qstore_appliance.engine.discovery import Description
from qstore_appliance.errors import BackendUnavailable, NotFound, QStoreError
from qstore_appliance.services.fleet import Fleet
from qstore_appliance.services.maintenance import Maintenance
from qstore_appliance.services.measurements import Measurements
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: What "auto" tries, the fastest first; then every other simulator by name. Hardware is only ever named.
FASTEST = ("native", "lightning", "qsim")
PRICE_KEYS = ("per_circuit", "per_shot", "minimum_charge", "per_cpu_second", "per_gpu_second")
#: A child that imports the heaviest plugin on a busy machine gets so long before it counts as hung.
PROBE_SECONDS = 60.0
#: A backend that worked until now gets longer to answer than at its first probe: the machine may be training on all
#: cores, which is no fault of the backend's. Less than the child's own deadline, so that the reason comes from inside.
ANSWER_SECONDS = 45.0
#: The launcher measures this machine when it sets up; a server that was installed otherwise does so in the background.
MEASURE = "qstore_appliance.engine.machine_speed:measure"
MEASURE_SECONDS = 120.0
#: Somebody who wants a backend waits so long for its first probe; the very first one may compile the kernels.
PATIENCE_SECONDS = 90.0

#: Seconds between two looks at which probes are due.
LOOK_SECONDS = 15.0
#: A provider that goes away is noticed within minutes, and hears from us twenty times an hour.
REMOTE = timedelta(minutes=3)
#: A local plugin that works goes on working, and its probe imports a quantum library: seconds of a core that jobs want.
LOCAL = timedelta(hours=6)
#: One whose provider a job has found failing is asked soon: nobody but jobs talks to a provider, and that job ends.
DEGRADED = timedelta(seconds=15)
#: One that does not work is tried again soon at first, since that may have been a hiccup, then ever more seldom.
BROKEN = (timedelta(minutes=1), timedelta(minutes=10))


class Probes:
    """
    What `Backends` knows from probes; it is one class in three files.

    Args:
        calculator: Gives each call a process of its own: a plugin that hangs or crashes takes only that along.
    """

    def __init__(
        self,
        database: Database,
        calculator: Calculator,
        settings: Settings,
        clock: Clock,
        fleet: Fleet | None = None,
    ) -> None:
        #: What other machines have.
        self.fleet = fleet or Fleet()
        #: Called when a status may have changed, from whatever thread found out.
        self.changed: Callable[[], None] = lambda: None
        self._database = database
        self._calculator = calculator
        self._settings = settings
        self._clock = clock
        self._measurements = Measurements(database, clock)
        self._maintenance = Maintenance(database, clock)
        self._names = _in_order(discovery.names())
        self._described: dict[str, Description] = {}
        self._degraded: dict[str, str] = {}
        self._degraded_at: dict[str, datetime] = {}
        self._probed_at: dict[str, datetime] = {}
        self._failures: dict[str, int] = {}
        self._one = asyncio.Lock()
        self._probes: dict[str, asyncio.Task[Description]] = {}
        self._round: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self, after: Callable[[], Awaitable[object]] | None = None) -> None:
        """
        Probe every backend in the background, one after the other, the built-in one first; then whenever it is due.

        Args:
            after: Returns when the machine is no longer left to others. Until then the backends are "starting", but for
                those that somebody asks for.
        """
        if self._round is None:
            self._round = asyncio.create_task(self._probe_all(after), name="backends.probe")
            self._measuring = asyncio.create_task(self._measure(), name="backends.measure")
            self._watching = asyncio.create_task(self._watch(), name="backends.watch")

    async def close(self) -> None:
        tasks = [self._watching, self._measuring, self._round, *self._probes.values()]
        present = [task for task in tasks if task is not None]
        for task in present:
            task.cancel()
        await asyncio.gather(*present, return_exceptions=True)
        self._probes.clear()
        self._round = self._measuring = self._watching = None

    async def probed(self) -> None:
        """Wait until every backend has been probed once. Who gives up waiting does not end the round for others."""
        await self.start()
        if self._round is not None:
            await asyncio.shield(self._round)

    async def look(self) -> None:
        """
        Probe again what is due, one after the other. A backend in maintenance is left alone until that is over: its
        absence then is planned.
        """
        now = self._clock.now()
        windows = await self._maintenance.next_of_all()
        for name in self._names:
            window = windows.get(name)
            if (window is None or not window.covers(now)) and self._due(name, now):
                await asyncio.shield(self._probe(name))

    def degrade(self, name: str, reason: str | None) -> None:
        """
        A running job has found that the backend's provider fails again and again, or (None) that it answers again.

        The next good probe clears it too. In the memory of this server, and told to the others with its heartbeat; may be
        called from any thread.
        """
        if name not in self._names:
            return
        if reason is None:
            if self._degraded.pop(name, None) is not None:
                log.info("backends.recovered", backend=name)
                self.changed()
        elif self._degraded.get(name) != reason:
            self._degraded[name], self._degraded_at[name] = reason, self._clock.now()
            log.warning("backends.degraded", backend=name, reason=reason)
            self.changed()

    async def description(self, name: str) -> Description:
        """
        What the last probe found, here or on another machine where it works; waits for the first.

        Raises:
            NotFound: No backend has this name.
            BackendUnavailable: Its probe is not over yet, or it did not load.
        """
        found = await self._settled(name)
        found = self._shown(name) or found
        if found.capabilities is None:
            raise BackendUnavailable(f"The backend {name} is not available: {found.reason}")
        return found

    def descriptions(self) -> dict[str, Description]:
        """What the last probes on this machine found, and jobs since then, by name."""
        return {
            name: msgspec.structs.replace(found, degraded=self._degraded[name]) if name in self._degraded else found
            for name, found in self._described.items()
        }

    def _shown(self, name: str) -> Description | None:
        """What the last probe found here; where it works only on another machine, what that one says."""
        found = self._described.get(name)
        return found if found is None or found.available else self.fleet.elsewhere(name) or found

    def is_settled(self, name: str) -> bool:
        """Whether it is known if the backend works here."""
        return name not in self._names or name in self._described

    async def probed_once(self, name: str) -> None:
        """Wait for the first probe of a backend, where it is installed here; what it finds is no matter."""
        if name in self._names:
            with contextlib.suppress(BackendUnavailable):
                await self._settled(name)

    def options(self, name: str) -> dict[str, object]:
        """What the operator wrote for the plugin, and its limits for the plugin's door; prices are ours."""
        return {k: v for k, v in self._settings.backends.get(name, {}).items() if k not in PRICE_KEYS}

    # Inside ------------------------------------------------------------------------------------------------------

    async def _probe_all(self, after: Callable[[], Awaitable[object]] | None) -> None:
        if after is not None:
            await after()
        for name in self._names:
            if name not in self._described:
                await asyncio.shield(self._probe(name))

    async def _watch(self) -> None:
        await self.probed()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
                await self._measurements.tidy()
            except QStoreError as error:
                log.warning("backends.look_skipped", error=error.message)
            except Exception:
                # A fault of ours in one look must not leave a backend unavailable for ever.
                log.exception("backends.look_broke")

    async def _measure(self) -> None:
        """Once per machine: which simulator is the faster one, from which size on."""
        await self.probed()
        if machine_speed.load() is None:
            try:
                await self._calculator.call(MEASURE, timeout=MEASURE_SECONDS)
            except QStoreError as error:
                # "auto" and estimates go by what is known of machines in general until the next start.
                log.info("backends.unmeasured", reason=error.message)

    def _due(self, name: str, now: datetime) -> bool:
        """Whether it is time to probe a backend again."""
        found, last = self._described.get(name), self._probed_at.get(name)
        if found is None or last is None:
            return True
        # Without a key a remote plugin has nobody to ask, and says so each time.
        remote = found.capabilities is not None and found.capabilities.remote and "api_key" in self.options(name)
        pause = REMOTE if remote else LOCAL
        if not found.available:
            pause = min(BROKEN[0] * 2 ** min(self._failures.get(name, 1) - 1, 10), REMOTE if remote else BROKEN[1])
        elif name in self._degraded:
            last, pause = max(last, self._degraded_at[name]), DEGRADED
        return now - last >= pause

    def _probe(self, name: str) -> asyncio.Task[Description]:
        """The probe that runs, or one that begins now."""
        task = self._probes.get(name)
        if task is None:
            task = self._probes[name] = asyncio.create_task(self._describe(name), name=f"backends.probe.{name}")
            task.add_done_callback(lambda _: self._probes.pop(name, None))
        return task

    async def _describe(self, name: str) -> Description:
        before = self._described.get(name)
        patience = () if before is None or not before.available else (ANSWER_SECONDS,)
        async with self._one:
            try:
                found: Description = await self._calculator.call(
                    "qstore_appliance.engine.discovery:describe",
                    name,
                    self.options(name),
                    *patience,
                    timeout=PROBE_SECONDS,
                )
            except QStoreError as error:
                found = Description(name=name, reason=error.message)
        self._described[name] = found
        self._probed_at[name] = self._clock.now()
        if found.available:
            self._failures.pop(name, None)
            self.degrade(name, None)
            if before is not None and not before.available:
                log.info("backends.back", backend=name)
        else:
            self._failures[name] = self._failures.get(name, 0) + 1
            if before is None or before.available or before.reason != found.reason:
                log.info("backends.unavailable", backend=name, reason=found.reason)
        self.changed()
        await self._remember(name, found.available)
        return found

    async def _remember(self, name: str, good: bool) -> None:
        """Count the probe for the uptime, unless its outcome is planned."""
        try:
            window = (await self._maintenance.next_of_all()).get(name)
            if window is not None and window.covers(self._clock.now()):
                return
            async with self._database.transaction():
                await self._measurements.checked(name, good)
        except QStoreError as error:
            # The backend is as it is, also while the database is away.
            log.info("backends.probe_not_counted", backend=name, error=error.message)

    def _known(self, name: str) -> str:
        """
        Raises:
            NotFound: No backend has this name.
        """
        if name not in self._names:
            known = ", ".join(self._names)
            raise NotFound(f"No backend is called {name[:50]!r}; there are {known}.", details={"backend": name[:50]})
        return name

    async def _settled(self, name: str) -> Description:
        if self._known(name) in self._described:
            return self._described[name]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.shield(self._probe(name))
        except TimeoutError as error:
            raise BackendUnavailable(f"The backend {name} is still starting.", retry_after=5.0) from error

    async def _all_settled(self) -> None:
        """Wait for the first probe of every backend, as long as anybody waits for one."""
        for name in self._names:
            with contextlib.suppress(BackendUnavailable):
                await self._settled(name)


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (FASTEST.index(name) if name in FASTEST else len(FASTEST), name))
