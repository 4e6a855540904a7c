"""IonQ's API (v0.4) as this server answers it."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import pytest

from qstore_appliance.domain.accounts import ApiKeyDraft
from tests.factories import make_caller
from tests.ionq_endpoint import Endpoint

#: Qubit 0 is turned, qubit 2 follows it, qubit 1 stays: a state that tells the two orders of bits apart.
ASYMMETRIC = [{"gate": "x", "target": 0}, {"gate": "rx", "target": 2, "rotation": 1.0}]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def job_of(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    body = {
        "type": "ionq.circuit.v1",
        "backend": "simulator",
        "shots": 100,
        "input": {"gateset": "qis", "qubits": 3, "circuit": list(rows or ASYMMETRIC)},
    }
    return {**body, **changes}


def batch_of(*circuits: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    rows = [{"circuit": circuit} for circuit in circuits]
    return job_of(type="ionq.multi-circuit.v1", input={"gateset": "qis", "qubits": 3, "circuits": rows}, **changes)


def submit(client: httpx.Client, body: dict[str, Any]) -> str:
    answer = client.post("/jobs", json=body)
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"id", "status", "session_id"}
    return str(answer.json()["id"])


def ended(client: httpx.Client, id: str) -> dict[str, Any]:
    for _ in range(1_000):
        job: dict[str, Any] = client.get(f"/jobs/{id}").json()
        if job["status"] in {"completed", "failed", "canceled"}:
            return job
        time.sleep(0.02)
    raise AssertionError(job)


def assert_refused(answer: httpx.Response, status: int, words: str) -> dict[str, Any]:
    """The shape that IonQ's clients read errors in."""
    content: dict[str, Any] = answer.json()
    assert answer.status_code == content["statusCode"] == status, answer.text
    assert isinstance(content["error"], str)
    assert words in content["message"], content
    return content


def test_one_circuit(client: httpx.Client) -> None:
    """Probabilities come by outcome with qubit 0 in the lowest bit, and the job tells all that IonQ's tells."""
    id = submit(client, job_of(name="mine", metadata={"a": "b"}))

    job = ended(client, id)
    found = client.get(job["results"]["probabilities"]["url"].removeprefix("/v0.4")).json()

    assert UUID.fullmatch(id)
    assert found == pytest.approx({"1": 0.7701511529, "5": 0.2298488471})
    assert (job["status"], job["backend"], job["name"], job["metadata"]) == (
        "completed",
        "simulator",
        "mine",
        {"a": "b"},
    )
    assert job["stats"] == {"qubits": 3, "circuits": 1, "gate_counts": {"1q": 2, "2q": 0}}
    assert job["noise"] == {"model": "ideal"}
    assert "failure" not in job
    assert "warning" not in job
    assert job["submitted_at"] <= job["started_at"] <= job["completed_at"]


def test_a_batch(client: httpx.Client) -> None:
    """Each circuit's probabilities stand under its child's id, in the order of the circuits."""
    id = submit(client, batch_of(ASYMMETRIC, [{"gate": "x", "target": 1}], ASYMMETRIC[:1]))

    job = ended(client, id)
    found = client.get(f"/jobs/{id}/results/probabilities/aggregated").json()

    assert job["stats"]["circuits"] == 3
    assert list(found) == job["child_job_ids"]
    assert [len(one) for one in found.values()] == [2, 1, 1]
    assert [next(iter(one)) for one in found.values()] == ["1", "2", "1"]


def test_native_gates(client: httpx.Client) -> None:
    """Phases are in turns: half a turn of GPI is X up to its phase."""
    rows = [{"gate": "gpi", "target": 1, "phase": 0.5}, {"gate": "ms", "targets": [0, 2], "phases": [0, 0]}]
    id = submit(client, job_of(input={"gateset": "native", "qubits": 3, "circuit": rows}))

    ended(client, id)

    assert client.get(f"/jobs/{id}/results/probabilities").json() == pytest.approx({"2": 0.5, "7": 0.5})


