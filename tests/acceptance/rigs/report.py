"""What a rig has seen, in one line; figures, never asserted."""

from __future__ import annotations

import os
from collections.abc import Sequence


class Report:
    def __init__(self, name: str, seed: int) -> None:
        self.name, self.seed = name, seed
        self.kills = self.compared = self.acknowledged = self.forgotten = self.doubts = self.witnesses = 0
        self.sent = self.letters = self.repeated = self.charges = 0
        #: Seconds from the start of a server to its readiness; from there to the next epoch of the training; and what a
        #: Sanic that does nothing took to be ready meanwhile.
        self.ready: list[float] = []
        self.running: list[float] = []
        self.bare: list[float] = []

    def __str__(self) -> str:
        said = (
            f"rig {self.name}, seed {self.seed}: {self.kills} kills survived, {self.acknowledged} acknowledged writes, "
            f"{self.compared} comparisons, {self.doubts} requests without an answer, {self.witnesses} trainings bit for "
            f"bit the same, {self.charges} charges and 0 of them double, {self.sent} submissions to a provider and 0 of "
            f"them double, {self.letters} letters ({self.repeated} delivered more than once), {self.forgotten} forgotten "
            f"blobs; ready after {spread(self.ready)}, running again after {spread(self.running)}"
        )
        if self.bare:
            ratio = middle(self.ready) / middle(self.bare)
            said += f"; a bare Sanic is ready after {spread(self.bare)}, so ours takes {ratio:.1f} times as long"
        return said + f"; load {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores"


def middle(seconds: Sequence[float]) -> float:
    return sorted(seconds)[len(seconds) // 2]


def spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "(not measured)"
    ordered = sorted(seconds)
    p50, p99 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99))
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s"
