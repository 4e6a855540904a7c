"""The second factor over HTTP: turned on, asked for by the API and by the dashboard's door, turned off."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pyotp
import pytest

from qstore_appliance.database.tables.idempotency import IdempotencyRow
from tests.api.conftest import Client, Served
from tests.factories import PASSWORD

HOME = "/v1/users/me/second-factor"


def grant(**more: Any) -> dict[str, Any]:
    return {"grant_type": "password", "email": "owner@example.org", "password": PASSWORD, **more}


def code(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).generate_otp(int(time.time()) // 30 + steps)


async def enrolled(owner: httpx.AsyncClient) -> tuple[str, list[str]]:
    """A second factor that is on: its secret and its recovery codes. The code of now is spent."""
    secret = (await owner.post(HOME, json={"password": PASSWORD})).json()["data"]["secret"]
    confirmed = await owner.post(f"{HOME}/confirm", json={"code": code(secret)})
    assert confirmed.status_code == 200, confirmed.text
    return secret, confirmed.json()["data"]["recovery_codes"]


async def test_from_on_to_off(client: Client, owner: httpx.AsyncClient) -> None:
    """On, asked for with a code of its own for the refusal, taken once, off again."""
    begun = await owner.post(HOME, json={"password": PASSWORD})
    assert begun.status_code == 201
    assert set(begun.json()["data"]) == {"secret", "uri", "qr"}
    assert (await owner.get(HOME)).json()["data"] == {"enabled": False, "since": None, "recovery_codes_left": 0}
    secret, recovery_codes = await enrolled(owner)
    door = client(None)

    asked = await door.post("/v1/auth/token", json=grant())
    wrong = await door.post("/v1/auth/token", json=grant(code=recovery_codes[0][:-1] + "0"))
    right = await door.post("/v1/auth/token", json=grant(code=code(secret, 1)))
    again = await door.post("/v1/auth/token", json=grant(code=code(secret, 1)))
    removed = await owner.post(f"{HOME}/remove", json={"password": PASSWORD, "code": recovery_codes[0]})

    assert (asked.status_code, asked.json()["error"]["code"]) == (401, "SECOND_FACTOR_REQUIRED")
    assert asked.json()["error"]["details"] == {}
    assert wrong.json()["error"]["details"] == again.json()["error"]["details"] == {"code": "wrong"}
    assert (wrong.status_code, right.status_code, again.status_code) == (401, 200, 401)
    assert removed.status_code == 204
    assert (await door.post("/v1/auth/token", json=grant())).status_code == 200


async def test_the_door_of_the_dashboard(served: Served, client: Client, owner: httpx.AsyncClient) -> None:
    """The sign-in form is asked for a code too, and gives no cookie without."""
    secret, _ = await enrolled(owner)
    door, home = client(None), {"Origin": served.url}
    form = {"email": "owner@example.org", "password": PASSWORD}

    asked = await door.post("/app/sign-in", json=form, headers=home)
    right = await door.post("/app/sign-in", json={**form, "code": code(secret, 1)}, headers=home)

    assert (asked.status_code, asked.json()["error"]["code"]) == (401, "SECOND_FACTOR_REQUIRED")
    assert "set-cookie" not in asked.headers
    assert right.status_code == 200
    assert right.headers["set-cookie"].startswith("__Host-qstore=")


async def test_nothing_of_it_is_kept(owner: httpx.AsyncClient) -> None:
    """Neither a digest of a password nor a secret that is shown once lies in the database for repetitions."""
    headers = {"Idempotency-Key": "the-same"}
    change = {"current_password": PASSWORD, "password": "a brand new password"}

    for path, body in ((HOME, {"password": PASSWORD}), ("/v1/users/me/password", change)):
        assert (await owner.post(path, json=body, headers=headers)).is_success

    assert await IdempotencyRow.all().count() == 0


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("", {"password": "wrong password"}, "password"),
        ("", {}, "password"),
        ("/confirm", {"code": "12"}, "code"),
        ("/remove", {"password": PASSWORD}, "code"),
    ],
)
async def test_wrong_fields(owner: httpx.AsyncClient, path: str, body: dict[str, str], field: str) -> None:
    """What is wrong is 422 with the field."""
    answer = await owner.post(f"{HOME}{path}", json=body)

    assert answer.status_code == 422
    assert [row["field"] for row in answer.json()["error"]["details"]["errors"]] == [field]


async def test_not_with_a_key(client: Client, owner: httpx.AsyncClient) -> None:
    """An API key turns nothing on or off."""
    made = await owner.post("/v1/api-keys", json={"name": "k", "scopes": ["jobs:read"]})
    machine = client(None, **{"X-API-Key": made.json()["data"]["key"]})

    for path, body in (("", {"password": PASSWORD}), ("/confirm", {"code": "123456"})):
        assert (await machine.post(f"{HOME}{path}", json=body)).status_code == 403
