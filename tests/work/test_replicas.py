"""Replicas: real predictor processes, killed, replaced, swapped for one another."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from qstore_appliance.domain.models import Scaling
from qstore_appliance.errors import (
    ArtifactCorrupt,
    DeadlineExceeded,
    NoCapacity,
    ValidationFailed,
    WorkerOutOfMemory,
)
from qstore_appliance.work import children
from qstore_appliance.work.predictors import Predictor
from qstore_appliance.work.replicas import PredictorReplicas
from tests.work.bench import children_of, small_artifact

FLOWER = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_artifact(tmp_path_factory.mktemp("model"))


@pytest_asyncio.fixture
async def replicas() -> AsyncIterator[PredictorReplicas]:
    replicas = PredictorReplicas(1, 10)
    yield replicas
    await replicas.close()
    assert children_of("predict") == []


async def ask(replicas: PredictorReplicas, deployment: str = "deploy_a", n: int = 1) -> list[str]:
    found = await replicas.predict(deployment, [FLOWER] * n, shots=None, backend="native", seed=None)
    return [str(label) for label in found["labels"]]


async def test_replica_answers(replicas: PredictorReplicas, artifact: Path) -> None:
    """An open deployment answers with labels, probabilities that add up, and what was executed."""
    running = await replicas.open("deploy_a", str(artifact), "native", {}, 3)
    again = await replicas.open("deploy_a", str(artifact), "native", {}, 3)

    found = await replicas.predict("deploy_a", [FLOWER, FLOWER], shots=None, backend="native", seed=None)

    assert running == again == 1
    assert len(children_of("predict")) == 1
    assert found["labels"][0] in {"setosa", "versicolor", "virginica"}
    assert abs(sum(found["probabilities"][0]) - 1) < 1e-6
    assert (found["circuits"], found["shots"], found["backend"]) == (2, 0, "native")
    [state] = replicas.state("deploy_a")
    assert (state["state"], state["served"], state["pid"]) == ("ready", 1, children_of("predict")[0])


async def test_shots_are_reproducible(replicas: PredictorReplicas, artifact: Path) -> None:
    """The same seed gives the same sampled probabilities."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)

    first, second = [await replicas.predict("deploy_a", [FLOWER], shots=50, backend="native", seed=3) for _ in range(2)]

    assert first["probabilities"] == second["probabilities"]
    assert first["shots"] == 50


async def test_wrong_input_is_named(replicas: PredictorReplicas, artifact: Path) -> None:
    """An input that does not fit is refused by its index, and the replica stays."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)

    with pytest.raises(ValidationFailed, match=r"inputs\[1\]"):
        await replicas.predict("deploy_a", [FLOWER, [1.0]], shots=None, backend="native", seed=None)

    assert await ask(replicas)


async def test_killed_replica_is_replaced(replicas: PredictorReplicas, artifact: Path) -> None:
    """A replica that is killed while idle is there again within two seconds, without anybody asking."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)
    [pid] = children_of("predict")
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)

    while [state["pid"] for state in replicas.state("deploy_a") if state["pid"] not in (None, pid)] == []:
        assert time.monotonic() - began < 20
        await asyncio.sleep(0.01)

    print(f"replica replaced: {time.monotonic() - began:.2f} s")
    assert await ask(replicas)


async def test_question_outlives_its_replica(replicas: PredictorReplicas, artifact: Path) -> None:
    """A replica killed over a question costs time, not the answer."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)
    [pid] = children_of("predict")
    os.kill(pid, signal.SIGSTOP)
    asking = asyncio.create_task(ask(replicas))
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)

    assert await asyncio.wait_for(asking, 5)


async def test_stuck_replica_meets_the_deadline(artifact: Path) -> None:
    """A prediction that takes too long is stopped, its process replaced."""
    replicas = PredictorReplicas(1, 0.5)
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)
    [pid] = children_of("predict")
    os.kill(pid, signal.SIGSTOP)

    with pytest.raises(DeadlineExceeded):
        await ask(replicas)
    async with asyncio.timeout(50):
        while not [state for state in replicas.state("deploy_a") if state["state"] == "ready"]:
            await asyncio.sleep(0.02)

    assert await ask(replicas)
    await replicas.close()


async def test_two_models_share_the_only_place(replicas: PredictorReplicas, artifact: Path) -> None:
    """Where one process fits, each of two deployments gets it when it is asked; both answer."""
    for deployment in ("deploy_a", "deploy_b"):
        assert await replicas.open(deployment, str(artifact), "native", {}, 1) == 1
    assert replicas.state("deploy_a") == []

    answers = [await ask(replicas, deployment) for deployment in ("deploy_a", "deploy_b", "deploy_a")]

    assert all(answers)
    assert len(children_of("predict")) == 1
    assert len(replicas.state("deploy_a")) == 1


async def test_many_ask_at_once(replicas: PredictorReplicas, artifact: Path) -> None:
    """Questions at the same time are answered one after the other, none is lost, and the loop goes on meanwhile."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)
    [pid] = children_of("predict")
    os.kill(pid, signal.SIGSTOP)
    asking = [asyncio.create_task(ask(replicas, n=20)) for _ in range(60)]
    # Turns of the loop while nobody can answer; a loop that waited itself would never come back here.
    for _ in range(20):
        await asyncio.sleep(0.001)
    waiting = sum(not task.done() for task in asking)
    os.kill(pid, signal.SIGCONT)

    answers = await asyncio.gather(*asking)

    assert waiting == 60
    assert [len(answer) for answer in answers] == [20] * 60


