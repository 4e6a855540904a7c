"""A57, A58 and A60: circuits that are none, work that fills the memory, and training on nonsense."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import data
from tests.attacks.conftest import CIRCUIT, Fortress, code

JSON = {"Content-Type": "application/json"}
NAN, INFINITE = float("nan"), float("inf")


def angle(theta: Any) -> dict[str, Any]:
    return {"gates": [{"type": "RY", "targets": [0], "parameters": {"theta": theta}}]}


def gate(**more: Any) -> dict[str, Any]:
    return {"gates": [{"type": "H", "targets": [0]} | more]}


ANGLES: dict[str, Any] = {
    "NaN": NAN,
    "Infinity": INFINITE,
    "-Infinity": -INFINITE,
    "nan as text": "nan",
    "inf as text": "inf",
    "1e999 as text": "1e999",
    "complex": {"real": 1, "imag": 1},
    "complex as text": "1j",
    "a list": [0.1],
    "nothing": None,
    "true": True,
    "empty": "",
    "blank": " ",
    "an import": "__import__('os').system('id')",
    "a builtin": "eval('1')",
    "an attribute": "().__class__.__bases__",
    "an attribute of a symbol": "a.real",
    "an index": "a[0]",
    "a lambda": "(lambda: 1)()",
    "a comprehension": "[1 for i in a]",
    "an assignment": "a := 1",
    "a condition": "1 if a else 2",
    "a string": "'a'",
    "a format": "f'{a}'",
    "a comment": "1 # a",
    "two lines": "1\n2",
    "a tower of powers": "9**9**9**9**9",
    "a long power": "2**100000",
    "a division by nothing": "1/0",
    "a root of -1": "sqrt(-1)",
    "a logarithm of nothing": "log(0)",
    "an unknown function": "open(1)",
    "10,000 brackets": "(" * 10_000 + "1" + ")" * 10_000,
    "10,000 signs": "-" * 10_000 + "1",
    "10,000 terms": "+".join(["1"] * 10_000),
    "5,000 digits": "9" * 5_000,
    "a name of 10,000": "a" * 10_000,
    "a name with a stroke": "a/../b*",
    "Unicode that looks like it": "\u0430\u0301",
    "NUL": "a\0",
    "a template": "{{7*7}}",
}
SHAPES: dict[str, dict[str, Any]] = {
    "no qubits": {"n_qubits": 0},
    "qubits below nothing": {"n_qubits": -1},
    "31 qubits": {"n_qubits": 31},
    "a billion qubits": {"n_qubits": 10**9},
    "2^63 qubits": {"n_qubits": 2**63},
    "true qubits": {"n_qubits": True},
    "half a qubit": {"n_qubits": 1.5},
    "qubits as text": {"n_qubits": "2"},
    "a qubit below nothing": gate(targets=[-1]),
    "a qubit too many": gate(targets=[2]),
    "a qubit of 2^63": gate(targets=[2**63]),
    "half a target": gate(targets=[0.5]),
    "a target as text": gate(targets=["0"]),
    "a true target": gate(targets=[True]),
    "no target": gate(targets=[]),
    "two targets": gate(targets=[0, 1]),
    "one qubit twice": {"gates": [{"type": "CNOT", "targets": [0, 0]}]},
    "its own control": gate(type="X", targets=[0], controls=[0]),
    "a control that is not there": gate(type="X", targets=[0], controls=[7]),
    "a control twice": {"n_qubits": 3} | gate(type="X", targets=[0], controls=[1, 1]),
    "a million targets": gate(targets=list(range(100_000))),
    "an unknown gate": gate(type="NO"),
    "a gate of markup": gate(type="<script>"),
    "a gate of 10,000": gate(type="H" * 10_000),
    "a gate of nothing": gate(type=""),
    "a gate that is a number": gate(type=1),
    "an unknown parameter": gate(parameters={"phi": 1}),
    "a missing parameter": {"gates": [{"type": "RY", "targets": [0]}]},
    "a field too many": gate(condition="c==1"),
    "a gate that is a list": {"gates": [["H", 0]]},
    "gates that are none": {"gates": "H 0"},
    "200,000 gates": {"gates": [{"type": "H", "targets": [0]}] * 200_000},
    "20,000 symbols": {"gates": [{"type": "RY", "targets": [0], "parameters": {"theta": f"s{n}"}} for n in range(20_000)]},
    "a name of a megabyte": {"name": "x" * 1_000_000},
    "initial values that are none": {"parameters": {"a": {"initial_values": [NAN]}}},
    "a parameter that is not there": {"parameters": {"zz": 1}},
}  # fmt: skip
ROWS = [
    *(pytest.param(angle(value), id=f"angle {name}") for name, value in ANGLES.items()),
    *(pytest.param(change, id=name) for name, change in SHAPES.items()),
]


@pytest.mark.attack("A57")
@pytest.mark.parametrize("change", ROWS)
def test_circuits_that_are_none(owner: httpx.Client, change: dict[str, Any]) -> None:
    """Each is refused in words that say where, and nothing in it is evaluated."""
    answer = owner.post("/v1/circuits", content=json.dumps(CIRCUIT | change).encode(), headers=JSON)

    assert answer.status_code in (413, 422), answer.text[:300]
    assert code(answer) in ("INVALID_CIRCUIT", "VALIDATION_ERROR", "TOO_LARGE")
    assert "uid=" not in answer.text
    assert len(answer.content) < 20_000


TEXTS: dict[str, tuple[str, str]] = {
    "an include of a file": ("qasm2", 'OPENQASM 2.0; include "/etc/passwd"; qreg q[1];'),
    "an include that climbs": ("qasm3", 'OPENQASM 3; include "../../../etc/passwd"; qubit q;'),
    "a billion qubits": ("qasm2", 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1000000000];'),
    "gates that define each other": ("qasm2", "OPENQASM 2.0; gate a q { b q; } gate b q { a q; } qreg q[1]; a q[0];"),
    "gates that double": (
        "qasm2",
        'OPENQASM 2.0; include "qelib1.inc"; gate g0 q { h q; h q; } '
        + " ".join(f"gate g{n} q {{ g{n - 1} q; g{n - 1} q; }}" for n in range(1, 60))
        + " qreg q[1]; g59 q[0];",
    ),
    "a loop without an end": ("qasm3", "OPENQASM 3; qubit q; while (true) { U(0,0,0) q; }"),
    "a loop of 2^62": ("qasm3", "OPENQASM 3; qubit q; for int i in [0:4611686018427387904] { U(0,0,0) q; }"),
    "10,000 brackets": ("qasm2", 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; rx(' + "(" * 10_000 + "1" + ")" * 10_000 + ") q[0];"),
    "a tower of powers": ("qasm2", 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; rx(9^9^9^9^9) q[0];'),
    "an external function": ("qasm3", 'OPENQASM 3; extern system(int) -> int; qubit q; U(system(1),0,0) q;'),
    "a pickle": ("qasm2", "\x80\x04K\x01."),
    "half": ("qasm2", "OPENQASM 2.0; qreg q[1"),
    "nothing": ("qasm3", ""),
    "an entity": ("qasm2", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
}  # fmt: skip


@pytest.mark.attack("A57")
@pytest.mark.parametrize(("format", "text"), TEXTS.values(), ids=TEXTS)
def test_programs_that_are_none(owner: httpx.Client, format: str, text: str) -> None:
    """A program in another language is read as data: no file is included, nothing runs, nothing is unrolled for ever."""
    answer = owner.post("/v1/circuits/import", json={"name": "p", "format": format, "source": text})

    assert answer.status_code in (400, 413, 422), answer.text[:300]
    assert "root:" not in answer.text


WIDE = {"name": "wide", "n_qubits": 30, "gates": [{"type": "RY", "targets": [n], "parameters": {"theta": f"t{n}"}} for n in range(30)]}  # fmt: skip


@pytest.mark.attack("A58")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("run", {"shots": 10**12}),
        ("run", {"shots": -1}),
        ("run", {"observables": ["Z0"] * 100_000}),
        ("run", {"observables": [" ".join(f"Z{n}" for n in range(100_000))]}),
        ("run", {"amplitudes": True, "state": True}),
    ],
    ids=["shots", "negative", "observables", "long", "state"],
)
def test_runs_that_fill_the_memory(owner: httpx.Client, path: str, body: dict[str, Any]) -> None:
    """Thirty qubits with everything at once is refused before anything is allocated."""
    circuit = data(owner.post("/v1/circuits", json=WIDE))["id"]

    answer = owner.post(f"/v1/circuits/{circuit}/{path}", json=body)

    assert answer.status_code in (413, 422), answer.text[:300]


@pytest.mark.attack("A58")
def test_twenty_wide_jobs_at_once(fortress: Fortress, owner: httpx.Client) -> None:
    """Jobs of thirty qubits are refused or wait; the server that takes them does not grow by a state of theirs."""
    circuit = data(owner.post("/v1/circuits", json=WIDE))["id"]
    body = {"circuit_id": circuit, "config": {"task": "energy", "hamiltonian": {"model": "ising"}, "epochs": 1}}
    before = resident(fortress)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: owner.post("/v1/jobs", json=body), range(20)))
    after = resident(fortress)
    for answer in answers:
        if answer.status_code == 202:
            owner.post(f"/v1/jobs/{data(answer)['job_id']}/cancel")

    assert {answer.status_code for answer in answers} <= {202, 422, 429}, answers[0].text
    assert after - before < 200_000_000


def resident(fortress: Fortress) -> int:
    """Bytes that the serving process holds."""
    line = next(
        line
        for line in open(f"/proc/{fortress.server.process.pid}/status")  # noqa: SIM115
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) * 1024


IRIS = {"type": "iris", "features": {"method": "pca", "count": 2}}
NONSENSE: dict[str, dict[str, Any]] = {
    "no epochs": {"epochs": 0},
    "epochs below nothing": {"epochs": -1},
    "a million epochs": {"epochs": 1_000_000},
    "no batch": {"batch_size": 0},
    "half a batch": {"batch_size": 1.5},
    "a batch of 2^63": {"batch_size": 2**63},
    "no rate": {"learning_rate": 0},
    "a rate of NaN": {"learning_rate": NAN},
    "a rate of infinity": {"learning_rate": INFINITE},
    "a rate of 1e308": {"learning_rate": 1e308},
    "a rate below nothing": {"learning_rate": -0.1},
    "a momentum of one": {"optimizer": "sgd", "momentum": 1},
    "an unknown optimizer": {"optimizer": "__import__('os')"},
    "an unknown task": {"task": "mine"},
    "an unknown backend": {"backend": "../native"},
    "a seed below nothing": {"seed": -1},
    "a seed of 2^63": {"seed": 2**63},
    "a clip of NaN": {"gradient_clip": NAN},
    "weights of NaN": {"class_weights": {"setosa": NAN}},
    "weights of nobody": {"class_weights": {"nobody": 1}},
    "parameters of NaN": {"initial_parameters": {"a": NAN}},
    "parameters of nobody": {"initial_parameters": {"zz": 1}},
    "features of nobody": {"dataset": IRIS | {"features": {"method": "pca", "count": 10**9}}},
    "no features": {"dataset": IRIS | {"features": {"method": "pca", "count": 0}}},
    "classes of nobody": {"dataset": IRIS | {"classes": ["nobody", "noone"]}},
    "one class": {"dataset": IRIS | {"classes": ["setosa"]}},
    "training on nothing": {"dataset": IRIS | {"train_size": 0}},
    "training on more than there is": {"dataset": IRIS | {"train_size": 10**9}},
    "an observable of nobody": {"readout": {"observables": ["Z9"]}},
    "100,000 observables": {"readout": {"observables": ["Z0"] * 100_000}},
    "an observable of markup": {"readout": {"observables": ["<img>"]}},
    "a noise of two": {"noise": {"depolarizing": 2}},
    "a noise of NaN": {"noise": {"depolarizing": NAN}},
    "a thousand machines": {"hardware_config": {"nodes": 1_000}},
    "a million GPUs": {"hardware_config": {"gpus": 1_000_000}},
    "a schedule of NaN": {"schedule": {"type": "exponential", "factor": NAN}},
    "stopping on NaN": {"early_stopping": {"min_delta": NAN}},
    "patience below nothing": {"early_stopping": {"patience": -1}},
    "a Hamiltonian for a classifier": {"hamiltonian": {"model": "ising"}},
    "an energy of NaN": {"task": "energy", "dataset": None, "hamiltonian": [{"pauli": "Z0", "coeff": NAN}]},
    "an energy of 1e308": {"task": "energy", "dataset": None, "hamiltonian": [{"pauli": "Z0", "coeff": 1e308}] * 2},
    "100,000 terms": {"task": "energy", "dataset": None, "hamiltonian": [{"pauli": "Z0", "coeff": 1}] * 100_000},
    "a molecule of nobody": {"task": "energy", "dataset": None, "hamiltonian": {"molecule": "../../etc/passwd"}},
}  # fmt: skip


@pytest.mark.attack("A60")
@pytest.mark.parametrize("change", NONSENSE.values(), ids=NONSENSE)
def test_training_on_nonsense(owner: httpx.Client, change: dict[str, Any]) -> None:
    """Whatever cannot be trained is refused when it is submitted, with the field, and no job is made."""
    circuit = data(owner.post("/v1/circuits", json=CIRCUIT))["id"]
    config = {key: value for key, value in ({"dataset": IRIS} | change).items() if value is not None}
    content = json.dumps({"circuit_id": circuit, "config": config}).encode()
    before = owner.get("/v1/jobs").json()["meta"]["total"]

    answer = owner.post("/v1/jobs", content=content, headers=JSON)

    assert answer.status_code in (413, 422), answer.text[:300]
    assert "field" in answer.text or code(answer) != "VALIDATION_ERROR"
    assert owner.get("/v1/jobs").json()["meta"]["total"] == before
