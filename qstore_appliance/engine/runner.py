"""
A program on a backend, with a readout: weights and features in, expectations out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import pieces, spsa
from qstore_appliance.engine.backend import Backend, Execution
from qstore_appliance.engine.noise import Noise
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.streams import number

Floats = NDArray[np.float64]

GRADIENTS: Final = ("auto", "adjoint", "parameter_shift", "spsa")
_CHUNK: Final = 4096  # samples per call where nothing is trained


@dataclass(frozen=True, eq=False)
class Runner:
    """
    Attributes:
        shots: measurements per sample and group of observables; None for exact expectations.
        gradient: of `GRADIENTS`; `auto` takes adjoint where the backend has it and nothing is sampled, else the shift
            rule.
        noise: what every execution suffers.
    """

    backend: Backend
    program: Program
    observables: tuple[Observable, ...]
    shots: int | None
    precision: str
    gradient: str = "auto"
    noise: Noise | None = None

    def execution(self, weights: Floats, features: Floats, seed: int | None = None) -> Execution:
        return Execution(
            program=self.program,
            weights=weights,
            features=features,
            observables=self.observables,
            shots=self.shots,
            seed=seed,
            precision=self.precision,
            noise=self.noise,
        )

    def expectations(self, weights: Floats, features: Floats, seed: int | None = None) -> Floats:
        """[n, n_observables], in as few calls as the backend's limits allow."""
        return pieces.expectations(self.backend, self.execution(weights, features, seed), _CHUNK, stride=1)

    @property
    def rule(self) -> str:
        """Where gradients really come from: `adjoint`, `parameter_shift` or `spsa`."""
        if self.gradient != "auto":
            return self.gradient
        return "adjoint" if self.shots is None and self.backend.capabilities.adjoint else "parameter_shift"

    def differentiate(
        self,
        execution: Execution,
        pullback: Callable[[Floats], Floats],
        perturbation: spsa.Perturbation | None = None,
    ) -> tuple[Floats, Floats]:
        """
        Expectations [batch, n_observables] and the gradient [n_weights].

        Args:
            pullback: from expectations to the loss's derivatives by them.
            perturbation: for SPSA, and only for it.
        """
        if perturbation is not None:
            return spsa.differentiate(self.backend, execution, pullback, perturbation)
        if self.gradient == "parameter_shift":
            # The rule that every backend inherits, even where the backend has something faster of its own.
            return Backend.differentiate(self.backend, execution, pullback)
        if self.too_many(execution.batch):
            return pieces.differentiate(self.backend, execution, pullback)
        return self.backend.differentiate(execution, pullback)

    def too_many(self, n: int) -> bool:
        """
        Whether a gradient of n samples is more than one call of the backend takes. The rule that every backend inherits
        minds the limit itself.
        """
        inherited = type(self.backend).differentiate is Backend.differentiate
        return n > pieces.most(self.backend) and not inherited

    def circuits(self, n: int, differentiate: bool) -> int:
        """Circuits that a call with n samples runs."""
        if differentiate and self.gradient == "spsa":
            return 2 * n
        if differentiate and self.gradient == "parameter_shift":
            return n * (1 + 2 * len(self.program.gradient_slots))
        if differentiate and self.too_many(n):
            # In pieces the expectations are computed once more, before anything is differentiated.
            return n + self.backend.circuits_for(n, True, self.program, self.shots)
        return self.backend.circuits_for(n, differentiate, self.program, self.shots)

    def seed(self, seed: int, purpose: str, *position: int) -> int | None:
        """A seed for one call with shots; None where nothing is sampled."""
        return None if self.shots is None else number(seed, purpose, *position)
