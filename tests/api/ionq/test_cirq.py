"""A lab's existing scripts: the real cirq-ionq client against this server, with nothing changed but the address."""

from __future__ import annotations

import warnings

import cirq
import cirq_ionq
import numpy as np
import pytest

from tests.ionq_endpoint import Endpoint


@pytest.fixture
def service(ionq: Endpoint) -> cirq_ionq.Service:
    return cirq_ionq.Service(remote_host=ionq.url, api_key=ionq.key, default_target="simulator", max_retry_seconds=5)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """cirq-ionq looks once a second; these jobs take milliseconds."""
    sleep = cirq_ionq.job.time.sleep
    monkeypatch.setattr(cirq_ionq.job.time, "sleep", lambda seconds: sleep(min(seconds, 0.05)))


def test_probabilities_are_those_of_cirq(service: cirq_ionq.Service) -> None:
    """A circuit without symmetries, over every gate that the client writes, gives Cirq's own probabilities."""
    a, b, c = q = cirq.LineQubit.range(3)
    circuit = cirq.Circuit(
        cirq.H(a), cirq.X(b) ** 0.5, cirq.X(c), cirq.CNOT(a, c), cirq.Y(b) ** 0.3, cirq.Z(c) ** 0.25, cirq.SWAP(a, b),
        cirq.XX(a, c) ** 0.2, cirq.YY(b, c) ** 0.4, cirq.ZZ(a, b) ** 0.7, cirq.S(a), cirq.T(b), cirq.X(a) ** -0.5,
        cirq.rx(0.4)(a), cirq.ry(-1.3)(c), cirq.rz(2.0)(b), cirq.H(b), cirq.H(c),
        cirq.PauliStringPhasor(cirq.X(a) * cirq.Y(b) * cirq.Z(c), exponent_neg=0.4),
    )  # fmt: skip
    expected = np.abs(cirq.final_state_vector(circuit, qubit_order=q)) ** 2

    result = service.create_job(circuit + cirq.measure(*q, key="m"), repetitions=100).results()

    found = [result.probabilities().get(outcome, 0.0) for outcome in range(8)]
    assert np.abs(np.array(found) - expected).max() < 1e-6
    assert len(set(np.round(expected, 4))) == 8


def test_a_ghz_state(service: cirq_ionq.Service) -> None:
    """`run` gives a Cirq result with only the two outcomes, and the seed makes it repeatable."""
    q = cirq.LineQubit.range(3)
    circuit = cirq.Circuit(cirq.H(q[0]), cirq.CNOT(q[0], q[1]), cirq.CNOT(q[1], q[2]), cirq.measure(*q, key="m"))

    result = service.run(circuit, repetitions=200, seed=5, name="ghz")

    counts = result.histogram(key="m")
    assert set(counts) == {0, 7}
    assert sum(counts.values()) == 200
    assert result.histogram(key="m") == service.run(circuit, repetitions=200, seed=5).histogram(key="m")


def test_the_order_of_bits(service: cirq_ionq.Service) -> None:
    """A qubit that is turned is the one that is read, under several keys."""
    q = cirq.LineQubit.range(4)
    circuit = cirq.Circuit(
        cirq.X(q[0]), cirq.X(q[3]), cirq.measure(q[0], q[1], key="a"), cirq.measure(q[2], q[3], key="b")
    )

    result = service.run(circuit, repetitions=3)

    assert result.measurements["a"].tolist() == [[1, 0]] * 3
    assert result.measurements["b"].tolist() == [[0, 1]] * 3


def test_a_batch(service: cirq_ionq.Service) -> None:
    """Circuits of different sizes come back in their order."""
    q = cirq.LineQubit.range(3)
    circuits = [
        cirq.Circuit(cirq.X(q[1]), cirq.measure(*q, key="m")),
        cirq.Circuit(cirq.X(q[0]), cirq.measure(*q[:2], key="m")),
        cirq.Circuit(cirq.X(q[0]), cirq.CNOT(q[0], q[2]), cirq.measure(*q, key="m")),
    ]

    results = service.run_batch(circuits, repetitions=4)

    assert [dict(result.histogram(key="m")) for result in results] == [{2: 4}, {2: 4}, {5: 4}]


