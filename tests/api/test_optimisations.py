"""Optimising and comparing over HTTP: the specification's shape, and a certificate beside it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

GATES = [
    {"type": "H", "targets": [0]},
    {"type": "CNOT", "targets": [0, 1]},
    {"type": "CNOT", "targets": [0, 1]},
    {"type": "RY", "targets": [1], "parameters": {"theta": "theta_0"}},
]


async def stored(client: httpx.AsyncClient, gates: list[dict[str, Any]]) -> str:
    made = await client.post("/v1/circuits", json={"name": "c", "n_qubits": 2, "gates": gates})
    return str(made.json()["data"]["id"])


async def test_optimise_for_ionq(owner: httpx.AsyncClient) -> None:
    """The specification's request answers its four keys; the new circuit has native gates alone and the symbol."""
    id = await stored(owner, GATES)

    answer = await owner.post(
        f"/v1/circuits/{id}/optimize", json={"target_backend": "ionq_hardware", "optimization_level": 3}
    )

    data = answer.json()["data"]
    assert answer.status_code == 200
    assert {"original_depth", "optimized_depth", "gate_reduction", "optimized_circuit_id"} <= set(data)
    assert data["certificate"]["equivalent"]
    made = (await owner.get(f"/v1/circuits/{data['optimized_circuit_id']}")).json()["data"]
    assert {gate["type"] for gate in made["circuit_definition"]["gates"]} <= {"GPI", "GPI2", "MS"}
    assert made["parameters"] == {"theta": {"count": 1}}
    assert data["optimized_depth"] == made["depth"]


async def test_compare_tells_a_state(owner: httpx.AsyncClient) -> None:
    """Circuits that differ come with gates that prepare a state which tells them apart, and with their difference."""
    a, b = await stored(owner, GATES), await stored(owner, [*GATES, {"type": "X", "targets": [0]}])

    data = (await owner.post("/v1/circuits/compare", json={"a": a, "b": b})).json()["data"]

    assert data["equivalent"] is False
    assert data["counter_example"]["overlap"] < 0.9
    assert data["diff"]["changes"] == [
        {"index_a": 4, "removed": [], "index_b": 4, "added": [{"type": "X", "targets": [0]}]}
    ]
    assert data["resources"]["b"]["gates"] == {"CNOT": 2, "H": 1, "RY": 1, "X": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"optimization_level": 4}, "optimization_level"),
        ({"optimization_level": "3"}, "optimization_level"),
        ({"target_backend": "nobody"}, "target_backend"),
        ({"level": 3}, "level"),
    ],
)
async def test_what_is_wrong_is_named(owner: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    """A level or backend that is none, or a key that is not known, is 422 with the field."""
    answer = await owner.post(f"/v1/circuits/{await stored(owner, GATES)}/optimize", json=body)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "VALIDATION_ERROR")
    assert error["details"]["errors"][0]["field"] == field


async def test_compare_of_what_is_not_here(owner: httpx.AsyncClient) -> None:
    """An id that is no circuit's is 404."""
    id = await stored(owner, GATES)

    answer = await owner.post("/v1/circuits/compare", json={"a": id, "b": "circuit_none"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
