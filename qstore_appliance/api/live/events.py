"""
`GET /v1/events`: channels as server-sent events, for everybody who has HTTP and nothing else.

Each event's id says where all channels of the stream stand, in their order: `Last-Event-ID` brings back each to its own
place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.inputs import one
from qstore_appliance.api.live import frames
from qstore_appliance.api.live.connections import Listener, listening
from qstore_appliance.api.live.eventstream import EventStream, last_event_id
from qstore_appliance.api.live.subscriptions import Key, Subscriptions
from qstore_appliance.api.registry import SIGNED_IN, Query, Routes
from qstore_appliance.domain.events import CHANNELS, JOB_CHANNELS
from qstore_appliance.errors import ValidationFailed
from qstore_appliance.services.channels import Reader
from qstore_appliance.services.windows import Entry

routes = Routes("events")

MAX_CHANNELS = 20
#: Characters that wait for a slow client before its channels are passed over.
WAITING = 65_536
#: A number that no stream has: what it stands for is gone.
NOWHERE = -1

QUERY = (
    Query(name="channels", description="Channels, separated by commas; with their subject: `job.progress:job_…`."),
)


@routes.get("/v1/events", SIGNED_IN, query=QUERY, media=("text/event-stream",))
async def events(request: Request) -> HTTPResponse | None:
    """Channels as server-sent events; `Last-Event-ID` resumes each of them where it was."""
    wanted = named(one(request, "channels") or "")
    last = last_event_id(request)
    places = resumed(last, len(wanted))
    listener = Listener(request)
    outlet = Outlet(wanted, (last or "").split(","))
    subscriptions = Subscriptions(request.app.ctx.appliance.channels, outlet, listener.caller)
    outlet.subscriptions = subscriptions
    listener.on_check = subscriptions.check
    async with listening(request, listener):
        try:
            # Whatever is wrong with the request has to be said before the stream begins.
            for (channel, subject), (seq, stream) in zip(wanted, places, strict=True):
                await subscriptions.open(channel, subject or None, seq, stream)
            await told(EventStream(request, listener), outlet, subscriptions, request.method == "HEAD")
        finally:
            subscriptions.close()
    return None


async def told(stream: EventStream, outlet: Outlet, subscriptions: Subscriptions, silent: bool) -> None:
    """Send what comes, until the listener has to leave or nothing is left to listen to."""
    await stream.open()
    while not silent and subscriptions.places() and await stream.wait(outlet.arrived.wait()):
        await stream.send(outlet.taken())
        subscriptions.go_on()
    if not silent and outlet.waiting:
        await stream.send(outlet.taken())
    await stream.close(farewell=not silent)


class Outlet:
    """
    Implements `subscriptions.Outlet`: text that waits for the one task that sends it.

    Args:
        before: The place of each channel as the client brought it, which holds until that channel is open.
    """

    subscriptions: Subscriptions

    def __init__(self, wanted: Sequence[Key], before: Sequence[str]) -> None:
        self.waiting: list[str] = []
        self.arrived = asyncio.Event()
        self._wanted = wanted
        self._before = before if len(before) == len(wanted) else [""] * len(wanted)
        self._size = 0

    def takes(self) -> bool:
        return self._size < WAITING

    def say(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        # An event named "error" would look like a broken connection to `EventSource`.
        name = "fault" if kind == "error" else kind
        self._put(f"event: {name}\nid: {self._id()}\ndata: {frames.written(frame).decode()}\n\n")

    def deliver(self, reader: Reader, entries: Sequence[Entry]) -> None:
        before, after = self._around(reader)
        name = reader.channel.spoken
        for entry in entries:
            place = before + place_of(reader, entry.seq) + after
            self._put(f"event: {name}\nid: {place}\ndata: {entry.data.decode()}\n\n")

    def taken(self) -> str:
        text = "".join(self.waiting)
        self.waiting.clear()
        self._size = 0
        self.arrived.clear()
        return text

    def _put(self, text: str) -> None:
        self.waiting.append(text)
        self._size += len(text)
        self.arrived.set()

    def _places(self) -> list[str]:
        readers = self.subscriptions.places()
        return [
            place_of(readers[key], readers[key].cursor) if key in readers else before
            for key, before in zip(self._wanted, self._before, strict=True)
        ]

    def _id(self) -> str:
        return ",".join(self._places())

    def _around(self, reader: Reader) -> tuple[str, str]:
        """The places of the channels before and after the reader's."""
        places = self._places()
        here = self._wanted.index((reader.channel.name, reader.subject))
        return "".join(f"{place}," for place in places[:here]), "".join(f",{place}" for place in places[here + 1 :])


def place_of(reader: Reader, seq: int) -> str:
    """`17`, or with the stream's name where that does not follow from the channel: `17@stream_…`."""
    return str(seq) if reader.channel.name in JOB_CHANNELS else f"{seq}@{reader.stream}"


def named(text: str) -> list[Key]:
    """
    Raises:
        ValidationFailed: None, too many, one twice, or one that does not exist.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not 1 <= len(parts) <= MAX_CHANNELS:
        raise ValidationFailed.field("channels", f"name 1 to {MAX_CHANNELS} of {', '.join(sorted(CHANNELS))}")
    wanted = []
    for part in parts:
        name, _, subject = part.partition(":")
        if name not in CHANNELS:
            raise ValidationFailed.field("channels", f"there are {', '.join(sorted(CHANNELS))}")
        wanted.append((name, subject))
    if len(set(wanted)) < len(wanted):
        raise ValidationFailed.field("channels", "names a channel twice")
    return wanted


def resumed(text: str | None, count: int) -> list[tuple[int | None, str | None]]:
    """Where each channel is to go on: number and stream. What makes no sense is a place that is gone."""
    if text is None:
        return [(None, None)] * count
    places: list[tuple[int | None, str | None]] = []
    for part in text.split(","):
        number, _, stream = part.partition("@")
        if not part:
            places.append((None, None))
        elif number.isascii() and number.isdigit() and len(number) < 19:
            places.append((int(number), stream or None))
        else:
            places.append((NOWHERE, None))
    return places if len(places) == count else [(NOWHERE, None)] * count