async def test_who_comes_together_is_asked_together(
    replicas: PredictorReplicas, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions that gathered while the process was at another one reach it in one message; large ones and shots do not."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)
    sizes: list[int] = []
    ask_it = Predictor.ask
    monkeypatch.setattr(
        Predictor, "ask", lambda self, batch, seconds: sizes.append(len(batch)) or ask_it(self, batch, seconds)
    )
    [pid] = children_of("predict")
    os.kill(pid, signal.SIGSTOP)
    first = asyncio.create_task(ask(replicas))
    await asyncio.sleep(0)
    others = [asyncio.create_task(ask(replicas)) for _ in range(30)]
    large = asyncio.create_task(ask(replicas, n=100))
    await asyncio.sleep(0.05)
    os.kill(pid, signal.SIGCONT)

    await asyncio.gather(first, *others, large)

    assert sizes == [1, 30, 1]
    [state] = replicas.state("deploy_a")
    assert state["served"] == 32


async def test_a_killer_question_takes_no_other_along_twice(replicas: PredictorReplicas, artifact: Path) -> None:
    """A process that dies over several questions is replaced, and all of them are answered."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)
    [pid] = children_of("predict")
    os.kill(pid, signal.SIGSTOP)
    asking = [asyncio.create_task(ask(replicas)) for _ in range(20)]
    await asyncio.sleep(0.05)
    os.kill(pid, signal.SIGKILL)

    answers = await asyncio.wait_for(asyncio.gather(*asking), 60)

    assert [len(answer) for answer in answers] == [1] * 20


async def test_replacing_loses_no_question(replicas: PredictorReplicas, artifact: Path) -> None:
    """While a deployment gets new replicas it answers without a break; then the old process is gone."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)
    [before] = children_of("predict")
    answered, stopped = 0, asyncio.Event()

    async def go_on_asking() -> None:
        nonlocal answered
        while not stopped.is_set():
            assert await ask(replicas)
            answered += 1

    asking = [asyncio.create_task(go_on_asking()) for _ in range(4)]
    await asyncio.sleep(0.05)
    running = await replicas.open("deploy_a", str(artifact), "native", {}, 1, version="second")
    named = await replicas.predict("deploy_a", [FLOWER], shots=None, backend="native", seed=None)
    so_far = answered
    while answered < so_far + 4:
        await asyncio.sleep(0.001)
    stopped.set()
    await asyncio.gather(*asking)

    [after] = children_of("predict")
    assert running == 1
    assert after != before
    assert named["version"] == "second"
    assert so_far > 0


async def test_what_cannot_replace_changes_nothing(replicas: PredictorReplicas, artifact: Path, tmp_path: Path) -> None:
    """A new version that does not load is refused, and the old one answers as before."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)
    before = children_of("predict")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(artifact.read_bytes()[:-100])

    with pytest.raises(ArtifactCorrupt):
        await replicas.open("deploy_a", str(damaged), "native", {}, 1)

    assert children_of("predict") == before
    assert await ask(replicas)


async def test_limits_of_a_replica(replicas: PredictorReplicas, artifact: Path) -> None:
    """A replica keeps to its core, and one whose memory is used up says so and is replaced."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1, memory_bytes=24 * 2**20, cores=1)
    [pid] = children_of("predict")
    assert len(os.sched_getaffinity(pid)) == 1

    with pytest.raises(WorkerOutOfMemory):
        await ask(replicas, n=300_000)
    while children_of("predict") in ([], [pid]):
        await asyncio.sleep(0.02)

    assert await ask(replicas)


async def test_scaling_follows_the_questions(artifact: Path) -> None:
    """Questions above the target bring a second replica, silence takes it away; never more than the machine holds."""
    replicas = PredictorReplicas(2, 10)
    scaling = Scaling(least=1, most=5, target_qps=1)
    await replicas.open("deploy_a", str(artifact), "native", {}, 1, scaling=scaling)
    pool = replicas.pool("deploy_a")
    await replicas.scale(pool, 0.0)
    for second in (1.0, 2.0, 3.0):
        await asyncio.gather(*(ask(replicas) for _ in range(20)))
        await replicas.scale(pool, second)
    grown = len(replicas.state("deploy_a"))

    for second in range(40, 160, 10):
        await replicas.scale(pool, float(second))

    assert grown == 2
    assert len(replicas.state("deploy_a")) == 1
    assert await ask(replicas)
    await replicas.close()


async def test_closed_deployment_answers_nobody(replicas: PredictorReplicas, artifact: Path) -> None:
    """After `close_one` there is no process and no answer; closing what is not open is fine."""
    await replicas.open("deploy_a", str(artifact), "native", {}, 1)

    await replicas.close_one("deploy_a")
    await replicas.close_one("deploy_z")

    assert children_of("predict") == []
    with pytest.raises(NoCapacity):
        await ask(replicas)


async def test_damaged_artifact_is_refused(replicas: PredictorReplicas, artifact: Path, tmp_path: Path) -> None:
    """Opening damaged bytes raises what is wrong, and leaves nothing behind."""
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(artifact.read_bytes()[:-100])

    with pytest.raises(ArtifactCorrupt):
        await replicas.open("deploy_a", str(damaged), "native", {}, 1)

    assert replicas.state("deploy_a") == []


async def test_a_replica_killed_while_it_loads_is_started_again(
    replicas: PredictorReplicas, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One death over the loading is nobody's fault: the deployment opens all the same."""
    begin, deaths = children.start, []

    def fated(*arguments: object, **options: object) -> children.Child:
        child = begin(*arguments, **options)  # type: ignore[arg-type]
        if not deaths:
            child.kill()
            deaths.append(child.pid)
        return child

    monkeypatch.setattr(children, "start", fated)

    running = await replicas.open("deploy_a", str(artifact), "native", {}, 1)

    assert (running, len(deaths)) == (1, 1)
    assert len(await ask(replicas)) == 1
