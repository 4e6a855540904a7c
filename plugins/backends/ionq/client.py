"""
A client of IonQ that never does a thing twice, also where its process is ended in between.

What is sent is noted first (`engine/remote_jobs.py`). A process that takes up where an earlier one was ended asks for
the job by IonQ's id; where only our token was noted, it looks for that before it sends anything.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from qstore_appliance.engine.remote_jobs import OPEN, RemoteJob, RemoteJobs
from qstore_appliance.errors import BackendBadResponse, BackendCannot, BackendUnavailable, Cancelled
from qstore_backends.ionq import wire
from qstore_backends.ionq.calls import MOST_PAGES, PENDING, Calls, Over
from qstore_backends.ionq.transport import Lost, Refused

COST_ATTEMPTS: Final = 2
"""Fewer than what opens the breaker: a bill that cannot be had shall not keep anybody from the results."""


class IonQ(Calls):
    """Runs jobs, each of them once."""

    def run(
        self, payload: Mapping[str, Any], remote_jobs: RemoteJobs | None = None, circuits: int = 1
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Submit a job once, wait for its end.

        Args:
            payload: As `POST /jobs` takes it, without `name`.
            remote_jobs: Where it is written down; what an earlier process wrote there is taken up instead.
            circuits: In the payload.

        Returns:
            The job as it ended, and its results.

        Raises:
            BackendUnavailable: It does not answer, refuses the key, or the job was cancelled there or took too long.
            BackendBadResponse: It answers something that makes no sense.
            BackendCannot: It refuses the circuits, or they failed there.
            Cancelled: `should_stop` said so; the job was cancelled there, unless somebody comes back for it.
        """
        kept = RemoteJobs() if remote_jobs is None else remote_jobs
        remote = self._sent(payload, kept, circuits)
        id = str(remote.external_id)
        try:
            job = self.wait(id)
        except Cancelled:
            if not kept.left and remote.status == "submitted":
                self.cancel(id)
                kept.keep(remote.evolve(status="canceled", charged=self._charged_now(id)))
            raise
        except Over as over:
            if remote.status == "submitted":
                kept.keep(remote.evolve(status=over.status, charged=self._charged_now(id)))
            raise over.error from None
        batch = "circuits" in payload["input"]
        path = f"/jobs/{id}/results/probabilities" + ("/aggregated" if batch else "")
        results = self._object(self.get(path), "results")
        if remote.status == "submitted":
            kept.keep(remote.evolve(status="completed", charged=self._charged(id)))
        return job, results

    def _sent(self, payload: Mapping[str, Any], kept: RemoteJobs, circuits: int) -> RemoteJob:
        """The job at IonQ: one that is there already where that can be, else a new one, noted before it is sent."""
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        remote, earlier = kept.next(digest, circuits, circuits * int(payload["shots"]))
        if earlier is not None and earlier.status in ("failed", "canceled", "absent"):
            earlier = None
        if earlier is not None and earlier.digest != digest:
            kept.say(
                f"What was sent to {self.name} as qstore-{earlier.token} is not what is to be sent now, so it is not used."
            )
            if earlier.status in OPEN:
                kept.keep(self.end(earlier))
            earlier = None
        if earlier is None:
            kept.keep(remote)
            return self._submitted(remote, payload, kept)
        if earlier.external_id is None:
            found = self._found(earlier)
            if found is None:
                # Under the same token: should it be there after all, IonQ knows that it is the same. Noted again, since
                # whoever may not note may not send.
                kept.keep(earlier)
                return self._submitted(earlier, payload, kept)
            earlier = earlier.evolve(external_id=found, status="submitted")
            kept.keep(earlier)
        kept.say(f"Goes on with job {earlier.external_id} at {self.name}.")
        return earlier

    def _submitted(self, remote: RemoteJob, payload: Mapping[str, Any], kept: RemoteJobs) -> RemoteJob:
        sent = remote.evolve(external_id=self.submit(payload, remote.token), status="submitted")
        kept.keep(sent)
        return sent

    def end(self, remote: RemoteJob) -> RemoteJob:
        """
        Cancel a job that nobody waits for any more; how it ended and what it was charged.

        Raises:
            BackendUnavailable, BackendBadResponse: That cannot be found out now.
        """
        id = remote.external_id or self._found(remote)
        if id is None:
            return remote.evolve(status="absent")
        status = self.job(id).get("status")
        if status in PENDING:
            try:
                self.call("PUT", f"/jobs/{id}/status/cancel")
            except BackendCannot:
                # It ended just now.
                status = self.job(id).get("status")
        how = str(status) if status in ("completed", "failed") else "canceled"
        return remote.evolve(external_id=id, status=how, charged=self._charged(id))

    def _found(self, earlier: RemoteJob) -> str | None:
        """
        IonQ's id of what may have been sent. A request can be carried out after its sender is gone, so that what is not
        there yet is waited for as long as one call may take.
        """
        until = min(earlier.noted_at, time.time()) + self.timing.call
        while True:
            found = self.look_up(earlier.token, "who sent it was ended", MOST_PAGES)
            if found is not None or time.time() >= until:
                return found

    def _charged(self, id: str) -> int | None:
        """Micro-dollars; None where it does not say. Its results are worth more than its bill: no error ends a job."""
        try:
            return wire.micros(wire.charge(self.get(f"/jobs/{id}/cost", attempts=COST_ATTEMPTS)))
        except (BackendUnavailable, BackendBadResponse, BackendCannot):
            return None

    def _charged_now(self, id: str) -> int | None:
        """The same, asked once: whoever stops has no time."""
        try:
            return wire.micros(wire.charge(self.call("GET", f"/jobs/{id}/cost")))
        except (Lost, Refused, BackendUnavailable, BackendBadResponse, BackendCannot):
            return None
