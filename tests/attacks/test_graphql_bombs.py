"""A24 to A27: documents that are too deep, too wide, too many at once, or answered with too much."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.acceptance.processes import data
from tests.attacks.conftest import Fortress

CREATE = 'createCircuit(input: {name: "a", nQubits: 1, gates: [], metadata: %s}) { id }'


def many(count: int, text: str) -> str:
    """`text` so often, with its number for each `#`."""
    return " ".join(text.replace("#", str(number)) for number in range(count))


def deep(levels: int) -> str:
    return "{ jobs { model " + "{ trainingJob { model " * levels + "{ id }" + "} }" * levels + " } }"


DEEP: dict[str, str] = {
    "10,000 levels, half": "{ jobs { model" + "{ trainingJob { model" * 5_000,
    "10,000 levels, closed": deep(5_000),
    "nine levels": deep(3),
    "forty levels": deep(19),
    "10,000 lists in a value": "{ circuits(filter: {tags: " + "[" * 10_000 + "]" * 10_000 + "}) { id } }",
    "10,000 objects in a value": "mutation { " + CREATE % ("{a:" * 10_000 + "1" + "}" * 10_000) + " }",
    "600 lists in JSON": "mutation { " + CREATE % ("[" * 600 + "]" * 600) + " }",
    "10,000 lists of a type": "query($a: " + "[" * 10_000 + "Int" + "]" * 10_000 + ") { jobs { id } }",
    "10,000 open braces": "{" * 10_000,
    "10,000 inline fragments": "{ " + "... { " * 10_000 + "__typename" + " }" * 10_000 + " }",
    "a fragment in itself": "{ ...a } fragment a on Query { ...a }",
    "two fragments in a circle": "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
    "a circle behind a field": "{ jobs { ...a } } fragment a on TrainingJob { model { trainingJob { ...a } } }",
    "a circle of forty": "{ ...f0 } " + many(39, "fragment f# on Query { ...g } ") + "fragment g on Query { ...f0 }",
    "the schema in itself": "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
    "types of types": "{ __type(name: \"Query\") { ofType " + "{ ofType " * 300 + "{ name }" + " }" * 300 + " } }",
}  # fmt: skip
WIDE: dict[str, str] = {
    "10,000 aliases": "{ " + many(10_000, "a#: __typename") + " }",
    "51 aliases": "{ " + many(51, "a#: __typename") + " }",
    "51 aliases of nothing": "{ " + many(51, 'a#: job(id: "x") { id }') + " }",
    "100,000 times one field": "{ " + "budget { currentSpend } " * 100_000 + "}",
    "3,000 times one field": "{ " + "__typename " * 3_000 + "}",
    "10,000 directives": "{ __typename " + "@include(if: true) " * 10_000 + "}",
    "51 directives": "{ __typename " + "@include(if: true) " * 51 + "}",
    "51 unknown directives": "{ __typename " + many(51, "@a#") + " }",
    "a megabyte of comment": "{ # " + "x" * 1_000_000 + "\n __typename }",
    "a megabyte of blanks": "{ " + " " * 1_000_000 + "__typename }",
    "a megabyte of a name": "{ " + "x" * 1_000_000 + " }",
    "70,000 commas": "{ " + "," * 70_000 + "__typename }",
    "20,000 lines of comment": "{ " + "#\n" * 20_000 + "__typename }",
    "900 unknown fields": "{ " + many(900, "nothing#") + " }",
    "900 unknown arguments": "{ jobs(" + many(900, "a#: 1") + ") { id } }",
    "900 variables": "query(" + many(900, "$a#: Int") + ") { __typename }",
    "51 fragments": "{ __typename } " + many(51, "fragment f# on Query { __typename }"),
    "fragments that double": "{ ...f0 } "
    + many(30, "fragment f# on Query { ...g# ...h# } fragment g# on Query { a: __typename } fragment h# on Query { b: __typename }"),
    "60,000 digits": "mutation { " + CREATE % ("{a: " + "9" * 60_000 + "}") + " }",
    "a text of 60,000 escapes": "mutation { " + CREATE % ('{a: "' + "\\u0041" * 12_000 + '"}') + " }",
    "an open text": '{ job(id: "' + "x" * 60_000,
    "an open block": '{ job(id: """' + "\n" * 60_000,
}  # fmt: skip
BATCHES: dict[str, Any] = {
    "a list of 1,000": [{"query": "{ __typename }"}] * 1_000,
    "a list of one": [{"query": "{ __typename }"}],
    "an empty list": [],
    "a list of lists": [[{"query": "{ __typename }"}]],
    "six mutations": {"query": "mutation { " + many(6, 'a#: deleteCircuit(id: "x")') + " }"},
    "a hundred mutations": {"query": "mutation { " + many(100, 'a#: deleteCircuit(id: "x")') + " }"},
    "six in fragments": {
        "query": "mutation { ...a ...b } "
        + "fragment a on Mutation { " + many(3, 'a#: deleteCircuit(id: "x")') + " } "
        + "fragment b on Mutation { " + many(3, 'b#: deleteCircuit(id: "x")') + " }"
    },
    "a hundred operations": {"query": many(100, "query q# { __typename }"), "operationName": "q1"},
    "two operations without a name": {"query": "query a { __typename } query b { __typename }"},
    "a query and a mutation": {"query": '{ __typename } mutation { deleteCircuit(id: "x") }'},
    "queries as variables": {"query": "{ __typename }", "variables": [{"query": "{ __typename }"}]},
}  # fmt: skip
AMPLIFIED: dict[str, str] = {
    "a limit of a million": "{ circuits(limit: 1000000) { id } }",
    "a limit of 101": "{ circuits(limit: 101) { id } }",
    "a limit of 2^31": "{ circuits(limit: 2147483648) { id } }",
    "no limit at all": "{ circuits(limit: 0) { id } }",
    "a limit below nothing": "{ circuits(limit: -1) { id } }",
    "an offset below nothing": "{ circuits(offset: -1) { id } }",
    "an offset of 2^31": "{ circuits(offset: 2147483648) { id } }",
    "forty long lists": "{ " + many(40, "a#: jobs(limit: 100) { circuit { id name } }") + " }",
    "long lists with everything": "{ jobs(limit: 100) { " + many(49, "a#: id") + " model { circuit { id } } } }",
    "long lists of models": "{ models(limit: 100) { id name version circuit { id name tags } trainingJob { id status model { "
    "id name circuit { id name tags } deployment { id replicas { pid state served } } } } "
    "deployment { id replicas { pid state served } } } }",
    "fifty usages": "{ " + many(50, "a#: usage { totalCost breakdownByDay { date } }") + " }",
    "forty introspections": "{ " + many(40, "a#: __schema { types { name } }") + " }",
    "thirty types": "{ " + many(30, 'a#: __type(name: "Query") { name fields { name } }') + " }",
    "fifty backends with everything": "{ " + many(50, "a#: backends { id name type provider status reason limits capabilities { supportedGates maxQubits } }") + " }",
}  # fmt: skip
ROWS = [
    pytest.param({"query": text}, id=f"{family} {name}", marks=pytest.mark.attack(family))
    for family, table in {"A24": DEEP, "A25": WIDE, "A27": AMPLIFIED}.items()
    for name, text in table.items()
] + [pytest.param(body, id=f"A26 {name}", marks=pytest.mark.attack("A26")) for name, body in BATCHES.items()]

