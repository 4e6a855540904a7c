"""The calculator: deadlines, crashes, errors that keep their kind, and values that are only values."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from qstore_appliance.errors import (
    DatasetMissing,
    DeadlineExceeded,
    NotFound,
    QStoreError,
    Unavailable,
    ValidationFailed,
    WorkerCrash,
)
from qstore_appliance.work import targets
from qstore_appliance.work.calculator import Calculator
from tests.work.bench import children_of

ENGINE = "qstore_appliance.engine"
READ = f"{ENGINE}.uploads:read_csv"


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that never ends, and never begins: who reads it waits for ever."""
    os.mkfifo(tmp_path / "endless.csv")
    return tmp_path / "endless.csv"


@pytest_asyncio.fixture
async def calculator() -> AsyncIterator[Calculator]:
    calculator = Calculator(1)
    yield calculator
    await calculator.close()


async def test_values_come_back(calculator: Calculator) -> None:
    """Plain values and value types of the engine come back as what they are, from one warm process."""
    names = await calculator.call(f"{ENGINE}.discovery:names")
    [pid] = children_of("calculate")
    described = await calculator.call(f"{ENGINE}.discovery:describe", "native", {"threads": 1})

    assert "native" in names
    assert described.available
    assert described.capabilities.max_qubits > 10
    assert children_of("calculate") == [pid]


async def test_errors_keep_their_kind(calculator: Calculator) -> None:
    """An error of our family arrives with class, message and details, and the process stays."""
    await calculator.call(f"{ENGINE}.discovery:names")
    [pid] = children_of("calculate")

    with pytest.raises(NotFound, match="abacus"):
        await calculator.call(f"{ENGINE}.discovery:load", "abacus", {})
    with pytest.raises(DatasetMissing) as missing:
        await calculator.call(f"{ENGINE}.datasets:load_builtin", "mnist")
    with pytest.raises(ValidationFailed) as invalid:
        await calculator.call(f"{ENGINE}.datasets:load_builtin", "cifar")

    assert missing.value.details["command"].startswith("qstore dataset import")
    assert invalid.value.details["errors"][0]["field"] == "config.dataset.type"
    assert children_of("calculate") == [pid]


async def test_strangers_errors_are_told(calculator: Calculator) -> None:
    """Any other error becomes INTERNAL with its class and text."""
    with pytest.raises(QStoreError, match="AttributeError") as told:
        await calculator.call(f"{ENGINE}.discovery:no_such_function")

    assert told.value.code == "INTERNAL"


@pytest.mark.parametrize(
    "function", ["os:system", "qstore_appliance.work.children:start", f"{ENGINE}.discovery:os.system"]
)
async def test_only_functions_of_the_engine(calculator: Calculator, function: str) -> None:
    """A calculation names a function of the engine or of a backend, nothing else."""
    with pytest.raises(QStoreError, match="not a function of the engine"):
        await calculator.call(function, "true")


async def test_what_is_no_value_stays_outside(calculator: Calculator) -> None:
    """Something that only the engine understands, an array here, is refused instead of being loaded here."""
    with pytest.raises(WorkerCrash, match="not a value"):
        await calculator.call(f"{ENGINE}.datasets:load_builtin", "iris")


async def test_deadline_ends_the_process(calculator: Calculator, endless: Path) -> None:
    """A call that takes too long is stopped with its process; the next one gets a new process."""
    await calculator.call(f"{ENGINE}.discovery:names")
    [pid] = children_of("calculate")

    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await calculator.call(READ, endless, timeout=0.3)
    seconds = time.monotonic() - began

    assert seconds < 10
    assert "native" in await calculator.call(f"{ENGINE}.discovery:names")
    assert children_of("calculate") != [pid]


async def test_crash_is_told_and_mended(calculator: Calculator, endless: Path) -> None:
    """A process that dies over a call fails this call only."""
    await calculator.call(f"{ENGINE}.discovery:names")
    [pid] = children_of("calculate")
    calling = asyncio.create_task(calculator.call(READ, endless))
    await asyncio.sleep(0.2)
    os.kill(pid, signal.SIGKILL)

    with pytest.raises(WorkerCrash, match="SIGKILL"):
        await calling

    assert "native" in await calculator.call(f"{ENGINE}.discovery:names")


async def test_question_that_was_not_read_is_asked_again(calculator: Calculator) -> None:
    """A process that dies before it has read the question costs nobody an error."""
    await calculator.call(f"{ENGINE}.discovery:names")
    [pid] = children_of("calculate")
    os.kill(pid, signal.SIGSTOP)
    calling = asyncio.create_task(calculator.call(f"{ENGINE}.discovery:names"))
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)

    assert "native" in await calling


async def test_idle_process_that_died_is_not_used(calculator: Calculator) -> None:
    """A process that was killed between two calls costs nobody an error."""
    await calculator.call(f"{ENGINE}.discovery:names")
    [pid] = children_of("calculate")
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.1)

    assert "native" in await calculator.call(f"{ENGINE}.discovery:names")


async def test_probes_have_a_process_of_their_own() -> None:
    """Where nothing is kept, each call gets a fresh process, which is gone afterwards."""
    probes = Calculator(1, keep=False)

    await probes.call(f"{ENGINE}.discovery:names")

    assert children_of("calculate") == []
    await probes.close()


async def test_closing_ends_a_call(calculator: Calculator, endless: Path) -> None:
    """A call under way when the server stops is told so, at once; a later one too."""
    calling = asyncio.create_task(calculator.call(READ, endless))
    await asyncio.sleep(0.2)

    async with asyncio.timeout(50):
        await calculator.close()

    with pytest.raises(Unavailable):
        await calling
    with pytest.raises(Unavailable):
        await calculator.call(f"{ENGINE}.discovery:names")


def test_a_childs_last_words_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever text an error holds, a child writes one line of JSON to its server's log: nobody forges another."""
    try:
        raise ValueError('x\n{"event": "forged"}\x1b[2J')
    except ValueError as error:
        told = targets._fault(error)

    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert json.loads(written)["event"] == "child.failed"
    assert "\x1b" not in written
    assert told.code == "INTERNAL"
