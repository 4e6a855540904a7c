"""
Energy: the expectation of a Hamiltonian in the circuit's state is what is minimised (Peruzzo et al. 2014,
arXiv:1304.3061).

To a training it is a task with one sample that has no features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.ground_state import ground_energy
from qstore_appliance.engine.hamiltonians import Hamiltonian
from qstore_appliance.engine.tasks.task import Batch

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Energy:
    """
    Attributes:
        hamiltonian: its observables are the readout, in its order.
    """

    name: ClassVar[str] = "energy"
    head: ClassVar[str] = "none"
    counts_hits: ClassVar[bool] = False
    n_parameters: ClassVar[int] = 0

    hamiltonian: Hamiltonian

    def initial(self, random: np.random.Generator) -> Floats:
        return np.empty(0)

    def energy(self, expectations: Floats) -> float:
        """[n, n_terms] → the mean over n equal states."""
        coefficients = np.array(self.hamiltonian.coefficients)
        return float((expectations @ coefficients).mean()) + self.hamiltonian.constant

    def score(self, expectations: Floats, y: NDArray[Any], head: Floats) -> tuple[float, int]:
        return self.energy(expectations), 0

    def differentiate(self, expectations: Floats, y: NDArray[Any], head: Floats) -> Batch:
        cotangents = np.tile(self.hamiltonian.coefficients, (len(expectations), 1)) / len(expectations)
        return Batch(self.energy(expectations), 0, cotangents, np.empty(0))

    def measure(self, expectations: Floats, y: NDArray[Any], head: Floats) -> dict[str, Any]:
        """The energy beside the exact one, where that is known from a table or can be had by diagonalisation."""
        energy, exact = self.energy(expectations), self.hamiltonian.exact_energy
        if exact is None:
            exact = ground_energy(self.hamiltonian)
        return {
            "energy": energy,
            "exact_energy": exact,
            "energy_error": None if exact is None else energy - exact,
            "hartree_fock_energy": self.hamiltonian.hartree_fock_energy,
            "n_terms": len(self.hamiltonian.terms),
        }
