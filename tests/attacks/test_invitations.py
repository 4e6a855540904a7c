"""A15 and A17: links that invite, and roles that somebody would rather have."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from qstore_appliance.domain import ids
from tests.acceptance.processes import data
from tests.attacks.conftest import Fortress, code

PASSWORD = "a phrase of the guest's own"
_numbers = itertools.count(1)


class Guest(NamedTuple):
    """Somebody who came by a link."""

    id: str
    email: str
    client: httpx.Client
    token: str


def address() -> str:
    return f"guest{next(_numbers)}@invited.example"


def invite(client: httpx.Client, email: str, role: str = "developer") -> tuple[str, str]:
    """The id of a new invitation, and the token of its link."""
    made = data(client.post("/v1/invitations", json={"email": email, "role": role}))
    return made["id"], made["link"].partition("#")[2]


def sign_in(fortress: Fortress, email: str) -> tuple[httpx.Client, str]:
    grant = {"grant_type": "password", "email": email, "password": PASSWORD}
    with fortress.client(None) as nobody:
        token = data(nobody.post("/v1/auth/token", json=grant))["access_token"]
    return fortress.client(None, Authorization=f"Bearer {token}"), token


def guests(fortress: Fortress, owner: httpx.Client, *roles: str) -> list[Guest]:
    """New members with these roles, signed in."""
    found = []
    for role in roles:
        email = address()
        _, link = invite(owner, email, role)
        with fortress.client(None) as nobody:
            body = {"token": link, "password": PASSWORD}
            joined = data(nobody.post("/v1/invitations/accept", json=body))
        client, token = sign_in(fortress, email)
        found.append(Guest(joined["user_id"], email, client, token))
    return found


@pytest.fixture
def house(fortress: Fortress, owner: httpx.Client) -> Iterator[list[Guest]]:
    """An owner, an administrator and a developer more; gone afterwards."""
    made = guests(fortress, owner, "owner", "admin", "developer")
    yield made
    for guest in made:
        owner.patch(f"/v1/users/{guest.id}", json={"disabled": False})
        owner.delete(f"/v1/users/{guest.id}")
        guest.client.close()


# Links -----------------------------------------------------------------------------------------------------------


@pytest.mark.attack("A15")
def test_a_link_again(fortress: Fortress, owner: httpx.Client, anonymous: httpx.Client) -> None:
    """A link that was used, by the same or by another, at once or by twenty at the same moment, opens once."""
    _, link = invite(owner, address())
    bodies = [{"token": link, "password": f"{PASSWORD} {number}"} for number in range(20)]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda body: anonymous.post("/v1/invitations/accept", json=body), bodies))

    assert [answer.status_code for answer in answers].count(201) == 1
    # Who came a moment later found an account of that address, with another password than theirs.
    assert {code(answer) for answer in answers if answer.status_code != 201} <= {
        *("GONE", "CONFLICT", "UNAUTHENTICATED", "RATE_LIMITED")
    }
    for path, more in (("offer", {}), ("accept", {"password": PASSWORD}), ("join", {})):
        client = owner if path == "join" else anonymous
        again = client.post(f"/v1/invitations/{path}", json={"token": link} | more)
        assert (again.status_code, code(again)) == (410, "GONE"), path


def bent(link: str, id: str) -> list[str]:
    """What somebody makes of a link, or of an id that they have read somewhere."""
    mine, _, secret = link.partition(".")
    return [
        *(f"{id}.{secret}", f"{id}.", id, f"{id}.{secret[:-1]}", f"{mine}.{secret[::-1]}", f"{mine.upper()}.{secret}"),
        *(f"{mine}.{secret}=", f"{mine}..{secret}", f" {link}", f"{link}.{secret}", secret, "", "null", "A" * 200),
    ]


@pytest.mark.attack("A15")
def test_a_link_of_another_organization(owner: httpx.Client, stranger: httpx.Client, anonymous: httpx.Client) -> None:
    """A link opens its own organization to its own address; with another's id, secret or spelling it opens nothing."""
    theirs, _ = invite(owner, email := address(), "admin")
    _, mine = invite(stranger, address(), "owner")

    for token in bent(mine, theirs):
        for path, more in (("offer", {}), ("accept", {"password": PASSWORD})):
            answer = anonymous.post(f"/v1/invitations/{path}", json={"token": token} | more)
            assert (answer.status_code, code(answer)) == (410, "GONE"), token

    for client, expected in ((stranger, 404), (owner, 204)):
        assert client.delete(f"/v1/invitations/{theirs}").status_code == expected
    assert email not in stranger.get("/v1/invitations?limit=100").text


