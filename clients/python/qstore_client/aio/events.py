"""Live channels over one WebSocket each, which comes back by itself and misses nothing."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, TypeVar

from qstore_client.aio.http import Http
from qstore_client.aio.wire import PATIENCE, Closed, Socket, sleep
from qstore_client.bodies import sent
from qstore_client.decoding import decode
from qstore_client.errors import ConnectionFailed, Unauthenticated, api_error
from qstore_client.live import Event
from qstore_client.retries import pause
from qstore_client.types import CostUpdate, Notification

T = TypeVar("T")

#: Close codes: whose authority ended; who was refused for what they said.
NO_AUTHORITY = 4401
FINAL = frozenset({1003, 1007, 1008, 1009})
#: Without a connection for so long a stream gives up.
AWAY_SECONDS = 300.0


class Events:
    """`GET /v1/events` and `/v1/ws`: everything that happens, as it happens."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def subscribe(
        self,
        *channels: str,
        last_seq: int | None = None,
        stream: str | None = None,
        away_seconds: float = AWAY_SECONDS,
        **about: str,
    ) -> AsyncGenerator[Event, None]:
        """
        Events of channels until you stop listening; a lost connection is made again and goes on where it was.

        Args:
            about: What the channels are about: `job_id`, `backend_id` or `deployment_id`.
            last_seq: The last event that you have seen; with `stream` where the channel is not a job's.
            away_seconds: How long the server may be away.

        Raises:
            NotFound, Forbidden, ValidationFailed, Unauthenticated: The subscription is refused, or is over.
            ConnectionFailed: The server stayed away.
        """
        places = {channel: _Place(last_seq, stream) for channel in channels}
        away_since, attempt, renewed = time.monotonic(), 0, False
        while True:
            credential = await self._http.credential()
            missing = set(channels)
            try:
                async with self._socket() as socket:
                    await self._enter(socket, credential)
                    renewed = False
                    for channel, place in places.items():
                        wanted = {"type": "subscribe", "channel": channel, **about, **place.told()}
                        await socket.send(json.dumps(wanted))
                    while True:
                        # Events are waited for as long as it takes; answers are not.
                        frame = json.loads(await socket.receive(PATIENCE if missing else None))
                        kind = frame["type"]
                        if kind == "error":
                            raise api_error(frame["error"])
                        if kind in ("subscribed", "reset"):
                            channel, attempt = frame["channel"], 0
                            missing.discard(channel)
                            place = places[channel]
                            place.stream = frame["stream"]
                            if kind == "reset" or place.last_seq is None:
                                place.last_seq = frame["seq"]
                            if kind == "reset":
                                yield Event(channel, frame["seq"], frame["stream"], {}, reset=True)
                        for event in frame.get("events", [frame] if kind == "event" else []):
                            place = places[event["channel"]]
                            place.last_seq = event["seq"]
                            yield Event(event["channel"], event["seq"], place.stream, event["data"])
            except Closed as closed:
                if closed.code in FINAL:
                    raise ConnectionFailed(f"The server ended the connection: {closed}") from closed
                if closed.code == NO_AUTHORITY:
                    if renewed or not await self._http.renew(credential.get("token")):
                        raise Unauthenticated("UNAUTHENTICATED", "The session has ended.") from closed
                    renewed = True
                    continue
                if not missing:
                    away_since = time.monotonic()
                if time.monotonic() - away_since > away_seconds:
                    raise ConnectionFailed(f"{self._http.base_url}: {closed}") from closed
                await sleep(min(2.0, pause(attempt)))
                attempt += 1

    async def notifications(self) -> AsyncGenerator[Notification, None]:
        """What people of the organization want to know: ended jobs, deployments, alerts of the budget."""
        async for event in self.subscribe("notifications"):
            if not event.reset:
                yield told(Notification, event)

    async def costs(self) -> AsyncGenerator[CostUpdate, None]:
        """What the organization has spent, whenever that or the limit changes."""
        async for event in self.subscribe("cost.updates"):
            if not event.reset:
                yield told(CostUpdate, event)

    async def _enter(self, socket: Socket, credential: dict[str, str]) -> None:
        if not credential:
            raise Unauthenticated("UNAUTHENTICATED", "Live channels need an API key, a token, or a user.")
        await socket.send(json.dumps({"type": "auth", **credential}))
        frame = json.loads(await socket.receive(PATIENCE))
        if frame["type"] == "error":
            refused = api_error(frame["error"])
            if isinstance(refused, Unauthenticated):
                raise Closed(NO_AUTHORITY, refused.message)
            if refused.code == "UNAVAILABLE":
                raise Closed(None, refused.message)
            raise refused

    def _socket(self) -> Socket:
        url = self._http.base_url.replace("http", "ws", 1) + "/v1/ws"
        tls: ssl.SSLContext | None = None
        if url.startswith("wss"):
            tls = self._http.verify if isinstance(self._http.verify, ssl.SSLContext) else ssl.create_default_context()
            if self._http.verify is False:
                tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        return Socket(url, tls=tls, proxy=self._http.trust_env)


@dataclass
class _Place:
    """Where a channel's subscription goes on."""

    last_seq: int | None
    stream: str | None

    def told(self) -> dict[str, Any]:
        return sent(last_seq=self.last_seq, stream=self.stream if self.last_seq is not None else None)


def told(kind: type[T], event: Event) -> T:
    """An event's data as its type, with its number."""
    return decode(kind, {**event.data, "seq": event.seq})
