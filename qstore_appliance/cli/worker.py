"""`qstore worker`: the slots of a server without its HTTP, on another machine, until told to stop; and who there is."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

from qstore_appliance.cli import acting
from qstore_appliance.cli.control import ControlSocket
from qstore_appliance.cli.output import complain, more, table
from qstore_appliance.cli.serve import make_data_dir, refuse_if_in_use
from qstore_appliance.errors import ConfigurationInvalid
from qstore_appliance.settings import Settings

#: Looks at its own parts, twenty a second, before the operator is told that it takes long.
PATIENCE_TURNS = 200


def run(settings: Settings, arguments: dict[str, Any]) -> int:
    """
    Take jobs until a signal comes.

    Raises:
        ConfigurationInvalid: There is no Postgres and Redis that it could share with a server.
        DataDirectoryInUse: Another process has the data directory, or a server that shares with nobody the database.
        QStoreError: The appliance could not be opened.
    """
    require_shared(settings)
    refuse_if_in_use(settings)

    from qstore_appliance import telemetry

    telemetry.configure(settings.telemetry.level, settings.telemetry.format)
    make_data_dir(settings)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_work(settings))
        return 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings))
    return 0


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    """What `GET /v1/workers` answers, of each machine's backends the names of those that work there."""
    from qstore_appliance.domain.listing import Page

    page = acting.page(arguments)
    page = Page(limit=page.limit, offset=page.offset, sort="started_at")
    found = await appliance.workers.listed(await acting.caller(appliance, arguments), page)
    now = appliance.clock.now()
    items = [
        {
            "id": one.id,
            "host": one.host,
            "pid": one.pid,
            "kind": one.kind,
            "state": one.state(now),
            "slots": one.slots,
            "cores": one.cores,
            "memory_bytes": one.memory_bytes,
            "gpus": one.gpus,
            "backends": sorted(name for name, backend in one.backends.items() if backend.available),
            "jobs": one.job_ids,
            "version": one.version,
            "started_at": one.started_at,
            "heartbeat_at": one.heartbeat_at,
            "silent_seconds": round(max(0.0, (now - one.heartbeat_at).total_seconds()), 1),
        }
        for one in found.items
    ]
    yield {"items": items, "total": found.total, "limit": found.limit, "offset": found.offset}


def _listed(workers: dict[str, Any], arguments: dict[str, Any]) -> None:
    rows = [
        (
            w["host"], w["pid"], w["kind"], w["state"], f"{w['silent_seconds']:.0f} s ago", f"{len(w['jobs'])} of {w['slots']}",
            w["cores"], f"{w['memory_bytes'] / 1e9:.1f} GB", w["gpus"], w["backends"],
        )
        for w in workers["items"]
    ]  # fmt: skip
    headings = ("host", "process", "kind", "state", "heartbeat", "jobs", "cores", "memory", "cards", "backends")
    table(headings, rows, "No machine takes jobs.")
    more(workers)


def require_shared(settings: Settings) -> None:
    """
    Raises:
        ConfigurationInvalid: Naming what is missing.
    """
    for key, given, what in (
        ("database.url", settings.is_postgres, "the Postgres"),
        ("queue.url", bool(settings.queue.url), "the Redis"),
    ):
        if not given:
            raise ConfigurationInvalid(
                f"{key}: a worker shares {what} of the server that it works for; set it as it is there."
            )
    if settings.jobs.slots < 1:
        raise ConfigurationInvalid("jobs.slots: a worker without slots takes no jobs; give it at least one.")


async def _work(settings: Settings) -> None:
    from qstore_appliance.appliance import Appliance
    from qstore_appliance.domain.workers import WorkerKind

    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    async with Appliance.open(settings, kind=WorkerKind.WORKER) as appliance:
        control = ControlSocket(settings, appliance)
        await control.open()
        announcing = asyncio.create_task(_announce(settings, appliance), name="announce")
        try:
            await asked.wait()
        finally:
            # Stopping gives jobs back. Who signals again does not want to wait for that: the system ends us at once, our
            # children notice, and the jobs go on elsewhere once their leases have run out.
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)
            announcing.cancel()
            await asyncio.gather(announcing, return_exceptions=True)
            await control.close()


async def _announce(settings: Settings, appliance: Any) -> None:
    turn = 0
    while any((await appliance.ping()).values()):
        turn += 1
        if turn == PATIENCE_TURNS:
            complain("Not ready yet; the log says why.")
        await asyncio.sleep(0.05)
    slots = settings.jobs.slots
    line = f"Q-Store worker is ready on {socket.gethostname()} with {slots} slot{'' if slots == 1 else 's'} "
    # Whoever started us may have closed its end; working goes on.
    with contextlib.suppress(BrokenPipeError):
        print(f"{line}(data directory {settings.data_dir})", flush=True)


SHOW = {"listed": _listed}
