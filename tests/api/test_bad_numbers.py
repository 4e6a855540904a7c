"""Numbers, qubits and words that make no sense are refused with their field, and nothing of them is stored."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import numpy as np
import pytest

from qstore_appliance.database.tables.circuits import CircuitRow
from qstore_appliance.database.tables.datasets import DatasetRow
from qstore_appliance.database.tables.jobs import JobRow
from tests.api.conftest import Served

CIRCUIT: dict[str, Any] = {
    "name": "two qubits",
    "n_qubits": 2,
    "gates": [
        {"type": "RY", "targets": [0], "parameters": {"theta": "x_0"}},
        {"type": "RY", "targets": [1], "parameters": {"theta": "theta_0"}},
        {"type": "CNOT", "targets": [0, 1]},
    ],
}
JSON = {"Content-Type": "application/json"}
NAN, INFINITE = float("nan"), float("inf")


def rotation(theta: Any) -> dict[str, Any]:
    return {"gates": [{"type": "RY", "targets": [0], "parameters": {"theta": theta}}]}


def written(body: Any) -> bytes:
    """As a careless client writes it: Python's JSON has NaN and Infinity."""
    return json.dumps(body).encode()


def fields(answer: httpx.Response) -> list[str]:
    return [row["field"] for row in answer.json()["error"]["details"]["errors"]]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (rotation(NAN), "gates[0].parameters.theta"),
        (rotation(INFINITE), "gates[0].parameters.theta"),
        (rotation(-INFINITE), "gates[0].parameters.theta"),
        ({"parameters": {"theta": {"initial_values": [NAN]}}}, "parameters.theta.initial_values[0]"),
        ({"parameters": {"theta": {"initial_values": [-INFINITE]}}}, "parameters.theta.initial_values[0]"),
        ({"metadata": {"depth": NAN}}, "metadata.depth"),
        ({"n_qubits": NAN}, "n_qubits"),
    ],
    ids=str,
)
async def test_circuits_without_numbers(owner: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    """NaN and infinity anywhere in a circuit are named by their place."""
    answer = await owner.post("/v1/circuits", content=written(CIRCUIT | change), headers=JSON)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert fields(answer) == [field]
    assert await CircuitRow.all().count() == 0


@pytest.mark.parametrize(
    ("change", "index", "says"),
    [
        ({"gates": [*CIRCUIT["gates"][:2], {"type": "CNOT", "targets": [1, 1]}]}, 2, "same qubit twice"),
        ({"gates": [{"type": "H", "targets": [2]}]}, 0, "not in 0..1"),
        ({"gates": [{"type": "H", "targets": [-1]}]}, 0, "not in 0..1"),
        ({"gates": [{"type": "X", "targets": [1], "controls": [1]}]}, 0, "same qubit twice"),
        ({"gates": [{"type": "SWAP", "targets": [0, 1], "controls": [0]}]}, 0, "same qubit twice"),
        (rotation("nan"), 0, "nan is no finite number"),
        (rotation("2*Infinity"), 0, "Infinity is no finite number"),
        (rotation("1e999"), 0, "1e999"),
        (rotation("1/0"), 0, "no finite value"),
        (rotation("sqrt(-1)"), 0, "no finite value"),
        ({"gates": [{"type": "RY", "targets": [0]}]}, 0, "angle is missing"),
        ({"gates": [{"type": "WARP", "targets": [0]}]}, 0, "WARP"),
    ],
    ids=str,
)
async def test_circuits_that_are_none(owner: httpx.AsyncClient, change: dict[str, Any], index: int, says: str) -> None:
    """A qubit twice or not there, an angle that is no number and a gate that is none are told by the gate's index."""
    answer = await owner.post("/v1/circuits", json=CIRCUIT | change)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INVALID_CIRCUIT")
    assert answer.json()["error"]["details"]["index"] == index
    assert says in answer.json()["error"]["message"]
    assert await CircuitRow.all().count() == 0


IRIS = {"type": "iris", "features": {"count": 2}}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"batch_size": 0}, "config.batch_size"),
        ({"batch_size": -1}, "config.batch_size"),
        ({"epochs": 0}, "config.epochs"),
        ({"learning_rate": 0}, "config.learning_rate"),
        ({"learning_rate": -0.1}, "config.learning_rate"),
        ({"learning_rate": NAN}, "config.learning_rate"),
        ({"learning_rate": INFINITE}, "config.learning_rate"),
        ({"gradient_clip": NAN}, "config.gradient_clip"),
        ({"optimizer": "sgd", "momentum": NAN}, "config.momentum"),
        ({"shots": 0}, "config.shots"),
        ({"shots": NAN}, "config.shots"),
        ({"seed": -1}, "config.seed"),
        ({"initial_parameters": {"theta_0": NAN}}, "config.initial_parameters.theta_0"),
        ({"initial_parameters": {"theta_0": INFINITE}}, "config.initial_parameters.theta_0"),
        ({"initial_parameters": {"theta_9": 0.5}}, "config.initial_parameters.theta_9"),
        ({"class_weights": {"setosa": NAN}}, "config.class_weights.setosa"),
        ({"class_weights": {"setosa": 0}}, "config.class_weights.setosa"),
        ({"class_weights": {"tulip": 1}}, "config.class_weights.tulip"),
        ({"early_stopping": {"min_delta": NAN}}, "config.early_stopping.min_delta"),
        ({"schedule": {"type": "exponential", "factor": NAN}}, "config.schedule.factor"),
        ({"readout": {"observables": ["Q0"]}}, "config.readout.observables"),
        ({"readout": {"observables": ["Z0 Z0"]}}, "config.readout.observables"),
        ({"readout": {"observables": ["Z7"]}}, "config.readout.observables"),
        ({"readout": {"observables": "zzz"}}, "config.readout.observables"),
        ({"readout": {"observables": []}}, "config.readout.observables"),
        ({"dataset": IRIS | {"classes": ["setosa", "tulip"]}}, "config.dataset.classes"),
        ({"dataset": IRIS | {"classes": ["setosa", "setosa"]}}, "config.dataset.classes"),
        ({"dataset": IRIS | {"train_size": 0}}, "config.dataset.train_size"),
        ({"dataset": IRIS | {"train_size": 1_000}}, "config.dataset.train_size"),
        ({"dataset": {"type": "iris", "features": {"count": 5}}}, "config.dataset.features.count"),
        ({"task": "energy", "dataset": None, "hamiltonian": [{"pauli": "Z0", "coeff": NAN}]}, "config.hamiltonian[0].coeff"),
        ({"task": "energy", "dataset": None, "hamiltonian": {"model": "ising", "h": INFINITE}}, "config.hamiltonian.h"),
    ],
    ids=str,
)  # fmt: skip
async def test_jobs_out_of_range(owner: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    """What a job says is judged when it is submitted, by field; estimating it says the same; no job is made."""
    circuit = (await owner.post("/v1/circuits", json=CIRCUIT)).json()["data"]["id"]
    config = {"backend": "native", "dataset": IRIS, **change}
    config = {key: value for key, value in config.items() if value is not None}
    content = written({"circuit_id": circuit, "config": config})

    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        answer = await owner.post(path, content=content, headers=JSON)

        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR"), path
        assert fields(answer)[0].startswith(field), path
    assert await JobRow.all().count() == 0


def table(*rows: str) -> bytes:
    return "\n".join(["width,height,label", *rows, ""]).encode()


def archive(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(array) for name, array in arrays.items()})
    return buffer.getvalue()


