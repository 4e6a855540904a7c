"""
What services need from rooms above or beside them. The composition root injects one implementation of each.

Every protocol has a contract suite under `tests/contract/` that all implementations pass.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from qstore_appliance.domain.events import Event
from qstore_appliance.domain.models import Scaling


class Clock(Protocol):
    def now(self) -> datetime:
        """The time now, in UTC with zone."""


class BlobStore(Protocol):
    """Content-addressed bytes; a digest is `sha256:<hex>`."""

    async def put(self, content: bytes) -> str:
        """Store durably before returning; the same content twice is one blob. Raises StorageFull."""

    async def adopt(self, source: Path) -> str:
        """Take over a file, however large, as a blob; the file is gone afterwards. Raises StorageFull."""

    async def get(self, digest: str) -> bytes:
        """Raises NotFound, or ArtifactCorrupt when the bytes do not match the digest."""

    async def delete(self, digest: str) -> None:
        """Free the space; absent is fine."""

    async def aged(self, seconds: float) -> list[str]:
        """Digests of the blobs that nobody has stored, for the first time or again, for so long."""

    async def delete_aged(self, digest: str, seconds: float) -> bool:
        """Delete a blob, unless somebody has stored it again meanwhile; whether it is gone."""

    async def path(self, digest: str) -> str:
        """A local file with these bytes, checked, for a child process to read."""


class EventBus(Protocol):
    async def publish(self, event: Event) -> None:
        """Deliver to every subscriber of (organization, channel, subject); never waits for a slow one."""

    def subscribe(
        self, organization_id: str, channel: str, subject: str, *, also: Collection[str] = ()
    ) -> AbstractAsyncContextManager[Subscription]:
        """
        From inside the `async with` on, no event is missed unless the subscription is `lagged`.

        Args:
            also: Further channels about the same subject; the order is that of publishing, over all of them.
        """

    async def ping(self) -> None: ...


class Subscription(Protocol):
    #: Events were dropped because the reader was too slow; it must read the truth again.
    lagged: bool

    def __aiter__(self) -> AsyncIterator[Event]: ...


class Queue(Protocol):
    async def wake(self, job_id: str, priority: int) -> None:
        """Tell the slots that this job waits. Losing the message loses nothing: the row is the truth."""

    def stop(self, job_id: str) -> None:
        """Ask a running child of this machine to stop within two seconds; unknown ids are ignored."""

    async def ping(self) -> None: ...


class Calculator(Protocol):
    async def call(self, function: str, /, *args: Any, timeout: float = 30.0, **kwargs: Any) -> Any:
        """
        Run `package.module:function` in a warm engine process.

        Raises: the function's own error; DeadlineExceeded; WorkerCrash.
        """


class Replicas(Protocol):
    """Warm predictor processes."""

    async def open(
        self,
        deployment_id: str,
        artifact_path: str,
        backend: str,
        options: Mapping[str, object],
        replicas: int,
        *,
        memory_bytes: int | None = None,
        cores: int | None = None,
        scaling: Scaling | None = None,
        version: str | None = None,
    ) -> int:
        """
        Start replicas of a version, as many as this machine holds; answers how many run. Where some are open already, the new ones
        take their place without a question being lost, and if they cannot, nothing has changed.
        """

    async def predict(
        self,
        deployment_id: str,
        inputs: Sequence[Sequence[float]],
        *,
        shots: int | str | None,
        backend: str | None,
        seed: int | None,
    ) -> dict[str, Any]:
        """
        `{"labels", "class_indices", "probabilities", "duration_ms", "circuits", "shots", "cpu_seconds", "gpu_seconds",
        "backend", "version", "shots_each", "decided", "queue_ms", "encode_ms", "simulate_ms", "read_out_ms"}`.

        Raises: NoCapacity; DeadlineExceeded; ValidationFailed naming `inputs[i]`.
        """

    async def close_one(self, deployment_id: str) -> None: ...

    def answers(self, deployment_id: str) -> bool:
        """Whether a replica of it runs."""

    def state(self, deployment_id: str) -> list[dict[str, Any]]:
        """`[{"pid", "state", "served"}]`."""


class Alerts(Protocol):
    """Tells people how far a budget is used."""

    async def charged(self, organization_id: str) -> None:
        """Inside the transaction of a charge: note what it triggers. Nothing slow may be done here."""

    async def fired(self, organization_id: str, month: str) -> set[int]:
        """Thresholds, in percent, whose alerts have fired in a month (`2026-03`)."""

    async def checked(self, alerts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """
        Before alerts are saved, and outside of a transaction, since names are resolved: the alerts as they are kept.

        Raises: WebhookForbidden or ValidationFailed naming `alerts[i]`.
        """

    async def changed(self, organization_id: str) -> None:
        """Inside the transaction that saves a budget: what the new limit leaves unreached may fire again."""


class TokenBucket(Protocol):
    @property
    def away(self) -> bool:
        """Whether a bucket of this process stands in for one that all share."""

    async def take(self, key: str, size: int, tokens: int = 1) -> Taken:
        """Take tokens from a bucket of this size that refills by a hundredth of it each second."""


class Taken(Protocol):
    allowed: bool
    limit: int
    remaining: int
    #: Seconds until a token is there (0 when allowed), and until the bucket is full.
    retry_after: float
    reset_after: float
