# Written by `generate` from `aio/jobs.py`; not by hand.
"""Training jobs: submit, watch, stop, go on, repeat."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import httpx

from qstore_client.bodies import at, sent
from qstore_client.decoding import decode, decode_all
from qstore_client.errors import ConnectionFailed, JobFailed, Unauthenticated, Unavailable
from qstore_client.pages import Page
from qstore_client.progress import ProgressBar
from qstore_client.retries import pause
from qstore_client.sse import Reader
from qstore_client.sync.events import AWAY_SECONDS, Events, told
from qstore_client.sync.http import Http
from qstore_client.sync.wire import sleep
from qstore_client.types import (
    ConfigDraft,
    Estimate,
    Job,
    JobMetrics,
    JobProgress,
    JobState,
    JobSummary,
    LogLine,
    Priority,
    Submitted,
)

PATH = "/v1/jobs"
#: In the class, `list` is a verb.
Lines = list[LogLine]
#: States that a job does not leave.
ENDED = frozenset({"completed", "failed", "cancelled"})


class Jobs:
    def __init__(self, http: Http, events: Events) -> None:
        self._http = http
        self._events = events

    def submit(
        self,
        *,
        circuit_id: str,
        config: ConfigDraft | Mapping[str, Any],
        priority: Priority = "normal",
        budget_limit: float | None = None,
        project: str | None = None,
        tags: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Submitted:
        """
        Train a model. `id` of the answer is the job's.

        Raises:
            ValidationFailed, BudgetExceeded, BackendUnavailable, DatasetMissing, InsufficientMemory: It was not taken.
        """
        body = _draft(circuit_id, config, priority, budget_limit, project, tags)
        return self._http.post(Submitted, PATH, body, key=idempotency_key)

    def estimate(
        self,
        *,
        circuit_id: str,
        config: ConfigDraft | Mapping[str, Any],
        priority: Priority = "normal",
        budget_limit: float | None = None,
        project: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Estimate:
        """What a job would take and cost, without submitting it."""
        body = _draft(circuit_id, config, priority, budget_limit, project, tags)
        return self._http.post(Estimate, f"{PATH}/estimate", body)

    def list(
        self, *, status: Sequence[str] | None = None, limit: int = 20, offset: int = 0, sort: str | None = None
    ) -> Page[JobSummary]:
        """Jobs, those in one of the states `status`; `progress` is a percentage."""
        return self._http.page(JobSummary, PATH, status=status, limit=limit, offset=offset, sort=sort)

    def iterate(
        self, *, status: Sequence[str] | None = None, sort: str | None = None, page_size: int = 100
    ) -> Iterator[JobSummary]:
        return self._http.rows(JobSummary, PATH, page_size, status=status, sort=sort)

    def get(self, job_id: str) -> Job:
        return self._http.get(Job, at(PATH, job_id))

    def cancel(self, job_id: str) -> JobState:
        """Within two seconds; the last checkpoint is kept."""
        return self._http.post(JobState, at(PATH, job_id, "cancel"))

    def pause(self, job_id: str) -> JobState:
        return self._http.post(JobState, at(PATH, job_id, "pause"))

    def resume(self, job_id: str) -> JobState:
        return self._http.post(JobState, at(PATH, job_id, "resume"))

    def continue_(self, job_id: str, *, epochs: int | None = None, idempotency_key: str | None = None) -> Submitted:
        """Train further where an ended job stopped, in a new job."""
        path = at(PATH, job_id, "continue")
        return self._http.post(Submitted, path, sent(epochs=epochs), key=idempotency_key)

    def replay(self, job_id: str, *, idempotency_key: str | None = None) -> Submitted:
        """Run an ended job again, in a new job that says whether it was the same, bit for bit."""
        return self._http.post(Submitted, at(PATH, job_id, "replay"), key=idempotency_key)

    def top_up(self, job_id: str, budget_limit: float, *, idempotency_key: str | None = None) -> Job:
        """Raise the limit; where it was paused for that, it goes on."""
        path = at(PATH, job_id, "top-up")
        return self._http.post(Job, path, {"budget_limit": budget_limit}, key=idempotency_key)

    def logs(self, job_id: str, *, lines: int = 100, level: str | None = None) -> Lines:
        """The last lines, of `level` and above."""
        answer = self._http.ask("GET", at(PATH, job_id, "logs"), params={"lines": lines, "level": level})
        return decode_all(LogLine, answer.data["logs"])

    # Watching ----------------------------------------------------------------------------------------------------

    def stream_progress(self, job_id: str, *, away_seconds: float = AWAY_SECONDS) -> Generator[JobProgress, None, None]:
        """
        How far a job is now, and then each epoch and each change of its state, until it has ended. Nothing is missed and
        nothing comes twice, whatever becomes of the connection.

        Raises:
            NotFound: There is no such job.
            ConnectionFailed: The server was away for more than `away_seconds`.
        """
        job = self.get(job_id)
        yield progress_of(job)
        if job.status in ENDED:
            return
        newest = job.seq
        events = self._events.subscribe("job.progress", job_id=job_id, last_seq=job.seq, away_seconds=away_seconds)
        with contextlib.closing(events):
            for event in events:
                update = progress_of(self.get(job_id)) if event.reset else told(JobProgress, event)
                # What the job itself said after a reset is newer than some that is told then.
                if update.seq <= newest:
                    continue
                newest = update.seq
                yield update
                if update.status in ENDED:
                    return

    def stream_metrics(self, job_id: str) -> Generator[JobMetrics, None, None]:
        """The metrics of each epoch from now on, until the job has ended."""
        job = self.get(job_id)
        if job.status in ENDED:
            return
        epoch = last = job.progress.current_epoch
        ended = False
        events = self._events.subscribe("job.metrics", "job.progress", job_id=job_id, last_seq=job.seq)
        with contextlib.closing(events):
            for event in events:
                if event.reset:
                    job = self.get(job_id)
                    last, ended = job.progress.current_epoch, job.status in ENDED
                    epoch = last
                elif event.channel == "job.metrics":
                    metrics = told(JobMetrics, event)
                    epoch = metrics.epoch
                    yield metrics
                else:
                    update = told(JobProgress, event)
                    last, ended = update.current_epoch, update.status in ENDED
                # The end may be told before the last metrics.
                if ended and epoch >= last:
                    return

    def follow_logs(
        self, job_id: str, *, lines: int = 100, level: str | None = None, away_seconds: float = AWAY_SECONDS
    ) -> Generator[LogLine, None, None]:
        """
        The last lines and then each that comes, until the job has ended.

        Raises:
            NotFound: There is no such job.
            ConnectionFailed: The server was away for more than `away_seconds`.
        """
        last: str | None = None
        away_since, attempt = time.monotonic(), 0
        while True:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
            try:
                more = {"lines": lines, "level": level, "follow": True}
                with self._http.stream(at(PATH, job_id, "logs"), headers=headers, **more) as response:
                    reader = Reader()
                    for text in response.iter_lines():
                        away_since, attempt = time.monotonic(), 0
                        message = reader.feed(text)
                        if message is not None:
                            last = message.id or last
                            yield decode(LogLine, message.json())
                # A stream ends with its job, and also with its server or its authority.
                if (self.get(job_id)).status in ENDED:
                    return
            except (httpx.TransportError, Unavailable) as error:
                if time.monotonic() - away_since > away_seconds:
                    raise ConnectionFailed(f"{self._http.base_url}: {error}") from error
            except Unauthenticated:
                token = (self._http.credential()).get("token")
                if attempt or not self._http.renew(token):
                    raise
            sleep(min(2.0, pause(attempt)))
            attempt += 1

    def wait(self, job_id: str, *, progress: bool = False, check: bool = True) -> Job:
        """
        The job, once it has ended.

        Args:
            progress: Show a bar meanwhile.
            check: Raise where it did not complete.

        Raises:
            JobFailed: It failed or was cancelled.
        """
        with ProgressBar() if progress else contextlib.nullcontext() as bar:
            for update in self.stream_progress(job_id):
                if bar is not None:
                    bar.show(update)
        job = self.get(job_id)
        if check and job.status != "completed":
            raise JobFailed(job)
        return job


def progress_of(job: Job) -> JobProgress:
    """How far a job is, as an update."""
    return JobProgress(
        job_id=job.id,
        status=job.status,
        current_epoch=job.progress.current_epoch,
        total_epochs=job.progress.total_epochs,
        current_loss=job.progress.current_loss,
        best_loss=job.progress.best_loss,
        eta_seconds=job.progress.eta_seconds,
        reason=job.reason,
        model_id=job.model_id,
        timestamp=job.updated_at,
        seq=job.seq,
    )


def _draft(
    circuit_id: str,
    config: ConfigDraft | Mapping[str, Any],
    priority: str,
    budget_limit: float | None,
    project: str | None,
    tags: Sequence[str] | None,
) -> dict[str, Any]:
    return sent(
        circuit_id=circuit_id,
        config=config,
        priority=priority,
        budget_limit=budget_limit,
        project=project,
        tags=tags,
    )
