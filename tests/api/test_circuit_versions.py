"""Versions of a circuit, and tags that tell whether it was changed, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

H, X = ({"type": kind, "targets": [0]} for kind in ("H", "X"))


@pytest.fixture
async def circuit(owner: httpx.AsyncClient) -> str:
    """A circuit in its second version."""
    made = await owner.post("/v1/circuits", json={"name": "c", "n_qubits": 1, "gates": [H]})
    id = str(made.json()["data"]["id"])
    assert (await owner.patch(f"/v1/circuits/{id}", json={"gates": [H, X]})).status_code == 200
    return id


async def answered(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_versions(owner: httpx.AsyncClient, circuit: str) -> None:
    """A list without gates, one version with them, and what two of them differ in."""
    listed = await answered(owner, f"/v1/circuits/{circuit}/versions")
    first = await answered(owner, f"/v1/circuits/{circuit}/versions/1")
    diff = await answered(owner, f"/v1/circuits/{circuit}/diff")

    assert [(row["version"], row["gate_count"]) for row in listed] == [(2, 2), (1, 1)]
    assert first["circuit_definition"]["gates"] == [H]
    assert (diff["a"], diff["b"], diff["diff"]["added"], diff["diff"]["removed"]) == (1, 2, 1, 0)


@pytest.mark.parametrize("version", ["0", "3", "-1", "one", "１", "9" * 30])
async def test_no_such_version(owner: httpx.AsyncClient, circuit: str, version: str) -> None:
    """Whatever is no version of it is absent."""
    answer = await owner.get(f"/v1/circuits/{circuit}/versions/{version}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("query", ["a=0", "a=x", "b=0", "b=-1", "a=9999999999"])
async def test_no_number(owner: httpx.AsyncClient, circuit: str, query: str) -> None:
    """A pair that cannot be one is named."""
    answer = await owner.get(f"/v1/circuits/{circuit}/diff?{query}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


async def test_what_is_known_is_not_sent_again(owner: httpx.AsyncClient, circuit: str) -> None:
    """304 as long as nothing changed, whatever form the tag has."""
    path = f"/v1/circuits/{circuit}"
    tag = (await owner.get(path)).headers["ETag"]

    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = await owner.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    await owner.patch(path, json={"name": "new"})
    assert (await owner.get(path, headers={"If-None-Match": tag})).status_code == 200


async def test_nobody_overwrites_what_they_have_not_seen(owner: httpx.AsyncClient, circuit: str) -> None:
    """412 with the present tag; then with that one, the change is made."""
    path = f"/v1/circuits/{circuit}"
    tag = (await owner.get(path)).headers["ETag"]
    changed = await owner.patch(path, json={"name": "theirs"}, headers={"If-Match": tag})

    for stale in (tag, f"W/{changed.headers['ETag']}", '"x"'):
        refused = await owner.patch(path, json={"name": "mine"}, headers={"If-Match": stale})
        assert (refused.status_code, refused.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
        assert refused.json()["error"]["details"]["etag"] == changed.headers["ETag"]
    assert (await owner.delete(path, headers={"If-Match": tag})).status_code == 412
    assert (await answered(owner, path))["name"] == "theirs"
    assert (await owner.patch(path, json={"name": "mine"}, headers={"If-Match": "*"})).status_code == 200
    present = (await owner.get(path)).headers["ETag"]
    assert (await owner.delete(path, headers={"If-Match": f'"x", {present}'})).status_code == 204


@pytest.mark.parametrize("tag", ["x", '"', '"a" "b"', "W/x", '"a",'])
async def test_no_tag(owner: httpx.AsyncClient, circuit: str, tag: str) -> None:
    """What is no list of tags is refused, and nothing is changed."""
    path = f"/v1/circuits/{circuit}"

    answers = [
        await owner.patch(path, json={"name": "n"}, headers={"If-Match": tag}),
        await owner.delete(path, headers={"If-Match": tag}),
        await owner.get(path, headers={"If-None-Match": tag}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert (await answered(owner, path))["name"] == "c"
