"""The client against a server that misbehaves: an error of the family, in time, and never a job twice."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import discovery, expressions, observables
from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.noise import Noise
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.training import Plan, Training
from qstore_appliance.errors import (
    BackendBadResponse,
    BackendCannot,
    BackendUnavailable,
    Cancelled,
    ConfigurationInvalid,
    QStoreError,
    ValidationFailed,
)
from qstore_backends.ionq.backend import IonQHardware, IonQSimulator
from qstore_backends.ionq.breaker import MAX_FAILURES, Breaker
from qstore_backends.ionq.calls import READ_ATTEMPTS, SUBMISSION, SUBMIT_ATTEMPTS, Timing
from qstore_backends.ionq.client import IonQ
from qstore_backends.ionq.transport import LONGEST_PAUSE
from tests.plugins import fake_ionq as wrong
from tests.plugins.fake_ionq import Behaviour, FakeIonQ

KEY = "a-secret-key"
PAYLOAD = {"type": "ionq.circuit.v1", "backend": "simulator", "shots": 100, "input": {"circuit": []}}
#: Calls that take longer than half a second are over.
TIMING = Timing(connect=0.5, call=0.5, job=20, poll=0.01, pause=0.001)


@pytest.fixture
def fake() -> Iterator[FakeIonQ]:
    running = FakeIonQ()
    yield running
    running.close()


@pytest.fixture
def client(fake: FakeIonQ) -> Iterator[IonQ]:
    made = IonQ(fake.url, KEY, TIMING)
    yield made
    made.close()


def backend(fake: FakeIonQ, **more: Any) -> IonQSimulator:
    timing = {"call_timeout": 0.5, "connect_timeout": 0.5, "poll_interval": 0.01, "retry_pause": 0.001}
    return IonQSimulator({"api_key": KEY, "base_url": fake.url, **timing, **more})


def execution(*texts: str, batch: int = 1, shots: int | None = None, n_qubits: int = 1) -> Execution:
    circuit = Circuit.build(n_qubits, [Gate("RY", (0,), (expressions.symbol("a"),))])
    return Execution(
        program=Program.lower(circuit),
        weights=np.array([0.3]),
        features=np.zeros((batch, 0)),
        observables=tuple(map(observables.parse, texts or ("Z0",))),
        shots=shots,
        seed=1,
    )


# A good day -------------------------------------------------------------------------------------------------------


def test_what_is_sent(fake: FakeIonQ, client: IonQ) -> None:
    """One job with our id in its name and metadata, the key in a header, and looks at it until it is complete."""
    fake.polls = 3

    job, results = client.run(PAYLOAD)

    (sent,) = fake.bodies
    assert sent["name"] == f"qstore-{sent['metadata'][SUBMISSION]}"
    assert job["status"] == "completed"
    assert results == wrong.DISTRIBUTION
    assert fake.count("POST") == 1
    # Four looks at it, its cost, its results.
    assert fake.count(f"GET /jobs/{job['id']}") == 6
    assert fake.count(f"GET /jobs/{job['id']}/cost") == 1
    assert {headers["Authorization"] for headers in fake.headers} == {f"apiKey {KEY}"}


# Submitting --------------------------------------------------------------------------------------------------------

AMBIGUOUS: dict[str, Behaviour] = {
    "answer lost": wrong.lost,
    "done, then 500": wrong.done_but(wrong.status(500)),
    "done, then 502 with HTML": wrong.done_but(wrong.status(502, b"<html>", Content_Type="text/html")),
    "done, then 409": wrong.done_but(wrong.status(409)),
    "done, then half an answer": wrong.done_but(wrong.half),
    "done, then dripping": wrong.done_but(wrong.drip),
    "done, then HTML": wrong.done_but(wrong.HTML),
    "done, then truncated": wrong.done_but(wrong.TRUNCATED),
}


@pytest.mark.parametrize("how", AMBIGUOUS)
def test_a_job_is_submitted_once(fake: FakeIonQ, client: IonQ, how: str) -> None:
    """Where the answer is lost the job is looked up: there is exactly one on the server, and its results are read."""
    fake.plan("POST /jobs", AMBIGUOUS[how])

    job, _ = client.run(PAYLOAD)

    assert list(fake.jobs) == [job["id"]]
    assert fake.count("POST") == 1


NOT_DONE: dict[str, Behaviour] = {
    "cut before": wrong.cut,
    "500 before": wrong.status(500),
    "429": wrong.status(429),
}


@pytest.mark.parametrize("how", NOT_DONE)
def test_what_was_not_taken_is_sent_again(fake: FakeIonQ, client: IonQ, how: str) -> None:
    """Where the server certainly has no such job, it is submitted again under the same id."""
    fake.plan("POST /jobs", NOT_DONE[how])

    client.run(PAYLOAD)

    assert len(fake.jobs) == 1
    assert fake.count("POST") == 2
    assert fake.count("GET /jobs?") == (0 if how == "429" else 2)


def test_who_comes_while_it_is_underway_waits(fake: FakeIonQ) -> None:
    """A server that is still busy with the same submission is asked again when it says, far more often than one that fails."""
    fake.plan("POST /jobs", *[wrong.status(409, Retry_After="0")] * 3 * SUBMIT_ATTEMPTS)
    patient = IonQ(fake.url, KEY, replace(TIMING, call=60))

    patient.run(PAYLOAD)
    patient.close()

    assert len(fake.jobs) == 1
    assert fake.count("POST") == 3 * SUBMIT_ATTEMPTS + 1


def test_a_job_is_found_pages_back(fake: FakeIonQ, client: IonQ) -> None:
    """The look-up goes on to the next page."""
    rows: list[dict[str, Any]] = []

    def first_page(request: Any, properly: Callable[[], None]) -> None:
        rows.extend(fake.jobs.values())
        request.say({"jobs": [{"id": "x", "metadata": None}, "nonsense"], "next": "x"})

    fake.plan("POST /jobs", wrong.lost)
    fake.plan("GET /jobs?", first_page)

    job, _ = client.run(PAYLOAD)

    assert [row["id"] for row in rows] == [job["id"]]
    assert "next=x" in fake.asked[2]


def test_nothing_is_sent_again_blindly(fake: FakeIonQ, client: IonQ) -> None:
    """Where it cannot be found out whether the job was taken, the error says so and names our id; one was sent."""
    fake.plan("POST /jobs", wrong.lost)
    fake.plan("GET /jobs?", *[wrong.status(503)] * READ_ATTEMPTS)

    with pytest.raises(BackendUnavailable, match="may have taken the job qstore-") as caught:
        client.run(PAYLOAD)

    assert next(iter(fake.jobs.values()))["name"] in caught.value.message
    assert fake.count("POST") == 1


def test_a_server_that_never_takes_it(fake: FakeIonQ, client: IonQ) -> None:
    """After a few attempts that is said; the server was not asked forever."""
    fake.plan("POST /jobs", *[wrong.status(429)] * 10)

    with pytest.raises(BackendUnavailable, match="did not take"):
        client.run(PAYLOAD)

    assert fake.count("POST") == SUBMIT_ATTEMPTS
    assert fake.jobs == {}


# Refusals ----------------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_not_tried_again(fake: FakeIonQ, client: IonQ) -> None:
    """401 ends it at once, and the message does not hold the key."""
    for request, act in (
        ("POST /jobs", lambda: client.run(PAYLOAD)),
        ("GET /backends", lambda: client.get("/backends")),
    ):
        fake.asked.clear()
        fake.plan(request, *[wrong.status(401)] * 3)

        with pytest.raises(BackendUnavailable, match="refuses the API key") as caught:
            act()

        assert len(fake.asked) == 1
        assert KEY not in caught.value.message
        fake.plans.clear()


def test_what_ionq_refuses(fake: FakeIonQ, client: IonQ) -> None:
    """A bad request is the circuit's fault, not the server's: said with IonQ's words, not tried again."""
    fake.plan("POST /jobs", wrong.status(400))

    with pytest.raises(BackendCannot, match="the reason"):
        client.run(PAYLOAD)

    assert len(fake.asked) == 1
    assert client.breaker.state == "closed"


