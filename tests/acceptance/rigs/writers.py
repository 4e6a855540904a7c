"""
People at work while servers die: each writer stores, changes, deletes and restores circuits, submits and cancels jobs and
retires models, keeps book of what was acknowledged, and repeats what got no answer under the same `Idempotency-Key`.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from typing import Any

import httpx

from tests.acceptance.rigs.ledger import Ledger

#: Something that is answered with 5xx or not at all for so long is no fault of the rig's.
PATIENCE_SECONDS = 90.0
GATES = [
    {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
    {"type": "CNOT", "targets": [0, 1]},
    {"type": "RY", "targets": [1], "parameters": {"theta": "theta_1"}},
]
SMALL = {
    "epochs": 2,
    "seed": 1,
    "batch_size": 64,
    "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}},
}


class Unanswered(Exception):
    """The rig is over; nobody will know."""


class Writer:
    """
    Attributes:
        circuits: Id → the circuit as it was last acknowledged; None where its deletion was.
        jobs: Id → the states in which it may be found, all where nothing more is known than that it was accepted.
        projects: Names under which jobs were accepted.
        retired: Models whose retirement was acknowledged.
        unsure: Ids that a request without an answer is about.
    """

    def __init__(self, number: int, url: str, token: str, ledger: Ledger, up: threading.Event, pause: float) -> None:
        self._thread = threading.Thread(target=self._work, name=f"writer-{number}", daemon=True)
        self.number = number
        self.circuits: dict[str, dict[str, Any] | None] = {}
        self.jobs: dict[str, set[str]] = {}
        self.retired: set[str] = set()
        self.projects: set[str] = set()
        self.unsure: set[str] = set()
        self.touched: set[str] = set()
        self.refused: list[tuple[int, Any]] = []
        #: Submissions that were given up for now: number in the ledger, body, key.
        self.loose: list[tuple[int, Any, str]] = []
        self.doubts = 0
        self._left = False
        self.failure: BaseException | None = None
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=20, trust_env=False
        )
        self._ledger, self._up, self._pause = ledger, up, pause
        self._random = random.Random(number)
        self._over = threading.Event()
        self._names = 0

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Raises: what has ended it before its time."""
        if self.failure is not None:
            raise self.failure

    def leave(self) -> None:
        """Stop where it is; what is without an answer stays so."""
        self._left = True
        self._over.set()
        self._up.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_SECONDS)
        self._client.close()

    def finish(self) -> None:
        """Stop, and repeat what never got an answer, with the keys that it was sent with."""
        self._over.set()
        self._up.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_SECONDS)
        self.check()
        loose, self.loose = self.loose, []
        for number, body, key in loose:
            answer = self._answer(number, "POST", "/v1/jobs", body, key, PATIENCE_SECONDS)
            assert answer is not None
            self._accepted(answer, body["project"])

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                self._act()
                self._over.wait(self._random.uniform(0, self._pause))
        except Unanswered:
            return
        except BaseException as error:
            self.failure = error

    # What it does ------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        kept = [id for id, circuit in self.circuits.items() if circuit is not None]
        gone = [id for id, circuit in self.circuits.items() if circuit is None]
        draw = self._random.random()
        if draw < 0.5 or not kept:
            self._create()
        elif draw < 0.7:
            self._change(self._random.choice(kept))
        elif draw < 0.82:
            self._erase(self._random.choice(kept))
        elif draw < 0.9 and gone:
            self._restore(self._random.choice(gone))
        elif draw < 0.94:
            self._submit(self._random.choice(kept))
        elif draw < 0.97:
            self._cancel()
        else:
            self._retire()

    def _create(self) -> None:
        self._names += 1
        body = {
            "name": f"w{self.number}-{self._names}",
            "n_qubits": 2,
            "gates": GATES,
            "metadata": {"tags": [f"t{self._random.randrange(5)}"]},
        }
        answer = self._ask("POST", "/v1/circuits", body)
        if answer.status_code == 201:
            self._keep(answer.json()["data"])
        elif _done(answer):
            # Done, and the answer was lost with the server: there is exactly one of this name.
            found = [row for row in self._rows("/v1/circuits") if row["name"] == body["name"]]
            assert len(found) == 1, (answer.text, found)
            self._keep(self._read(f"/v1/circuits/{found[0]['id']}").json()["data"])
        else:
            self._refuse(answer)

    def _change(self, id: str) -> None:
        body = {"description": f"changed {self._random.randrange(10**9)}"}
        answer = self._ask("PATCH", f"/v1/circuits/{id}", body, about=id)
        self._keep(answer.json()["data"]) if answer.status_code == 200 else self._refuse(answer)

    def _erase(self, id: str) -> None:
        answer = self._ask("DELETE", f"/v1/circuits/{id}", None, about=id)
        # 404 where it was deleted and the answer lost; 409 where a job that is not over uses it.
        if answer.status_code in (204, 404):
            self.circuits[id] = None
            self.touched.add(id)
        elif answer.status_code != 409:
            self._refuse(answer)

    def _restore(self, id: str) -> None:
        answer = self._ask("POST", f"/v1/circuits/{id}/restore", None, about=id)
        if _done(answer):
            answer = self._read(f"/v1/circuits/{id}")
        self._keep(answer.json()["data"]) if answer.status_code == 200 else self._refuse(answer)

    def _submit(self, circuit_id: str) -> None:
        self._names += 1
        body = {"circuit_id": circuit_id, "config": SMALL, "project": f"w{self.number}-{self._names}"}
        key = str(uuid.uuid4())
        number = self._ledger.intend("POST", "/v1/jobs", body, key)
        # A server that has just started looks at its backends first: with all these deaths that may never come to an end.
        answer = self._answer(number, "POST", "/v1/jobs", body, key, 3.0)
        if answer is None:
            self.loose.append((number, body, key))
        else:
            self._accepted(answer, body["project"])

    def _accepted(self, answer: httpx.Response, project: str) -> None:
        if answer.status_code == 202 or _done(answer):
            self.projects.add(project)
        if answer.status_code == 202:
            self.jobs[answer.json()["data"]["job_id"]] = set()
        elif answer.status_code not in (404, 409):
            # Deleted meanwhile; or done, and the answer lost.
            self._refuse(answer)

    def _cancel(self) -> None:
        if not self.jobs:
            return
        id = self._random.choice(list(self.jobs))
        answer = self._ask("POST", f"/v1/jobs/{id}/cancel", None, about=id)
        if answer.status_code == 200:
            status = answer.json()["data"]["status"]
            # One that still runs will end, as cancelled or as completed just before.
            self.jobs[id] = {"cancelled"} if status == "cancelled" else {status, "cancelled", "completed"}
        elif answer.status_code != 409:
            self._refuse(answer)

    def _retire(self) -> None:
        models = [row["id"] for row in self._rows("/v1/models") if row["id"] not in self.retired]
        if not models:
            return
        id = self._random.choice(models)
        answer = self._ask("POST", f"/v1/models/{id}/retire", None, about=id)
        if answer.status_code == 200:
            self.retired.add(id)
        elif answer.status_code != 409:
            self._refuse(answer)

    # How it asks -------------------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, body: Any, about: str | None = None) -> httpx.Response:
        """Until there is an answer, with one key."""
        key = str(uuid.uuid4())
        number = self._ledger.intend(method, path, body, key)
        if about is not None:
            self.unsure.add(about)
        answer = self._answer(number, method, path, body, key, PATIENCE_SECONDS)
        assert answer is not None, (method, path)
        self.unsure.discard(about or "")
        return answer

    def _answer(
        self, number: int, method: str, path: str, body: Any, key: str, patience: float
    ) -> httpx.Response | None:
        """None where there was none for so many seconds."""
        deadline = time.monotonic() + patience
        while True:
            self._wait()
            try:
                answer = self._client.request(method, path, json=body, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                self.doubts += 1
                answer = None
            if (
                answer is not None
                and answer.status_code not in (429, 500, 502, 503, 504, 507)
                and not _in_flight(answer)
            ):
                break
            if time.monotonic() > deadline:
                return None
            time.sleep(0.05)
        self._ledger.answered(number, answer.status_code, answer.json().get("data") if answer.content else None)
        return answer

    def _rows(self, path: str) -> list[dict[str, Any]]:
        return list(self._read(path, limit=100, sort="-created_at").json()["data"])

    def _read(self, path: str, **query: Any) -> httpx.Response:
        """Until a server that lives long enough has answered."""
        while True:
            self._wait()
            try:
                answer = self._client.get(path, params=query)
            except httpx.HTTPError:
                continue
            if answer.status_code < 500 and answer.status_code != 429:
                return answer
            time.sleep(0.05)

    def _wait(self) -> None:
        self._up.wait()
        if self._left:
            raise Unanswered

    def _keep(self, circuit: dict[str, Any]) -> None:
        self.circuits[circuit["id"]] = circuit
        self.touched.add(circuit["id"])

    def _refuse(self, answer: httpx.Response) -> None:
        self.refused.append((answer.status_code, answer.text[:300]))


def _done(answer: httpx.Response) -> bool:
    """It was done before, and its answer lost with the server."""
    return answer.status_code == 409 and bool(answer.json()["error"]["details"].get("done"))


def _in_flight(answer: httpx.Response) -> bool:
    return answer.status_code == 409 and "in flight" in answer.text
