"""Circuits over HTTP: the specification's shapes and statuses."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import Client
from tests.factories import make_circuit_draft


def circuit(**changes: Any) -> dict[str, Any]:
    return make_circuit_draft(**changes).model_dump(exclude_none=True)


async def test_create_answers_the_stored_circuit(owner: httpx.AsyncClient) -> None:
    """POST answers 201 with id, depth and gate count, and says where the circuit is."""
    answer = await owner.post("/v1/circuits", json=circuit())

    data = answer.json()["data"]
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/circuits/{data['id']}"
    assert (data["n_qubits"], data["gate_count"], data["version"]) == (4, 3, 1)
    assert data["depth"] >= 2
    assert data["circuit_definition"]["format"] == "unified"
    assert data["circuit_definition"]["gates"][2]["parameters"] == {"theta": "theta_0"}


async def test_list_pages_and_filters_by_tag(owner: httpx.AsyncClient) -> None:
    """The list carries total, limit and offset, and holds only circuits with the wanted tag."""
    for number in range(5):
        await owner.post(
            "/v1/circuits", json=circuit(name=f"c{number}", metadata={"tags": ["even" if number % 2 == 0 else "odd"]})
        )

    answer = (await owner.get("/v1/circuits", params={"tags": "even", "limit": 2, "offset": 1, "sort": "name"})).json()

    assert [row["name"] for row in answer["data"]] == ["c2", "c4"]
    assert {key: answer["meta"][key] for key in ("total", "limit", "offset")} == {"total": 3, "limit": 2, "offset": 1}
    assert "circuit_definition" not in answer["data"][0]


async def test_patch_changes_what_is_sent(owner: httpx.AsyncClient) -> None:
    """PATCH leaves alone what it does not name; new gates make a new version."""
    made = (await owner.post("/v1/circuits", json=circuit())).json()["data"]

    renamed = await owner.patch(f"/v1/circuits/{made['id']}", json={"name": "VQE Ansatz v2"})
    regated = await owner.patch(f"/v1/circuits/{made['id']}", json={"gates": [{"type": "X", "targets": [0]}]})

    assert renamed.status_code == 200
    assert renamed.json()["data"]["name"] == "VQE Ansatz v2"
    assert renamed.json()["data"]["version"] == 1
    assert renamed.json()["data"]["metadata"] == made["metadata"]
    assert (regated.json()["data"]["version"], regated.json()["data"]["gate_count"]) == (2, 1)


async def test_delete_and_restore(owner: httpx.AsyncClient) -> None:
    """A deleted circuit is gone from every answer at once, and comes back when restored."""
    id = (await owner.post("/v1/circuits", json=circuit())).json()["data"]["id"]

    deleted = await owner.delete(f"/v1/circuits/{id}")
    gone = await owner.get(f"/v1/circuits/{id}")
    restored = await owner.post(f"/v1/circuits/{id}/restore")

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert gone.status_code == 404
    assert (await owner.get("/v1/circuits")).json()["meta"]["total"] == 1
    assert restored.status_code == 200


@pytest.mark.parametrize(
    ("change", "code", "index"),
    [
        ({"gates": [{"type": "CUSTOM_GATE", "targets": [0]}]}, "INVALID_CIRCUIT", 0),
        ({"gates": [{"type": "H", "targets": [0]}, {"type": "H", "targets": [4]}]}, "INVALID_CIRCUIT", 1),
        ({"gates": []}, "INVALID_CIRCUIT", None),
        ({"n_qubits": 31}, "INVALID_CIRCUIT", None),
        ({"gates": [{"type": "RY", "targets": [0], "parameters": {"theta": "import os"}}]}, "INVALID_CIRCUIT", 0),
    ],
    ids=["unknown gate", "qubit out of range", "no gates", "31 qubits", "not an expression"],
)
async def test_bad_circuits_are_told_where(
    owner: httpx.AsyncClient, change: dict[str, Any], code: str, index: int | None
) -> None:
    """A circuit that cannot be is refused with 422, its code, and the gate's index where a gate is at fault."""
    answer = await owner.post("/v1/circuits", json=circuit() | change)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, code)
    assert error["details"].get("index") == index


async def test_other_organizations_see_nothing(client: Client) -> None:
    """What belongs to another organization answers exactly as what does not exist."""
    id = (await client("owner").post("/v1/circuits", json=circuit())).json()["data"]["id"]
    stranger = client("stranger")

    theirs, absent = await stranger.get(f"/v1/circuits/{id}"), await stranger.get(f"/v1/circuits/{id[:-1]}0")

    assert theirs.status_code == absent.status_code == 404
    assert theirs.json()["error"]["message"] == absent.json()["error"]["message"]
    assert (await stranger.get("/v1/circuits")).json()["meta"]["total"] == 0