@pytest.mark.parametrize(("status", "kind"), [("failed", BackendCannot), ("canceled", BackendUnavailable)])
def test_jobs_that_end_otherwise(fake: FakeIonQ, client: IonQ, status: str, kind: type[QStoreError]) -> None:
    """A job that failed or was canceled there ends in an error with its id."""
    fake.status = status

    with pytest.raises(kind, match="Job "):
        client.run(PAYLOAD)


# Patience ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [wrong.status(500), wrong.status(503), wrong.cut, wrong.half])
def test_reading_is_tried_again(fake: FakeIonQ, client: IonQ, trouble: Behaviour) -> None:
    """Looking at a job and reading its results survive a few failures."""
    fake.plan("GET /jobs/", trouble, trouble, trouble)

    job, results = client.run(PAYLOAD)

    assert results == wrong.DISTRIBUTION
    assert list(fake.jobs) == [job["id"]]


def test_retry_after_is_honoured(fake: FakeIonQ) -> None:
    """The pause is at least what the server asks for; more than half a minute is not waited for."""
    naps: list[float] = []
    client = IonQ(fake.url, KEY, TIMING, sleep=naps.append)
    fake.plan("GET /backends", wrong.status(429, Retry_After="7"))

    client.get("/backends")

    assert sum(naps) == pytest.approx(7)
    assert max(naps) <= 0.2
    fake.plan("GET /backends", wrong.status(503, Retry_After=str(LONGEST_PAUSE + 1)))
    with pytest.raises(BackendUnavailable) as caught:
        client.get("/backends")
    assert caught.value.retry_after == LONGEST_PAUSE + 1
    fake.plan("GET /backends", wrong.status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"))
    client.get("/backends")


def test_pauses_grow_and_scatter(fake: FakeIonQ) -> None:
    """Each pause is about twice the one before, and no two clients keep the same time."""

    def pauses() -> list[float]:
        naps: list[float] = []
        client = IonQ(fake.url, KEY, Timing(call=0.5, pause=0.1), sleep=naps.append)
        fake.plan("GET /backends", *[wrong.status(500)] * READ_ATTEMPTS)
        with pytest.raises(BackendUnavailable):
            client.get("/backends")
        return naps

    one, other = pauses(), pauses()

    assert 0.1 * 0.5 * (1 + 2 + 4 + 8) <= sum(one) <= 0.1 * 1.5 * (1 + 2 + 4 + 8)
    assert one != other


def test_the_breaker(fake: FakeIonQ, client: IonQ) -> None:
    """After five failures nothing is asked for a while; then one question decides."""
    now = [0.0]
    client._transport.breaker = Breaker("fake", clock=lambda: now[0])
    fake.plan("GET /backends", *[wrong.status(500)] * MAX_FAILURES)
    with pytest.raises(BackendUnavailable, match="does not answer"):
        client.get("/backends")
    assert client.breaker.state == "open"
    asked = len(fake.asked)

    with pytest.raises(BackendUnavailable, match="left alone") as caught:
        client.run(PAYLOAD)

    assert len(fake.asked) == asked
    assert caught.value.retry_after == pytest.approx(15)
    now[0] = 16.0
    assert client.breaker.state == "half-open"
    fake.plan("GET /backends", wrong.status(500))
    with pytest.raises(BackendUnavailable):
        client.get("/backends")
    assert len(fake.asked) == asked + 1
    assert client.breaker.state == "open"
    now[0] = 100.0
    client.get("/backends")
    assert client.breaker.state == "closed"


def test_stopping(fake: FakeIonQ, client: IonQ) -> None:
    """A wait ends within a moment of being asked to, and the job is canceled at the server."""
    fake.polls = 10**6
    began = time.monotonic()
    client.should_stop = lambda: time.monotonic() > began + 0.2

    with pytest.raises(Cancelled):
        client.run(PAYLOAD)

    assert time.monotonic() - began < 15
    assert [job["status"] for job in fake.jobs.values()] == ["canceled"]


def test_a_training_that_is_cancelled(fake: FakeIonQ) -> None:
    """The training's wish to stop reaches a wait for IonQ: it ends at once, and the job there is canceled."""
    fake.polls = 10**6
    simulator = backend(fake)
    began = time.monotonic()
    simulator.should_stop = lambda: time.monotonic() > began + 0.1

    with pytest.raises(Cancelled):
        simulator.expectations(execution())

    assert time.monotonic() - began < 15
    assert [job["status"] for job in fake.jobs.values()] == ["canceled"]


def test_a_job_that_never_ends(fake: FakeIonQ) -> None:
    """Its time is limited; then it is canceled there and the error says so."""
    fake.polls = 10**6
    client = IonQ(fake.url, KEY, Timing(call=0.5, job=0.2, poll=0.02))

    with pytest.raises(BackendUnavailable, match="did not end"):
        client.run(PAYLOAD)

    assert [job["status"] for job in fake.jobs.values()] == ["canceled"]


# Nonsense ----------------------------------------------------------------------------------------------------------

NONSENSE: dict[str, Behaviour] = {
    "HTML": wrong.HTML,
    "truncated": wrong.TRUNCATED,
    "ten megabytes": wrong.HUGE,
    "deep": wrong.DEEP,
    "nested": wrong.NOT_SO_DEEP,
    "compressed": wrong.COMPRESSED,
    "elsewhere": wrong.ELSEWHERE,
    "empty": wrong.instead(b""),
    "not an object": wrong.instead([1]),
    "NaN": wrong.instead(b'{"id": NaN}'),
}


@pytest.mark.parametrize("where", ["GET /jobs/", "results"])
@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_told_as_such(fake: FakeIonQ, client: IonQ, what: str, where: str) -> None:
    """Whatever is answered that is no JSON of a sane size, in place of a job or its results, is a bad response."""
    began = time.monotonic()
    id = client.submit(PAYLOAD, "token")
    fake.plan(f"GET /jobs/{id}" + ("/results" if where == "results" else ""), NONSENSE[what])

    with pytest.raises(BackendBadResponse):
        client._object(
            client.get(f"/jobs/{id}/results/probabilities"), "results"
        ) if where == "results" else client.wait(id)

    assert time.monotonic() - began < 50


def test_redirects_are_not_followed(fake: FakeIonQ, client: IonQ) -> None:
    """The key goes nowhere else, whatever the server says."""
    other = FakeIonQ()
    try:
        fake.plan("GET /backends", wrong.status(302, b"", Location=f"{other.url}/v0.4/backends"))
        with pytest.raises(BackendBadResponse, match="not followed"):
            client.get("/backends")
        assert other.asked == []
    finally:
        other.close()


def test_proxies_of_the_environment_are_not_used(fake: FakeIonQ, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment sees nothing."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:1")

    assert IonQ(fake.url, KEY, TIMING).get("/backends")


def test_a_drip_is_cut_off(fake: FakeIonQ, client: IonQ) -> None:
    """An answer that comes byte by byte ends with the call's time, not with its last byte."""
    fake.plan("GET /backends", *[wrong.drip] * READ_ATTEMPTS)
    began = time.monotonic()

    with pytest.raises(BackendUnavailable, match=r"0\.5 s"):
        client.get("/backends")

    assert time.monotonic() - began < READ_ATTEMPTS * 1.0


def test_another_jobs_answer(fake: FakeIonQ, client: IonQ) -> None:
    """A job with another id than the one asked for is not believed, nor an id that would leave the address."""
    fake.plan("GET /jobs/", wrong.instead({"id": "somebody-elses", "status": "completed"}))
    with pytest.raises(BackendBadResponse, match="another job"):
        client.run(PAYLOAD)

    fake.plan("POST /jobs", wrong.instead({"id": "../../whoami", "status": "ready"}))
    with pytest.raises(BackendBadResponse, match="usable id"):
        client.run(PAYLOAD)


IMPOSSIBLE: dict[str, Any] = {
    "NaN": b'{"0": NaN}',
    "infinite": b'{"0": 1e999}',
    "negative": {"0": 1.25, "1": -0.25},
    "too little": {"0": 0.25, "1": 0.5},
    "too much": {"0": 0.75, "1": 0.75},
    "text": {"0": "1.0"},
    "truth": {"0": True},
    "nothing": {},
    "an outcome too large": {"2": 1.0},
    "an outcome that is none": {"-1": 1.0},
    "an outcome in other digits": {"１": 1.0},
    "an outcome twice": {"1": 0.5, "01": 0.5},
    "a list": [1.0],
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_impossible_probabilities(fake: FakeIonQ, what: str) -> None:
    """What is no distribution over the circuit's outcomes becomes no number of ours."""
    fake.plan("GET /jobs/", lambda request, properly: properly(), wrong.instead(IMPOSSIBLE[what]))

    with pytest.raises(BackendBadResponse):
        backend(fake).expectations(execution())


CHILDREN: dict[str, Callable[[list[str]], Any]] = {
    "one is missing": lambda ids: dict.fromkeys(ids[1:], wrong.DISTRIBUTION),
    "one too many": lambda ids: dict.fromkeys([*ids, "x"], wrong.DISTRIBUTION),
    "another's": lambda ids: dict.fromkeys([*ids[1:], "x"], wrong.DISTRIBUTION),
    "one is nonsense": lambda ids: {**dict.fromkeys(ids, wrong.DISTRIBUTION), ids[0]: 1},
}


@pytest.mark.parametrize("what", CHILDREN)
def test_batches_are_checked(fake: FakeIonQ, what: str) -> None:
    """The results of a batch are those of its circuits, all of them and no others."""

    def answer(request: Any, properly: Callable[[], None]) -> None:
        (job,) = fake.jobs.values()
        request.say(CHILDREN[what](job["child_job_ids"]))

    fake.plan("GET /jobs/", lambda request, properly: properly(), answer)

    with pytest.raises(BackendBadResponse):
        backend(fake).expectations(execution(batch=3))


def test_children_come_in_any_order(fake: FakeIonQ) -> None:
    """The job says which child is which circuit; the order of the results does not matter."""

    def answer(request: Any, properly: Callable[[], None]) -> None:
        (job,) = fake.jobs.values()
        first, second = job["child_job_ids"]
        request.say({second: {"1": 1.0}, first: {"0": 1.0}})

    fake.plan("GET /jobs/", lambda request, properly: properly(), answer)

    assert backend(fake).expectations(execution(batch=2)).tolist() == [[1.0], [-1.0]]


# The backends ------------------------------------------------------------------------------------------------------


def test_what_is_read_out(fake: FakeIonQ) -> None:
    """Qubit 0 is the lowest bit; observables that agree about a basis share a circuit, the identity needs none."""
    fake.distribution = {"0": 0.1, "1": 0.2, "2": 0.3, "3": 0.4}
    found = backend(fake).expectations(execution("Z0", "Z1", "Z0 Z1", "X0", "Y0 Z1", "I", n_qubits=2))

    assert found.tolist()[0] == pytest.approx([-0.2, -0.4, 0.0, -0.2, 0.0, 1.0])
    (body,) = fake.bodies
    turns = [[row["gate"] for row in circuit["circuit"]] for circuit in body["input"]["circuits"]]
    assert turns == [["ry"], ["ry", "h"], ["ry", "si", "h"]]
    assert fake.bodies[0]["input"]["circuits"][0]["circuit"][0]["rotation"] == 0.3
    assert backend(fake).expectations(execution("I")).tolist() == [[1.0]]
    assert len(fake.bodies) == 1


def test_noise_and_seeds(fake: FakeIonQ) -> None:
    """A noise model goes to IonQ with the seed; its shots are taken as they come, and exact values are refused."""
    noisy = backend(fake, noise_model="aria-1")

    found = noisy.expectations(execution(shots=500))

    assert found.tolist() == [[-0.5]]
    assert fake.bodies[0]["noise"] == {"model": "aria-1", "seed": 1}
    assert fake.bodies[0]["shots"] == 500
    with pytest.raises(BackendCannot, match="shots"):
        noisy.expectations(execution())


def test_a_jobs_noise_model_goes_before_the_operators(fake: FakeIonQ) -> None:
    """What leaves names the job's model and seed; its shots are not drawn again, and exact values are refused."""
    ideal, noisy = backend(fake), backend(fake, noise_model="harmony", noise_seed=7)

    for simulator in (ideal, noisy):
        found = simulator.expectations(replace(execution(shots=500), noise=Noise.of({"model": "aria-1"})))
        assert found.tolist() == [[-0.5]]
        with pytest.raises(QStoreError, match="shots"):
            simulator.expectations(replace(execution(), noise=Noise.of({"model": "aria-1"})))
    noisy.expectations(replace(execution(shots=500), noise=Noise.of({"model": "ideal"})))
    ideal.expectations(execution(shots=500))

    assert [body["noise"] for body in fake.bodies] == [
        {"model": "aria-1", "seed": 1},
        {"model": "aria-1", "seed": 7},
        {"model": "ideal"},
        {"model": "ideal"},
    ]
    assert fake.bodies[0]["shots"] == 500


def test_noise_that_ionq_does_not_have(fake: FakeIonQ) -> None:
    """Unknown models and channels of our own are refused before anything is sent; hardware has its own noise."""
    simulator = backend(fake)
    hardware = IonQHardware({"api_key": KEY, "base_url": fake.url, "target": "qpu.forte-1"})
    with pytest.raises(ValidationFailed, match="aria-1"):
        simulator.expectations(replace(execution(shots=10), noise=Noise.of({"model": "aria-9"})))
    with pytest.raises(BackendCannot, match="no noise channels"):
        simulator.sample(replace(execution(shots=10), noise=Noise.of({"readout": 0.1})))
    with pytest.raises(BackendCannot, match="no noise models"):
        hardware.expectations(replace(execution(shots=10), noise=Noise.of({"model": "aria-1"})))
    assert fake.bodies == []


def test_a_job_trains_under_a_model(fake: FakeIonQ) -> None:
    """From a plan's config to the payload: every circuit that leaves carries the model and a seed of its own."""
    options = {"api_key": KEY, "base_url": fake.url, "poll_interval": 0.01}
    circuit = {"n_qubits": 1, "gates": [{"type": "RY", "targets": [0], "parameters": {"theta": "a_0"}}]}
    config = {"task": "energy", "hamiltonian": [{"pauli": "Z0", "coeff": 1.0}], "epochs": 2, "shots": 100}
    plan = Plan(
        circuit=circuit,
        config={**config, "noise": {"model": "forte-1"}},
        backend="ionq_simulator",
        backend_options=options,
        dataset={},
        seed=1,
    )

    training = Training(plan)
    list(training.epochs())
    trained = training.finish()

    assert {body["noise"]["model"] for body in fake.bodies} == {"forte-1"}
    assert len({body["noise"]["seed"] for body in fake.bodies}) == len(fake.bodies) == 5
    assert trained.receipt["noise"] == {"model": "forte-1"}


def test_hardware(fake: FakeIonQ) -> None:
    """It needs shots, names its target, and says what IonQ charged and would charge."""
    options = {"api_key": KEY, "base_url": fake.url, "target": "qpu.forte-1", "debiasing": False, "poll_interval": 0.01}
    hardware = IonQHardware(options)
    assert hardware.kind == "hardware"
    with pytest.raises(BackendCannot, match="shots"):
        hardware.expectations(execution())
    with pytest.raises(BackendCannot, match="1,000,000"):
        hardware.expectations(execution(shots=2_000_000))

    assert hardware.expectations(execution(shots=200)).tolist() == [[-0.5]]
    assert hardware.sample(execution(shots=200)) == [{"0": 50, "1": 150}]

    body = fake.bodies[0]
    assert (body["backend"], body["shots"]) == ("qpu.forte-1", 200)
    assert body["settings"] == {"error_mitigation": {"debiasing": False}}
    assert "noise" not in body
    assert hardware.actual_cost(hardware.jobs[0]) == 3.25
    assert hardware.total_cost() == 6.5
    assert hardware.estimated_cost(execution().program, 100) == 12.5
    with pytest.raises(BackendUnavailable, match="retired"):
        hardware.probe()


@pytest.mark.parametrize(
    "answer", [{"cost": {"value": -1, "unit": "usd"}}, {"cost": {"value": 1, "unit": "eur"}}, {"cost": 3}]
)
def test_costs_are_checked(fake: FakeIonQ, answer: Any) -> None:
    """What is no amount of dollars is charged to nobody."""
    fake.plan("GET /jobs/x/cost", wrong.instead(answer))

    with pytest.raises(BackendBadResponse):
        backend(fake).actual_cost("x")


def test_probing(fake: FakeIonQ) -> None:
    """A probe finds the target and tries the key; what is wrong is said."""
    simulator = backend(fake)
    simulator.probe()

    fake.plan("GET /backends", wrong.instead([]))
    with pytest.raises(BackendUnavailable, match="no backend simulator"):
        simulator.probe()
    fake.plan("GET /jobs?", wrong.status(401))
    with pytest.raises(BackendUnavailable, match="API key"):
        simulator.probe()
    fake.plan("GET /backends", *[wrong.status(500)] * 5)
    with pytest.raises(BackendUnavailable, match="does not answer"):
        simulator.probe()
    assert simulator.degraded == "it failed with status 500"


@pytest.mark.parametrize("name", ["ionq_simulator", "ionq_hardware"])
def test_without_a_key(name: str) -> None:
    """The backend is listed with what it can do, unavailable, and says what to write where."""
    found = discovery.describe(name, {})

    assert not found.available
    assert found.capabilities is not None
    assert found.capabilities.remote
    assert found.reason is not None
    assert f"[backends.{name}] api_key_file" in found.reason
    assert "qstore.toml" in found.reason


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "http://api.ionq.co"},
        {"base_url": "https://user:pass@api.ionq.co"},
        {"base_url": "ftp://127.0.0.1"},
        {"base_url": "https://api.ionq.co:port"},
        {"base_url": 7},
        {"target": "toaster"},
        {"noise_model": "imaginary"},
        {"max_qubits": 31},
        {"call_timeout": math.nan},
        {"job_timeout": "long"},
        {"api_key": "two words"},
        {"api_key": "line\nbreak"},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    """A mistake in the configuration is named at once, and never with the key."""
    with pytest.raises(ConfigurationInvalid, match=r"backends\.ionq_simulator") as caught:
        IonQSimulator({"api_key": KEY, **options})

    assert KEY not in caught.value.message
