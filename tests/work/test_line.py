"""A training's line to its server: it stops when told to, knows for how long, and sends nothing before it is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from qstore_appliance.engine.remote_jobs import RemoteJob
from qstore_appliance.errors import Cancelled
from qstore_appliance.work import wire
from qstore_appliance.work.targets import KeptRemoteJobs, Line

JOB = RemoteJob(token="t", key="1:0", epoch=1, digest="d", circuits=1, shots=0)


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    """The server's and the child's."""
    server, child = Pipe()
    yield server, child
    server.close()
    child.close()


@pytest.mark.parametrize(("said", "left"), [(wire.STOP, False), (wire.RELEASE, True)])
def test_stopping_for_good_and_for_now(ends: tuple[Connection, Connection], said: bytes, left: bool) -> None:
    """Both stop the training; only after one of them will somebody come back for what is at the provider."""
    server, child = ends
    line = Line(child)
    jobs = KeptRemoteJobs(line, [])
    assert (line(), jobs.left) == (False, False)

    server.send_bytes(said)

    time.sleep(0.06)
    assert (line(), jobs.left) == (True, left)


def test_a_note_waits_until_it_is_kept(ends: tuple[Connection, Connection]) -> None:
    """`keep` does not return before the server has said so; later words do not wait."""
    server, child = ends
    jobs = KeptRemoteJobs(Line(child), [])
    done = threading.Event()

    def note() -> None:
        jobs.keep(JOB)
        done.set()

    thread = threading.Thread(target=note)
    thread.start()
    message = wire.unpack(server.recv_bytes())
    assert (message.kind, wire.body(message, RemoteJob)) == ("remote_job", JOB)
    assert not done.wait(0.1)

    server.send_bytes(wire.KEPT)

    assert done.wait(10)
    thread.join()
    jobs.keep(JOB.evolve(status="submitted", external_id="x"))
    assert wire.body(wire.unpack(server.recv_bytes()), RemoteJob).external_id == "x"


def test_a_note_that_is_not_kept(ends: tuple[Connection, Connection]) -> None:
    """Told to stop instead, or left alone by its server, the child sends nothing."""
    server, child = ends
    jobs = KeptRemoteJobs(Line(child), [])
    server.send_bytes(wire.RELEASE)
    with pytest.raises(Cancelled):
        jobs.keep(JOB)
    assert jobs.left

    server.recv_bytes()
    server.close()

    with pytest.raises((EOFError, OSError)):
        KeptRemoteJobs(Line(child), []).keep(JOB)
