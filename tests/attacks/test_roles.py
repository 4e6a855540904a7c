"""A17: more than one's own, by way of the roles that an organization makes for itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from qstore_appliance.domain.roles import PATTERNS
from tests.acceptance.processes import data
from tests.attacks.conftest import Fortress, code
from tests.attacks.test_invitations import PASSWORD, Guest, address, guests, invite

#: Looks after people, reads jobs, and has no other right.
DESK = ["api-keys:own", "jobs:read", "users:*"]
_numbers = itertools.count(1)


def role(client: httpx.Client, permissions: list[str], status: int = 201) -> str:
    name = f"role-{next(_numbers)}"
    answer = client.post("/v1/roles", json={"name": name, "permissions": permissions})
    assert answer.status_code == status, answer.text
    return name


@pytest.fixture
def desk(fortress: Fortress, owner: httpx.Client) -> Iterator[tuple[Guest, str]]:
    """Somebody with a role of the organization's own that looks after people, and that role's name; gone afterwards."""
    name = role(owner, DESK)
    (guest,) = guests(fortress, owner, name)
    yield guest, name
    owner.delete(f"/v1/users/{guest.id}")
    assert owner.delete(f"/v1/roles/{name}").status_code == 204
    guest.client.close()


@pytest.mark.attack("A17")
def test_a_role_for_oneself(desk: tuple[Guest, str]) -> None:
    """Each permission that its maker lacks: neither in a new role, nor in their own, nor as a key's scope."""
    guest, name = desk
    for wanted in sorted(PATTERNS - {"api-keys:own", "jobs:read"}):
        has = wanted.startswith("users:")
        made = guest.client.post("/v1/roles", json={"name": "climber", "permissions": ["jobs:read", wanted]})
        assert made.status_code == (201 if has else 403), wanted
        if has:
            assert guest.client.delete("/v1/roles/climber").status_code == 204
            continue
        assert guest.client.patch(f"/v1/roles/{name}", json={"permissions": [*DESK, wanted]}).status_code == 403, wanted
        assert guest.client.post("/v1/api-keys", json={"name": "k", "scopes": [wanted]}).status_code == 403, wanted
    assert sorted(data(guest.client.get("/v1/users/me"))["scopes"]) == DESK


@pytest.mark.attack("A17")
def test_a_role_that_has_more(owner: httpx.Client, desk: tuple[Guest, str]) -> None:
    """A role with more is not given, offered, changed or deleted by who has less, and the four are nobody's to change."""
    guest, _ = desk
    money = role(owner, ["billing:write"])
    attempts: list[tuple[str, str, dict[str, Any], int]] = [
        ("PATCH", f"/v1/users/{guest.id}", {"role": money}, 403),
        ("PATCH", f"/v1/users/{guest.id}", {"role": "owner"}, 403),
        ("POST", "/v1/invitations", {"email": address(), "role": money}, 403),
        ("PATCH", f"/v1/roles/{money}", {"permissions": ["jobs:read"]}, 403),
        ("PATCH", f"/v1/roles/{money}", {"description": "mine"}, 403),
        ("DELETE", f"/v1/roles/{money}", {}, 403),
        ("PATCH", "/v1/roles/viewer", {"permissions": ["users:*"]}, 409),
        ("DELETE", "/v1/roles/admin", {}, 409),
        ("POST", "/v1/roles", {"name": "owner", "permissions": ["jobs:read"]}, 422),
        ("POST", "/v1/roles", {"name": "0wner", "permissions": ["jobs:read"]}, 422),
        ("POST", "/v1/roles", {"name": "owner ", "permissions": ["jobs:read"]}, 422),
        ("POST", "/v1/roles", {"name": "all", "permissions": ["*"]}, 422),
        ("POST", "/v1/roles", {"name": "all", "permissions": ["organization:transfer"]}, 422),
        ("POST", "/v1/roles", {"name": "all", "permissions": ["jobs:read\nusers:*"]}, 422),
    ]
    for method, path, body, status in attempts:
        assert guest.client.request(method, path, json=body or None).status_code == status, (method, path, body)
    assert owner.delete(f"/v1/roles/{money}").status_code == 204


