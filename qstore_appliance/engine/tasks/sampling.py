"""
Sampling: run a circuit with every weight given, and count what is measured. Nothing is trained, no model comes out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import weights
from qstore_appliance.engine.backend import Backend
from qstore_appliance.engine.plan import Plan, Trained
from qstore_appliance.engine.problem import prepare, unencoded
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.receipt import ran
from qstore_appliance.engine.streams import generator
from qstore_appliance.errors import BackendCannot, Cancelled, ValidationFailed

#: Outcomes that are listed; the others are counted together.
MOST_OUTCOMES: Final = 4_096


class Sampling:
    """
    Args:
        plan: with `shots`, outcomes are drawn and counted; without, their probabilities are computed.

    Raises:
        ValidationFailed: `circuit`: it reads features; `config.initial_parameters`: a weight without a value.
        InvalidCircuit, BackendUnavailable, BackendCannot: the plan cannot be run.
    """

    def __init__(self, plan: Plan) -> None:
        self._cpu, self._seconds = time.process_time(), 0.0
        self._plan = plan
        circuit = unencoded(plan, "sampling")
        given = plan.config.get("initial_parameters")
        missing = weights.missing(circuit.weights, given)
        if missing:
            raise ValidationFailed.field("config.initial_parameters", f"give a value to {', '.join(missing[:5])}")
        self._weights = weights.initial(circuit.weights, given, generator(plan.seed, "weights"))
        self._runner = prepare(plan, Program.lower(circuit), ())
        capabilities = self._runner.backend.capabilities
        if self._runner.shots is None and not capabilities.statevector:
            raise BackendCannot(f"The backend {self._runner.backend.name} computes no probabilities; ask for shots.")
        self._metrics: dict[str, Any] | None = None

    @property
    def backend(self) -> Backend:
        return self._runner.backend

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """
        Raises:
            Cancelled: `should_stop` said so.
        """
        if should_stop():
            raise Cancelled
        runner, plan, started = self._runner, self._plan, time.perf_counter()
        runner.backend.should_stop = should_stop
        runner.backend.remote_jobs.enter("sampling", 1)
        execution = runner.execution(self._weights, np.zeros((1, 0)), runner.seed(plan.seed, "sampling"))
        if runner.shots is None:
            amplitudes = runner.backend.statevector(execution)[0]
            self._metrics = exact(np.square(np.abs(amplitudes).astype(np.float64)), runner.program.n_qubits)
        else:
            self._metrics = counted(runner.backend.sample(execution)[0])
        self._seconds = time.perf_counter() - started

    def finish(self) -> Trained:
        if self._metrics is None:
            raise ValidationFailed.field("config.task", "nothing has been run")
        names = self._runner.program.weight_names
        return Trained(
            artifact=None,
            metrics=self._metrics,
            parameters=weights.by_prefix(names, self._weights),
            receipt=ran(self._plan, self._runner, "sampling") | {"threads": self._plan.threads},
            test_examples=[],
            circuits=1,
            shots=self._runner.shots or 0,
            cpu_seconds=time.process_time() - self._cpu,
            gpu_seconds=self._seconds if self.backend.capabilities.gpu else 0.0,
        )


def counted(counts: Mapping[str, int]) -> dict[str, Any]:
    """
    Counts and relative frequencies by bit string (qubit 0 leftmost), the commonest first, with the standard error of each
    frequency; `other` counts what is not listed.
    """
    shots = sum(counts.values())
    order = sorted(counts, key=lambda outcome: (-counts[outcome], outcome))[:MOST_OUTCOMES]
    listed = {outcome: int(counts[outcome]) for outcome in order}
    shares = {outcome: count / shots for outcome, count in listed.items()}
    return {
        "counts": listed,
        "probabilities": shares,
        "std_errors": {outcome: float(np.sqrt(share * (1.0 - share) / shots)) for outcome, share in shares.items()},
        "n_outcomes": len(counts),
        "other": shots - sum(listed.values()),
    }


def exact(probabilities: NDArray[np.float64], n_qubits: int) -> dict[str, Any]:
    """The probabilities by bit string, the largest first, without those that rounding alone would give."""
    order = np.argsort(-probabilities, kind="stable")[:MOST_OUTCOMES]
    total = float(probabilities.sum())
    present = [int(outcome) for outcome in order if probabilities[outcome] > 1e-9 * total]
    return {
        "probabilities": {f"{outcome:0{n_qubits}b}": float(probabilities[outcome] / total) for outcome in present},
        "n_outcomes": int(np.count_nonzero(probabilities > 1e-9 * total)),
    }
