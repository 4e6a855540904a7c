"""
What travels over `/v1/ws`: JSON text frames, one object each.

Clients send `auth`, `subscribe`, `unsubscribe`, `ping`; the server sends `authenticated`, `subscribed`, `unsubscribed`,
`event`, `events`, `reset`, `error`, `pong`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from qstore_appliance.api.envelope import fault
from qstore_appliance.domain.events import CHANNELS
from qstore_appliance.errors import Malformed, QStoreError, ValidationFailed
from qstore_appliance.services.windows import Entry

#: Fields of a subscription that say what it is about.
SUBJECTS = tuple(sorted({channel.subject for channel in CHANNELS.values() if channel.subject}))


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """Something a client says."""


class Auth(Frame, frozen=True, kw_only=True, tag="auth"):
    """The first frame, unless the handshake carried the dashboard's cookie. One of the two."""

    token: str | None = None
    api_key: str | None = None


class Subscribe(Frame, frozen=True, kw_only=True, tag="subscribe"):
    """`last_seq`: the last event that the client saw; what came after it is sent first, nothing twice."""

    channel: str
    job_id: str | None = None
    backend_id: str | None = None
    deployment_id: str | None = None
    last_seq: int | None = None
    stream: str | None = None


class Unsubscribe(Frame, frozen=True, kw_only=True, tag="unsubscribe"):
    channel: str
    job_id: str | None = None
    backend_id: str | None = None
    deployment_id: str | None = None


class Ping(Frame, frozen=True, kw_only=True, tag="ping"):
    id: int | str | None = None


_decoder = msgspec.json.Decoder(Auth | Subscribe | Unsubscribe | Ping)
_encode = msgspec.json.Encoder().encode


def read(text: str) -> Auth | Subscribe | Unsubscribe | Ping:
    """
    Raises:
        Malformed: Not JSON.
        ValidationFailed: No such frame, or a field that does not fit.
    """
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise ValidationFailed.field("frame", str(error)) from None
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise Malformed("The frame is not JSON.") from None


def subject(frame: Subscribe | Unsubscribe) -> str | None:
    """
    The id of what a frame is about; None where it names nothing.

    Raises:
        ValidationFailed: It names something that its channel is not about.
    """
    channel = CHANNELS.get(frame.channel)
    wanted = channel.subject if channel is not None else None
    for name in SUBJECTS:
        if name != wanted and channel is not None and getattr(frame, name) is not None:
            raise ValidationFailed.field(name, f"{frame.channel} is not about that")
    return getattr(frame, wanted) if wanted else None


def named(frame: Subscribe | Unsubscribe) -> dict[str, Any]:
    """What a frame is about, as answers to it say, whether it makes sense or not."""
    channel = CHANNELS.get(frame.channel)
    return about(frame.channel, getattr(frame, channel.subject) if channel is not None and channel.subject else None)


def about(channel: str, subject: str | None) -> dict[str, Any]:
    """How frames name a subscription."""
    known = CHANNELS.get(channel)
    name = known.subject if known is not None else None
    return {"channel": channel[:64], name: subject[:64]} if name and subject else {"channel": channel[:64]}


def authenticated(user_id: str, organization_id: str) -> dict[str, Any]:
    return {"type": "authenticated", "user_id": user_id, "organization_id": organization_id}


def subscribed(channel: str, subject: str, stream: str, seq: int) -> dict[str, Any]:
    """`seq`: where the stream stands now; events that follow carry larger ones."""
    return {"type": "subscribed", **about(channel, subject), "stream": stream, "seq": seq}


def unsubscribed(channel: str, subject: str) -> dict[str, Any]:
    return {"type": "unsubscribed", **about(channel, subject)}


def reset(channel: str, subject: str, stream: str, seq: int) -> dict[str, Any]:
    """What lies between the client's last event and `seq` is gone: it must read the job again."""
    return {"type": "reset", **about(channel, subject), "stream": stream, "seq": seq}


def error(cause: QStoreError, re: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "error", **(re or {}), "error": fault(cause)}


def pong(id: int | str | None) -> dict[str, Any]:
    return {"type": "pong"} if id is None else {"type": "pong", "id": id}


def written(frame: dict[str, Any]) -> bytes:
    """A frame as JSON."""
    return _encode(frame)


def events(channel: str, subject: str, entries: Sequence[Entry]) -> bytes:
    """Events as JSON: one as an `event`, several as `events`. What was encoded once is not encoded again."""
    start = _encode({"type": "event", **about(channel, subject)})[:-1] + b',"seq":'
    texts = [b'%b%d,"data":%b}' % (start, entry.seq, entry.data) for entry in entries]
    return texts[0] if len(texts) == 1 else b'{"type":"events","events":[' + b",".join(texts) + b"]}"
