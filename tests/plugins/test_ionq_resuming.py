"""A client whose process was ended, and another that takes up its submissions: by id, by token, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from qstore_appliance.engine.remote_jobs import RemoteJob, RemoteJobs
from qstore_appliance.errors import BackendUnavailable, Cancelled
from qstore_backends.ionq.breaker import MAX_FAILURES, Breaker
from qstore_backends.ionq.calls import LOOKUP_LIMIT, SUBMISSION, Timing
from qstore_backends.ionq.client import IonQ
from tests.plugins import fake_ionq as wrong
from tests.plugins.fake_ionq import FakeIonQ, Request

PAYLOAD = {"type": "ionq.circuit.v1", "backend": "simulator", "shots": 100, "input": {"circuit": []}}
OTHER = {**PAYLOAD, "shots": 200}
TIMING = Timing(connect=1, call=1, job=20, poll=0.01, pause=0.001)


class Notebook(RemoteJobs):
    """Keeps everything, and hands it to the next process."""

    def __init__(self, earlier: list[RemoteJob] | None = None) -> None:
        super().__init__(earlier or [])
        self.kept: list[RemoteJob] = []
        self.said: list[str] = []
        self.leaving = False
        self.refuses = False

    def keep(self, job: RemoteJob) -> None:
        if self.refuses:
            raise Cancelled
        self.kept.append(job)

    def say(self, message: str) -> None:
        self.said.append(message)

    @property
    def left(self) -> bool:
        return self.leaving


@pytest.fixture
def fake() -> Iterator[FakeIonQ]:
    running = FakeIonQ()
    yield running
    running.close()


@pytest.fixture
def client(fake: FakeIonQ) -> IonQ:
    return IonQ(fake.url, "key", TIMING)


def test_what_is_noted(fake: FakeIonQ, client: IonQ) -> None:
    """The token before anything is sent, then IonQ's id, then the end with its cost in whole micro-dollars, rounded up."""
    fake.charge = lambda number: 0.0000011
    notebook = Notebook()
    notebook.enter("2", 2)

    job, _ = client.run(PAYLOAD, notebook, 3)

    first, second, third = notebook.kept
    assert (first.status, first.external_id, first.key, first.epoch) == ("noted", None, "2:0", 2)
    assert (first.circuits, first.shots) == (3, 300)
    assert (second.status, second.external_id, second.token) == ("submitted", job["id"], first.token)
    assert (third.status, third.charged) == ("completed", 2)
    assert fake.bodies[0]["metadata"][SUBMISSION] == first.token
    assert fake.headers[0]["Idempotency-Key"] == first.token


def test_keys_count_within_a_phase() -> None:
    """The same place in the same phase has the same key in every process; another one has another."""
    notebook = RemoteJobs()
    keys = []
    for phase, epoch, times in (("1", 1, 2), ("2", 2, 1), ("finish", 3, 2)):
        notebook.enter(phase, epoch)
        keys += [notebook.next("digest", 1, 100)[0].key for _ in range(times)]

    assert keys == ["1:0", "1:1", "2:0", "finish:0", "finish:1"]


def test_nothing_is_sent_that_could_not_be_noted(fake: FakeIonQ, client: IonQ) -> None:
    """A refused note ends the wait before anything is asked of the provider, also the note of a second attempt."""
    notebook = Notebook()
    notebook.refuses = True
    with pytest.raises(Cancelled):
        client.run(PAYLOAD, notebook)
    assert fake.asked == []

    again = Notebook([started(client, fake, PAYLOAD, lost=True)])
    fake.jobs.clear()
    again.refuses = True
    with pytest.raises(Cancelled):
        client.run(PAYLOAD, again)
    assert fake.count("POST") == 1


def started(client: IonQ, fake: FakeIonQ, payload: dict[str, object], *, lost: bool = False) -> RemoteJob:
    """What a process had noted that was ended while it waited; `lost`: before it heard IonQ's id."""
    fake.polls = 10**6
    notebook = Notebook()
    notebook.leaving = True
    deadline = time.monotonic() + 0.1
    client.should_stop = lambda: time.monotonic() > deadline
    with pytest.raises(Cancelled):
        client.run(payload, notebook)
    client.should_stop = lambda: False
    fake.polls = 0
    found = notebook.kept[0 if lost else -1]
    return found.evolve(noted_at=time.time())


def test_a_process_that_leaves_cancels_nothing(fake: FakeIonQ, client: IonQ) -> None:
    """A training that goes on later leaves its job at IonQ alone."""
    remote = started(client, fake, PAYLOAD)

    assert (remote.status, fake.count("PUT")) == ("submitted", 0)
    assert [job["status"] for job in fake.jobs.values()] == ["ready"]


def test_a_process_that_is_cancelled_asks_what_it_costs(fake: FakeIonQ, client: IonQ) -> None:
    """The job is canceled there, and what was charged for its start is known."""
    fake.polls = 10**6
    client.should_stop = lambda: len(fake.asked) > 3
    notebook = Notebook()

    with pytest.raises(Cancelled):
        client.run(PAYLOAD, notebook)

    assert (notebook.kept[-1].status, notebook.kept[-1].charged) == ("canceled", 3_250_000)


@pytest.mark.parametrize("lost", [False, True])
def test_a_job_is_taken_up(fake: FakeIonQ, client: IonQ, lost: bool) -> None:
    """By IonQ's id, or where only the token was noted by that: it is waited for, and nothing is sent."""
    remote = started(client, fake, PAYLOAD, lost=lost)
    notebook = Notebook([remote.evolve(key="alone:0")])

    job, results = client.run(PAYLOAD, notebook)

    assert list(fake.jobs) == [job["id"]]
    assert results == wrong.DISTRIBUTION
    assert fake.count("POST") == 1
    assert notebook.kept[-1].status == "completed"
    assert {kept.token for kept in notebook.kept} == {remote.token}
    assert job["id"] in notebook.said[0]


