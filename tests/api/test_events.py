"""Server-sent events: what they carry, where a client that comes back goes on, and when they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from qstore_appliance.api.live import connections
from qstore_appliance.domain.accounts import ApiKeyDraft
from qstore_appliance.domain.events import COST_UPDATES, CostUpdate, Event
from tests.api.conftest import Client, Served
from tests.api.listening import tell
from tests.factories import make_job_row

PATIENCE = 10.0


class Stream:
    """The events of one answer, one by one: name, id and data."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def hear(self) -> tuple[str, str, Any]:
        name, id = "message", ""
        async with asyncio.timeout(PATIENCE):
            async for line in self._lines:
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("id: "):
                    id = line[4:]
                elif line.startswith("data: "):
                    return name, id, json.loads(line[6:])
        raise EOFError

    async def ended(self) -> list[str]:
        """What comes until the end, by name."""
        names: list[str] = []
        while True:
            try:
                names.append((await self.hear())[0])
            except EOFError:
                return names


@asynccontextmanager
async def listen(client: httpx.AsyncClient, channels: str, last: str | None = None) -> AsyncIterator[Stream]:
    headers = {} if last is None else {"Last-Event-ID": last}
    async with client.stream("GET", "/v1/events", params={"channels": channels}, headers=headers) as answer:
        yield Stream(answer)


@pytest_asyncio.fixture
async def job(served: Served) -> str:
    return str((await make_job_row(await served.caller("owner"))).id)


async def spend(served: Served, amount: float) -> None:
    organization = (await served.caller("owner")).organization_id
    update = CostUpdate(
        current_spend=amount, budget_limit=None, percentage_used=None, timestamp=served.appliance.clock.now()
    )
    event = Event(organization_id=organization, channel=COST_UPDATES, subject="", seq=0, data=update)
    await served.appliance.events.publish(event)


async def test_channels_travel_together(served: Served, owner: httpx.AsyncClient, job: str) -> None:
    """Several channels in one stream: each event under its own name, with the payload and nothing else."""
    async with listen(owner, f"job.progress:{job},job.logs:{job},cost.updates") as stream:
        subscribed = [await stream.hear() for _ in range(3)]
        await tell(served, job, range(1, 2))
        await spend(served, 12.5)
        events = sorted([await stream.hear() for _ in range(3)], key=lambda event: event[0])

    assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
    assert [name for name, _, _ in subscribed] == ["subscribed"] * 3
    assert [name for name, _, _ in events] == ["cost.update", "job.logs", "job.progress"]
    assert events[0][2]["current_spend"] == 12.5
    assert events[1][2].items() >= {"job_id": job, "level": "INFO", "message": "Epoch 1"}.items()
    assert events[2][2]["current_epoch"] == 1


async def test_who_comes_back_goes_on_in_every_channel(served: Served, owner: httpx.AsyncClient, job: str) -> None:
    """`Last-Event-ID` brings each channel back to its own place: nothing missing, nothing twice, stored or not."""
    channels = f"job.progress:{job},cost.updates"
    await tell(served, job, range(1, 4))
    async with listen(owner, channels) as stream:
        last = [await stream.hear() for _ in range(2)][-1][1]
    await spend(served, 1.0)
    await tell(served, job, range(4, 6))

    events: list[tuple[str, Any, Any]] = []
    for _ in range(3):
        # One event at a time, and gone again: the id of each has to hold the places of both channels.
        async with listen(owner, channels, last) as stream:
            name = "subscribed"
            while name == "subscribed":
                name, last, data = await stream.hear()
            events.append((name, data.get("current_epoch"), data.get("current_spend")))

    assert sorted(events, key=str) == [
        ("cost.update", None, 1.0),
        ("job.progress", 4, None),
        ("job.progress", 5, None),
    ]
    async with listen(owner, channels, last) as stream:
        assert [(await stream.hear())[0] for _ in range(2)] == ["subscribed"] * 2


