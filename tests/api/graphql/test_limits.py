"""What an operation may not be: too deep, too long, too costly, too slow, or sent by another page (A24 to A30)."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query

from qstore_appliance.api.graphql import execution, plan
from qstore_appliance.api.graphql.documents import Refused
from qstore_appliance.api.graphql.execution import Asked, Engine
from qstore_appliance.api.graphql.schema import schema
from tests.api.conftest import Client, Served
from tests.api.graphql.conftest import Ask
from tests.factories import PASSWORD, make_circuit_draft

#: Hang guards: a bomb that goes off takes minutes, an honest refusal milliseconds.
PATIENCE = 10.0


def nested(depth: int) -> str:
    """A query of so many levels."""
    middle = depth - 3
    inside = "job: trainingJob { model { " * (middle // 2) + "trainingJob { id }" + "} }" * (middle // 2)
    return f"{{ jobs {{ model {{ {inside} }} }} }}"


BOMBS: dict[str, str] = {
    "deep": "{jobs{model" + "{trainingJob{model" * 5_000,
    "deep and valid": nested(11),
    "lists in values": "{circuits(filter: {tags: " + "[" * 10_000 + "]" * 10_000 + "}) {id}}",
    "lists in JSON": 'mutation{createCircuit(input:{name:"a",nQubits:1,gates:[],metadata:'
    + "[" * 600
    + "]" * 600
    + "}){id}}",
    "fragments in circles": "{...a} fragment a on Query {...b} fragment b on Query {...a}",
    "aliases": "{" + " ".join(f"a{n}: __typename" for n in range(10_000)) + "}",
    "fifty-one aliases": "{" + " ".join(f"a{n}: __typename" for n in range(51)) + "}",
    "duplicates": "{" + "budget{currentSpend} " * 100_000 + "}",
    "directives": "{__typename " + "@include(if: true) " * 10_000 + "}",
    "a megabyte": "{ # " + "x" * 1_000_000 + "\n __typename }",
    "comments": "{ " + "#\n" * 20_000 + " __typename }",
    "commas": "{ " + "," * 70_000 + " __typename }",
    "long lists": "{ " + " ".join(f"a{n}: jobs(limit: 100) {{ circuit {{ id name }} }}" for n in range(40)) + "}",
    "introspection forty times": "{ " + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(40)) + "}",
    "introspection in circles": "{__schema{types{fields{type{fields{type{fields{type{fields{type{name}}}}}}}}}}}",
    "mutations": "mutation {" + " ".join(f'a{n}: deleteCircuit(id: "x")' for n in range(100)) + "}",
    "operations": " ".join(f"query q{n} {{ __typename }}" for n in range(100)),
    "fields of one name": '{ circuit(id: "a") { id } circuit(id: "b") { id } }',
    "unknown fields": "{" + " ".join(f"nothing{n}" for n in range(900)) + "}",
    "numbers": 'mutation{createCircuit(input:{name:"a",nQubits:1,gates:[],metadata:{a:' + "9" * 60_000 + "}}){id}}",
    "infinity": 'mutation{createCircuit(input:{name:"a",nQubits:1,gates:[],metadata:{a:1e999}}){id}}',
    "NUL": 'mutation{createCircuit(input:{name:"a",nQubits:1,gates:[],metadata:{a:"\\\\u0000"}}){id}}'.replace(
        "\\\\", "\\"
    ),
    "variables in JSON": 'mutation($v: JSON){createCircuit(input:{name:"a",nQubits:1,gates:[],metadata:{a:[$v,$v]}}){id}}',
    "empty": "",
    "half": "{ jobs {",
    "SDL": "type Query { a: Int }",
}


@pytest.mark.parametrize("name", BOMBS)
async def test_bombs_are_refused(ask: Ask, name: str) -> None:
    """400 with a code, nothing run, and no word of a trace."""
    async with asyncio.timeout(PATIENCE):
        answer = await ask(BOMBS[name])

    assert answer.status in (400, 413), answer.body
    assert set(answer.codes) <= {"MALFORMED", "TOO_LARGE", "VALIDATION_ERROR"}, answer.body
    assert 0 < len(answer.errors) <= 11
    assert "Traceback" not in str(answer.body)
    assert len(str(answer.body)) < 20_000


async def test_bombs_leave_others_alone(client: Client, ask: Ask) -> None:
    """While bombs arrive by the dozen, somebody else's requests are answered."""
    bombs = [ask(query) for query in BOMBS.values() for _ in range(3)]
    throwing = asyncio.gather(*bombs)
    seen = 0
    while not throwing.done():
        assert (await client("viewer").get("/v1/users/me")).status_code == 200
        seen += 1
    await throwing

    assert seen > 0


