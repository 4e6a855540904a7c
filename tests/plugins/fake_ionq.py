"""A server that speaks IonQ's API v0.4 on this machine, and misbehaves when it is told to."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

#: What it does with a request instead of answering properly: gets the request, and what would be proper.
Behaviour = Callable[["Request", Callable[[], None]], None]

DISTRIBUTION = {"0": 0.25, "1": 0.75}


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeIonQ

    def do_GET(self) -> None:
        self.fake.serve(self)

    do_POST = do_PUT = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed: the fake keeps its own list."""

    def say(self, content: Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut on purpose is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, client_address)


class FakeIonQ:
    """
    Attributes:
        jobs: What it has taken, by id, in order.
        asked: Every request as `METHOD path`.
        polls: How often a job is looked at before it is complete.
        seconds: How long a job takes at the least.
        simulates: Answers what the circuits would really give, instead of `distribution`.
        charge: What the n-th job's `/cost` answers; a number of dollars, or None where it is not known.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.polls = 0
        self.seconds = 0.0
        self.simulates = False
        self.charge: Callable[[int], float | None] = lambda number: 3.25
        self.status = "completed"
        self.distribution: Any = DISTRIBUTION
        #: When each job was taken, and its number.
        self._taken: dict[str, tuple[float, int]] = {}
        self.plans: list[tuple[str, Behaviour]] = []
        self._lock = threading.Lock()
        handler = type("Handler", (Request,), {"fake": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def tokens(self) -> Counter[str]:
        """How often a job was taken under each of the client's own ids."""
        return Counter(job["name"] for job in self.jobs.values())

    def plan(self, request: str, *behaviours: Behaviour) -> None:
        """For the next requests that begin so (`POST /jobs`), one each."""
        self.plans += [(request, behaviour) for behaviour in behaviours]

    def count(self, request: str) -> int:
        return sum(asked.startswith(request) for asked in self.asked)

    def count_of(self, ending: str) -> int:
        return sum(asked.endswith(ending) for asked in self.asked)

    def serve(self, request: Request) -> None:
        body = json.loads(request.rfile.read(int(request.headers.get("Content-Length", 0))) or b"{}")
        path = request.path.removeprefix("/v0.4")
        name = f"{request.command} {path}"
        with self._lock:
            self.asked.append(name)
            self.headers.append(dict(request.headers))
            behaviour = next((plan for plan in self.plans if name.startswith(plan[0])), None)
            if behaviour is not None:
                self.plans.remove(behaviour)

        def properly() -> None:
            request.say(self._answer(request.command, path.partition("?")[0], body))

        try:
            if behaviour is None:
                properly()
            else:
                behaviour[1](request, properly)
        except (BrokenPipeError, ConnectionResetError):
            request.close_connection = True

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> Any:
        parts = path.strip("/").split("/")
        if path == "/backends":
            return [{"backend": "simulator", "status": "available"}, {"backend": "qpu.forte-1", "status": "retired"}]
        if path == "/jobs" and method == "POST":
            circuits = body["input"].get("circuits")
            job = {
                "id": str(uuid.uuid4()),
                "status": "ready",
                "name": body["name"],
                "metadata": body["metadata"],
                "child_job_ids": [str(uuid.uuid4()) for _ in circuits] if circuits else None,
            }
            with self._lock:
                self.jobs[job["id"]] = job
                self.bodies.append(body)
                self._taken[job["id"]] = (time.monotonic(), len(self.jobs) - 1)
            return {"id": job["id"], "status": "ready", "session_id": None}
        if path == "/jobs":
            return {"jobs": list(self.jobs.values())[::-1], "next": None}
        if path == "/jobs/estimate":
            return {"estimated_total_cost": 12.5, "estimated_unit": "usd"}
        job = self.jobs[parts[1]]
        if len(parts) == 2:
            job["polls"] = job.get("polls", 0) + 1
            taken, _ = self._taken[job["id"]]
            waited = time.monotonic() - taken >= self.seconds
            if job["polls"] > self.polls and waited and job["status"] == "ready":
                job["status"] = self.status
            return job
        if parts[2] == "cost":
            value = self.charge(self._taken[job["id"]][1])
            return {"dry_run": False, "cost": None if value is None else {"value": value, "unit": "usd"}}
        if parts[2] == "status":
            job["status"] = "canceled"
            return {"id": job["id"], "status": "canceled"}
        if self.simulates:
            asked = self.bodies[self._taken[job["id"]][1]]["input"]
            circuits = [one["circuit"] for one in asked.get("circuits", ())] or [asked["circuit"]]
            found = [simulated(circuit, asked["qubits"]) for circuit in circuits]
            return dict(zip(job["child_job_ids"], found, strict=True)) if job["child_job_ids"] else found[0]
        if job["child_job_ids"]:
            return dict.fromkeys(job["child_job_ids"], self.distribution)
        return self.distribution


