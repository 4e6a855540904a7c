"""`qstore job …`: training jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from qstore_appliance.cli import acting
from qstore_appliance.cli.output import harmless, more, table
from qstore_appliance.domain.jobs import TERMINAL, ContinueDraft, Job, JobDraft, Status
from qstore_appliance.errors import Refused, ValidationFailed

#: The row is the truth, and reading it costs microseconds.
WATCH_SECONDS = 0.25


async def submit(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    # The same checks, with the same words, as for a body that comes over HTTP.
    from qstore_appliance.api.inputs import validated

    draft = validated(JobDraft, arguments["document"])
    yield await appliance.jobs.submit(await acting.caller(appliance, arguments), draft)


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    yield await appliance.jobs.listed(caller, acting.page(arguments), _statuses(arguments["status"]))


async def watch(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    """Every change of the job's state or epoch, until it ends."""
    caller = await acting.caller(appliance, arguments)
    seen = None
    while True:
        job: Job = await appliance.jobs.get(caller, arguments["id"])
        if seen != (job.status, job.progress):
            seen = (job.status, job.progress)
            yield _snapshot(job)
        if job.status in TERMINAL:
            return
        _somebody_must_work(arguments)
        await asyncio.sleep(WATCH_SECONDS)


async def logs(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    asked = (caller, arguments["id"], arguments["lines"], arguments["level"])
    if not arguments["follow"] or not arguments.get("served", True):
        for line in await appliance.jobs.logs(*asked):
            yield line
        if arguments["follow"] and (await appliance.jobs.get(caller, arguments["id"])).status not in TERMINAL:
            _somebody_must_work(arguments)
        return
    async for found in appliance.jobs.follow(*asked):
        for line in found:
            yield line


async def cancel(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield _snapshot(await appliance.jobs.cancel(await acting.caller(appliance, arguments), arguments["id"]))


async def pause(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield _snapshot(await appliance.jobs.pause(await acting.caller(appliance, arguments), arguments["id"]))


async def resume(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield _snapshot(await appliance.jobs.resume(await acting.caller(appliance, arguments), arguments["id"]))


async def go_on(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    from qstore_appliance.api.inputs import validated

    draft = validated(ContinueDraft, {"epochs": arguments["epochs"]})
    yield await appliance.jobs.go_on(await acting.caller(appliance, arguments), arguments["id"], draft)


async def replay(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield await appliance.jobs.replay(await acting.caller(appliance, arguments), arguments["id"])


def _somebody_must_work(arguments: dict[str, Any]) -> None:
    """
    Raises:
        Refused: We opened the data directory ourselves, and take no jobs: waiting would be for ever.
    """
    if not arguments.get("served", True):
        raise Refused("No server runs on this data directory, so the job waits; qstore serve goes on with it.")


def _statuses(text: str | None) -> list[Status]:
    try:
        return [Status(part.strip()) for part in (text or "").split(",") if part.strip()]
    except ValueError as error:
        raise ValidationFailed.field("--status", f"write some of {', '.join(Status)}, with commas") from error


def _snapshot(job: Job) -> dict[str, Any]:
    progress = job.progress
    return {
        "id": job.id,
        "status": job.status,
        "epoch": progress.current_epoch,
        "epochs": progress.total_epochs,
        "loss": progress.current_loss,
        "eta_seconds": progress.eta_seconds,
        "test_accuracy": job.metrics.get("test_accuracy"),
        "model_id": job.model_id,
        "reason": job.reason,
        "cancel_requested": job.cancel_requested,
    }


def _listed(jobs: dict[str, Any], arguments: dict[str, Any]) -> None:
    rows = [
        (j["id"], j["status"], f"{j['progress']} %", j["dataset"], j["backend"], j["accuracy"], j["reason"])
        for j in jobs["items"]
    ]
    table(("id", "status", "progress", "data set", "backend", "accuracy", "reason"), rows, "No job.")
    more(jobs)


def _watched(job: dict[str, Any], arguments: dict[str, Any]) -> None:
    parts = [job["status"], f"epoch {job['epoch']}/{job['epochs']}"]
    if job["loss"] is not None:
        parts.append(f"loss {job['loss']:.4f}")
    if job["eta_seconds"] is not None and job["status"] == Status.RUNNING:
        parts.append(f"{job['eta_seconds']:.0f} s left")
    if job["test_accuracy"] is not None:
        parts.append(f"test accuracy {job['test_accuracy']:.3f}")
    parts += [job["model_id"] or "", job["reason"] or ""]
    print(harmless(", ".join(part for part in parts if part)), flush=True)


def _logged(line: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{line['timestamp']} {line['level']:7} {harmless(line['message'])}", flush=True)


def _cancelled(job: dict[str, Any], arguments: dict[str, Any]) -> None:
    done = job["status"] == Status.CANCELLED
    print(f"{job['id']} {'is cancelled' if done else 'stops within two seconds'}.")


def _paused(job: dict[str, Any], arguments: dict[str, Any]) -> None:
    done = job["status"] == Status.PAUSED
    print(f"{job['id']} {'is paused' if done else 'stops within two seconds'}.")


def _resumed(job: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{job['id']} is {job['status']}.")


def _submitted(job: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(job["job_id"])


SHOW = {
    "submit": _submitted,
    "listed": _listed,
    "watch": _watched,
    "logs": _logged,
    "cancel": _cancelled,
    "pause": _paused,
    "resume": _resumed,
    "go_on": _submitted,
    "replay": _submitted,
}