@pytest.mark.attack("A15")
def test_a_link_for_somebody_else(fortress: Fortress, owner: httpx.Client, house: list[Guest]) -> None:
    """Who is signed in under another address, or by a key, does not join with a link that they have come by."""
    _, link = invite(owner, address())
    key = data(house[0].client.post("/v1/api-keys", json={"name": "k", "scopes": ["users:*"]}))["key"]
    with fortress.client("stranger") as stranger, fortress.client(None, **{"X-API-Key": key}) as by_key:
        for client in (stranger, by_key, house[2].client):
            assert client.post("/v1/invitations/join", json={"token": link}).status_code == 403


@pytest.mark.attack("A15")
def test_an_address_that_is_somebody_elses(
    fortress: Fortress, owner: httpx.Client, stranger: httpx.Client, anonymous: httpx.Client
) -> None:
    """Inviting an address that has an account gives nobody but its owner a way in, nor a way to set its password."""
    _, link = invite(stranger, "owner@example.org", "owner")

    answer = anonymous.post("/v1/invitations/accept", json={"token": link, "password": "a password of the attacker's"})

    assert (answer.status_code, code(answer)) == (401, "UNAUTHENTICATED")
    assert owner.get("/v1/users/me").status_code == 200
    assert owner.patch("/v1/users/me", json={"email": "victim@example.org"}).status_code == 422


@pytest.mark.attack("A15")
def test_a_link_gives_what_its_maker_has(fortress: Fortress, owner: httpx.Client, anonymous: httpx.Client) -> None:
    """Nobody invites to more than they have; a link of somebody who was removed is worth nothing."""
    (admin,) = guests(fortress, owner, "admin")
    assert admin.client.post("/v1/invitations", json={"email": address(), "role": "owner"}).status_code == 403
    _, link = invite(admin.client, address(), "admin")
    assert owner.delete(f"/v1/users/{admin.id}").status_code == 204

    answer = anonymous.post("/v1/invitations/accept", json={"token": link, "password": PASSWORD})

    assert (answer.status_code, code(answer)) == (410, "GONE")
    admin.client.close()


# Roles -----------------------------------------------------------------------------------------------------------


@pytest.mark.attack("A17")
def test_climbing(house: list[Guest], owner: httpx.Client) -> None:
    """Nobody makes themselves more, by no route: 403, and everybody is what they were."""
    chief, admin, developer = house
    attempts: list[tuple[Guest, str, str, dict[str, Any]]] = [
        (admin, "PATCH", f"/v1/users/{admin.id}", {"role": "owner"}),
        (admin, "PATCH", f"/v1/users/{developer.id}", {"role": "owner"}),
        (admin, "PATCH", f"/v1/users/{chief.id}", {"role": "viewer"}),
        (admin, "PATCH", f"/v1/users/{chief.id}", {"disabled": True}),
        (admin, "DELETE", f"/v1/users/{chief.id}", {}),
        (admin, "POST", "/v1/organization/transfer", {"user_id": admin.id}),
        (developer, "PATCH", f"/v1/users/{developer.id}", {"role": "admin"}),
        (developer, "DELETE", f"/v1/users/{admin.id}", {}),
        (developer, "POST", "/v1/invitations", {"email": address(), "role": "admin"}),
        (developer, "PATCH", "/v1/organization", {"settings": {"enable_hardware": True}}),
    ]
    for who, method, path, body in attempts:
        answer = who.client.request(method, path, json=body or None)
        assert answer.status_code == 403, (who.email, method, path)

    roles = {row["id"]: (row["role"], row["disabled"]) for row in data(owner.get("/v1/users?limit=100"))}
    assert [roles[one.id] for one in house] == [("owner", False), ("admin", False), ("developer", False)]


