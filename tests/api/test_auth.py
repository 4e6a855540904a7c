"""Signing in and out over HTTP, the user, the organization, API keys."""

from __future__ import annotations

import httpx
import pytest

from tests.api.conftest import Client, Served
from tests.factories import PASSWORD


async def sign_in(client: httpx.AsyncClient, role: str = "owner", password: str = PASSWORD) -> httpx.Response:
    body = {"grant_type": "password", "email": f"{role}@example.org", "password": password}
    return await client.post("/v1/auth/token", json=body)


async def test_a_password_buys_tokens(client: Client) -> None:
    """The token answer is the specification's, inside the envelope, and the token works."""
    anonymous = client(None)

    answer = (await sign_in(anonymous)).json()["data"]
    me = await anonymous.get("/v1/users/me", headers={"Authorization": f"Bearer {answer['access_token']}"})

    assert set(answer) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    assert me.json()["data"]["email"] == "owner@example.org"


async def test_a_refresh_token_is_spent_by_its_use(client: Client) -> None:
    """Refreshing gives new tokens; the old refresh token, and a refresh token as access token, are worth nothing."""
    anonymous = client(None)
    old = (await sign_in(anonymous)).json()["data"]["refresh_token"]
    body = {"grant_type": "refresh_token", "refresh_token": old}

    renewed = await anonymous.post("/v1/auth/token", json=body)
    again = await anonymous.post("/v1/auth/token", json=body)
    misused = await anonymous.get("/v1/users/me", headers={"Authorization": f"Bearer {old}"})

    assert renewed.status_code == 200
    assert renewed.json()["data"]["refresh_token"] != old
    assert (again.status_code, misused.status_code) == (401, 401)


async def test_wrong_password_and_unknown_user_sound_alike(client: Client) -> None:
    """Nobody learns from an answer whether an account exists."""
    wrong = await sign_in(client(None), password="wrong password")
    unknown = await sign_in(client(None), role="nobody")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["error"] == unknown.json()["error"]