def test_results_that_were_paid_for_are_fetched_again(fake: FakeIonQ, client: IonQ) -> None:
    """A job that had ended is neither sent nor charged again."""
    notebook = Notebook()
    client.run(PAYLOAD, notebook)
    asked = fake.count_of("/cost")
    again = Notebook([notebook.kept[-1]])

    _, results = client.run(PAYLOAD, again)

    assert (results, again.kept) == (wrong.DISTRIBUTION, [])
    assert (fake.count("POST"), fake.count_of("/cost") - asked) == (1, 0)


def test_what_never_arrived_is_sent_under_the_same_token(fake: FakeIonQ, client: IonQ) -> None:
    """Only after as long as a call may take: a request can be carried out when its sender is gone."""
    remote = started(client, fake, PAYLOAD, lost=True)
    fake.jobs.clear()
    notebook = Notebook([remote.evolve(noted_at=time.time())])
    began = time.monotonic()

    client.run(PAYLOAD, notebook)

    assert time.monotonic() - began >= TIMING.call
    assert [body["metadata"][SUBMISSION] for body in fake.bodies] == [remote.token, remote.token]
    assert [kept.status for kept in notebook.kept] == ["noted", "submitted", "completed"]


@pytest.mark.parametrize("status", ["canceled", "failed", "absent"])
def test_what_ended_without_results_is_sent_anew(fake: FakeIonQ, client: IonQ, status: str) -> None:
    """Under a token of its own: the old one belongs to a job that gives nothing any more."""
    remote = started(client, fake, PAYLOAD).evolve(status=status)

    job, _ = client.run(PAYLOAD, Notebook([remote]))

    assert job["id"] != remote.external_id
    assert len({body["metadata"][SUBMISSION] for body in fake.bodies}) == 2


def test_another_payload_is_not_taken_up(fake: FakeIonQ, client: IonQ) -> None:
    """Under the same key something else was sent: that one is canceled, and the log says why it is not used."""
    remote = started(client, fake, OTHER)
    notebook = Notebook([remote])

    job, _ = client.run(PAYLOAD, notebook)

    assert job["id"] != remote.external_id
    assert fake.jobs[str(remote.external_id)]["status"] in {"canceled", "completed"}
    assert [kept.token for kept in notebook.kept].count(remote.token) == 1
    assert notebook.kept[0].charged == 3_250_000
    assert "is not what is to be sent now" in notebook.said[0]


def test_what_cannot_be_looked_up_is_not_sent(fake: FakeIonQ, client: IonQ, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of jobs that does not end proves nothing about what is not in it."""
    monkeypatch.setattr("qstore_backends.ionq.client.MOST_PAGES", 12)
    remote = started(client, fake, PAYLOAD, lost=True)
    page = {"jobs": [{"id": "x", "metadata": None}] * LOOKUP_LIMIT, "next": "x"}
    fake.plan("GET /jobs?", *[wrong.instead(page)] * 30)

    with pytest.raises(BackendUnavailable, match="not sent again"):
        client.run(PAYLOAD, Notebook([remote]))

    assert fake.count("POST") == 1


@pytest.mark.parametrize("trouble", [wrong.status(500), wrong.status(404), wrong.HTML], ids=["500", "404", "HTML"])
def test_a_bill_that_cannot_be_had(fake: FakeIonQ, client: IonQ, trouble: wrong.Behaviour) -> None:
    """The results count: the job is complete without an amount, and IonQ is not taken to be away."""

    def troubled(request: Request, properly: Callable[[], None]) -> None:
        if request.path.endswith("/cost"):
            trouble(request, properly)
        else:
            properly()

    fake.plan("GET /jobs/", *[troubled] * 100)
    for _ in range(3):
        notebook = Notebook()

        _, results = client.run(PAYLOAD, notebook)

        assert (results, notebook.kept[-1].status) == (wrong.DISTRIBUTION, "completed")
    assert notebook.kept[-1].charged is None
    assert client.breaker.state == "closed"


def test_ending_what_is_left(fake: FakeIonQ, client: IonQ) -> None:
    """A job is canceled with its cost; one that is complete stays so; one that never arrived is absent."""
    running = started(client, fake, PAYLOAD)
    unheard = started(client, fake, PAYLOAD, lost=True)
    complete = started(client, fake, PAYLOAD)
    fake.polls = 0
    fake.jobs[str(complete.external_id)]["status"] = "completed"
    fake.polls = 10**6

    ends = [client.end(running), client.end(unheard), client.end(complete)]

    assert [end.status for end in ends] == ["canceled", "canceled", "completed"]
    assert [end.charged for end in ends] == [3_250_000] * 3
    assert client.end(unheard.evolve(token="of nobody", noted_at=0.0)).status == "absent"


def test_the_breaker_tells() -> None:
    """The first answer, the fifth failure with its reason, and the first answer after that; nothing in between."""
    now, told = [0.0], []
    breaker = Breaker("fake", clock=lambda: now[0])
    breaker.changed = told.append

    for outcome in ("ok", "ok", *["bad"] * MAX_FAILURES):
        breaker.enter()
        if outcome == "ok":
            breaker.succeeded()
        else:
            breaker.failed("it failed with status 500")
    now[0] = 100.0
    breaker.enter()
    breaker.succeeded()

    assert told == [None, "fake failed 5 times in a row: it failed with status 500", None]
