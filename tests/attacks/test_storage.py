"""A59: filling the disk. On a server of its own: what an organization keeps stays kept."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.acceptance.processes import Served, data
from tests.attacks.conftest import CIRCUIT, Fortress, code, standing

TABLE = b"a,b\n1,x\n2,y\n3,x\n4,y\n5,x\n6,y\n"
#: Room for the data set that everybody begins with, and about a dozen of its kind.
LIMIT = 80_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    with standing(tmp_path_factory.mktemp("small") / "data", QSTORE_LIMITS__ORGANIZATION_BYTES=str(LIMIT)) as found:
        yield found


def kept(client: httpx.Client) -> dict[str, int]:
    found: dict[str, int] = data(client.get("/v1/organization"))["storage"]
    return found


def upload(client: httpx.Client, name: str, content: bytes = TABLE) -> httpx.Response:
    return client.post("/v1/datasets", files={"file": (name, content)})


@pytest.mark.attack("A59")
def test_filling_it(small: Fortress) -> None:
    """Small uploads, fifty and many at once, end at the limit: 507, nothing is left of them, and the rest works on."""
    with small.client("owner") as owner, small.client("stranger") as stranger:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: upload(owner, f"{number}.csv"), range(50)))
        refused = [answer for answer in answers if answer.status_code != 201]
        assert refused
        assert {(answer.status_code, code(answer)) for answer in refused} == {(507, "STORAGE_FULL")}
        use = kept(owner)
        assert use["limit_bytes"] == LIMIT
        assert LIMIT - 10_000 < use["used_bytes"] <= LIMIT
        uploads = small.server.data_dir / "uploads"
        assert not [place for place in uploads.glob("*") if place.is_file()]

        circuit = data(owner.post("/v1/circuits", json=CIRCUIT))["id"]
        wide = b"a,b\n" + b"".join(b"%d,x\n%d,y\n" % (n, n) for n in range(5_000))
        assert code(upload(owner, "wide.csv", wide)) == "STORAGE_FULL"
        assert owner.get("/v1/datasets").status_code == 200
        assert owner.post("/v1/jobs/estimate", json=job(circuit)).status_code in (200, 422)
        # Another organization has its own room.
        assert upload(stranger, "theirs.csv").status_code == 201
        assert kept(stranger)["used_bytes"] < LIMIT


@pytest.mark.attack("A59")
@pytest.mark.parametrize("role", ["admin", "developer", "viewer"])
def test_more_room_for_oneself(small: Fortress, role: str) -> None:
    """Nobody but the operator lets an organization keep more; a key of the operator's does not, either."""
    bodies: list[int | None] = [LIMIT + 1, 2**53, None]
    with small.client(role) as client:
        for wanted in bodies[:2]:
            answer = client.patch("/v1/organization", json={"settings": {"max_storage_bytes": wanted}})
            assert (answer.status_code, code(answer)) == (403, "FORBIDDEN"), wanted
        for wrong in (-1, 2**53 + 1, 1.5, "9", True):
            answer = client.patch("/v1/organization", json={"settings": {"max_storage_bytes": wrong}})
            assert answer.status_code == (422 if role == "admin" else 403), wrong
    with small.client("owner") as owner:
        key = data(owner.post("/v1/api-keys", json={"name": "k", "scopes": ["organization:*"]}))["key"]
        with small.client(None, **{"X-API-Key": key}) as by_key:
            for wanted in bodies[:2]:
                answer = by_key.patch("/v1/organization", json={"settings": {"max_storage_bytes": wanted}})
                assert (answer.status_code, code(answer)) == (403, "FORBIDDEN"), wanted
        assert kept(owner)["limit_bytes"] == LIMIT


@pytest.mark.attack("A59")
def test_a_limit_that_was_lowered(small: Fortress) -> None:
    """Who sets it lower, or to nothing, cannot set it back; what is kept stays, and deleting it stays possible."""
    with small.client("stranger") as theirs:
        made = data(upload(theirs, "one.csv"))["id"]
        assert theirs.patch("/v1/organization", json={"settings": {"max_storage_bytes": 0}}).status_code == 200
        for wanted in (1, LIMIT, None):
            answer = theirs.patch("/v1/organization", json={"settings": {"max_storage_bytes": wanted}})
            assert answer.status_code == 403, wanted
        answer = upload(theirs, "two.csv")
        assert (answer.status_code, code(answer)) == (507, "STORAGE_FULL")
        circuit = data(theirs.post("/v1/circuits", json=CIRCUIT))["id"]
        sweep = job(circuit)
        for path, body in (
            ("/v1/jobs", job(circuit)),
            ("/v1/sweeps", sweep | {"config": sweep["config"] | {"epochs": [1, 2]}}),
        ):
            answer = theirs.post(path, json=body)
            assert (answer.status_code, code(answer)) == (507, "STORAGE_FULL"), path
        assert theirs.get(f"/v1/datasets/{made}").status_code == 200
        assert theirs.delete(f"/v1/datasets/{made}").status_code == 204


def half(port: int, token: str) -> socket.socket:
    """An upload that has begun, of which nothing more comes."""
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + TABLE * 10_000
    head = (
        f"POST /v1/datasets HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(form) + 1_000}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(head.encode() + form)
    return connection


def received(folder: Path) -> list[Path]:
    return [place for place in (folder / "uploads").glob("*") if place.is_file()]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.attack("A59")
@pytest.mark.parametrize("end", ["hang up", "kill the server"])
def test_uploads_that_never_end(tmp_path: Path, end: str) -> None:
    """What came of them is gone with the connection; and where the server was killed meanwhile, with its next start."""
    folder = tmp_path / "data"
    server = Served(folder, QSTORE_JOBS__SLOTS="0")
    try:
        with server.client() as client:
            token = client.headers["Authorization"].removeprefix("Bearer ")
        connections = [half(server.port, token) for _ in range(3)]
        until(lambda: len(received(folder)) == 3)
        if end == "kill the server":
            server.stop(signal.SIGKILL)
            assert len(received(folder)) == 3
            server = Served(folder, QSTORE_JOBS__SLOTS="0")
        for connection in connections:
            connection.close()
        until(lambda: not received(folder))
    finally:
        server.stop()


def job(circuit: str) -> dict[str, object]:
    config = {"epochs": 1, "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}}}
    return {"circuit_id": circuit, "config": config}