def test_native_gates(service: cirq_ionq.Service) -> None:
    """What the client compiles for the hardware gives the same as the circuit it was made of."""
    q = cirq.LineQubit.range(2)
    circuit = cirq.Circuit(cirq.ry(0.9)(q[0]), cirq.CNOT(q[0], q[1]), cirq.rx(0.4)(q[1]))
    compiled = cirq.optimize_for_target_gateset(circuit, gateset=cirq_ionq.AriaNativeGateset())
    expected = np.abs(cirq.final_state_vector(circuit, qubit_order=q)) ** 2

    result = service.create_job(compiled + cirq.measure(*q, key="m")).results()

    found = [result.probabilities().get(outcome, 0.0) for outcome in range(4)]
    assert np.abs(np.array(found) - expected).max() < 1e-6


def test_parameters_and_the_sampler(service: cirq_ionq.Service) -> None:
    """A sweep over a symbol runs one job per value."""
    import sympy

    q = cirq.LineQubit(0)
    circuit = cirq.Circuit(cirq.rx(sympy.Symbol("t"))(q), cirq.measure(q, key="m"))

    results = service.sampler(seed=1).run_sweep(circuit, [{"t": 0.0}, {"t": np.pi}], repetitions=5)

    assert [dict(result.histogram(key="m")) for result in results] == [{0: 5}, {1: 5}]


def test_a_quantum_computer(service: cirq_ionq.Service) -> None:
    """A script for hardware gets counts, all of its shots, and is told that they were simulated."""
    q = cirq.LineQubit.range(2)
    circuit = cirq.Circuit(cirq.H(q[0]), cirq.CNOT(q[0], q[1]), cirq.measure(*q, key="m"))
    job = service.create_job(circuit, repetitions=101, target="qpu.forte-1", error_mitigation={"debiasing": True})

    with pytest.warns(UserWarning, match="no quantum computer was used"):
        counts = job.results().counts()

    assert set(counts) == {0, 3}
    assert sum(counts.values()) == 101


def test_looking_canceling_deleting(service: cirq_ionq.Service) -> None:
    """Jobs are found again by id and in the list, canceled and deleted."""
    q = cirq.LineQubit(0)
    job = service.create_job(cirq.Circuit(cirq.X(q), cirq.measure(q, key="m")), repetitions=7, name="look")
    job.results()

    again = service.get_job(job.job_id())

    assert (again.status(), again.name(), again.num_qubits(), again.repetitions()) == ("completed", "look", 1, 7)
    assert again.measurement_dict() == {"m": [0]}
    assert job.job_id() in {one.job_id() for one in service.list_jobs(limit=1_000)}
    assert len({one.job_id() for one in service.list_jobs(limit=3, batch_size=2)}) == 3
    again.cancel()
    assert again.status() == "canceled"
    with pytest.raises(cirq_ionq.IonQUnsuccessfulJobException):
        again.num_qubits()
    again.delete()
    with pytest.raises(cirq_ionq.IonQNotFoundException):
        service.get_job(job.job_id())


def test_errors(ionq: Endpoint, service: cirq_ionq.Service) -> None:
    """The client's own exceptions tell what is wrong: the key, or the circuit."""
    q = cirq.LineQubit.range(40)
    wide = cirq.Circuit(cirq.X(q[39]), cirq.measure(q[39], key="m"))
    with warnings.catch_warnings(), pytest.raises(cirq_ionq.IonQException, match="40"):
        service.create_job(wide)

    wrong = cirq_ionq.Service(remote_host=ionq.url, api_key="qsk_live_" + "a" * 24, default_target="simulator")
    with pytest.raises(cirq_ionq.IonQException, match="Not authorized"):
        wrong.create_job(wide)
