"""A28: a hundred heavy queries at once, each of which is legal."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import data
from tests.attacks.conftest import CIRCUIT, Fortress, standing

pytestmark = pytest.mark.attack("A28")

QUERIES = 100
CIRCUITS = 30
GATES = [{"type": "RY", "targets": [k % 4], "parameters": {"theta": f"theta_{k}"}} for k in range(40)]
#: Each is about as much as one query may ask for.
HEAVY: dict[str, str] = {
    "many values": "{ "
    + " ".join(
        f"a{number}: circuits(limit: 100) {{ id name nQubits gateCount depth metadata createdAt updatedAt }}"
        for number in range(5)
    )
    + " }",
    "large values": "{ "
    + " ".join(f"a{number}: circuits(limit: 100) {{ id circuitDefinition }}" for number in range(10))
    + " }",
    "what points to others": "{ "
    + " ".join(f"a{number}: jobs(limit: 100) {{ id circuit {{ id name gateCount tags }} }}" for number in range(5))
    + " }",
    "the schema": "{ __schema { types { name description fields { name description type { name kind } } } } }",
    "everything of backends": "{ " + " ".join(f"a{number}: backends {{ id name type reason }}" for number in range(20)) + " }",
}  # fmt: skip


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    """A server of their own, with enough in it."""
    with standing(tmp_path_factory.mktemp("crowded") / "data") as fortress:
        with fortress.client("owner") as owner:
            for number in range(CIRCUITS):
                body = CIRCUIT | {"name": f"circuit {number}", "n_qubits": 4, "gates": GATES}
                assert owner.post("/v1/circuits", json=body).status_code == 201
        yield fortress


@pytest.mark.parametrize("query", [pytest.param(text, id=name) for name, text in HEAVY.items()])
async def test_crowds(crowded: Fortress, query: str) -> None:
    """Each gets its whole answer or is told that it took too long; others are answered meanwhile, and all afterwards."""
    limits = httpx.Limits(max_connections=QUERIES)
    async with (
        httpx.AsyncClient(base_url=crowded.url, headers=shown(crowded, "owner"), timeout=60, limits=limits) as owner,
        httpx.AsyncClient(base_url=crowded.url, headers=shown(crowded, "stranger"), timeout=60) as stranger,
    ):
        whole = (await owner.post("/graphql", json={"query": query})).json()
        assert "errors" not in whole
        crowd = asyncio.gather(*(owner.post("/graphql", json={"query": query}) for _ in range(QUERIES)))
        meanwhile = 0
        while not crowd.done():
            assert (await stranger.get("/v1/circuits")).status_code == 200
            meanwhile += 1

        answers = [answer.json() for answer in await crowd]
        after = (await owner.post("/graphql", json={"query": query})).json()

    found = Counter("whole" if answer == whole else code(answer) for answer in answers)
    assert set(found) <= {"whole", "DEADLINE"}, found
    assert meanwhile > 1
    assert after == whole


def shown(fortress: Fortress, role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {fortress.tokens[role]}"}


def code(answer: dict[str, Any]) -> str:
    (error,) = answer["errors"]
    return str(error["extensions"]["code"])


def test_the_crowd_is_not_refused_for_its_size(crowded: Fortress) -> None:
    """What is asked for above is legal: the circuits are all there, and none of it costs too much."""
    with crowded.client("owner") as owner:
        assert len(data(owner.get("/v1/circuits?limit=100"))) > CIRCUITS
