from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from qstore_appliance.engine import artifact
from qstore_appliance.engine.plan import EpochReport
from qstore_appliance.engine.predictor import Predictor
from qstore_appliance.engine.training import Plan, Trained, Training
from qstore_appliance.errors import BackendCannot, ValidationFailed

H2 = {"molecule": "H2", "bond_length": 0.735}


def ansatz(n_qubits: int, layers: int, ones: tuple[int, ...] = ()) -> dict[str, Any]:
    """Layers of RY and RZ with CNOTs between them, on a bit string."""
    gates: list[dict[str, Any]] = [{"type": "X", "targets": [qubit]} for qubit in ones]
    weight = 0
    for layer in range(layers + 1):
        for qubit in range(n_qubits):
            for gate in ("RY", "RZ"):
                gates.append({"type": gate, "targets": [qubit], "parameters": {"theta": f"theta_{weight}"}})
                weight += 1
        if layer < layers:
            gates += [{"type": "CNOT", "targets": [qubit, qubit + 1]} for qubit in range(n_qubits - 1)]
    return {"n_qubits": n_qubits, "gates": gates}


def hamiltonian_variational(n_qubits: int, layers: int) -> dict[str, Any]:
    """Turns by the chain's own terms in turn, from the state |+…+⟩."""
    gates: list[dict[str, Any]] = [{"type": "H", "targets": [qubit]} for qubit in range(n_qubits)]
    for layer in range(layers):
        for gate, width, name in (("RZZ", 2, f"zz_{layer}"), ("RX", 1, f"x{layer}")):
            for qubit in range(n_qubits - width + 1):
                targets = list(range(qubit, qubit + width))
                gates.append({"type": gate, "targets": targets, "parameters": {"theta": name}})
    return {"n_qubits": n_qubits, "gates": gates}


def make_plan(circuit: dict[str, Any], seed: int = 0, checkpoint: bytes | None = None, **config: Any) -> Plan:
    return Plan(
        circuit=circuit,
        config={"task": "energy", "optimizer": "lbfgs", "learning_rate": 0.1, "epochs": 60, **config},
        backend="native",
        backend_options={},
        dataset={},
        seed=seed,
        checkpoint=checkpoint,
    )


def minimise(plan: Plan) -> tuple[list[EpochReport], Trained]:
    training = Training(plan)
    return list(training.epochs()), training.finish()


class TestGroundStates:
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_hydrogen_reaches_the_exact_energy(self, seed: int) -> None:
        """At 0.735 angstrom, from Hartree-Fock's state, the error is far below chemical accuracy of 1.6 mHa."""
        reports, trained = minimise(make_plan(ansatz(4, 2, (0, 1)), seed, hamiltonian=H2, epochs=100))

        metrics = trained.metrics
        assert metrics["exact_energy"] == pytest.approx(-1.13730604, abs=1e-7)
        assert abs(metrics["energy"] - metrics["exact_energy"]) < 1e-4
        assert metrics["energy_error"] == pytest.approx(metrics["energy"] - metrics["exact_energy"])
        assert metrics["hartree_fock_energy"] > metrics["energy"] + 0.02
        assert metrics["energy_std_error"] is None
        assert reports[-1].accuracy is None
        assert reports[-1].val_loss is None

    @pytest.mark.parametrize("n_qubits", [4, 5, 6])
    def test_ising_chains_reach_exact_diagonalisation(self, n_qubits: int) -> None:
        """At the critical field, where the ground state is most entangled, the error is below 1e-3."""
        circuit = hamiltonian_variational(n_qubits, n_qubits)
        chain = {"model": "ising", "j": 1.0, "h": 1.0}

        _, trained = minimise(make_plan(circuit, hamiltonian=chain, epochs=100, precision="double"))

        assert 0.0 <= trained.metrics["energy_error"] < 1e-3

    def test_a_heisenberg_chain_reaches_exact_diagonalisation(self) -> None:
        """Four antiferromagnetic spins have the energy -6.4641, in units of the coupling."""
        _, trained = minimise(make_plan(ansatz(4, 3), hamiltonian={"model": "heisenberg"}, epochs=150))

        assert trained.metrics["exact_energy"] == pytest.approx(-6.46410162, abs=1e-7)
        assert abs(trained.metrics["energy_error"]) < 1e-3

    def test_terms_of_ones_own_are_taken(self) -> None:
        """A Hamiltonian that is spelled out has the energy of its sum, its constant included."""
        terms = [{"pauli": "Z0", "coeff": 1.0}, {"pauli": "X0", "coeff": 0.5}, {"pauli": "I", "coeff": 10.0}]
        circuit = ansatz(1, 0)

        _, trained = minimise(make_plan(circuit, hamiltonian=terms, optimizer="adam", epochs=150))

        assert trained.metrics["energy"] == pytest.approx(10.0 - np.sqrt(1.25), abs=1e-3)

    @pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "spsa", "natural", "lbfgs"])
    def test_every_optimizer_lowers_an_energy(self, optimizer: str) -> None:
        """From the same start each one gets below the first epoch's energy by a tenth of a hartree or more."""
        circuit = hamiltonian_variational(4, 2)
        chain = {"model": "ising"}

        reports, _ = minimise(make_plan(circuit, hamiltonian=chain, optimizer=optimizer, learning_rate=0.05))

        assert reports[-1].loss < reports[0].loss - 0.1


