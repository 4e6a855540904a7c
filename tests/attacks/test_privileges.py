"""A17 to A19: more than one's role, more than one's fields, more than one's key."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.registry import PUBLIC, SIGNED_IN, Endpoint
from qstore_appliance.domain.accounts import SCOPES, Role, allows
from tests.acceptance.processes import data
from tests.attacks.conftest import CIRCUIT, Fortress, code

SCOPED = [endpoint for endpoint in endpoints() if endpoint.permission not in (PUBLIC, SIGNED_IN)]
WRITING = [endpoint for endpoint in endpoints() if endpoint.body and endpoint.permission != PUBLIC]


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def address(endpoint: Endpoint, id: str = "x") -> str:
    return re.sub(r"{\w+}", id, endpoint.path)


@pytest.mark.attack("A17")
@pytest.mark.parametrize("role", list(Role))
def test_every_route_by_role(fortress: Fortress, role: Role) -> None:
    """Where the matrix gives a role no permission, the answer is 403 and names it; where it does, it is no 403."""
    with fortress.client(role.value) as client:
        for endpoint in SCOPED:
            answer = client.request(endpoint.method, address(endpoint))
            refused = answer.status_code == 403 and endpoint.permission in answer.text

            assert refused is not allows(SCOPES[role], endpoint.permission), name(endpoint)


SERVERS_OWN: dict[str, Any] = {
    "id": "circuit_00000000000000000000000000",
    "_id": 1,
    "organization_id": "org_00000000000000000000000000",
    "org_id": "org_00000000000000000000000000",
    "user_id": "user_00000000000000000000000000",
    "owner": "stranger@example.org",
    "role": "owner",
    "operator": True,
    "is_admin": True,
    "scopes_granted": ["*"],
    "cost": 0,
    "spent": 0,
    "status": "completed",
    "created_at": "2020-01-01T00:00:00Z",
    "deleted_at": None,
    "__proto__": {"operator": True},
    "constructor": {"prototype": {"operator": True}},
    "__class__": "Caller",
    "key_hash": "00",
    "password_hash": "00",
}


@pytest.mark.attack("A18")
@pytest.mark.parametrize("field", SERVERS_OWN)
def test_fields_that_are_the_servers(owner: httpx.Client, field: str) -> None:
    """No body takes a field that it does not declare: 422, naming it."""
    for endpoint in WRITING:
        if any(field in draft.model_fields for draft in endpoint.body):
            continue
        answer = owner.request(endpoint.method, address(endpoint), json={field: SERVERS_OWN[field]})

        # IonQ's own API answers 400 where ours has 422.
        assert answer.status_code in ((400,) if endpoint.tag == "ionq" else (404, 422)), name(endpoint)
        if answer.status_code == 422:
            assert field in answer.text, name(endpoint)


SECRETS = ("password_hash", "key_hash", "refresh_hash", "cookie_hash", "previous_hash", "token_hash", "$argon2")


@pytest.mark.attack("A18")
@pytest.mark.parametrize("word", SECRETS)
def test_answers_show_no_more_than_they_declare(owner: httpx.Client, fortress: Fortress, word: str) -> None:
    """Nothing that is only the server's is in any answer to the owner of everything."""
    for endpoint in endpoints():
        if endpoint.method == "GET" and not endpoint.path.startswith(("/openapi", "/v1/events")):
            thing = fortress.things.get(endpoint.tag, "x")
            assert word not in owner.get(address(endpoint, thing)).text, name(endpoint)


WISHES: dict[str, tuple[str, list[str], int]] = {
    "everything": ("viewer", ["*"], 403),
    "everything, of the owner": ("owner", ["*"], 422),
    "everything twice": ("owner", ["*:*"], 422),
    "a resource that is none": ("owner", ["root:write"], 422),
    "a developer's wish for users": ("developer", ["users:*"], 403),
    "a developer's wish for money": ("developer", ["billing:write"], 403),
    "a developer's wish for all circuits": ("developer", ["circuits:*"], 403),
    "an admin's wish for ownership": ("admin", ["organization:*"], 403),
    "a viewer's key": ("viewer", ["circuits:read"], 403),
    "none": ("owner", [], 422),
    "blank": ("owner", [" "], 422),
    "of another case": ("owner", ["CIRCUITS:READ"], 422),
    "with a tail": ("owner", ["circuits:read,users:*"], 422),
    "with a line break": ("owner", ["circuits:read\nusers:*"], 422),
    "a thousand": ("owner", ["circuits:read"] * 1_000, 422),
}


@pytest.mark.attack("A19")
@pytest.mark.parametrize(("role", "scopes", "expected"), WISHES.values(), ids=WISHES)
def test_keys_wider_than_their_maker(fortress: Fortress, role: str, scopes: list[str], expected: int) -> None:
    """A key gets what is a permission and what its maker has, and nothing else."""
    with fortress.client(role) as client:
        answer = client.post("/v1/api-keys", json={"name": "k", "scopes": scopes})

    assert answer.status_code == expected


@pytest.mark.attack("A19")
@pytest.mark.parametrize("limit", [0, -1, 10_000_001, 2**62, 1.5, "1000", True, None])
def test_keys_with_a_limit_of_their_own(owner: httpx.Client, limit: object) -> None:
    """A key's bucket is at most the installation's."""
    answer = owner.post("/v1/api-keys", json={"name": "k", "scopes": ["jobs:read"], "rate_limit": limit})

    assert answer.status_code == (201 if limit is None else 422)


@pytest.mark.attack("A19")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/api-keys", {"name": "k", "scopes": ["jobs:read"]}),
        ("PATCH", "/v1/users/me", {"name": "Mallory"}),
        ("PUT", "/v1/budget", {"monthly_limit": 1}),
        ("POST", "/v1/auth/logout", None),
        ("GET", "/v1/outbox", None),
    ],
)
def test_a_key_does_what_it_is_for(owner: httpx.Client, fortress: Fortress, method: str, path: str, body: Any) -> None:
    """A key for circuits makes no keys, changes no profile or budget, and has no session to end."""
    made = data(owner.post("/v1/api-keys", json={"name": "k", "scopes": ["circuits:*"]}))
    with fortress.client(None, **{"X-API-Key": made["key"]}) as machine:
        answer = machine.request(method, path, json=body)

        assert (answer.status_code, code(answer)) == (403, "FORBIDDEN")
        assert machine.get("/v1/circuits").status_code == 200
    owner.delete(f"/v1/api-keys/{made['id']}")


@pytest.mark.attack("A19")
def test_guessing_from_the_prefix(owner: httpx.Client, anonymous: httpx.Client) -> None:
    """The prefix that lists show, alone or with anything behind it, opens nothing; nor does the key in other letters."""
    made = data(owner.post("/v1/api-keys", json={"name": "k", "scopes": ["circuits:read"]}))
    key, prefix = made["key"], made["prefix"]
    for guess in (
        prefix,
        prefix + "a" * (len(key) - len(prefix)),
        key.lower(),
        key.upper(),
        key[:-1],
        key + "a",
        key + " x",
    ):
        if guess != key:
            assert anonymous.get("/v1/circuits", headers={"X-API-Key": guess}).status_code == 401
    for path in (f"/v1/circuits?api_key={key}", f"/v1/circuits/{key}"):
        assert anonymous.get(path).status_code == 401
    assert data(owner.post("/v1/circuits", json=CIRCUIT))["id"]
