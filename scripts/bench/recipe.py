#!/usr/bin/env python3
"""
The shipped recipe over several split seeds, beside logistic regression on the same eight features.

    python scripts/bench/recipe.py [--seeds 5] [--epochs 40] [--backend native] [--steps]
"""

from __future__ import annotations

import argparse
import statistics
import time

from qstore_appliance.engine import recipe
from qstore_appliance.engine.training import Plan, Training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--backend", default="native")
    parser.add_argument("--steps", action="store_true", help="time one training step at several sizes instead")
    options = parser.parse_args()
    if options.steps:
        print_steps(options.backend)
    else:
        print_accuracies(options.seeds, options.epochs, options.backend)


def plan(seed: int, epochs: int, backend: str, n_qubits: int = recipe.N_QUBITS) -> Plan:
    config = recipe.config(seed=seed, epochs=epochs, backend=backend)
    config["dataset"]["features"]["count"] = n_qubits
    return Plan(
        circuit={"n_qubits": n_qubits, "gates": recipe.gates(n_qubits)},
        config=config,
        backend=backend,
        backend_options={},
        dataset={"kind": "builtin", "name": "digits"},
        seed=seed,
    )


def print_accuracies(n_seeds: int, epochs: int, backend: str) -> None:
    print(f"{'seed':>6} {'training':>9} {'validation':>10} {'test':>7} {'logistic':>9} {'seconds':>8}")
    rows = []
    for seed in range(n_seeds):
        started = time.perf_counter()
        training = Training(plan(seed, epochs, backend))
        for _ in training.epochs():
            pass
        metrics = training.finish().metrics
        row = (
            metrics["training_accuracy"],
            metrics["validation_accuracy"],
            metrics["test_accuracy"],
            metrics["baseline"]["logistic_regression"],
            time.perf_counter() - started,
        )
        rows.append(row)
        print(f"{seed:>6} {row[0]:>9.4f} {row[1]:>10.4f} {row[2]:>7.4f} {row[3]:>9.4f} {row[4]:>8.1f}", flush=True)
    columns = list(zip(*rows, strict=True))
    mean = [statistics.fmean(column) for column in columns]
    print(f"{'mean':>6} {mean[0]:>9.4f} {mean[1]:>10.4f} {mean[2]:>7.4f} {mean[3]:>9.4f} {mean[4]:>8.1f}")
    if n_seeds > 1:
        spread = [statistics.stdev(column) for column in columns]
        print(
            f"{'spread':>6} {spread[0]:>9.4f} {spread[1]:>10.4f} {spread[2]:>7.4f} {spread[3]:>9.4f} {spread[4]:>8.1f}"
        )


def print_steps(backend: str) -> None:
    """Milliseconds of one step of 32 samples, and the estimate's constant per gate and amplitude behind it."""
    print(f"{'qubits':>6} {'step ms':>9} {'s/(gate·amplitude)':>19}")
    for n_qubits in (4, 6, 8, 10, 12, 14):
        training = Training(plan(0, 1, backend, n_qubits))
        (report,) = training.epochs()
        step = report.seconds / -(-1437 // 32)
        work = (len(recipe.gates(n_qubits)) + n_qubits * (n_qubits + 1) // 2) * 2**n_qubits * 32 * 3.0
        print(f"{n_qubits:>6} {step * 1e3:>9.2f} {step / work:>19.2e}", flush=True)


if __name__ == "__main__":
    main()