def test_a_bomb_costs_little() -> None:
    """Refusing takes no longer than a few thousand tokens take to read: against the same machine's own speed."""
    engine = Engine()
    honest = "{ " + " ".join(f'a{n}: job(id: "x") {{ id status }}' for n in range(50)) + "}"

    def spent(query: str) -> float:
        began = time.process_time()
        try:
            engine.prepare(Asked(query, {}, None))
        except Refused:
            return time.process_time() - began
        return time.process_time() - began

    yardstick = min(spent(f"{honest} #{n}") for n in range(5))
    costs = {name: min(spent(query) for _ in range(3)) for name, query in BOMBS.items()}

    # 300 tokens of an honest query take some milliseconds; nothing takes thirty times that.
    assert {name: cost / yardstick for name, cost in costs.items() if cost > 30 * yardstick} == {}


async def test_the_edges(ask: Ask) -> None:
    """What lies just inside of the limits runs: eight levels, fifty aliases, five mutations."""
    assert (await ask("{ jobs { model { trainingJob { model { trainingJob { model { id } } } } } } }")).data == {
        "jobs": []
    }
    assert len((await ask("{" + " ".join(f"a{n}: __typename" for n in range(50)) + "}")).data) == 50
    five = await ask("mutation {" + " ".join(f'a{n}: deleteCircuit(id: "x")' for n in range(5)) + "}")
    assert five.codes == ["NOT_FOUND"]
    assert (await ask("{ budget { reserved } budget { currentSpend reserved } }")).data["budget"] == {
        "reserved": 0.0, "currentSpend": 0.0
    }  # fmt: skip


async def test_fragments_may_lead_to_each_other(ask: Ask) -> None:
    """A fragment that is used in many ways is one in the answer, and is walked once."""
    ladder = " ".join(
        f"fragment f{n} on Query {{ ...g{n} ...f{n + 1} }} fragment g{n} on Query {{ ...f{n + 1} }}" for n in range(24)
    )

    assert (await ask(f"{{ ...f0 }} {ladder} fragment f24 on Query {{ __typename }}")).data == {"__typename": "Query"}


async def test_the_cost_follows_the_limit(ask: Ask) -> None:
    """The same document is taken with a small limit and refused with a large one, also when that is a variable."""
    many = " ".join(f"f{n}: name" for n in range(45))
    query = f"query($n: Int) {{ jobs(limit: $n) {{ id circuit {{ id name nQubits }} model {{ circuit {{ id }} {many} }} }} }}"

    assert (await ask(query, n=20)).data == {"jobs": []}
    refused = await ask(query, n=100)
    assert (refused.status, refused.codes) == (400, ["TOO_LARGE"])
    assert refused.errors[0]["extensions"]["details"] == {"of": "cost", "limit": plan.MAX_COST}


