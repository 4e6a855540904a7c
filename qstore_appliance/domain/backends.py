"""What the appliance knows of a backend: what it can do, how it does now, when it is being worked on."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any

import msgspec


class BackendStatus(enum.StrEnum):
    #: Its last probe found it working.
    AVAILABLE = "available"
    #: A running job reported that its provider fails again and again; whoever names it may still try.
    DEGRADED = "degraded"
    #: The operator works on it: jobs that name it wait until the window ends.
    MAINTENANCE = "maintenance"
    #: Its last probe failed; `reason` is what the plugin said.
    UNAVAILABLE = "unavailable"
    #: Its first probe is not over yet.
    STARTING = "starting"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the operator works on a backend; `end` is the first moment after it."""

    id: str
    backend: str
    start: datetime
    end: datetime
    note: str | None
    created_by: str

    def covers(self, now: datetime) -> bool:
        return self.start <= now < self.end


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was counted of a backend over the last 30 days, by everybody on this installation together.

    Attributes:
        circuits, seconds: That ran, and the wall time that they took together.
        checks, checks_good: Probes, and those that found it working.
        jobs_started, wait_seconds: Jobs, and the seconds that they waited together from submit to start.
    """

    circuits: int = 0
    seconds: float = 0.0
    checks: int = 0
    checks_good: int = 0
    jobs_started: int = 0
    wait_seconds: float = 0.0

    @property
    def avg_latency_ms(self) -> float | None:
        """Mean wall time of one circuit."""
        return round(1e3 * self.seconds / self.circuits, 6) if self.circuits else None

    @property
    def throughput(self) -> float | None:
        """Circuits a second while it ran any."""
        return round(self.circuits / self.seconds, 3) if self.circuits and self.seconds > 0 else None

    @property
    def uptime(self) -> float | None:
        """The share of probes that found it working."""
        return round(self.checks_good / self.checks, 6) if self.checks else None

    @property
    def avg_wait_seconds(self) -> float | None:
        return round(self.wait_seconds / self.jobs_started, 3) if self.jobs_started else None


class BackendRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    A backend as probed in a child process, measured by what ran, and planned by the operator.

    `reason` says why its status is not `available`. Prices in micro-dollars. `window` is the present or the next one.
    What was not measured yet is None.
    """

    id: str
    name: str
    type: str
    provider: str
    status: BackendStatus
    reason: str | None
    capabilities: dict[str, Any]
    prices: dict[str, int]
    limits: dict[str, Any]
    queue_depth: int = 0
    avg_wait_seconds: float | None = None
    avg_latency_ms: float | None = None
    throughput: float | None = None
    circuits_today: int = 0
    uptime: float | None = None
    window: Window | None = None


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """
    The backend to use, what "auto" would have taken, and one sentence that says why it is this one.

    `not_before` is the end of the maintenance window that a job for it waits for; None where nobody works on it.
    """

    backend: str
    auto: str
    reason: str
    not_before: datetime | None = None


class PriceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a backend costs, in micro-dollars; None where its plugin did not load, so that nobody knows.

    `origins` says for each price whether it is the `plugin`'s or stands in `qstore.toml`.
    """

    name: str
    per_circuit: int | None
    per_shot: int | None
    minimum_charge: int | None
    per_cpu_second: int | None
    per_gpu_second: int | None
    origins: dict[str, str]


def spoken(moment: datetime) -> str:
    """A time as sentences and answers have it: RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
