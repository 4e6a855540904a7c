"""`Idempotency-Key`: what is asked twice is done once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from qstore_appliance.domain.listing import Page
from tests.api.conftest import Client, Served
from tests.factories import make_circuit_draft

BODY = make_circuit_draft().model_dump(exclude_none=True)
KEY = {"Idempotency-Key": "first-1"}


async def test_the_second_answer_is_the_first(owner: httpx.AsyncClient) -> None:
    """The same POST with the same key answers the same bytes, says so, and makes one circuit."""
    first = await owner.post("/v1/circuits", json=BODY, headers=KEY)
    second = await owner.post("/v1/circuits", json=BODY, headers=KEY)

    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (await owner.get("/v1/circuits")).json()["meta"]["total"] == 1


async def test_another_body_is_a_conflict(owner: httpx.AsyncClient) -> None:
    """A key that was used for something else is 409."""
    await owner.post("/v1/circuits", json=BODY, headers=KEY)

    answer = await owner.post("/v1/circuits", json=BODY | {"name": "other"}, headers=KEY)

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")


async def test_keys_of_others_never_meet(client: Client) -> None:
    """The same key of another user, in another organization or the same, is another key."""
    ids = {
        (await client(role).post("/v1/circuits", json=BODY, headers=KEY)).json()["data"]["id"]
        for role in ("owner", "developer", "stranger")
    }

    assert len(ids) == 3


async def test_twenty_at_once_make_one(owner: httpx.AsyncClient) -> None:
    """Of twenty equal requests at once one does it; the others get its answer or 409 with Retry-After."""
    answers = await asyncio.gather(*(owner.post("/v1/circuits", json=BODY, headers=KEY) for _ in range(20)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["data"]["id"] for answer in answers if answer.status_code == 201}) == 1
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 409)
    assert (await owner.get("/v1/circuits")).json()["meta"]["total"] == 1


async def test_a_refusal_is_not_kept(owner: httpx.AsyncClient) -> None:
    """After an answer that created nothing, the corrected request may use the same key."""
    refused = await owner.post("/v1/circuits", json=BODY | {"gates": []}, headers=KEY)
    corrected = await owner.post("/v1/circuits", json=BODY, headers=KEY)

    assert (refused.status_code, corrected.status_code) == (422, 201)


@pytest.mark.parametrize("key", ["", "x" * 129, "with space", "ä"])
async def test_keys_that_are_none(owner: httpx.AsyncClient, key: str) -> None:
    """A key is 1 to 128 visible characters."""
    answer = await owner.post("/v1/circuits", json=BODY, headers={"Idempotency-Key": key.encode()})

    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["errors"][0]["field"] == "Idempotency-Key"


async def test_an_api_keys_secret_is_not_kept(owner: httpx.AsyncClient) -> None:
    """Repeating the creation of a key makes no second one, and does not show the secret again."""
    body = {"name": "k", "scopes": ["jobs:read"]}
    first = (await owner.post("/v1/api-keys", json=body, headers=KEY)).json()["data"]
    second = (await owner.post("/v1/api-keys", json=body, headers=KEY)).json()["data"]

    assert first["key"].startswith("qsk_live_")
    assert second == first | {"key": None}


async def test_a_webhook_secret_is_not_kept(owner: httpx.AsyncClient) -> None:
    """Nor does a repetition show what webhooks are signed with."""
    headers = {"Idempotency-Key": "rotate"}
    first, second = [await owner.post("/v1/webhooks/secret", headers=headers) for _ in range(2)]

    assert first.json()["data"]["secret"]
    assert second.json()["data"] == {"secret": None}


async def test_a_client_that_gives_up_finds_its_answer(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that a client did not wait for goes on, and its repetition finds what became of it."""
    create = served.appliance.circuits.create

    async def slow(*arguments: Any) -> Any:
        await asyncio.sleep(0.2)
        return await create(*arguments)

    monkeypatch.setattr(served.appliance.circuits, "create", slow)
    with pytest.raises(httpx.ReadTimeout):
        await client("owner").post("/v1/circuits", json=BODY, headers=KEY, timeout=0.1)
    await asyncio.sleep(0.4)

    answer = await client("owner").post("/v1/circuits", json=BODY, headers=KEY)

    assert (answer.status_code, answer.headers.get("Idempotent-Replayed")) == (201, "true")
    assert (await served.appliance.circuits.listed(await served.caller("owner"), Page(), [])).total == 1


async def test_done_and_not_told(owner: httpx.AsyncClient, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server dies between making a circuit and keeping the answer, the repetition makes no second one."""
    service = served.appliance.idempotency
    died = asyncio.Event()

    async def die(*place: str, **answer: Any) -> None:
        await died.wait()

    monkeypatch.setattr(service, "finish", die)
    with pytest.raises(httpx.ReadTimeout):
        await owner.post("/v1/circuits", json=BODY, headers=KEY, timeout=1)
    await service.reopen()

    answer = await owner.post("/v1/circuits", json=BODY, headers=KEY)

    assert (answer.status_code, answer.json()["error"]["details"]) == (409, {"done": True})
    assert (await owner.get("/v1/circuits")).json()["meta"]["total"] == 1
    died.set()