async def test_introspection_is_for_those_who_are_signed_in(ask: Ask, client: Client) -> None:
    """GraphiQL's question is answered to every role, and to nobody without credentials."""
    found = (await ask(get_introspection_query(input_value_deprecation=True), role="viewer")).data
    stranger = await client(None).post("/graphql", json={"query": "{ __typename }"})

    assert {"Circuit", "TrainingJob", "DateTime"} <= {kind["name"] for kind in found["__schema"]["types"]}
    assert (stranger.status_code, stranger.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    assert "data" not in stranger.json()


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"query=%7B__typename%7D", 415),
        ({"Content-Type": "text/plain"}, b'{"query": "{__typename}"}', 415),
        ({"Content-Type": "application/graphql"}, b"{__typename}", 415),
        ({"Content-Type": "multipart/form-data; boundary=a"}, b"--a--", 415),
        ({}, b'{"query": "{__typename}"}', 415),
        ({"Content-Type": "application/json"}, b'[{"query": "{__typename}"}]', 400),
        ({"Content-Type": "application/json"}, b'{"query": "{__typename}", "query": "{a}"}', 400),
        ({"Content-Type": "application/json"}, b'{"query": 1}', 422),
        ({"Content-Type": "application/json"}, b'{"query": "{__typename}", "variables": [1]}', 422),
        ({"Content-Type": "application/json"}, b'{"id": "persisted"}', 422),
        ({"Content-Type": "application/json"}, b'{"query": "{__typename}", "variables": {"a": "' + b"x" * 1_050_000 + b'"}}', 413),
        ({"Content-Type": "application/json"}, b'{"query": "{__typename}"}' + b" " * 2_000_000, 413),
    ],
)  # fmt: skip
async def test_only_json_and_only_one(client: Client, headers: dict[str, str], content: bytes, status: int) -> None:
    """No form can send an operation, no list of them is taken, and variables have their size."""
    answer = await client("owner").post("/graphql", content=content, headers=headers)

    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"]


async def test_nothing_runs_by_get(client: Client) -> None:
    """GET takes no operation: 405 for programs, the explorer for browsers, whatever the query string says."""
    anything = {"query": 'mutation { deleteCircuit(id: "x") }'}

    program = await client("owner").get("/graphql", params=anything)
    browser = await client("owner").get("/graphql", params=anything, headers={"Accept": "text/html"})

    assert (program.status_code, program.headers["Allow"]) == (405, "POST")
    assert browser.status_code == 302
    assert "deleteCircuit" not in browser.text


async def test_a_cookie_counts_from_our_own_pages_only(served: Served) -> None:
    """The dashboard's session runs operations that come from here, and none that another page sends."""
    value, _ = await served.appliance.sessions.sign_in_cookie(
        "owner@example.org", PASSWORD, address="127.0.0.1", agent="tests"
    )
    statuses = {}
    cookie = {"Cookie": f"__Host-qstore={value}"}
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, headers=cookie) as browser:
        for origin in (served.url, "https://evil.example", "null", ""):
            headers = {"Origin": origin} if origin else {}
            answer = await browser.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
            statuses[origin] = answer.status_code

    assert statuses == {served.url: 200, "https://evil.example": 403, "null": 403, "": 403}