#: What a document is refused with before anything of it runs.
BEFORE = {"MALFORMED", "TOO_LARGE", "VALIDATION_ERROR"}


@pytest.mark.parametrize("body", ROWS)
def test_bombs(owner: httpx.Client, body: Any) -> None:
    """Each is refused with a code before anything of it runs, in a short answer."""
    answer = owner.post("/graphql", json=body)

    shown = answer.json()
    assert answer.status_code in (400, 413, 422) or shown["data"] is None, shown
    assert {error["extensions"]["code"] for error in shown["errors"]} <= BEFORE
    assert not shown.get("data")
    assert len(shown["errors"]) <= 11
    assert len(answer.content) < 30_000


@pytest.mark.attack("A24")
@pytest.mark.parametrize("levels", [65, 1_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_variables(owner: httpx.Client, levels: int, opening: str, closing: str) -> None:
    """Variables have JSON's depth, so that no value is deeper than what REST takes."""
    value = opening * levels + "1" + closing * levels
    query = "mutation($m: JSON) { " + CREATE % "$m" + " }"
    content = '{"query": "' + query.replace('"', '\\"') + '", "variables": {"m": ' + value + "}}"

    answer = owner.post("/graphql", content=content, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 413)
    assert answer.json()["errors"][0]["extensions"]["code"] in BEFORE


@pytest.mark.attack("A26")
def test_mutations_of_one_document_stop_at_the_first_fault(owner: httpx.Client) -> None:
    """What was done before the fault is named, what comes after it was not done."""
    create = 'createCircuit(input: {name: "%s", nQubits: 1, gates: [{type: "H", targets: [0]}]}) { id }'
    query = f'mutation {{ a: {create % "one"} b: deleteCircuit(id: "x") c: {create % "three"} }}'

    shown = owner.post("/graphql", json={"query": query}).json()

    assert shown["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert shown["errors"][0]["extensions"]["done"] == ["a"]
    names = [row["name"] for row in data(owner.get("/v1/circuits?limit=100&sort=-created_at"))]
    assert "one" in names
    assert "three" not in names


@pytest.mark.attack("A25")
@pytest.mark.parametrize(
    "edge", ["{ " + many(50, "a#: __typename") + " }", "{ __typename " + "@include(if: true) " * 1 + "}"]
)
def test_what_is_just_inside_runs(owner: httpx.Client, edge: str) -> None:
    """The refusals above are about size alone: what lies inside of the limits is answered."""
    answer = owner.post("/graphql", json={"query": edge})

    assert answer.status_code == 200
    assert "errors" not in answer.json()


@pytest.mark.attack("A24", "A25", "A26", "A27")
def test_others_are_answered_between_bombs(fortress: Fortress, owner: httpx.Client) -> None:
    """After everything above the server answers a small question as before."""
    with fortress.client("viewer") as viewer:
        assert viewer.post("/graphql", json={"query": "{ currentUser { role } }"}).json() == {
            "data": {"currentUser": {"role": "viewer"}}
        }
    assert owner.get("/ready").status_code == 200
