# Written by `generate` from `aio/circuits.py`; not by hand.
"""Circuits: store, import, find, draw, run, optimize, compare, change, delete, restore; their versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qstore_client.bodies import at, sent
from qstore_client.decoding import decode
from qstore_client.foreign import source_of
from qstore_client.pages import Page
from qstore_client.sync.http import Http
from qstore_client.types import (
    Circuit,
    CircuitSummary,
    CircuitVersion,
    Compared,
    Execution,
    Optimised,
    VersionDifference,
    WholeCircuitVersion,
)

PATH = "/v1/circuits"


class Circuits:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(
        self,
        *,
        name: str,
        n_qubits: int,
        gates: Sequence[Mapping[str, Any]],
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Circuit:
        """
        Store a circuit: `gates=[{"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}}]`.

        Raises:
            InvalidCircuit: With the gate and its index.
        """
        body = sent(
            name=name,
            n_qubits=n_qubits,
            gates=list(gates),
            description=description,
            parameters=parameters,
            metadata=metadata,
        )
        return self._http.post(Circuit, PATH, body, key=idempotency_key)

    def import_(
        self,
        *,
        name: str,
        format: str,
        source: str | Mapping[str, Any],
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Circuit:
        """
        Store a circuit that is written otherwise: `qasm3`, `qasm2`, `ionq`, `ionq_native`, `qstore4` or `unified`.

        Raises:
            InvalidCircuit: With the line and column of a text.
        """
        body = sent(
            name=name,
            format=format,
            source=source,
            description=description,
            parameters=parameters,
            metadata=metadata,
        )
        return self._http.post(Circuit, f"{PATH}/import", body, key=idempotency_key)

    def create_from(
        self,
        circuit: Any,
        *,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Circuit:
        """
        Store a circuit of Cirq, Qiskit or PennyLane. Symbols of Cirq and parameters of Qiskit stay symbols.

        Args:
            args, kwargs: With what a QNode of PennyLane is drawn up.

        Raises:
            TypeError: It is no circuit of these.
            ValueError, InvalidCircuit: Something in it cannot be written down, or cannot be part of a circuit.
        """
        format, source = source_of(circuit, args, kwargs)
        return self.import_(
            name=name,
            format=format,
            source=source,
            description=description,
            metadata=metadata,
            idempotency_key=idempotency_key,
        )

    def list(
        self, *, tags: Sequence[str] | None = None, limit: int = 20, offset: int = 0, sort: str | None = None
    ) -> Page[CircuitSummary]:
        """Circuits without their gates; those that have any of `tags`."""
        return self._http.page(CircuitSummary, PATH, tags=tags, limit=limit, offset=offset, sort=sort)

    def iterate(
        self, *, tags: Sequence[str] | None = None, sort: str | None = None, page_size: int = 100
    ) -> Iterator[CircuitSummary]:
        return self._http.rows(CircuitSummary, PATH, page_size, tags=tags, sort=sort)

    def get(self, circuit_id: str) -> Circuit:
        return self._http.get(Circuit, at(PATH, circuit_id))

    def export(self, circuit_id: str, format: str) -> str | dict[str, Any]:
        """A circuit as `qasm3` or `qasm2` (a text), or as `unified`, `qstore4`, `ionq` or `ionq_native`."""
        if format in ("qasm2", "qasm3"):
            return self._http.text(at(PATH, circuit_id), format=format)
        return dict((self._http.ask("GET", at(PATH, circuit_id), params={"format": format})).data)

    def drawing(self, circuit_id: str, *, format: str = "svg", theme: str = "light") -> str:
        """As an SVG, or with `format="text"` in characters."""
        return self._http.text(at(PATH, circuit_id, "drawing"), format=format, theme=theme)

    def run(
        self,
        circuit_id: str,
        parameters: Mapping[str, float] | None = None,
        *,
        backend: str = "auto",
        shots: int | None = None,
        observables: Sequence[str] = (),
        noise: Mapping[str, Any] | None = None,
        seed: int | None = None,
        idempotency_key: str | None = None,
    ) -> Execution:
        """Run a circuit once with a number for each of its symbols; without `shots` exactly."""
        body = sent(
            parameters=dict(parameters or {}),
            backend=backend,
            shots=shots,
            observables=list(observables),
            noise=noise,
            seed=seed,
        )
        return self._http.post(Execution, at(PATH, circuit_id, "run"), body, key=idempotency_key)

    def optimize(
        self,
        circuit_id: str,
        *,
        target_backend: str | None = None,
        optimization_level: int = 2,
        idempotency_key: str | None = None,
    ) -> Optimised:
        """Store a smaller circuit that does the same, with a certificate that it does; levels are 0 to 3."""
        body = sent(target_backend=target_backend, optimization_level=optimization_level)
        return self._http.post(Optimised, at(PATH, circuit_id, "optimize"), body, key=idempotency_key)

    def compare(self, a: str, b: str) -> Compared:
        """Whether two circuits do the same up to a phase, or a state that tells them apart; and what they differ in."""
        return self._http.post(Compared, f"{PATH}/compare", {"a": a, "b": b})

    def versions(
        self, circuit_id: str, *, limit: int = 20, offset: int = 0, sort: str | None = None
    ) -> Page[CircuitVersion]:
        """What it was before each change of its gates, without them; the newest first."""
        path = at(PATH, circuit_id, "versions")
        return self._http.page(CircuitVersion, path, limit=limit, offset=offset, sort=sort)

    def version(self, circuit_id: str, version: int) -> WholeCircuitVersion:
        """What it was in one of its versions."""
        return self._http.get(WholeCircuitVersion, at(PATH, circuit_id, "versions", str(version)))

    def diff(self, circuit_id: str, a: int = 1, b: int | None = None) -> VersionDifference:
        """The gates that only one of two versions has; without `b` the present one."""
        return self._http.get(VersionDifference, at(PATH, circuit_id, "diff"), a=a, b=b)

    def update(
        self,
        circuit_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        n_qubits: int | None = None,
        gates: Sequence[Mapping[str, Any]] | None = None,
        parameters: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Circuit:
        """Change what is given and leave the rest; new gates make a new version."""
        body = sent(
            name=name,
            description=description,
            n_qubits=n_qubits,
            gates=gates,
            parameters=parameters,
            metadata=metadata,
        )
        return decode(Circuit, (self._http.ask("PATCH", at(PATH, circuit_id), json=body)).data)

    def delete(self, circuit_id: str) -> None:
        """For 24 hours it can be restored."""
        self._http.ask("DELETE", at(PATH, circuit_id))

    def restore(self, circuit_id: str) -> Circuit:
        return self._http.post(Circuit, at(PATH, circuit_id, "restore"))
