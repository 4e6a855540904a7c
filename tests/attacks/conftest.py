"""
The program under attack: a real `qstore serve`, two organizations, a user of each role, and what belongs to each.

It is started once for each pytest process and shared: an attack must leave it as it was. When all are done its log must
hold no failure that nobody foresaw.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from qstore_appliance.settings import Settings
from tests.acceptance.processes import Served, data
from tests.api.conftest import PASSWORD, furnish

#: Tests that are not about limits send more than a stranger may, and all of them fail to sign in from one address.
WIDE = {
    "QSTORE_LIMITS__ADDRESS": "10000000",
    "QSTORE_LIMITS__USER": "10000000",
    "QSTORE_LIMITS__KEY": "10000000",
    "QSTORE_LIMITS__SIGN_IN_FAILURES": "1000000",
    "QSTORE_LIMITS__SIGN_IN_FAILURES_ADDRESS": "1000000",
    "QSTORE_LIMITS__SIGN_IN_FAILURES_ACCOUNT": "1000000",
}
CIRCUIT: dict[str, Any] = {
    "name": "c",
    "n_qubits": 2,
    "gates": [{"type": "RY", "targets": [0], "parameters": {"theta": "a"}}, {"type": "CNOT", "targets": [0, 1]}],
}


@dataclass
class Fortress:
    """The server, a token by role (and `stranger`, the owner of another organization), and things of the first one."""

    server: Served
    tokens: dict[str, str]
    things: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def url(self) -> str:
        return self.server.address

    def client(self, role: str | None = "owner", **headers: str) -> httpx.Client:
        if role is not None:
            headers.setdefault("Authorization", f"Bearer {self.tokens[role]}")
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def cookie(self) -> str:
        """Of a browser of the owner's, who is signed in there anew."""
        draft = {"email": "owner@example.org", "password": PASSWORD}
        with self.client(None) as browser:
            answer = browser.post("/app/sign-in", json=draft, headers={"Origin": self.url})
        return str(answer.headers["Set-Cookie"].partition(";")[0])

    def speak(self, content: bytes, seconds: float = 15.0, *, end: bool = False) -> bytes:
        """What comes back when exactly these bytes are sent (and, with `end`, no others will come)."""
        return speak(self.port, content, seconds, end=end)

    def log(self) -> str:
        return self.server.log.read_text(errors="replace")


def speak(port: int, content: bytes, seconds: float = 15.0, *, end: bool = False) -> bytes:
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        try:
            connection.sendall(content)
            if end:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
                head, found, rest = answer.partition(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                if found and length and len(rest) >= int(length[0].partition(b":")[2]):
                    break
        except (TimeoutError, ConnectionError):
            pass
    return answer


def status(answer: bytes) -> int:
    """The status of a raw answer; 0 where the connection was closed without one."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def failures(log: str) -> list[str]:
    """Lines of a log that tell of what nobody foresaw."""
    return [line for line in log.splitlines() if "request.failed" in line or "Traceback" in line]


def furnished(folder: Path) -> dict[str, str]:
    return asyncio.run(furnish(Settings(data_dir=folder)))


@contextmanager
def standing(folder: Path, **limits: str) -> Iterator[Fortress]:
    tokens = furnished(folder)
    with ExitStack() as stack:
        server = Served(folder, **WIDE | limits, QSTORE_JOBS__SLOTS="0", QSTORE_TELEMETRY__FORMAT="json")
        stack.callback(server.stop)
        fortress = Fortress(server, tokens)
        with fortress.client("owner") as owner:
            fortress.things = belongings(owner)
        yield fortress
    assert failures(fortress.log()) == []


@pytest.fixture(scope="session")
def fortress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    with standing(tmp_path_factory.mktemp("attacked") / "data") as found:
        yield found


def belongings(owner: httpx.Client) -> dict[str, str]:
    """One of each thing that an owner can make, by the name of its routes."""
    circuit = data(owner.post("/v1/circuits", json=CIRCUIT))["id"]
    dataset = data(owner.post("/v1/datasets", files={"file": ("a.csv", b"a,b\n1,x\n2,y\n3,x\n4,y\n5,x\n6,y\n")}))["id"]
    config = {"epochs": 1, "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}}}
    job = data(owner.post("/v1/jobs", json={"circuit_id": circuit, "config": config}))["job_id"]
    sweep = data(owner.post("/v1/sweeps", json={"circuit_id": circuit, "config": config | {"epochs": [1, 2]}}))
    key = data(owner.post("/v1/api-keys", json={"name": "k", "scopes": ["circuits:read"]}))["id"]
    return {
        "circuits": circuit,
        "datasets": dataset,
        "jobs": job,
        "sweeps": sweep.get("sweep_id") or sweep["id"],
        "api-keys": key,
        "invitations": data(owner.post("/v1/invitations", json={"email": "new@example.org", "role": "viewer"}))["id"],
        "users": data(owner.get("/v1/users/me"))["id"],
    }


@pytest.fixture(scope="session")
def owner(fortress: Fortress) -> Iterator[httpx.Client]:
    with fortress.client("owner") as client:
        yield client


@pytest.fixture(scope="session")
def anonymous(fortress: Fortress) -> Iterator[httpx.Client]:
    with fortress.client(None) as client:
        yield client


@pytest.fixture(scope="session")
def stranger(fortress: Fortress) -> Iterator[httpx.Client]:
    with fortress.client("stranger") as client:
        yield client
