#!/usr/bin/env python3
"""
Test accuracies on the four built-in data sets, beside logistic regression on the same features and the commonest class,
as a Markdown table for docs/performance.md. Means over split seeds, with the spread between them.

    python scripts/bench/accuracy.py [--seeds 3] [--backend native] [--only digits,iris]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any, NamedTuple

from qstore_appliance.engine import recipe
from qstore_appliance.engine.training import Plan, Training


class Entry(NamedTuple):
    """A data set with the shipped circuit at a size that suits it."""

    dataset: str
    n_qubits: int
    n_layers: int
    epochs: int


ENTRIES = (
    Entry("digits", 8, 4, 40),
    Entry("iris", 4, 3, 40),
    Entry("wine", 8, 2, 40),
    Entry("breast_cancer", 8, 2, 30),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--backend", default="native")
    parser.add_argument("--only", default="", help="data sets, separated by commas")
    options = parser.parse_args()
    only = set(filter(None, options.only.split(",")))
    print("| data set | qubits | layers | quantum model | logistic regression | commonest class | test samples | s |")
    print("|---|---|---|---|---|---|---|---|")
    for entry in ENTRIES:
        if not only or entry.dataset in only:
            print(row(entry, options.seeds, options.backend), flush=True)


def row(entry: Entry, n_seeds: int, backend: str) -> str:
    """One line of the table; seconds are of one training, scoring and baseline included."""
    began = time.perf_counter()
    found = [trained(entry, seed, backend) for seed in range(n_seeds)]
    seconds = (time.perf_counter() - began) / n_seeds
    columns = (
        [metrics["test_accuracy"] for metrics in found],
        [metrics["baseline"]["logistic_regression"] for metrics in found],
        [metrics["baseline"]["majority"] for metrics in found],
    )
    cells = [entry.dataset, entry.n_qubits, entry.n_layers, *map(shown, columns), found[0]["n_test"], f"{seconds:.1f}"]
    return f"| {' | '.join(map(str, cells))} |"


def trained(entry: Entry, seed: int, backend: str) -> dict[str, Any]:
    config = recipe.config(seed=seed, epochs=entry.epochs, backend=backend)
    config["dataset"] = {"type": entry.dataset, "features": {"method": "pca", "count": entry.n_qubits}}
    training = Training(
        Plan(
            circuit={"n_qubits": entry.n_qubits, "gates": recipe.gates(entry.n_qubits, entry.n_layers)},
            config=config,
            backend=backend,
            backend_options={},
            dataset={"kind": "builtin", "name": entry.dataset},
            seed=seed,
        )
    )
    for _ in training.epochs():
        pass
    return training.finish().metrics


def shown(values: list[float]) -> str:
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.1f} %{spread}"


if __name__ == "__main__":
    main()
