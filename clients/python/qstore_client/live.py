"""Frames of the live channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """
    Something that a channel told.

    Attributes:
        channel: Such as `job.progress`.
        seq: With `stream`, where it is not a job's, what a subscription goes on from: `last_seq`.
        data: As the API's documentation prints it. Empty where `reset`.
        reset: What lies before could not be had any more; read again what the channel is about.
    """

    channel: str
    seq: int
    stream: str | None
    data: dict[str, Any]
    reset: bool = False