async def test_four_queries_of_one_caller_run_at_once(
    ask: Ask, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred queries of one caller take turns, four at a time; somebody else's does not wait for them."""
    running = most = 0
    held = threading.Event()
    executed = execution.Engine._executed

    async def slow(engine: Any, context: Any, *more: Any) -> Any:
        nonlocal running, most
        if context.caller.email.startswith("owner"):
            running += 1
            most = max(most, running)
            while not held.is_set():
                await asyncio.sleep(0.01)
            running -= 1
        return await executed(engine, context, *more)

    monkeypatch.setattr(execution.Engine, "_executed", slow)
    monkeypatch.setattr(execution, "QUERY_SECONDS", 60.0)
    hundred = [asyncio.ensure_future(ask("{ budget { reserved } }")) for _ in range(100)]
    while most < execution.AT_ONCE:
        await asyncio.sleep(0.01)

    other = await ask("{ budget { reserved } }", role="viewer")
    held.set()
    answers = await asyncio.gather(*hundred)

    assert other.data == {"budget": {"reserved": 0.0}}
    assert all(answer.data == other.data for answer in answers)
    assert most == execution.AT_ONCE


async def test_a_query_has_its_time(ask: Ask, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that takes too long is stopped with DEADLINE, and its place is free again."""

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(execution, "QUERY_SECONDS", 0.05)
    monkeypatch.setattr(served.appliance.budgets, "get", never)

    answers = [await ask("{ budget { reserved } }") for _ in range(execution.AT_ONCE + 1)]

    assert [answer.codes for answer in answers] == [["DEADLINE"]] * (execution.AT_ONCE + 1)
    assert served.server.app.ctx.graphql._turns == {}


async def test_a_large_answer_says_so(ask: Ask, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer beyond five megabytes is not sent."""
    caller = await served.caller("owner")
    for _ in range(3):
        await served.appliance.circuits.create(caller, make_circuit_draft(description="x" * 4_000))
    monkeypatch.setattr(execution, "MAX_ANSWER", 5_000)

    answer = await ask("{ circuits { description } }")

    assert (answer.raw, answer.codes) == (None, ["TOO_LARGE"])
    assert (await ask("{ circuits(limit: 1) { description } }")).data["circuits"]


async def test_a_failure_of_ours_says_nothing_about_itself(
    ask: Ask, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw is INTERNAL without a word of the cause; the other fields are answered."""

    async def broken(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(served.appliance.circuits, "heads", broken)

    answer = await ask('{ circuit(id: "circuit_x") { name } budget { reserved } }')

    assert (answer.status, answer.codes, answer.raw) == (
        200,
        ["INTERNAL"],
        {"circuit": None, "budget": {"reserved": 0.0}},
    )
    assert "hunter2" not in str(answer.body)


async def test_which_operation_runs(ask: Ask) -> None:
    """Of several operations the named one runs; without a name, or with another, none does."""
    document = "query a { budget { reserved } } query b { __typename }"

    assert (await ask(document, name="b")).data == {"__typename": "Query"}
    assert (await ask(document)).codes == ["VALIDATION_ERROR"]
    assert (await ask(document, name="c")).codes == ["VALIDATION_ERROR"]
    assert (await ask("subscription { costUpdates { currentSpend } }")).codes == ["VALIDATION_ERROR"]


async def test_wrong_variables_are_named(ask: Ask) -> None:
    """A variable of another type is refused before anything runs; what is left out of a required one too."""
    query = "query($n: Int!) { circuits(limit: $n) { id } }"

    for variables in ({}, {"n": "many"}, {"n": None}, {"n": 2**40}, {"n": 1.5}):
        answer = await ask(query, **variables)
        assert (answer.status, answer.codes) == (400, ["VALIDATION_ERROR"])
        assert "$n" in answer.errors[0]["message"]


async def test_the_answers_media_type(client: Client) -> None:
    """Clients that ask for GraphQL's own media type get it, others JSON."""
    body = {"query": "{ __typename }"}
    plain = await client("owner").post("/graphql", json=body)
    own = await client("owner").post(
        "/graphql", json=body, headers={"Accept": "application/graphql-response+json, */*"}
    )

    assert plain.headers["Content-Type"] == "application/json"
    assert own.headers["Content-Type"] == "application/graphql-response+json"
    assert plain.json() == own.json() == {"data": {"__typename": "Query"}}


async def test_the_schema_is_published(client: Client) -> None:
    """The schema file is the schema that is served, for whoever is signed in."""
    from graphql import build_schema, lexicographic_sort_schema, print_schema

    answer = await client("viewer").get("/graphql/schema.graphql")

    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    published, served = (print_schema(lexicographic_sort_schema(one)) for one in (build_schema(answer.text), schema()))
    assert published == served
    assert (await client(None).get("/graphql/schema.graphql")).status_code == 401
