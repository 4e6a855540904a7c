"""
What a backend writes down of the jobs that it sends to a provider, so that a training that is broken off and goes on
neither sends nor pays anything twice.

A training is the same bit for bit when it goes on after a checkpoint. So is the order in which it sends things, and
"the third submission of epoch five" names the same one before and after. Light: both sides of the pipe import it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

#: `noted`: about to be sent, or sent with nobody knowing; `submitted`: the provider has it and said its id. The others
#: are ends; `absent`: the provider never had it.
OPEN: Final = ("noted", "submitted")
ENDED: Final = ("completed", "failed", "canceled", "absent")


class RemoteJob(msgspec.Struct, frozen=True, kw_only=True):
    """
    One submission to a provider.

    Attributes:
        token: Ours; the provider gets it with the job and finds the job by it.
        key: Which submission of the training this is, the same when the training goes on: `5:2`, `finish:0`.
        epoch: Its results belong to this epoch; those of `finish` to the one after the last.
        digest: SHA-256 of what is sent.
        circuits, shots: Sent with it; shots in all.
        external_id: The provider's, once it is known.
        status: Of `OPEN` or `ENDED`.
        charged: Micro-dollars that the provider says it charged; None while it has not ended, or where it does not say.
        noted_at: Seconds since 1970, when it was noted.
    """

    token: str
    key: str
    epoch: int
    digest: str
    circuits: int
    shots: int
    external_id: str | None = None
    status: str = "noted"
    charged: int | None = None
    noted_at: float = 0.0

    def evolve(self, **changes: Any) -> RemoteJob:
        return msgspec.structs.replace(self, **changes)


class RemoteJobs:
    """
    The submissions of one training. This one keeps nothing beyond the process, which is enough for a backend that works
    alone; a job's process has one whose `keep` outlives it.

    Args:
        earlier: What an earlier process of the same training noted, oldest first.
    """

    def __init__(self, earlier: Iterable[RemoteJob] = ()) -> None:
        self._earlier = {job.key: job for job in earlier}
        self._phase = ("alone", 0)
        self._number = 0

    def enter(self, phase: str, epoch: int) -> None:
        """What is sent from here on belongs to this part of the training; numbers begin again."""
        self._phase = (phase, epoch)
        self._number = 0

    def next(self, digest: str, circuits: int, shots: int) -> tuple[RemoteJob, RemoteJob | None]:
        """
        The next submission, not noted yet; and what an earlier process noted in its place, whatever it was.
        """
        phase, epoch = self._phase
        key = f"{phase}:{self._number}"
        self._number += 1
        fresh = RemoteJob(token=uuid.uuid4().hex, key=key, epoch=epoch, digest=digest, circuits=circuits, shots=shots)
        return fresh, self._earlier.pop(key, None)

    def keep(self, job: RemoteJob) -> None:
        """
        Write down how a submission stands. One that is `noted` is stored for good when this returns.

        Raises:
            Cancelled: It was not stored, since the training shall stop; then nothing may be sent.
        """

    def say(self, message: str) -> None:
        """A sentence for the training's log."""

    @property
    def left(self) -> bool:
        """
        Whether a training that stops now will go on later: then what the provider works at is left alone, since somebody
        comes back for it. Otherwise it is cancelled there.
        """
        return False


def end(name: str, options: Mapping[str, object], job: RemoteJob) -> RemoteJob:
    """
    Cancel what a training that is over has left at a provider, and find out what it was charged. For a child process.

    Raises:
        BackendUnavailable: The provider does not answer now.
    """
    from qstore_appliance.engine import discovery

    return discovery.load(name, options).end_remote(job)
