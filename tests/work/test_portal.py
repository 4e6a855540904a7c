"""The door from threads to the loop, above all while the loop goes away."""

from __future__ import annotations

import asyncio
import threading

import pytest

from qstore_appliance.errors import Conflict
from qstore_appliance.work.portal import Portal, PortalClosed


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def refuse() -> None:
    raise Conflict("No.")


async def test_calls_run_on_the_loop() -> None:
    """A thread gets the result, or the error, of a coroutine that ran on the loop."""
    portal = Portal(asyncio.get_running_loop())

    assert await asyncio.to_thread(portal.call, double, 21) == 42
    with pytest.raises(Conflict, match="No"):
        await asyncio.to_thread(portal.call, refuse)


async def test_closing_waits_for_what_runs() -> None:
    """A call that has begun is let run to its end; one that comes later is refused."""
    portal, finished = Portal(asyncio.get_running_loop()), []

    async def write() -> None:
        await asyncio.sleep(0.1)
        finished.append(True)

    writing = asyncio.create_task(asyncio.to_thread(portal.call, write))
    await asyncio.sleep(0.02)
    await portal.close()
    await writing

    assert finished == [True]
    with pytest.raises(PortalClosed):
        await asyncio.to_thread(portal.call, double, 1)
    portal.post(finished.clear)
    assert finished == [True]


async def test_closing_gives_up_what_never_ends() -> None:
    """A call that does not end in time releases its thread."""
    portal = Portal(asyncio.get_running_loop())
    stuck = asyncio.create_task(asyncio.to_thread(portal.call, asyncio.Event().wait))
    await asyncio.sleep(0.02)

    await portal.close(seconds=0.05)

    with pytest.raises(PortalClosed):
        await stuck


def test_dead_loop_leaves_no_thread_behind() -> None:
    """A call after the loop was closed fails at once instead of waiting for ever."""
    loop = asyncio.new_event_loop()
    portal = Portal(loop)
    loop.close()
    outcome: list[str] = []

    def call() -> None:
        try:
            portal.call(double, 1)
        except PortalClosed:
            outcome.append("closed")

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(5)

    assert outcome == ["closed"]
