"""One answer reads each kind of thing once, however many of them there are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from qstore_appliance.api.graphql import context
from qstore_appliance.api.graphql.loading import Loader
from qstore_appliance.database.tables.models import DeploymentRow
from qstore_appliance.domain import ids
from tests.api.conftest import Served
from tests.api.graphql.conftest import Ask
from tests.factories import make_circuit_draft, make_job_row, make_model_row

Counted = Callable[[Callable[[], Awaitable[Any]]], Awaitable[list[str]]]


@pytest.fixture
def counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """`await counted(act)`: what was asked of the database meanwhile, apart from finding out who asks."""

    async def count(act: Callable[[], Awaitable[Any]]) -> list[str]:
        connection, heard = served.appliance.database.connection, []
        execute = connection.execute_query

        async def listening(query: str, *more: Any) -> Any:
            heard.append(query)
            return await execute(query, *more)

        with monkeypatch.context() as patch:
            patch.setattr(connection, "execute_query", listening)
            await act()
        return [query for query in heard if "users" not in query and "sessions" not in query]

    return count


async def furnish(served: Served, count: int) -> None:
    """Jobs with circuits and models of their own, all served."""
    caller = await served.caller("owner")
    for _ in range(count):
        circuit = await served.appliance.circuits.create(caller, make_circuit_draft())
        model = await make_model_row(caller, circuit_id=circuit.id, name=ids.new("model"))
        job = await make_job_row(caller, circuit_id=circuit.id, model_id=model.id, status="completed")
        model.training_job_id = job.id
        await model.save()
        await DeploymentRow.create(
            id=ids.new("deploy"),
            organization_id=caller.organization_id,
            model_id=model.id,
            endpoint="/",
            backend="native",
            config={},
            status="deployed",
        )


QUERY = """{
  jobs(limit: 30) {
    id reason circuit { name circuitDefinition }
    model { name circuit { description } trainingJob { status } deployment { status model { id } } }
  }
  models(limit: 30) { circuit { parameters } trainingJob { circuit { depth } } }
}"""


async def test_as_many_queries_for_thirty_as_for_one(served: Served, ask: Ask, counted: Counted) -> None:
    """Jobs with their circuits, models and deployments take the same number of queries for one and for thirty."""
    await furnish(served, 1)
    answers: list[Any] = []

    async def act() -> None:
        answers.append((await ask(QUERY)).data)

    of_one = await counted(act)
    await furnish(served, 29)
    of_thirty = await counted(act)

    assert [len(answer["jobs"]) for answer in answers] == [1, 30]
    assert all(job["circuit"]["circuitDefinition"]["gates"] for job in answers[1]["jobs"])
    # A list with its count; then circuits, models, deployments, whole circuits with their sizes first, and jobs.
    assert len(of_one) == len(of_thirty) <= 12, of_thirty


async def test_the_gates_of_one_answer_are_bounded(
    ask: Ask, served: Served, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where circuits are too large together, their gates are refused before they are read; all else is answered."""
    await furnish(served, 3)
    monkeypatch.setattr(context, "MAX_GATES", 8)
    answers: list[Any] = []

    async def act() -> None:
        answers.append(await ask("{ circuits { name circuitDefinition } }"))

    heard = await counted(act)

    assert answers[0].codes[0] == "TOO_LARGE"
    assert answers[0].errors[0]["extensions"]["details"] == {"limit": 8}
    assert not [query for query in heard if "circuit_definition" in query]
    assert len((await ask("{ circuits(limit: 2) { circuitDefinition } }")).data["circuits"]) == 2


async def test_a_loader_reads_each_once() -> None:
    """Ids that are asked for in one turn are read together, each once; an error reaches all who asked."""
    read: list[list[str]] = []

    async def found(wanted: list[str]) -> dict[str, str]:
        read.append(wanted)
        if "broken" in wanted:
            raise ValueError
        return {id: id.upper() for id in wanted if id != "absent"}

    loader: Loader[str] = Loader(found)

    assert await asyncio.gather(*(loader.load(id) for id in ("a", "b", "a", "absent"))) == ["A", "B", "A", None]
    assert await loader.load("b") == "B"
    with pytest.raises(ValueError):
        await asyncio.gather(loader.load("broken"), loader.load("c"))
    assert read == [["a", "b", "absent"], ["broken", "c"]]