@pytest.mark.parametrize("last", ["x", "9999", "1@stream_old", "1,2,3", "-5", "1@2@3"])
async def test_a_place_that_is_gone_is_told(served: Served, owner: httpx.AsyncClient, job: str, last: str) -> None:
    """A number from elsewhere is answered by a `reset` with the number from which on nothing is missing."""
    await tell(served, job, range(1, 4))
    async with listen(owner, f"job.progress:{job}", last) as stream:
        name, _, subscribed = await stream.hear()
        assert (name, subscribed["seq"]) == ("subscribed", 9)
        # The number alone counts where the stream follows from the channel.
        if "@" not in last:
            name, id, reset = await stream.hear()
            assert (name, id, reset["seq"]) == ("reset", "9", 9)


async def test_a_job_log_goes_on_after_its_last_line(served: Served, owner: httpx.AsyncClient, job: str) -> None:
    """The followed log takes `Last-Event-ID` too."""
    await tell(served, job, range(1, 6))
    headers = {"Last-Event-ID": "7"}
    async with owner.stream("GET", f"/v1/jobs/{job}/logs?follow=true&lines=1", headers=headers) as answer:
        stream = Stream(answer)
        lines = [await stream.hear() for _ in range(2)]

    assert [(id, data["message"]) for _, id, data in lines] == [("10", "Epoch 4"), ("13", "Epoch 5")]


@pytest.mark.parametrize(
    ("channels", "status"),
    [
        ("", 422),
        ("job.secrets", 422),
        ("job.progress", 422),
        ("cost.updates:x", 422),
        ("cost.updates,cost.updates", 422),
        (",".join(f"job.progress:job_{number}" for number in range(21)), 422),
        ("job.progress:job_01k00000000000000000000000", 404),
        ("backend.status:backend_none_001", 404),
        ("deployment.status:deploy_01k00000000000000000000000", 404),
    ],
)
async def test_what_is_wrong_is_said_before_it_begins(owner: httpx.AsyncClient, channels: str, status: int) -> None:
    """A wrong request is an ordinary error, not a stream."""
    answer = await owner.get("/v1/events", params={"channels": channels})

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == ("VALIDATION_ERROR" if status == 422 else "NOT_FOUND")


async def test_permissions_are_those_of_the_channel(served: Served, client: Client, job: str) -> None:
    """Nobody without credentials, nobody from another organization, and no key without the scope."""
    key = await served.appliance.accounts.create_key(
        await served.caller("owner"), ApiKeyDraft(name="k", scopes=["circuits:read"])
    )
    address = f"/v1/events?channels=job.progress:{job}"

    assert (await client(None).get(address)).status_code == 401
    assert (await client("stranger").get(address)).status_code == 404
    assert (await client(None, **{"X-API-Key": key.key}).get(address)).status_code == 403


async def test_authority_lost_ends_a_stream(served: Served, client: Client, job: str) -> None:
    """Who signs out hears why, and the stream ends; coming back is 401."""
    developer = client("developer")
    async with listen(developer, f"job.progress:{job}") as stream:
        await stream.hear()
        await served.appliance.sessions.sign_out(await served.caller("developer"))

        assert await stream.ended() == ["bye"]
    assert (await developer.get(f"/v1/events?channels=job.progress:{job}")).status_code == 401


async def test_a_stop_ends_streams(served: Served, owner: httpx.AsyncClient, job: str) -> None:
    """A server that stops says so in every stream and does not wait for them."""
    async with listen(owner, f"job.progress:{job}") as stream:
        await stream.hear()
        async with asyncio.timeout(PATIENCE):
            stopping = asyncio.create_task(served.server.stop())

            assert await stream.ended() == ["bye"]
            await stopping


async def test_nobody_holds_any_number_of_streams(
    served: Served, client: Client, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams of all kinds count together for one caller, and the one too many is 429."""
    monkeypatch.setattr(connections, "MAX_STREAMS", 1)
    owner = client("owner")
    async with listen(owner, f"job.progress:{job}") as stream:
        await stream.hear()

        assert (await owner.get(f"/v1/jobs/{job}/logs?follow=true")).status_code == 429
