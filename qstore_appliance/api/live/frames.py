"""
What travels over `/v1/ws`: JSON text frames, one object each.

Clients send `auth`, `subscribe`, `unsubscribe`, `ping`; the server sends `authenticated`, `subscribed`, `unsubscribed`,
`event`, `events`, `reset`, `error`, `pong`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from qstore_appliance.api.envelope import fault
from qstore_appliance.domain.events import BACKEND_STATUS, CHANNELS, JOB_CHANNELS, Event
from qstore_appliance.errors import Malformed, QStoreError, ValidationFailed

#: Events in one frame, at the most.
BATCH = 64
#: What the subject of a channel's events is called in frames; other channels have none.
SUBJECTS = {**dict.fromkeys(JOB_CHANNELS, "job_id"), BACKEND_STATUS: "backend_id"}


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
    last_seq: int | None = None
    stream: str | None = None


class Unsubscribe(Frame, frozen=True, kw_only=True, tag="unsubscribe"):
    channel: str
    job_id: str | None = None
    backend_id: str | None = None


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


def topic(frame: Subscribe | Unsubscribe) -> tuple[str, str]:
    """
    Channel and subject that a frame is about.

    Raises:
        ValidationFailed: No such channel, or the id of what it is about is missing or superfluous.
    """
    if frame.channel not in CHANNELS:
        raise ValidationFailed.field("channel", f"there are {', '.join(sorted(CHANNELS))}")
    wanted = SUBJECTS.get(frame.channel)
    subject = ""
    for field, given in (("job_id", frame.job_id), ("backend_id", frame.backend_id)):
        noun = field.removesuffix("_id")
        if field == wanted:
            if not given or len(given) > 64:
                raise ValidationFailed.field(field, f"{frame.channel} needs the id of a {noun}")
            subject = given
        elif given is not None:
            raise ValidationFailed.field(field, f"{frame.channel} is about no single {noun}")
    return frame.channel, subject


def about(channel: str, subject: str) -> dict[str, Any]:
    return {"channel": channel, SUBJECTS.get(channel, "job_id"): subject} if subject else {"channel": channel}


def named(frame: Subscribe | Unsubscribe) -> dict[str, Any]:
    """What a frame says that it is about, for the answer that refuses it."""
    return about(frame.channel[:64], (frame.job_id or frame.backend_id or "")[:64])


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


def event(of: Event, seq: int | None = None) -> dict[str, Any]:
    return {"type": "event", **about(of.channel, of.subject), "seq": of.seq if seq is None else seq, "data": of.data}


def error(cause: QStoreError, re: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "error", **(re or {}), "error": fault(cause)}


def pong(id: int | str | None) -> dict[str, Any]:
    return {"type": "pong"} if id is None else {"type": "pong", "id": id}


def written(frames: list[dict[str, Any]]) -> list[str]:
    """Frames as text, neighbouring events joined into one `events` frame each."""
    texts: list[str] = []
    run: list[dict[str, Any]] = []

    def flush() -> None:
        if run:
            frame = run[0] if len(run) == 1 else {"type": "events", "events": list(run)}
            texts.append(_encode(frame).decode())
            run.clear()

    for frame in frames:
        if frame["type"] != "event":
            flush()
            texts.append(_encode(frame).decode())
            continue
        run.append(frame)
        if len(run) == BATCH:
            flush()
    flush()
    return texts
