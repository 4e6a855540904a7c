"""Stored circuits made smaller, or held against each other, in a process of the engine."""

from __future__ import annotations

import secrets

import msgspec

from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.circuits import CircuitDraft, StoredCircuit
from qstore_appliance.domain.optimisations import Compared, ComparisonDraft, GateCounts, OptimisationDraft, Optimised
from qstore_appliance.domain.ports import Calculator
from qstore_appliance.engine.formats.ionq_native import TARGETS
from qstore_appliance.errors import NotFound, ValidationFailed
from qstore_appliance.services.backends import AUTO, Backends
from qstore_appliance.services.circuits import Circuits

OPTIMISE = "qstore_appliance.engine.optimisation.levels:optimise"
COMPARE = "qstore_appliance.engine.comparing:compare"
#: Both are answered while somebody waits.
DEADLINE_SECONDS = 60.0


class Optimisations:
    """
    Args:
        calculator: Gives each call a process for itself; one that takes too long goes with it.
    """

    def __init__(self, circuits: Circuits, backends: Backends, calculator: Calculator) -> None:
        self._circuits = circuits
        self._backends = backends
        self._calculator = calculator

    async def optimise(self, caller: Caller, circuit_id: str, draft: OptimisationDraft) -> Optimised:
        """
        Store a smaller circuit that does the same beside the first, with the initial values of its parameters.

        Raises:
            NotFound: No such circuit in the caller's organization.
            ValidationFailed: `target_backend`: there is no such backend.
            InvalidCircuit: The circuit has no finite value for any numbers that were tried.
            DeadlineExceeded: It takes longer than a minute.
        """
        caller.require("circuits:write")
        stored = await self._circuits.get(caller, circuit_id)
        target = None if draft.target_backend == AUTO else draft.target_backend
        if target is not None and target not in TARGETS:
            await self._require(target)
        found = await self._calculator.call(
            OPTIMISE,
            stored.n_qubits,
            stored.circuit_definition["gates"],
            draft.optimization_level,
            target,
            secrets.randbelow(2**53),
            timeout=DEADLINE_SECONDS,
        )
        made = await self._circuits.create_from(caller, stored, _drafted(stored, draft, found["gates"]))
        before, after = (msgspec.convert(found[side], GateCounts) for side in ("before", "after"))
        return msgspec.convert(
            {
                **{name: found[name] for name in ("passes", "refused", "certificate")},
                "before": before,
                "after": after,
                "original_depth": before.depth,
                "optimized_depth": after.depth,
                "gate_reduction": f"{100 * (before.gate_count - after.gate_count) / before.gate_count:.1f}%",
                "optimized_circuit_id": made.id,
            },
            Optimised,
        )

    async def compare(self, caller: Caller, draft: ComparisonDraft) -> Compared:
        """
        Raises:
            NotFound: One of the circuits is none in the caller's organization.
            InvalidCircuit: The circuits have no finite value for any numbers that were tried.
            DeadlineExceeded: It takes longer than a minute.
        """
        caller.require("circuits:read")
        a, b = await self._circuits.get(caller, draft.a), await self._circuits.get(caller, draft.b)
        found = await self._calculator.call(
            COMPARE,
            (a.n_qubits, a.circuit_definition["gates"]),
            (b.n_qubits, b.circuit_definition["gates"]),
            secrets.randbelow(2**53),
            timeout=DEADLINE_SECONDS,
        )
        told = {name: found["certificate"][name] for name in ("equivalent", "overlap", "counter_example")}
        return msgspec.convert({**found, **told}, Compared)

    async def _require(self, backend: str) -> None:
        try:
            await self._backends.description(backend)
        except NotFound:
            raise ValidationFailed.field("target_backend", "there is no such backend") from None


def _drafted(stored: StoredCircuit, draft: OptimisationDraft, gates: list[dict[str, object]]) -> CircuitDraft:
    target = draft.target_backend
    made = {"from": stored.id, "version": stored.version, "level": draft.optimization_level, "target_backend": target}
    # Notes of somebody's own may fill all the room there is; then the tags alone are kept.
    metadata = {**stored.metadata, "optimized": made}
    if len(msgspec.json.encode(metadata)) > 10_000:
        metadata = {"tags": stored.tags[:10], "optimized": made}
    return CircuitDraft(
        name=f"{stored.name[:230]} (optimized)",
        description=stored.description,
        n_qubits=stored.n_qubits,
        gates=gates,
        metadata=metadata,
    )
