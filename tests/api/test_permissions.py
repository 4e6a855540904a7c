"""Who may do what: every route is asked as nobody, as somebody without its permission, and as a stranger."""

from __future__ import annotations

import re
from typing import Any

import httpx

from qstore_appliance.api.app import create_app, endpoints
from qstore_appliance.api.registry import PUBLIC, SIGNED_IN, Endpoint
from qstore_appliance.database.tables.models import DeploymentRow
from qstore_appliance.database.tables.sweeps import SweepRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import SCOPES, ApiKeyDraft, Role, allows, is_scope
from qstore_appliance.domain.outbox import Channel
from qstore_appliance.settings import Settings
from tests.api.conftest import Client, Served
from tests.factories import make_job_row, make_model_row

GUARDED = [endpoint for endpoint in endpoints() if endpoint.permission != PUBLIC]
SCOPED = [endpoint for endpoint in GUARDED if endpoint.permission != SIGNED_IN]
OF_ONE = [endpoint for endpoint in SCOPED if "{id}" in endpoint.path and endpoint.tag != "backends"]
KINDS = {"circuits": "circuit", "datasets": "dataset", "jobs": "job", "models": "model", "deployments": "deploy",
         "sweeps": "sweep", "api-keys": "key", "outbox": "outbox", "users": "user",
         "invitations": "invite"}  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "/v1/models/{id}/predict": {"inputs": [[0.0]]},
    "/v1/models/{id}/promote": {"stage": "production"},
    "/v1/jobs/{id}/top-up": {"budget_limit": 1.0},
    "/v1/users/{id}": {"role": "viewer"},
}


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def told(endpoint: Endpoint, answer: httpx.Response) -> tuple[str, dict[str, Any]]:
    """The code of a refusal and its details, in our envelope, in IonQ's shape or in GraphQL's."""
    body = answer.json()
    if endpoint.tag == "graphql":
        return body["errors"][0]["extensions"]["code"], body["errors"][0]["extensions"]["details"]
    if endpoint.tag == "ionq":
        return body["error"], body.get("details", {})
    return body["error"]["code"], body["error"]["details"]


def address(endpoint: Endpoint, id: str = "x") -> str:
    return re.sub(r"{\w+}", id, endpoint.path)


def test_the_public_list_is_short() -> None:
    """Without credentials there is nothing but probes, the documentation and the door."""
    public = {name(endpoint) for endpoint in endpoints() if endpoint.permission == PUBLIC}

    assert public == {
        *(
            "GET /health",
            "GET /ready",
            "GET /openapi.json",
            "GET /downloads",
            "GET /downloads/{name}",
            "POST /v1/auth/token",
        ),
        *("POST /v1/auth/password-reset", "POST /v1/auth/password-reset/confirm"),
        *("POST /v1/invitations/offer", "POST /v1/invitations/accept"),
    }


def test_every_permission_is_a_scope_that_a_role_has() -> None:
    """A route asks for scopes that exist, and the owner may use every route."""
    for endpoint in SCOPED:
        assert is_scope(endpoint.permission), name(endpoint)
        assert allows(SCOPES[Role.OWNER], endpoint.permission), name(endpoint)


def test_no_route_is_undeclared(settings: Settings) -> None:
    """Every address of the API in the router comes from a declaration, so that none escapes these tests."""
    app = create_app(settings)
    undeclared = {route.path for route in app.router.routes if not hasattr(route.ctx, "endpoint")}

    assert {path for path in undeclared if not path.startswith("app")} == {
        "", "favicon.ico", "v1/ws", "socket.io", "graphql", "docs", "redoc"
    }  # fmt: skip
    assert {endpoint.path for endpoint in endpoints()} == {
        route.ctx.endpoint.path for route in app.router.routes if hasattr(route.ctx, "endpoint")
    }
    type(app).unregister_app(app)


async def test_nobody_is_told_to_sign_in(client: Client) -> None:
    """Without credentials, with wrong ones, or with ones that are no header of ours: 401 on every route."""
    anonymous = client(None)
    for endpoint in GUARDED:
        for headers in (
            {},
            {"Authorization": "Bearer nonsense"},
            {"Authorization": "Basic YTpi"},
            {"X-API-Key": "qsk_live_" + "a" * 24},
            {"X-HTTP-Method-Override": "GET"},
        ):
            answer = await anonymous.request(endpoint.method, address(endpoint), headers=headers)

            assert answer.status_code == 401, (name(endpoint), headers)
            assert told(endpoint, answer)[0] == "UNAUTHENTICATED"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_without_its_permission_a_route_is_forbidden(served: Served, client: Client) -> None:
    """A key that has some other scope of the same installation is refused with 403 and the permission it lacks."""
    owner, keys = await served.caller("owner"), {}
    for scope in ("backends:read", "usage:read"):
        made = await served.appliance.accounts.create_key(owner, ApiKeyDraft(name="narrow", scopes=[scope]))
        keys[scope] = made.key
    for endpoint in SCOPED:
        key = keys["usage:read" if endpoint.permission == "backends:read" else "backends:read"]

        answer = await client(None).request(endpoint.method, address(endpoint), headers={"X-API-Key": key})

        assert answer.status_code == 403, name(endpoint)
        assert told(endpoint, answer) == ("FORBIDDEN", {"permission": endpoint.permission})