@pytest.mark.parametrize(
    "body",
    [{}, {"grant_type": "magic"}, {"grant_type": "password", "email": "a@b"}, {"grant_type": "refresh_token"}, [1]],
)
async def test_half_a_grant(client: Client, body: object) -> None:
    """A grant that lacks something is 422 with the fields."""
    answer = await client(None).post("/v1/auth/token", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


async def test_failed_sign_ins_are_limited(client: Client) -> None:
    """After ten failures for an account the eleventh attempt is 429 with Retry-After, even with the right password."""
    answers = [(await sign_in(client(None), "viewer", "wrong password")).status_code for _ in range(10)]

    limited = await sign_in(client(None), "viewer")

    assert answers == [401] * 10
    assert limited.status_code == 429
    assert int(limited.headers["Retry-After"]) > 0


async def test_signing_out_ends_the_token_at_once(client: Client) -> None:
    """After logout the access token and the refresh token are dead."""
    anonymous = client(None)
    tokens = (await sign_in(anonymous)).json()["data"]
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}

    answer = await anonymous.post("/v1/auth/logout", headers=headers)
    after = await anonymous.get("/v1/users/me", headers=headers)
    refreshed = await anonymous.post(
        "/v1/auth/token", json={"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    )

    assert (answer.status_code, after.status_code, refreshed.status_code) == (204, 401, 401)


async def test_me_is_the_specifications_user(owner: httpx.AsyncClient) -> None:
    """The user comes with their keys, masked, and without anything of the password."""
    await owner.post("/v1/api-keys", json={"name": "k", "scopes": ["jobs:read"]})

    me = (await owner.get("/v1/users/me")).json()["data"]

    assert {"id", "email", "name", "organization_id", "role", "api_keys", "preferences", "created_at"} <= set(me)
    assert [key["key"] for key in me["api_keys"]] == ["qsk_live_***"]
    assert me["role"] == "owner"
    assert not any("password" in field or "hash" in field for field in me)


async def test_preferences_are_merged(owner: httpx.AsyncClient) -> None:
    """PATCH changes the name and adds to the preferences; roles cannot be patched."""
    await owner.patch("/v1/users/me", json={"preferences": {"default_backend": "native"}})
    answer = await owner.patch("/v1/users/me", json={"name": "Ada", "preferences": {"theme": "dark"}})
    promoted = await owner.patch("/v1/users/me", json={"role": "owner"})

    assert answer.json()["data"]["name"] == "Ada"
    assert answer.json()["data"]["preferences"] == {"default_backend": "native", "theme": "dark"}
    assert promoted.status_code == 422


async def test_the_organization(owner: httpx.AsyncClient) -> None:
    """The organization says how many members it has; others do not count."""
    data = (await owner.get("/v1/organization")).json()["data"]

    assert (data["name"], data["members"]) == ("Analytical Engines", 4)


async def test_an_api_key_from_its_birth_to_its_end(client: Client) -> None:
    """A key is shown once, works in both headers within its scopes, and is dead when revoked."""
    owner, machine = client("owner"), client(None)
    made = await owner.post(
        "/v1/api-keys", json={"name": "CI", "scopes": ["circuits:read"], "environment": "test", "rate_limit": 50}
    )
    key = made.json()["data"]
    by_header = await machine.get("/v1/circuits", headers={"X-API-Key": key["key"]})
    by_bearer = await machine.get("/v1/circuits", headers={"Authorization": f"Bearer {key['key']}"})
    too_far = await machine.get("/v1/jobs", headers={"X-API-Key": key["key"]})
    row = (await owner.get("/v1/api-keys")).json()["data"][0]
    revoked = await owner.delete(f"/v1/api-keys/{key['id']}")
    after = await machine.get("/v1/circuits", headers={"X-API-Key": key["key"]})

    assert made.status_code == 201
    assert key["key"].startswith("qsk_test_")
    assert (by_header.status_code, by_bearer.status_code, too_far.status_code) == (200, 200, 403)
    assert by_header.headers["X-RateLimit-Limit"] == "50"
    assert (row["key"], row["id"], row["prefix"]) == (None, key["id"], key["prefix"])
    assert key["key"].startswith(key["prefix"])
    assert (revoked.status_code, after.status_code) == (204, 401)


async def test_a_key_is_no_wider_than_its_owner(client: Client) -> None:
    """A developer cannot make a key with an administrator's scopes."""
    answer = await client("developer").post("/v1/api-keys", json={"name": "k", "scopes": ["users:*"]})

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_a_key_does_not_change_its_owner(client: Client) -> None:
    """A key for reading circuits reads who it acts for, and changes neither the name nor the preferences of its owner."""
    owner = client("owner")
    made = await owner.post("/v1/api-keys", json={"name": "k", "scopes": ["circuits:read"]})
    machine = client(None, **{"X-API-Key": made.json()["data"]["key"]})

    answer = await machine.patch("/v1/users/me", json={"name": "Mallory", "preferences": {"default_backend": "qsim"}})

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert (await machine.get("/v1/users/me")).json()["data"]["name"] == "owner"


async def test_keys_of_another_organization_do_not_exist(client: Client) -> None:
    """A stranger neither sees nor revokes a key."""
    id = (await client("owner").post("/v1/api-keys", json={"name": "k", "scopes": ["jobs:read"]})).json()["data"]["id"]
    stranger = client("stranger")

    assert (await stranger.delete(f"/v1/api-keys/{id}")).status_code == 404
    assert (await stranger.get("/v1/api-keys")).json()["meta"]["total"] == 0


async def test_two_credentials_are_none(served: Served, client: Client) -> None:
    """Two Authorization headers are refused: which of them a proxy believed is not for us to guess."""
    token = served.token("owner")
    answer = await client(None).get(
        "/v1/users/me", headers=[("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")]
    )

    assert answer.status_code == 401