async def test_openqasm_goes_in_and_out(owner: httpx.AsyncClient) -> None:
    """A program is imported, and comes back as plain text; other formats come in the envelope, and OpenQASM 2 refuses symbols."""
    source = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta_0;\nqubit[2] q;\nh q[0];\nry(theta_0) q[1];\n'
    made = await owner.post("/v1/circuits/import", json={"name": "in", "format": "qasm3", "source": source}, timeout=60)
    at = made.headers["Location"]

    text = await owner.get(at, params={"format": "qasm3"}, timeout=60)
    old = (await owner.get(at, params={"format": "qstore4"})).json()["data"]
    symbolic = await owner.get(at, params={"format": "qasm2"})
    unknown = await owner.get(at, params={"format": "quil"})

    assert made.status_code == 201
    assert text.headers["content-type"].startswith("text/plain")
    assert "ry(theta_0) q[1];" in text.text
    assert [gate["gate_type"] for gate in old["gates"]] == ["H", "RY"]
    assert (symbolic.status_code, symbolic.json()["error"]["details"]["index"]) == (422, 1)
    assert (unknown.status_code, unknown.json()["error"]["details"]["errors"][0]["field"]) == (422, "format")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"source": "OPENQASM 3.0;\nqubit q;\nwarp q;"}, "INVALID_CIRCUIT"),
        ({"source": {"n_qubits": 1}}, "INVALID_CIRCUIT"),
        ({"source": "x" * 600_000}, "INVALID_CIRCUIT"),
        ({"format": "ionq", "source": "h q"}, "INVALID_CIRCUIT"),
        ({"format": "ionq", "source": {"qubits": 1, "circuit": [{"gate": "warp", "target": 0}]}}, "INVALID_CIRCUIT"),
        ({"format": "cirq", "source": {}}, "VALIDATION_ERROR"),
        ({"source": 5}, "VALIDATION_ERROR"),
        ({"name": ""}, "VALIDATION_ERROR"),
    ],
)
async def test_what_cannot_be_imported(owner: httpx.AsyncClient, change: dict[str, Any], code: str) -> None:
    """422 with a stable code, and nothing is stored."""
    body = {"name": "x", "format": "qasm3", "source": "OPENQASM 3.0;\nqubit q;\nU(0, 0, 1) q;", **change}

    answer = await owner.post("/v1/circuits/import", json=body, timeout=60)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert (await owner.get("/v1/circuits")).json()["meta"]["total"] == 0


async def test_a_circuit_is_drawn(owner: httpx.AsyncClient) -> None:
    """As SVG in either theme, which may do nothing when it is opened, and as text."""
    at = (await owner.post("/v1/circuits", json=circuit())).headers["Location"] + "/drawing"

    light = await owner.get(at, timeout=60)
    dark = await owner.get(at, params={"theme": "dark"})
    text = await owner.get(at, params={"format": "text"})
    unknown = await owner.get(at, params={"format": "png"})

    assert light.headers["content-type"] == "image/svg+xml; charset=utf-8"
    assert light.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert light.text.startswith("<svg ")
    assert light.text != dark.text
    assert (text.headers["content-type"], "RY(theta_0)" in text.text) == ("text/plain; charset=utf-8", True)
    assert (unknown.status_code, unknown.json()["error"]["details"]["errors"][0]["field"]) == (422, "format")
    assert (await owner.get(at.replace("circuit_", "circuit_0"))).status_code == 404


async def test_a_circuit_is_run(owner: httpx.AsyncClient) -> None:
    """POST …/run answers counts, probabilities and expectations, the state of a small one, and 422 names what is wrong."""
    gates = [{"type": "H", "targets": [0]}, {"type": "RY", "targets": [1], "parameters": {"theta": "theta_0"}}]
    made = await owner.post("/v1/circuits", json=circuit(gates=gates, n_qubits=2))
    at = made.headers["Location"] + "/run"
    body = {"parameters": {"theta_0": 0.0}, "backend": "native", "observables": ["X0"]}

    exact = (await owner.post(at, json=body, timeout=120)).json()["data"]
    drawn = (await owner.post(at, json=body | {"shots": 100}, timeout=60)).json()["data"]
    wrong = await owner.post(at, json=body | {"observables": ["X9"]}, timeout=60)

    assert exact["probabilities"] == pytest.approx({"00": 0.5, "10": 0.5})
    assert exact["expectations"][0]["value"] == pytest.approx(1.0)
    assert (len(exact["statevector"]), len(exact["bloch"]), exact["cost"]) == (4, 2, 0.0)
    assert sum(drawn["counts"].values()) == 100
    assert "statevector" not in drawn
    assert (wrong.status_code, wrong.json()["error"]["details"]["errors"][0]["field"]) == (422, "observables[0]")
    for bad in ({"shots": 0}, {"shots": 1.5}, {"seed": -1}, {"parameters": {"theta_0": "x"}}, {"parameters": None}):
        assert (await owner.post(at, json=body | bad)).status_code == 422, bad