async def test_what_is_not_here_is_not_found(owner: httpx.AsyncClient) -> None:
    """An id of nothing, or of nonsense, is 404 on every route that takes one."""
    for endpoint in OF_ONE:
        more = {"json": BODIES.get(endpoint.path, {})} if endpoint.body else {}
        for id in (ids.new(KINDS[endpoint.tag]), "%00", "..%2f..%2fetc", "x" * 40, "x" * 64):
            answer = await owner.request(endpoint.method, address(endpoint, id), **more)

            assert answer.status_code == 404, (name(endpoint), id)


async def test_what_belongs_to_others_is_not_found(served: Served, client: Client) -> None:
    """Every thing of an organization is to a stranger as if it did not exist: the same status, code and words."""
    caller, owner, stranger = await served.caller("owner"), client("owner"), client("stranger")
    circuit = {"name": "c", "n_qubits": 1, "gates": [{"type": "H", "targets": [0]}]}
    model = await make_model_row(caller)
    deployment = await DeploymentRow.create(
        id=ids.new("deploy"),
        organization_id=caller.organization_id,
        model_id=model.id,
        endpoint=f"/v1/models/{model.id}/predict",
        backend="native",
        config={},
        status="retired",
        capped=False,
    )
    sweep = await SweepRow.create(
        id=ids.new("sweep"),
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        varied={},
        task="classification",
    )
    upload = await owner.post("/v1/datasets", files={"file": ("a.csv", b"a,b\n1,x\n2,y\n3,x\n4,y\n")})
    letter = ids.new("outbox")
    await served.appliance.outbox.put(caller.organization_id, Channel.EMAIL, "a@b.example", "budget.test", {}, letter)
    theirs = {
        "users": caller.user_id,
        "invitations": (
            await owner.post("/v1/invitations", json={"email": "new@example.org", "role": "viewer"})
        ).json()["data"]["id"],
        "outbox": letter,
        "circuits": (await owner.post("/v1/circuits", json=circuit)).json()["data"]["id"],
        "datasets": upload.json()["data"]["id"],
        "jobs": (await make_job_row(caller)).id,
        "sweeps": sweep.id,
        "models": model.id,
        "deployments": deployment.id,
        "api-keys": (await owner.post("/v1/api-keys", json={"name": "k", "scopes": ["jobs:read"]})).json()["data"][
            "id"
        ],
    }
    for endpoint in OF_ONE:
        more = {"json": BODIES.get(endpoint.path, {})} if endpoint.body else {}
        found, absent = [
            await stranger.request(endpoint.method, address(endpoint, id), **more)
            for id in (theirs[endpoint.tag], ids.new(KINDS[endpoint.tag]))
        ]

        assert found.status_code == absent.status_code == 404, name(endpoint)
        assert found.json()["error"]["message"] == absent.json()["error"]["message"], name(endpoint)
    for noun in theirs:
        rows = (await stranger.get(f"/v1/{noun}")).json()["data"]
        assert theirs[noun] not in {row["id"] for row in rows}


async def test_viewers_look_and_do_not_touch(client: Client) -> None:
    """A viewer reads circuits and may not store one; a developer may."""
    body = {"name": "c", "n_qubits": 1, "gates": [{"type": "H", "targets": [0]}]}

    assert (await client("viewer").get("/v1/circuits")).status_code == 200
    assert (await client("viewer").post("/v1/circuits", json=body)).status_code == 403
    assert (await client("developer").post("/v1/circuits", json=body)).status_code == 201


async def test_a_token_in_the_query_string_is_no_credential(served: Served, client: Client) -> None:
    """Addresses end up in logs and histories, so no credential is ever read from one."""
    token = served.token("owner")
    for parameter in ("token", "access_token", "api_key", "key"):
        answer: httpx.Response = await client(None).get("/v1/users/me", params={parameter: token})
        assert answer.status_code == 401
