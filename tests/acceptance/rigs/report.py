"""What a rig has seen, in one line; figures, never asserted."""

from __future__ import annotations

from collections.abc import Sequence


class Report:
    def __init__(self, name: str, seed: int) -> None:
        self.name, self.seed = name, seed
        self.kills = self.compared = self.acknowledged = self.forgotten = self.doubts = self.witnesses = 0
        self.ready: list[float] = []
        self.running: list[float] = []

    def __str__(self) -> str:
        return (
            f"rig {self.name}, seed {self.seed}: {self.kills} kills survived, {self.acknowledged} acknowledged writes, "
            f"{self.compared} comparisons, {self.doubts} requests without an answer, {self.witnesses} trainings bit for "
            f"bit the same, {self.forgotten} forgotten blobs; ready after {spread(self.ready)}, running again after "
            f"{spread(self.running)}"
        )


def spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "(not measured)"
    ordered = sorted(seconds)
    p50, p99 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99))
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s"
