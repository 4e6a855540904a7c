"""One envelope around every answer, good or bad, and the same headers on all."""

from __future__ import annotations

import errno
import re
from datetime import datetime
from typing import Any

import httpx
import pytest

from qstore_appliance import errors
from qstore_appliance.api import faults
from qstore_appliance.api.app import endpoints
from qstore_appliance.api.faults import STATUSES, status_of, translated
from qstore_appliance.api.registry import Endpoint
from tests.api.conftest import Client, Served


def assert_envelope(answer: httpx.Response) -> dict[str, Any]:
    """The specification's envelope, whole."""
    body: dict[str, Any] = answer.json()
    assert set(body) == {"success", "data", "meta", "error"}
    assert {"timestamp", "request_id", "version"} <= set(body["meta"])
    assert body["meta"]["request_id"] == answer.headers["X-Request-ID"]
    assert body["meta"]["version"] == "v1"
    assert datetime.fromisoformat(body["meta"]["timestamp"]).utcoffset().total_seconds() == 0  # type: ignore[union-attr]
    assert body["success"] is (body["error"] is None)
    if body["error"] is not None:
        assert body["data"] is None
        assert set(body["error"]) == {"code", "message", "details"}
        assert body["error"]["code"] in STATUSES
        assert answer.status_code == STATUSES[body["error"]["code"]]
    return body


def assert_safe(answer: httpx.Response) -> None:
    """Nothing is cached, sniffed, framed or told about us."""
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Server" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers


def address(endpoint: Endpoint) -> str:
    return re.sub(r"{\w+}", "nothing_here", endpoint.path)


async def test_every_route_answers_in_the_envelope(owner: httpx.AsyncClient) -> None:
    """Whatever a route answers to an empty request of the owner, it is in the envelope; never a 500."""
    # Signing out comes last: it is the one request that the others would feel.
    for endpoint in sorted(endpoints(), key=lambda endpoint: endpoint.path.endswith("logout")):
        answer = await owner.request(endpoint.method, address(endpoint))

        name = f"{endpoint.method} {endpoint.path}"
        assert answer.status_code != 500, name
        assert_safe(answer)
        if answer.status_code == 204:
            assert answer.content == b"", name
        elif endpoint.path.endswith(".graphql"):
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8", name
        elif endpoint.bare:
            assert answer.headers["Content-Type"] == "application/json", name
            assert isinstance(answer.json(), dict | list), name
        else:
            body = assert_envelope(answer)
            # A list of something that is not there is none.
            if endpoint.paged and "{" not in endpoint.path:
                assert isinstance(body["data"], list), name
                assert {"total", "limit", "offset"} <= set(body["meta"]), name


async def test_unknown_addresses(client: Client) -> None:
    """An address that does not exist is 404 for everybody, in the envelope."""
    for role in ("owner", None):
        answer = await client(role).get("/v1/nothing")
        assert answer.status_code == 404
        assert_envelope(answer)
        assert_safe(answer)


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "DELETE", "POST"])
async def test_other_methods(client: Client, method: str) -> None:
    """A method that an address does not take is 405, with those that it takes."""
    answer = await client(None).request(method, "/health")

    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}
    assert_envelope(answer)


async def test_head(owner: httpx.AsyncClient) -> None:
    """HEAD answers as GET does, without the body."""
    answer = await owner.head("/v1/circuits")

    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 50


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("trace-1.a_B", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("ä", False), ("<script>", False)],
)
async def test_request_ids(client: Client, sent: str, kept: bool) -> None:
    """A harmless X-Request-ID is used, anything else is replaced by one of ours."""
    answer = await client(None).get("/v1/users/me", headers={"X-Request-ID": sent.encode()})

    assert (answer.headers["X-Request-ID"] == sent) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["X-Request-ID"])
    assert_envelope(answer)


async def test_a_failure_of_ours_says_nothing_about_itself(
    served: Served, owner: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw is 500 INTERNAL without a word of the cause, which the log has under the request's id."""

    async def broken(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    told: list[dict[str, Any]] = []
    monkeypatch.setattr(served.appliance.circuits, "listed", broken)
    monkeypatch.setattr(faults.log, "error", lambda event, **more: told.append({"event": event} | more))

    answer = await owner.get("/v1/circuits")

    (line,) = told
    assert (line["event"], line["request_id"]) == ("request.failed", answer.headers["X-Request-ID"])
    assert isinstance(line["exc_info"], RuntimeError)

    assert (answer.status_code, assert_envelope(answer)["error"]["code"]) == (500, "INTERNAL")
    assert "hunter2" not in answer.text
    assert_safe(answer)


@pytest.mark.parametrize(
    ("cause", "status", "code"),
    [
        (errors.QStoreError("SystemError: the password is hunter2"), 500, "INTERNAL"),
        (OSError(errno.ENOSPC, "No space left on device", "/srv/hunter2"), 507, "STORAGE_FULL"),
    ],
    ids=["told by a child", "no room"],
)
async def test_causes_stay_inside(
    served: Served, owner: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, cause: Exception, status: int, code: str
) -> None:
    """A stranger's error that a child told of is answered without its text; a full disk is no fault of the program."""

    async def broken(*_: object) -> None:
        raise cause

    monkeypatch.setattr(served.appliance.circuits, "listed", broken)

    answer = await owner.get("/v1/circuits")

    assert (answer.status_code, assert_envelope(answer)["error"]["code"]) == (status, code)
    assert "hunter2" not in answer.text


async def test_busy_parts_say_when_to_come_back(
    served: Served, owner: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that knows when to try again says so in Retry-After, in whole seconds."""

    async def busy(*_: object) -> None:
        raise errors.Unavailable("The database does not answer.", retry_after=1.2)

    monkeypatch.setattr(served.appliance.circuits, "listed", busy)

    answer = await owner.get("/v1/circuits")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


def test_every_code_has_its_status() -> None:
    """The mapping knows every code of the error family and no other."""
    assert set(STATUSES) == set(errors.family())


def test_subclasses_keep_their_own_status() -> None:
    """A special kind of conflict or unavailability is answered by its own code."""
    assert status_of(errors.ArtifactCorrupt()) == 409
    assert status_of(errors.NoCapacity()) == 503
    assert translated(ValueError("x")).code == "INTERNAL"


async def test_probes(client: Client) -> None:
    """Health and readiness answer everybody, without the envelope."""
    health, ready = await client(None).get("/health"), await client(None).get("/ready")

    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert (ready.status_code, ready.json()["status"], ready.json()["reasons"]) == (200, "ready", [])


async def test_unready(served: Served, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a part does not answer, /ready is 503 and names it; /health stays 200."""

    async def ping() -> dict[str, str | None]:
        return {"database": None, "queue": "Redis does not answer"}

    monkeypatch.setattr(served.appliance, "ping", ping)

    answer = await client(None).get("/ready")

    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["queue: Redis does not answer"]
    assert (await client(None).get("/health")).status_code == 200