@pytest.mark.attack("A17")
def test_by_an_invitation(
    fortress: Fortress, owner: httpx.Client, anonymous: httpx.Client, desk: tuple[Guest, str]
) -> None:
    """A link to a small role that has grown since, beyond what its maker has, opens nothing."""
    guest, _ = desk
    small = role(owner, ["jobs:read"])
    id, link = invite(guest.client, address(), small)
    assert owner.patch(f"/v1/roles/{small}", json={"permissions": ["jobs:read", "billing:*"]}).status_code == 200

    answer = anonymous.post("/v1/invitations/accept", json={"token": link, "password": PASSWORD})

    assert (answer.status_code, code(answer)) == (410, "GONE")
    assert (refused := owner.delete(f"/v1/roles/{small}")).status_code == 409, refused.text
    assert owner.delete(f"/v1/invitations/{id}").status_code == 204
    assert owner.delete(f"/v1/roles/{small}").status_code == 204


@pytest.mark.attack("A17")
def test_another_organizations_role(owner: httpx.Client, stranger: httpx.Client) -> None:
    """It is absent: same status and words as for a name that nobody has, and its name gives nothing elsewhere."""
    name = role(owner, ["jobs:read"])
    for method, body in (("GET", None), ("PATCH", {"permissions": ["jobs:read"]}), ("DELETE", None)):
        theirs, none = [stranger.request(method, f"/v1/roles/{one}", json=body) for one in (name, "no-such-role")]
        assert theirs.status_code == none.status_code == 404
        assert theirs.json()["error"]["message"] == none.json()["error"]["message"]
    assert name not in stranger.get("/v1/roles").text
    me = data(stranger.get("/v1/users/me"))["id"]
    for answer in (
        stranger.patch(f"/v1/users/{me}", json={"role": name}),
        stranger.post("/v1/invitations", json={"email": address(), "role": name}),
        stranger.get("/v1/users", params={"role": name}),
    ):
        assert (answer.status_code, code(answer)) == (422, "VALIDATION_ERROR")
    assert owner.delete(f"/v1/roles/{name}").status_code == 204


@pytest.mark.attack("A17")
def test_a_role_is_a_key_s_ceiling(fortress: Fortress, owner: httpx.Client, desk: tuple[Guest, str]) -> None:
    """A key of whoever has the role loses what the role loses, in the very next request; so does its maker's token."""
    guest, name = desk
    key = data(guest.client.post("/v1/api-keys", json={"name": "k", "scopes": ["jobs:read", "users:read"]}))["key"]
    with fortress.client(None, **{"X-API-Key": key}) as by_key:
        assert by_key.get("/v1/jobs").status_code == 200
        assert owner.patch(f"/v1/roles/{name}", json={"permissions": ["users:*"]}).status_code == 200
        assert by_key.get("/v1/jobs").status_code == guest.client.get("/v1/jobs").status_code == 403
        assert by_key.get("/v1/users").status_code == 200


@pytest.mark.attack("A17")
def test_giving_and_deleting_at_once(fortress: Fortress, owner: httpx.Client) -> None:
    """Ten rounds of a role that is deleted and given at the same moment: nobody is left with a role that is not there."""
    (guest,) = guests(fortress, owner, "viewer")
    for _ in range(10):
        name = role(owner, ["jobs:read"])
        with ThreadPoolExecutor(2) as pool:
            gone = pool.submit(owner.delete, f"/v1/roles/{name}")
            given = pool.submit(owner.patch, f"/v1/users/{guest.id}", json={"role": name})
            statuses = (gone.result().status_code, given.result().status_code)
        assert statuses in ((204, 422), (409, 200)), statuses
        assert guest.client.get("/v1/users/me").status_code == 200
        assert owner.patch(f"/v1/users/{guest.id}", json={"role": "viewer"}).status_code == 200
        if statuses[0] == 409:
            assert owner.delete(f"/v1/roles/{name}").status_code == 204
    owner.delete(f"/v1/users/{guest.id}")
    guest.client.close()
