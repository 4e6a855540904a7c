"""Probing again: what was away comes back, what goes away is noticed, and never two probes at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from qstore_appliance.database.connection import Database
from qstore_appliance.engine.discovery import Description
from qstore_appliance.errors import Unavailable, WorkerCrash
from qstore_appliance.services.measurements import Measurements
from qstore_appliance.services.probes import BROKEN, DEGRADED, LOCAL, REMOTE
from tests.factories import SteppingClock, make_caller
from tests.services.test_backends import build, described

__all__ = ["build"]

GONE = WorkerCrash("The worker process was killed by SIGSEGV.")


class Counting:
    """Around a test's plugins: which were probed, in order, and how many at once."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.described: dict[str, Description | Exception] = inner.described
        self.probed: list[str] = []
        self.now = self.most = 0

    async def call(self, function: str, /, *args: Any, **kwargs: Any) -> Any:
        self.probed.append(args[0])
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.001)
            return await self._inner.call(function, *args, **kwargs)
        finally:
            self.now -= 1

    def taken(self) -> list[str]:
        found, self.probed = self.probed, []
        return found


def counted(backends: Any) -> Counting:
    backends._calculator = Counting(backends._calculator)
    return backends._calculator


async def states(backends: Any) -> dict[str, str]:
    return {record.name: str(record.status) for record in await backends.listed(make_caller())}


async def test_a_backend_comes_back_and_goes(build: Any, clock: SteppingClock) -> None:
    """One that was unavailable is used again after a good probe, and one that is gone says why, without a restart."""
    backends = build(native=described("native"), qsim=GONE)
    plugins = counted(backends)
    before = await states(backends)

    plugins.described.update(qsim=described("qsim"), native=GONE)
    clock.advance(hours=6)
    await backends.look()
    after = await backends.listed(make_caller())

    assert before == {"native": "available", "qsim": "unavailable"}
    assert {one.name: (one.status, one.reason) for one in after} == {
        "native": ("unavailable", "The worker process was killed by SIGSEGV."),
        "qsim": ("available", None),
    }
    assert {one.name: one.uptime for one in after} == {"native": 0.5, "qsim": 0.5}
    await backends.close()


async def test_how_often_each_is_probed(build: Any, clock: SteppingClock) -> None:
    """Local ones that work seldom, remote ones with a key every few minutes, broken ones soon and then ever later."""
    backends = build(
        {"ionq_simulator": {"api_key": "k"}},
        native=described("native"),
        ionq_simulator=described("ionq_simulator", remote=True),
        ionq_hardware=described("ionq_hardware", "hardware", remote=True, available=False, reason="No key."),
        qsim=GONE,
    )
    plugins = counted(backends)
    await backends.listed(make_caller())
    plugins.taken()
    seen: dict[str, list[timedelta]] = {name: [] for name in plugins.described}
    for minute in range(1, 61):
        clock.advance(minutes=1)
        await backends.look()
        for name in plugins.taken():
            seen[name].append(timedelta(minutes=minute))

    assert seen["native"] == []
    assert seen["ionq_simulator"] == [REMOTE * turn for turn in range(1, 21)]
    assert seen["qsim"] == [timedelta(minutes=minutes) for minutes in (1, 3, 7, 15, 25, 35, 45, 55)]
    assert seen["ionq_hardware"] == seen["qsim"]
    assert BROKEN[1] == timedelta(minutes=10)
    clock.advance(hours=LOCAL.total_seconds() / 3600)
    await backends.look()
    assert "native" in plugins.taken()
    await backends.close()


async def test_one_probe_at_a_time(build: Any, clock: SteppingClock) -> None:
    """Whoever asks, for whichever backend: probes come one after the other, and one that runs serves all who wait."""
    backends = build(**{name: described(name) for name in ("native", "lightning", "qsim")})
    plugins = counted(backends)
    await asyncio.gather(
        backends.probed(), *(backends.description(name) for name in ("qsim", "native", "qsim")), backends.look()
    )

    assert plugins.most == 1
    assert sorted(plugins.taken()) == ["lightning", "native", "qsim"]
    await backends.close()


async def test_good_probe_clears_degraded(build: Any, clock: SteppingClock) -> None:
    """What a job reported of the provider holds until the next good probe, which comes soon but not at once."""
    backends = build({"far": {"api_key": "k"}}, far=described("far", remote=True))
    plugins = counted(backends)
    await backends.listed(make_caller())
    clock.advance(minutes=2)
    backends.degrade("far", "Its breaker is open.")
    degraded = await states(backends)
    plugins.taken()

    await backends.look()
    at_once = plugins.taken()
    clock.advance(seconds=DEGRADED.total_seconds())
    await backends.look()

    assert (degraded, await states(backends)) == ({"far": "degraded"}, {"far": "available"})
    assert (at_once, plugins.taken()) == ([], ["far"])
    await backends.close()


async def test_maintenance_is_no_downtime(build: Any, clock: SteppingClock) -> None:
    """While it is being worked on a backend is not probed, and looked at once when that is over."""
    backends = build({"far": {"api_key": "k"}}, far=described("far", remote=True))
    plugins = counted(backends)
    await backends.listed(make_caller())
    now = clock.now()
    await backends.maintain(make_caller("owner", operator=True), "far", now, now + timedelta(hours=1))
    plugins.taken()

    clock.advance(minutes=30)
    await backends.look()
    during = plugins.taken()
    clock.advance(minutes=30)
    await backends.look()

    assert (during, plugins.taken()) == ([], ["far"])
    await backends.close()


async def test_probes_go_on_without_a_database(build: Any, database: Database, monkeypatch: Any) -> None:
    """A probe that cannot be counted is a probe all the same."""

    async def away(self: Measurements, backend: str, good: bool) -> None:
        raise Unavailable("The database is away.")

    monkeypatch.setattr(Measurements, "checked", away)
    backends = build(native=described("native"))

    (native,) = await backends.listed(make_caller())

    assert (native.status, native.uptime) == ("available", None)
    await backends.close()