def simulated(circuit: list[dict[str, Any]], n_qubits: int) -> dict[str, float]:
    """The probabilities of a circuit of `rx ry rz cnot h si`, keyed as IonQ keys them: qubit 0 in the lowest bit."""
    state = np.zeros((2,) * n_qubits, np.complex128)
    state[(0,) * n_qubits] = 1
    for gate in circuit:
        name, qubit = gate["gate"], gate["target"]
        if name == "cnot":
            halves = np.moveaxis(state, (gate["control"], qubit), (0, 1))
            halves[1] = halves[1, ::-1].copy()
            continue
        half = gate.get("rotation", 0.0) / 2
        c, s = np.cos(half), np.sin(half)
        matrix = {
            "rx": [[c, -1j * s], [-1j * s, c]],
            "ry": [[c, -s], [s, c]],
            "rz": [[c - 1j * s, 0], [0, c + 1j * s]],
            "h": [[np.sqrt(0.5), np.sqrt(0.5)], [np.sqrt(0.5), -np.sqrt(0.5)]],
            "si": [[1, 0], [0, -1j]],
        }[name]
        state = np.moveaxis(np.tensordot(matrix, state, ([1], [qubit])), 0, qubit)
    # The last qubit is the lowest bit of a flattened state; turned around it is the highest.
    probabilities = np.square(np.abs(state.transpose().ravel()))
    return {str(outcome): float(p) for outcome, p in enumerate(probabilities) if p > 0}


# Behaviours --------------------------------------------------------------------------------------------------------


def status(code: int, content: Any = None, **headers: str) -> Behaviour:
    """An answer that is a failure."""
    body = {"statusCode": code, "error": "Error", "message": "the reason"} if content is None else content
    return lambda request, properly: request.say(body, code, **headers)


def instead(content: Any, **headers: str) -> Behaviour:
    """An answer that is fine but for what it says."""
    return lambda request, properly: request.say(content, **headers)


def cut(request: Request, properly: Callable[[], None]) -> None:
    """The connection ends before anything was done."""
    request.hang_up()


def lost(request: Request, properly: Callable[[], None]) -> None:
    """It is done, and the answer gets lost."""
    say, request.say = request.say, lambda *args, **kwargs: None  # type: ignore[method-assign]
    try:
        properly()
    finally:
        request.say = say  # type: ignore[method-assign]
    request.hang_up()


def done_but(behaviour: Behaviour) -> Behaviour:
    """It is done, and answered with something else."""

    def act(request: Request, properly: Callable[[], None]) -> None:
        say, request.say = request.say, lambda *args, **kwargs: None  # type: ignore[method-assign]
        try:
            properly()
        finally:
            request.say = say  # type: ignore[method-assign]
        behaviour(request, properly)

    return act


def held(release: threading.Event) -> Behaviour:
    """It is done, and the answer does not come before it is released."""

    def act(request: Request, properly: Callable[[], None]) -> None:
        say, request.say = request.say, lambda *args, **kwargs: None  # type: ignore[method-assign]
        try:
            properly()
        finally:
            request.say = say  # type: ignore[method-assign]
        release.wait(60)
        request.hang_up()

    return act


def half(request: Request, properly: Callable[[], None]) -> None:
    """An answer that ends in the middle."""
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"0": 0.5, ')
    request.hang_up()


def drip(request: Request, properly: Callable[[], None]) -> None:
    """An answer that comes byte by byte and never ends."""
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", "100000")
    request.end_headers()
    for _ in range(400):
        request.wfile.write(b" ")
        time.sleep(0.02)
    request.hang_up()


HTML = instead(b"<html>Welcome to the hotel</html>", Content_Type="text/html")
TRUNCATED = instead(b'{"0": 0.25, "1": 0.')
HUGE = instead(b"[" + b"0," * 5_000_000 + b"0]")
DEEP = instead(b'{"a":' * 200_000 + b"0" + b"}" * 200_000)
NOT_SO_DEEP = instead(b"[" * 40 + b"0" + b"]" * 40)
COMPRESSED = instead(b"\x1f\x8b", Content_Encoding="gzip")
ELSEWHERE = status(302, b"", Location="http://127.0.0.1:1/v0.4/jobs")
