#!/usr/bin/env python3
"""
Lightning on a graphics card beside Lightning on the processor and `native`: one circuit forward, and with its gradient.

The circuit: RY of a feature on each qubit, then two layers of RY and RZ with a weight each and a ring of CNOTs; Z of every
qubit is read, one sample at a time. All three must give the same gradient, or the benchmark stops. The best of a few runs
counts. Needs `scripts/setup gpu` and an NVIDIA GPU; without one it says what is missing and exits with 69.

    python scripts/bench/gpu.py [--qubits 20,22,24,26,28] [--runs 3] [--patience 120]
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from qstore_appliance.engine import machine_speed
from qstore_appliance.engine.backend import Backend, Execution
from qstore_appliance.engine.discovery import load
from qstore_appliance.errors import BackendUnavailable, QStoreError

UNAVAILABLE = os.EX_UNAVAILABLE
DISAGREE = 1
#: Of the largest derivative: Lightning computes in double precision, `native` in single.
TOLERANCE = {"lightning.qubit": 1e-9, "native": 1e-4}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", default="20,22,24,26,28", help="sizes, separated by commas")
    parser.add_argument("--runs", type=int, default=3, help="the best of so many counts")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds a run after which a peer is left out")
    options = parser.parse_args()
    try:
        card = load("lightning", {"device": "gpu"})
        card.probe()
    except BackendUnavailable as fault:
        print(f"No GPU was measured: {fault.message}", file=sys.stderr)
        return UNAVAILABLE
    peers = {
        "lightning.gpu": card,
        "lightning.qubit": load("lightning", {"device": "cpu"}),
        "native": load("native", {}),
    }
    peers["native"].probe()
    return measure(peers, [int(word) for word in options.qubits.split(",")], options.runs, options.patience)


def measure(peers: dict[str, Backend], sizes: list[int], runs: int, patience: float) -> int:
    memory = (peers["lightning.gpu"].capabilities.memory_bytes or 0) / 2**30
    print(f"{peers['lightning.gpu'].device}, {memory:.1f} GiB; {os.cpu_count()} cores beside it.")
    print("Milliseconds, and how many times as long as on the GPU.\n")
    print("| qubits | what | " + " | ".join(peers) + " | gradients differ by |")
    print("|---" * (len(peers) + 3) + "|")
    given_up: set[tuple[str, str]] = set()
    for n_qubits in sizes:
        execution, _ = machine_speed._execution(n_qubits, 1)
        gradients: dict[str, np.ndarray] = {}
        for what in ("forward", "gradient"):
            times: dict[str, float | str] = {}
            for name, backend in peers.items():
                if (name, what) in given_up:
                    times[name] = "too slow"
                    continue
                times[name] = timed(backend, execution, what, runs, gradients, name)
                if not isinstance(times[name], float) or times[name] > patience:  # type: ignore[operator]
                    given_up.add((name, what))
            difference = disagreement(gradients) if what == "gradient" else {}
            print(row(n_qubits, what, times, difference), flush=True)
            wrong = [name for name, value in difference.items() if not value <= TOLERANCE[name]]
            if wrong:
                print(f"The gradients of lightning.gpu and {', '.join(wrong)} differ too much.", file=sys.stderr)
                return DISAGREE
    return 0


def timed(
    backend: Backend, execution: Execution, what: str, runs: int, gradients: dict[str, np.ndarray], name: str
) -> float | str:
    """Seconds of the best run; a word where it cannot be run, such as for memory."""

    def forward() -> None:
        backend.expectations(execution)

    def gradient() -> None:
        gradients[name] = backend.differentiate(execution, np.ones_like)[1]

    run: Callable[[], None] = forward if what == "forward" else gradient
    best = math.inf
    try:
        for _ in range(runs):
            started = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - started)
    except (QStoreError, MemoryError, RuntimeError) as fault:
        return f"no ({type(fault).__name__})"
    return best


def disagreement(gradients: dict[str, np.ndarray]) -> dict[str, float]:
    """By peer of the GPU: the largest difference, relative to the largest derivative."""
    ours = gradients.get("lightning.gpu")
    if ours is None:
        return {}
    scale = max(1e-12, float(np.abs(ours).max()))
    return {
        name: float(np.abs(found - ours).max()) / scale for name, found in gradients.items() if name != "lightning.gpu"
    }


def row(n_qubits: int, what: str, times: dict[str, Any], difference: dict[str, float]) -> str:
    ours = times["lightning.gpu"]
    cells = []
    for name, found in times.items():
        if not isinstance(found, float):
            cells.append(str(found))
        elif name == "lightning.gpu" or not isinstance(ours, float):
            cells.append(f"{found * 1e3:.2f}")
        else:
            cells.append(f"{found * 1e3:.2f} ({found / ours:.1f} ×)")
    words = ", ".join(f"{name} {value:.0e}" for name, value in difference.items())
    return f"| {n_qubits} | {what} | {' | '.join(cells)} | {words} |"


if __name__ == "__main__":
    sys.exit(main())