def test_a_quantum_computer_is_simulated_and_says_so(client: httpx.Client) -> None:
    """Its results are frequencies of the shots asked for, and a warning tells where they come from."""
    id = submit(client, job_of({"gate": "h", "target": 0}, backend="qpu.forte-1", shots="64"))

    job = ended(client, id)
    found = client.get(f"/jobs/{id}/results/probabilities").json()

    assert "no quantum computer was used" in job["warning"]["messages"][0]
    assert sum(found.values()) == 1
    assert all((64 * frequency).is_integer() for frequency in found.values())
    assert set(found) == {"0", "1"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "gate": (job_of({"gate": "h", "target": 0}, {"gate": "warp", "target": 0}), "Gate 1 (warp)"),
    "qubit": (job_of({"gate": "h", "target": 7}), "0..2"),
    "type": (job_of(type="ionq.qasm3.v1"), "type"),
    "backend": (job_of(backend="somewhere"), "backend"),
    "shots": (job_of(shots="None"), "shots"),
    "no shots": (job_of(shots=0), "shots"),
    "noise": (job_of(noise={"model": "aria-1"}), "without noise"),
    "field": (job_of(colour="blue"), "colour"),
    "batch": (batch_of([{"gate": "x", "target": 0}], [{"gate": "x"}]), "Circuit 1: Gate 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(client: httpx.Client, case: str) -> None:
    """What makes no sense is a bad request with a sentence, in IonQ's shape of errors."""
    body, words = REFUSED[case]

    assert_refused(client.post("/jobs", json=body), 400, words)


def test_where_the_gate_is(client: httpx.Client) -> None:
    """A refused circuit names the gate and its index for programs, too."""
    content = assert_refused(client.post("/jobs", json=job_of({"gate": "warp"})), 400, "warp")

    assert content["error"] == "INVALID_CIRCUIT"
    assert content["details"] == {"gate": "warp", "index": 0}


def test_lists(client: httpx.Client) -> None:
    """The newest first, page after page; the size of a page may also come in the body, as cirq-ionq sends it."""
    made = [submit(client, job_of()) for _ in range(3)]

    first = client.request("GET", "/jobs", json={"limit": 2}).json()
    second = client.get("/jobs", params={"limit": 2, "next": first["next"]}).json()

    assert [job["id"] for job in (*first["jobs"], *second["jobs"])][:3] == made[::-1]
    for id in made:
        ended(client, id)
    assert made[0] in {
        job["id"] for job in client.get("/jobs", params={"status": "completed", "limit": 100}).json()["jobs"]
    }
    last = client.get("/jobs", params={"limit": 1000}).json()
    assert "next" not in last
    assert_refused(client.get("/jobs", params={"status": "lost"}), 400, "status")


def test_cancel_and_delete(client: httpx.Client) -> None:
    """Canceled, a job has no results; deleted, it is not found."""
    id = submit(client, job_of())
    ended(client, id)

    assert client.put(f"/jobs/{id}/status/cancel").json() == {"id": id, "status": "canceled"}
    assert_refused(client.get(f"/jobs/{id}/results/probabilities"), 404, "canceled")
    assert client.delete(f"/jobs/{id}").json() == {"id": id, "status": "deleted"}
    assert_refused(client.get(f"/jobs/{id}"), 404, "No job")


def test_money(client: httpx.Client) -> None:
    """Costs and estimates are in dollars, and local simulators cost nothing unless the operator says so."""
    id = submit(client, job_of())
    ended(client, id)

    cost = client.get(f"/jobs/{id}/cost").json()
    estimate = client.get("/jobs/estimate", params={"backend": "simulator", "qubits": 3, "1q_gates": 2}).json()

    nothing = {"value": 0.0, "unit": "usd"}
    assert cost == {"dry_run": False, "estimated_cost": nothing, "cost": nothing}
    assert estimate["estimated_total_cost"] == estimate["estimated_cost"] == 0.0
    assert estimate["estimate_context"]["1q_gates"] == 2
    assert_refused(client.get("/jobs/estimate"), 400, "backend")


def test_backends(client: httpx.Client) -> None:
    """The simulator and the computers that are simulated, each also by name."""
    found = {row["backend"]: row for row in client.get("/backends").json()}

    assert {"simulator", "qpu.forte-1"} <= set(found)
    assert found["simulator"]["status"] == "available"
    assert "simulated" in found["qpu.forte-1"]["location"]
    assert client.get("/backends/simulator").json()["qubits"] == found["simulator"]["qubits"]
    assert_refused(client.get("/backends/qpu.none"), 404, "No backend")


def test_strangers_find_nothing(ionq: Endpoint, client: httpx.Client) -> None:
    """Another organization's key gets the answer that a job which does not exist gives."""
    id = submit(client, job_of())
    headers = {"Authorization": f"apiKey {ionq.strange_key}"}

    for method, path in (
        ("GET", f"/jobs/{id}"),
        ("GET", f"/jobs/{id}/cost"),
        ("GET", f"/jobs/{id}/results/probabilities"),
        ("PUT", f"/jobs/{id}/status/cancel"),
        ("DELETE", f"/jobs/{id}"),
    ):
        assert_refused(client.request(method, path, headers=headers), 404, "No job with this id")
    assert client.get("/jobs", headers=headers).json() == {"jobs": []}
    assert ended(client, id)["status"] == "completed"


@pytest.mark.parametrize("credential", [None, "apiKey nonsense", "apiKey", "Basic YTpi", "apikeys qsk_live_x"])
def test_credentials(ionq: Endpoint, credential: str | None) -> None:
    """Without a key that counts there is 401, in IonQ's shape."""
    headers = {} if credential is None else {"Authorization": credential}

    answer = httpx.post(f"{ionq.url}/v0.4/jobs", json=job_of(), headers=headers, trust_env=False)

    assert_refused(answer, 401, "")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_scheme_counts_here_only(ionq: Endpoint, client: httpx.Client) -> None:
    """`apiKey` is no credential on our own routes; our own ways to sign in work on IonQ's."""
    ours = httpx.get(f"{ionq.url}/v1/jobs", headers={"Authorization": f"apiKey {ionq.key}"}, trust_env=False)
    theirs = httpx.get(f"{ionq.url}/v0.4/jobs", headers={"X-API-Key": ionq.key}, trust_env=False)

    assert ours.status_code == 401
    assert theirs.status_code == 200


def test_scopes(ionq: Endpoint, client: httpx.Client) -> None:
    """A key that may only read reads, and submits and cancels nothing."""
    owner = ionq.ask(ionq.appliance.sessions.by_api_key(ionq.key))
    caller = make_caller("owner", user_id=owner.user_id, organization_id=owner.organization_id)
    made = ionq.ask(ionq.appliance.accounts.create_key(caller, ApiKeyDraft(name="narrow", scopes=["jobs:read"])))
    headers = {"Authorization": f"apiKey {made.key}"}
    id = submit(client, job_of())

    assert client.get(f"/jobs/{id}", headers=headers).status_code == 200
    for answer in (
        client.post("/jobs", json=job_of(), headers=headers),
        client.put(f"/jobs/{id}/status/cancel", headers=headers),
        client.delete(f"/jobs/{id}", headers=headers),
        client.get("/jobs/estimate", params={"backend": "simulator"}, headers=headers),
        client.get("/backends", headers=headers),
    ):
        assert_refused(answer, 403, "permission")


def test_a_submission_is_idempotent(client: httpx.Client) -> None:
    """The same body under the same key is one job."""
    headers = {"Idempotency-Key": "once"}
    first, second = [client.post("/jobs", json=job_of(name="once"), headers=headers) for _ in range(2)]

    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotent-Replayed"] == "true"


def test_requests_are_counted(client: httpx.Client) -> None:
    """Every call takes a token of the key's bucket, as everywhere."""
    answers = [client.get("/jobs") for _ in range(2)]

    assert all(int(answer.headers["X-RateLimit-Limit"]) == 1_000_000 for answer in answers)
    assert int(answers[1].headers["X-RateLimit-Remaining"]) < 1_000_000
