"""
What a provider would charge for one execution of a job's circuit. Asks the provider, so it belongs into a child process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qstore_appliance.engine import discovery, hamiltonians, observables
from qstore_appliance.engine.encoding import encode
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.shots import measurements


def estimate(
    name: str, options: Mapping[str, object], circuit: Mapping[str, Any], config: Mapping[str, Any]
) -> float | None:
    """
    Args:
        circuit, config: As a job keeps them.

    Returns:
        US dollars for one sample, with as many circuits as its readout needs; None where the provider has no estimates.

    Raises:
        BackendUnavailable, BackendBadResponse: It does not say.
    """
    stored = unified.read(circuit)
    if config.get("dataset"):
        stored = encode(stored, config.get("encoding"))
    found = discovery.load(name, options).estimated_cost(Program.lower(stored), int(config.get("shots") or 0))
    if found is None:
        return None
    bases = sum(bool(basis) for basis, _ in measurements(_readout(config, stored.n_qubits)))
    return found * max(1, bases)


def _readout(config: Mapping[str, Any], n_qubits: int) -> tuple[Observable, ...]:
    task = config.get("task")
    if task == "sampling":
        return ()
    if task == "energy":
        return hamiltonians.build(config.get("hamiltonian"), n_qubits).observables
    return observables.readout((config.get("readout") or {}).get("observables") or "z", n_qubits)