@pytest.mark.attack("A17")
def test_a_key_that_climbs(fortress: Fortress, house: list[Guest], owner: httpx.Client) -> None:
    """An owner's key with users:* and nothing else makes nobody anything, itself least of all."""
    key = data(house[0].client.post("/v1/api-keys", json={"name": "k", "scopes": ["users:*"]}))["key"]
    with fortress.client(None, **{"X-API-Key": key}) as client:
        for answer in (
            client.patch(f"/v1/users/{house[2].id}", json={"role": "admin"}),
            client.post("/v1/invitations", json={"email": address(), "role": "viewer"}),
            client.delete(f"/v1/users/{house[1].id}"),
            client.post("/v1/organization/transfer", json={"user_id": house[2].id}),
            client.post("/v1/auth/switch", json={"organization_id": ids.new("org")}),
        ):
            assert answer.status_code == 403, answer.request.url


@pytest.mark.attack("A17")
@pytest.mark.parametrize("round", range(3))
def test_the_last_owner(fortress: Fortress, round: int) -> None:
    """Of two owners who demote, keep out or remove each other at the same moment one stays, in every round."""
    # An organization of their own: the other tests' owner would be a third.
    with fortress.client("stranger") as home:
        email = address()
        _, link = invite(home, email, "owner")
        me = data(home.get("/v1/users/me"))["id"]
        with fortress.client(None) as nobody:
            other_id = data(nobody.post("/v1/invitations/accept", json={"token": link, "password": PASSWORD}))[
                "user_id"
            ]
        other, _ = sign_in(fortress, email)
        down: dict[str, Any] = {"role": "admin"} if round != 1 else {"role": "viewer"}
        with ThreadPoolExecutor(2) as pool:
            # Each steps down themselves: whoever comes second would leave nobody.
            first = pool.submit(home.patch, f"/v1/users/{me}", json=down)
            second = pool.submit(other.patch, f"/v1/users/{other_id}", json=down)
            answers = [first.result(), second.result()]
        left = [home, other][[answer.status_code for answer in answers].index(409)]
        refused = next(answer for answer in answers if answer.status_code == 409)
        assert code(refused) == "LAST_OWNER"
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        # Whoever stayed puts everything back.
        assert left.patch(f"/v1/users/{me}", json={"role": "owner"}).status_code == 200
        assert home.delete(f"/v1/users/{other_id}").status_code == 204
        other.close()


@pytest.mark.attack("A17")
def test_who_is_kept_out(fortress: Fortress, house: list[Guest], owner: httpx.Client) -> None:
    """Token, key and open socket of somebody who is kept out are dead at once, and their sign-in too."""
    developer = house[2]
    key = data(developer.client.post("/v1/api-keys", json={"name": "k", "scopes": ["circuits:read"]}))["key"]
    place = fortress.url.replace("http", "ws") + "/v1/ws"
    with connect(place, proxy=None) as socket, fortress.client(None, **{"X-API-Key": key}) as by_key:
        socket.send(json.dumps({"type": "auth", "token": developer.token}))
        assert json.loads(socket.recv(30))["type"] == "authenticated"
        assert by_key.get("/v1/circuits").status_code == 200

        assert owner.patch(f"/v1/users/{developer.id}", json={"disabled": True}).status_code == 200

        assert developer.client.get("/v1/users/me").status_code == 401
        assert by_key.get("/v1/circuits").status_code == 401
        with contextlib.suppress(ConnectionClosed):
            while True:
                socket.recv(30)
        assert socket.close_code == 4401
        grant = {"grant_type": "password", "email": developer.email, "password": PASSWORD}
        with fortress.client(None) as nobody:
            assert nobody.post("/v1/auth/token", json=grant).status_code == 401
