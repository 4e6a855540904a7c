"""What the tests of all live doors have in common: a job that tells something."""

from __future__ import annotations

from datetime import UTC, datetime

from qstore_appliance.domain.events import Event, JobMetrics, JobProgress, Metrics
from qstore_appliance.services.journal import Journal, Line
from tests.api.conftest import Served


async def written(served: Served, job: str, epochs: range) -> list[Event]:
    """What a run writes for each epoch: a log line, progress, metrics. Not published yet."""
    caller = await served.caller("owner")
    journal = Journal(served.appliance.events, served.appliance.clock)
    found: list[Event] = []
    for epoch in epochs:
        now = datetime.now(UTC)
        progress = JobProgress(
            job_id=job,
            status="running",
            current_epoch=epoch,
            total_epochs=100,
            current_loss=1 / epoch,
            best_loss=1 / epoch,
            eta_seconds=1.0,
            reason=None,
            model_id=None,
            timestamp=now,
        )
        metrics = JobMetrics(job_id=job, epoch=epoch, metrics=Metrics(loss=1 / epoch, accuracy=0.5), timestamp=now)
        async with served.appliance.database.transaction():
            found += await journal.record(caller.organization_id, job, [Line(f"Epoch {epoch}"), progress, metrics])
    return found


async def tell(served: Served, job: str, epochs: range) -> None:
    """Write and publish what a run writes and publishes for each epoch."""
    journal = Journal(served.appliance.events, served.appliance.clock)
    for epoch in epochs:
        await journal.publish(await written(served, job, range(epoch, epoch + 1)))