GOOD_ROWS = [f"{0.1 * k},{0.2 * k},{'ab'[k % 2]}" for k in range(20)]
X, Y = np.ones((20, 2)), np.arange(20) % 2


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("data.csv", table(*GOOD_ROWS, "nan,1,a"), "width"),
        ("data.csv", table(*GOOD_ROWS, "1,inf,a"), "height"),
        ("data.csv", table(*GOOD_ROWS, "1,-Infinity,a"), "height"),
        ("data.csv", table(*GOOD_ROWS, "1e999,1,a"), "width"),
        ("data.csv", table(*GOOD_ROWS, ",1,a"), "width"),
        ("data.csv", table(*GOOD_ROWS, "1,2"), "row 22"),
        ("data.npz", archive(x=np.where(np.arange(40).reshape(20, 2) == 7, NAN, 1.0), y=Y), "finite"),
        ("data.npz", archive(x=np.where(np.arange(40).reshape(20, 2) == 7, INFINITE, 1.0), y=Y), "finite"),
        ("data.npz", archive(x=X, y=np.where(np.arange(20) == 3, NAN, Y)), "y"),
        ("data.npz", archive(x=X, y=np.arange(19) % 2), "y"),
        ("data.npz", archive(x=X.astype(complex), y=Y), "x"),
    ],
)  # fmt: skip
async def test_uploads_that_are_not_finite(owner: httpx.AsyncClient, name: str, content: bytes, says: str) -> None:
    """Features and labels of an upload are finite numbers, one label to a sample, or the upload is refused with the place."""
    answer = await owner.post("/v1/datasets", files={"file": (name, content)})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert fields(answer)[0]
    assert says in answer.json()["error"]["message"]
    assert await DatasetRow.all().count() == 0


@pytest.mark.parametrize("value", [NAN, INFINITE, -INFINITE, 1e400], ids=str)
async def test_inputs_that_are_not_finite(served: Served, owner: httpx.AsyncClient, value: float) -> None:
    """A prediction's inputs are named by row and column, whether the model is there or not."""
    content = written({"inputs": [[0.1, 0.2], [0.3, value]]})

    answer = await owner.post("/v1/models/model_x/predict", content=content, headers=JSON)

    assert answer.status_code == 422
    assert fields(answer) == ["inputs[1][1]"]
