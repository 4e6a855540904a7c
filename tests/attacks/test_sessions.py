"""A07 to A09: what is over is over, at once and everywhere."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.processes import data, qstore
from tests.attacks.conftest import Fortress

PASSWORD = "correct horse battery"
#: Authority is remembered for at most a second; the rest is a slow machine's.
SECONDS = 15.0


@pytest.fixture
def user(fortress: Fortress) -> str:
    """The e-mail address of a developer of this test's own."""
    email = f"{uuid.uuid4().hex[:12]}@example.org"
    words = ("user", "create", "--email", email, "--organization", "Analytical Engines", "--password-file", "-")
    made = qstore(*words, "--data-dir", fortress.server.data_dir, stdin=PASSWORD)
    assert made.returncode == 0, made.stderr
    return email


def sign_in(client: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return client.post("/v1/auth/token", json={"grant_type": "password", "email": email, "password": password})


def refresh(client: httpx.Client, token: str) -> httpx.Response:
    return client.post("/v1/auth/token", json={"grant_type": "refresh_token", "refresh_token": token})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def until_refused(client: httpx.Client, headers: dict[str, str]) -> float:
    """Seconds until these credentials are worth nothing."""
    began = time.monotonic()
    while client.get("/v1/users/me", headers=headers).status_code != 401:
        assert time.monotonic() - began < SECONDS
        time.sleep(0.05)
    return time.monotonic() - began


Listen = Callable[[str], ClientConnection]


@pytest.fixture
def listening(fortress: Fortress) -> Iterator[Listen]:
    """`listening(credential)`: a WebSocket that has come in with a token or an API key."""
    with ExitStack() as stack:

        def listen(credential: str) -> ClientConnection:
            socket = stack.enter_context(connect(fortress.url.replace("http", "ws") + "/v1/ws", proxy=None))
            socket.send(json.dumps({"type": "auth", "token": credential}))
            assert '"authenticated"' in str(socket.recv(SECONDS))
            return socket

        yield listen


def close_code(socket: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            socket.recv(SECONDS)
    return socket.close_code


@pytest.mark.attack("A07")
def test_after_signing_out(anonymous: httpx.Client, listening: Listen, user: str) -> None:
    """The access token is dead with the next request, its refresh token too, and its socket is closed."""
    tokens = data(sign_in(anonymous, user))
    socket = listening(tokens["access_token"])

    out = anonymous.post("/v1/auth/logout", headers=bearer(tokens["access_token"]))

    assert out.status_code == 204
    assert anonymous.get("/v1/users/me", headers=bearer(tokens["access_token"])).status_code == 401
    assert anonymous.post("/v1/auth/logout", headers=bearer(tokens["access_token"])).status_code == 401
    assert refresh(anonymous, tokens["refresh_token"]).status_code == 401
    assert close_code(socket) == 4401


@pytest.mark.attack("A07")
def test_one_session_ends_alone(anonymous: httpx.Client, user: str) -> None:
    """Signing out here leaves the same user signed in elsewhere."""
    first, second = data(sign_in(anonymous, user)), data(sign_in(anonymous, user))

    anonymous.post("/v1/auth/logout", headers=bearer(first["access_token"]))

    assert anonymous.get("/v1/users/me", headers=bearer(second["access_token"])).status_code == 200


@pytest.mark.attack("A08")
def test_a_stolen_refresh_token_ends_the_family(anonymous: httpx.Client, user: str) -> None:
    """Whoever of thief and owner comes second ends it for both: old and new tokens are dead."""
    first = data(sign_in(anonymous, user))
    second = data(refresh(anonymous, first["refresh_token"]))
    third = data(refresh(anonymous, second["refresh_token"]))

    assert refresh(anonymous, first["refresh_token"]).status_code == 401
    assert refresh(anonymous, third["refresh_token"]).status_code == 401
    for tokens in (first, second, third):
        assert anonymous.get("/v1/users/me", headers=bearer(tokens["access_token"])).status_code == 401


@pytest.mark.attack("A08")
@pytest.mark.parametrize("tabs", [2, 8])
def test_parallel_refreshes_have_one_winner(anonymous: httpx.Client, user: str, tabs: int) -> None:
    """Of tabs that refresh at the same moment one gets tokens."""
    token = data(sign_in(anonymous, user))["refresh_token"]

    with ThreadPoolExecutor(tabs) as pool:
        answers = list(pool.map(lambda _: refresh(anonymous, token).status_code, range(tabs)))

    assert sorted(answers) == [200] + [401] * (tabs - 1)


@pytest.mark.attack("A08")
@pytest.mark.parametrize("token", ["", "x", "a.b.c", "qsk_live_" + "a" * 24, "é" * 10, "x" * 4096])
def test_refresh_tokens_that_are_none(anonymous: httpx.Client, token: str) -> None:
    """An invented one is 401 like a used one."""
    assert refresh(anonymous, token).status_code == 401


@pytest.mark.attack("A09")
@pytest.mark.parametrize("change", ["password", "disabled"])
def test_a_users_old_authority(
    fortress: Fortress, anonymous: httpx.Client, listening: Listen, user: str, change: str
) -> None:
    """After a new password, or when disabled: tokens, refresh tokens and sockets of before are dead within moments."""
    tokens = data(sign_in(anonymous, user))
    key = data(
        anonymous.post(
            "/v1/api-keys", json={"name": "k", "scopes": ["circuits:read"]}, headers=bearer(tokens["access_token"])
        )
    )["key"]
    socket = listening(tokens["access_token"])
    verb = ["user", "disable"] if change == "disabled" else ["user", "reset-password", "--password-file", "-"]

    done = qstore(*verb, "--email", user, "--data-dir", fortress.server.data_dir, stdin="another horse battery")

    assert done.returncode == 0, done.stderr
    until_refused(anonymous, bearer(tokens["access_token"]))
    assert refresh(anonymous, tokens["refresh_token"]).status_code == 401
    assert close_code(socket) == 4401
    assert sign_in(anonymous, user).status_code == 401
    if change == "disabled":
        until_refused(anonymous, {"X-API-Key": key})


@pytest.mark.attack("A09")
def test_a_revoked_key(anonymous: httpx.Client, owner: httpx.Client, listening: Listen) -> None:
    """A key that is revoked is 401 with the next request, and its socket is closed."""
    key = data(owner.post("/v1/api-keys", json={"name": "k", "scopes": ["jobs:read"]}))
    socket = listening(key["key"])

    owner.delete(f"/v1/api-keys/{key['id']}")

    assert anonymous.get("/v1/jobs", headers={"X-API-Key": key["key"]}).status_code == 401
    assert close_code(socket) == 4401