class TestShots:
    def test_the_standard_error_covers_the_exact_energy(self) -> None:
        """Many seeds of the same state: every estimate is within five standard errors, and they scatter as is said."""
        circuit, values = ansatz(4, 1), {"theta": [0.3 * k for k in range(16)]}
        chain = {"model": "heisenberg", "h": 0.5}
        start = {"hamiltonian": chain, "initial_parameters": values, "optimizer": "sgd", "learning_rate": 1e-12}
        exact = minimise(make_plan(circuit, epochs=1, **start))[1].metrics["energy"]

        runs = 60
        found = [minimise(make_plan(circuit, seed, epochs=1, shots=200, **start))[1].metrics for seed in range(runs)]

        offsets = np.array([(metrics["energy"] - exact) / metrics["energy_std_error"] for metrics in found])
        assert np.abs(offsets).max() < 5.0
        assert abs(offsets.mean()) < 5.0 / np.sqrt(runs)
        # The error is neither too small nor too large: in its units the energies scatter by one.
        assert abs(offsets.std() - 1.0) < 5.0 / np.sqrt(2 * runs)


class TestDeterminism:
    @pytest.mark.parametrize("optimizer", ["adam", "spsa", "natural", "lbfgs"])
    def test_going_on_from_any_epoch_equals_the_unbroken_run(self, optimizer: str) -> None:
        """The same plan gives the same bytes twice, and so does each of its checkpoints."""
        config: dict[str, Any] = {"hamiltonian": H2, "optimizer": optimizer, "epochs": 5}
        circuit = ansatz(4, 1, (0, 1))
        reports, model = minimise(make_plan(circuit, **config))
        again, same = minimise(make_plan(circuit, **config))

        assert [report.checkpoint for report in again] == [report.checkpoint for report in reports]
        assert same.artifact == model.artifact
        for index, report in enumerate(reports):
            rest, resumed = minimise(make_plan(circuit, checkpoint=report.checkpoint, **config))
            assert [later.checkpoint for later in rest] == [later.checkpoint for later in reports[index + 1 :]]
            assert resumed.artifact == model.artifact

    def test_a_checkpoint_of_another_hamiltonian_is_refused(self) -> None:
        """The bond length belongs to what must be the same to go on."""
        circuit = ansatz(4, 1, (0, 1))
        checkpoint = minimise(make_plan(circuit, hamiltonian=H2, epochs=1))[0][0].checkpoint
        other = {"molecule": "H2", "bond_length": 1.0}

        with pytest.raises(ValidationFailed, match="checkpoint"):
            Training(make_plan(circuit, hamiltonian=other, epochs=1, checkpoint=checkpoint))


class TestWhatIsKept:
    def test_the_model_holds_the_state_and_answers_nothing(self) -> None:
        """Weights, Hamiltonian and energy are kept; a predictor says that there is nothing to predict."""
        _, trained = minimise(make_plan(ansatz(4, 1, (0, 1)), hamiltonian=H2, epochs=2))

        assert trained.artifact is not None
        model = artifact.read(trained.artifact)
        assert model.task == "energy"
        assert len(model.observables) == trained.metrics["n_terms"] == 14
        assert model.features.n_inputs == 0
        assert trained.receipt["hamiltonian"] == "H2 at 0.735 angstrom"
        assert trained.receipt["gradient"] == "adjoint"
        assert trained.test_examples == []
        assert msgspec.json.decode(msgspec.json.encode(trained.metrics)) == trained.metrics
        with pytest.raises(BackendCannot, match="reads no inputs"):
            Predictor(trained.artifact)

    def test_every_evaluation_is_metered(self) -> None:
        """A line search runs more circuits than the gradient alone; a first-order step runs one."""
        circuit = ansatz(2, 1)
        chain = {"model": "ising"}

        by_lbfgs, _ = minimise(make_plan(circuit, hamiltonian=chain, epochs=3))
        by_adam, _ = minimise(make_plan(circuit, hamiltonian=chain, epochs=3, optimizer="adam"))

        assert [report.circuits for report in by_adam] == [1, 1, 1]
        assert min(report.circuits for report in by_lbfgs) >= 2


@pytest.mark.parametrize(
    ("circuit", "config", "field"),
    [
        (ansatz(4, 1), {"hamiltonian": {"molecule": "He", "bond_length": 1.0}}, "config.hamiltonian.molecule"),
        (ansatz(4, 1), {"hamiltonian": {"molecule": "H2", "bond_length": 0.7351}}, "config.hamiltonian.bond_length"),
        (ansatz(2, 1), {"hamiltonian": H2}, "config.hamiltonian"),
        (ansatz(4, 1), {}, "config.hamiltonian"),
        (ansatz(4, 1), {"hamiltonian": H2, "shots": 10}, "config.optimizer"),
        (ansatz(4, 1), {"hamiltonian": H2, "gradient": "spsa"}, "config.optimizer"),
        (ansatz(4, 1), {"hamiltonian": H2, "gradient_clip": 1.0}, "config.gradient_clip"),
        ({"n_qubits": 4, "gates": [{"type": "H", "targets": [0]}]}, {"hamiltonian": H2}, "circuit"),
        (
            {"n_qubits": 4, "gates": [{"type": "RX", "targets": [0], "parameters": {"theta": "x_0*theta"}}]},
            {"hamiltonian": H2},
            "circuit",
        ),
    ],
)
def test_what_cannot_be_minimised_is_refused(circuit: dict[str, Any], config: dict[str, Any], field: str) -> None:
    """Unknown molecules and lengths, too few qubits, no weights, features, and a line search in noise."""
    with pytest.raises(ValidationFailed) as refused:
        Training(make_plan(circuit, **config))

    assert refused.value.details["errors"][0]["field"] == field
