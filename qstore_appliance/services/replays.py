"""
Replays: a job that runs another's plan again, and says whether every epoch left the same parameters, bit for bit.

`metrics.replay` is `{"of", "bit_equal", "first_difference"}`: `bit_equal` is null until it is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.jobs import Status

#: What a sampling measured, where there are no epochs to compare.
MEASURED = ("counts", "probabilities")


async def compare(row: JobRow, metrics: dict[str, Any], *, last: bool) -> str | None:
    """
    Write into a replay's metrics how it compares so far; nothing into those of other jobs.

    Args:
        metrics: As they are about to be saved.
        last: The replay has completed.

    Returns: a sentence, when the first difference has just been found.
    """
    if row.replay_of is None:
        return None
    found = dict(metrics.get("replay") or {"of": row.replay_of, "first_difference": None})
    if found.get("bit_equal") is not None:
        return None
    earlier = await JobRow.get_or_none(id=row.replay_of, organization_id=row.organization_id)
    if earlier is None:
        return None
    difference = _first_difference(earlier, metrics)
    if difference is not None:
        metrics["replay"] = {**found, "bit_equal": False, "first_difference": difference}
        return f"Epoch {difference} left other parameters than that of {row.replay_of}."
    compared = len(metrics.get("parameter_digests", ()))
    # Of one that was cancelled or failed, what it trained is all there is to compare.
    done = compared >= len(earlier.metrics.get("parameter_digests", ())) > 0
    if row.config.get("task") == "sampling":
        if not last:
            return None
        same = _measured(earlier.metrics) == _measured(metrics)
        metrics["replay"] = {**found, "bit_equal": same}
        return None if same else f"It counted other outcomes than {row.replay_of}."
    if last or (done and earlier.status != Status.COMPLETED):
        metrics["replay"] = {**found, "bit_equal": done}
    return None


def _first_difference(earlier: JobRow, metrics: Mapping[str, Any]) -> int | None:
    """The number of the first epoch that both have trained and that left different parameters."""
    pairs = zip(earlier.metrics.get("parameter_digests", ()), metrics.get("parameter_digests", ()), strict=False)
    return next((epoch for epoch, (theirs, ours) in enumerate(pairs, 1) if theirs != ours), None)


def _measured(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: metrics.get(key) for key in MEASURED}
