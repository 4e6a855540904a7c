"""
The single verbs of IonQ's API v0.4: submit, look, wait, cancel, read.

Reading is repeated with growing, scattered pauses; submitting is not. Where the answer to a submission is lost, the job
is looked up by the id that we gave it before anything is sent again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from qstore_appliance.errors import BackendBadResponse, BackendCannot, BackendUnavailable, Cancelled, QStoreError
from qstore_backends.ionq.breaker import Breaker
from qstore_backends.ionq.transport import LONGEST_PAUSE, Lost, Refused, Transport

SUBMISSION: Final = "qstore_submission"
"""The metadata key of our own id of a submission."""

READ_ATTEMPTS: Final = 5
SUBMIT_ATTEMPTS: Final = 3
LOOKUPS: Final = 2
LOOKUP_LIMIT: Final = 25
LOOKUP_PAGES: Final = 8
"""Of a job that was sent just now; one of an earlier process may have any number of others before it."""

MOST_PAGES: Final = 400
NAP: Final = 0.2
"""No sleep is longer: in between, `should_stop` is asked."""

TERMINAL: Final = frozenset(("completed", "canceled", "failed", "deleted"))
PENDING: Final = frozenset(("submitted", "ready", "started", "running"))


@dataclass(frozen=True)
class Timing:
    """
    Seconds.

    Attributes:
        connect: To open a connection.
        call: One call in all, however slowly its answer drips.
        job: A job, its time in the queue included; then it is cancelled.
        poll: The longest pause between two looks at a job.
        pause: The first pause before a repetition.
    """

    connect: float = 5.0
    call: float = 30.0
    job: float = 86_400.0
    poll: float = 5.0
    pause: float = 0.5


class Over(Exception):
    """A job ended, but not well: how, and the error that says so."""

    def __init__(self, status: str, error: QStoreError) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error


class Calls:
    """
    Args:
        base_url: `https://…`; plain HTTP is for this machine only. The version's path is added where it is missing.
        api_key: Sent as `Authorization: apiKey …`, and in no message.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        timing: Timing | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.timing = timing or Timing()
        self._transport = Transport(base_url, api_key, self.timing.connect, self.timing.call)
        self._sleep = sleep
        self._jitter = random.Random()
        #: Asked in every pause; True ends the wait with `Cancelled`.
        self.should_stop: Callable[[], bool] = lambda: False

    def close(self) -> None:
        self._transport.close()

    @property
    def name(self) -> str:
        return self._transport.name

    @property
    def base_url(self) -> str:
        return self._transport.base_url

    @property
    def breaker(self) -> Breaker:
        return self._transport.breaker

    # Verbs -------------------------------------------------------------------------------------------------------

    def submit(self, payload: Mapping[str, Any], token: str) -> str:
        """
        Args:
            token: Ours; the job is found by it.

        Returns:
            IonQ's id of the job; there is one, also where answers were lost on the way.
        """
        body = {**payload, "name": f"qstore-{token}", "metadata": {**payload.get("metadata", {}), SUBMISSION: token}}
        reason, attempt, deadline = "", 0, time.monotonic() + self.timing.call
        while attempt < SUBMIT_ATTEMPTS:
            try:
                answer = self._transport.call("POST", "/jobs", body, {"Idempotency-Key": token})
            except Refused as refused:
                reason = str(refused)
                self._pause(attempt, refused.after)
                attempt += 1
            except Lost as lost:
                reason = str(lost)
                if lost.underway is not None and time.monotonic() + lost.underway < deadline:
                    # Whoever sent it before us was killed, and the server has not done with what they sent.
                    self._rest(lost.underway)
                else:
                    attempt += 1
                found = self.look_up(token, reason)
                if found is not None:
                    return found
            except BackendBadResponse as error:
                # Nonsense was answered; what was done is another question.
                found = self.look_up(token, error.message)
                if found is not None:
                    return found
                raise
            else:
                return self._id(self._object(answer, "job"))
        raise BackendUnavailable(f"{self.name} did not take the job: {reason}", retry_after=self.timing.call)

    def wait(self, id: str) -> dict[str, Any]:
        """
        The job once it is complete; looks at it more and more rarely.

        Raises:
            Over: It ended otherwise.
        """
        deadline = time.monotonic() + self.timing.job
        pause = min(0.02, self.timing.poll)
        while True:
            job = self.job(id)
            status = job.get("status")
            if status == "completed":
                return job
            if status in TERMINAL:
                self._mourn(id, job)
            if status not in PENDING:
                raise BackendBadResponse(f"{self.name} says that job {id} is {str(status)[:30]!r}.")
            if time.monotonic() + pause > deadline:
                self.cancel(id)
                late = f"Job {id} at {self.name} did not end within {self.timing.job:g} s."
                raise Over("canceled", BackendUnavailable(late))
            self._rest(pause)
            pause = min(self.timing.poll, pause * 1.6)

    def job(self, id: str) -> dict[str, Any]:
        job = self._object(self.get(f"/jobs/{id}"), "job")
        if self._id(job) != id:
            raise BackendBadResponse(f"{self.name} answered another job than {id}.")
        return job

    def cancel(self, id: str) -> None:
        """Cancel a job, as far as that can be done now."""
        try:
            self.call("PUT", f"/jobs/{id}/status/cancel")
        except (Lost, Refused, BackendUnavailable, BackendBadResponse, BackendCannot) as error:
            # Whoever cancels has an error of their own to tell; this one is worth no more than a note in it.
            self._transport.breaker.reason = str(error)

    def call(self, method: str, path: str) -> Any:
        """Ask once. Raises: what `Transport.call` raises."""
        return self._transport.call(method, path, None, {})

    def get(self, path: str, params: Mapping[str, Any] | None = None, attempts: int = READ_ATTEMPTS) -> Any:
        """Read something; repeated where that helps."""
        reason = ""
        for attempt in range(attempts):
            try:
                return self._transport.call("GET", path, None, {}, params)
            except (Lost, Refused) as error:
                reason = str(error)
                if attempt + 1 < attempts:
                    self._pause(attempt, getattr(error, "after", None))
        raise BackendUnavailable(f"{self.name} does not answer: {reason}", retry_after=self.timing.call)

    # Inside ------------------------------------------------------------------------------------------------------

    def look_up(self, token: str, reason: str, most_pages: int = LOOKUP_PAGES) -> str | None:
        """
        The job with our id of the submission, if the server has it; asked again after a while, for it may be slow.

        Raises:
            BackendUnavailable: That cannot be found out, so nothing may be sent again.
        """
        try:
            for attempt in range(LOOKUPS):
                self._pause(attempt, None)
                found = self._among_latest(token, most_pages)
                if found is not None:
                    return found
        except (BackendUnavailable, BackendBadResponse, BackendCannot) as error:
            raise BackendUnavailable(
                f"{self.name} may have taken the job qstore-{token}, or not: {reason}. It was not sent again, "
                f"since looking for it failed too: {error.message}",
                retry_after=self.timing.call,
            ) from error
        return None

    def _among_latest(self, token: str, most_pages: int) -> str | None:
        params: dict[str, Any] = {"limit": LOOKUP_LIMIT}
        for _ in range(most_pages):
            page = self._object(self.get("/jobs", params), "list")
            rows = page.get("jobs")
            if not isinstance(rows, list):
                raise BackendBadResponse(f"{self.name} answered a list of jobs that is none.")
            for row in rows:
                metadata = row.get("metadata") if isinstance(row, dict) else None
                if isinstance(metadata, dict) and metadata.get(SUBMISSION) == token:
                    return self._id(row)
            if not rows or not isinstance(page.get("next"), str):
                return None
            params = {"limit": LOOKUP_LIMIT, "next": page["next"]}
        if most_pages > LOOKUP_PAGES:
            raise BackendUnavailable(
                f"it is not among the latest {most_pages * LOOKUP_LIMIT:,} jobs, and there are more."
            )
        return None

    def _object(self, value: Any, noun: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BackendBadResponse(f"{self.name} answered a {noun} that is no object.")
        return value

    def _id(self, job: Mapping[str, Any]) -> str:
        id = job.get("id")
        # It becomes part of an address.
        if not isinstance(id, str) or not 1 <= len(id) <= 64 or not id.replace("-", "").isalnum() or not id.isascii():
            raise BackendBadResponse(f"{self.name} answered a job without a usable id.")
        return id

    def _mourn(self, id: str, job: Mapping[str, Any]) -> NoReturn:
        if job["status"] != "failed":
            gone = BackendUnavailable(f"Job {id} at {self.name} is {job['status']}.")
            raise Over("canceled", gone)
        failure = job.get("failure")
        said = failure.get("message") or failure.get("error") if isinstance(failure, dict) else None
        why = str(said or "it does not say why")[:200]
        raise Over("failed", BackendCannot(f"Job {id} failed at {self.name}: {why}"))

    def _pause(self, attempt: int, after: float | None) -> None:
        """Grows with each attempt, scattered so that clients do not come back together; never less than was asked."""
        pause = self.timing.pause * 2**attempt * self._jitter.uniform(0.5, 1.5)
        self._rest(min(LONGEST_PAUSE, max(pause, after or 0.0)))

    def _rest(self, seconds: float) -> None:
        while True:
            if self.should_stop():
                raise Cancelled
            if seconds <= 0:
                return
            self._sleep(min(NAP, seconds))
            seconds -= NAP
