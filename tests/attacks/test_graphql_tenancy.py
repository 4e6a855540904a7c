"""A23: another organization's things through GraphQL, by every field, nested, aliased, in fragments and over the socket."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from graphql import GraphQLArgument, GraphQLNonNull, GraphQLObjectType, get_named_type, is_leaf_type
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from qstore_appliance.api.graphql import socket
from qstore_appliance.api.graphql.schema import schema
from qstore_appliance.domain import ids
from tests.attacks.conftest import Fortress

pytestmark = pytest.mark.attack("A23")

SECONDS = 30.0
#: The field of a thing by the tag of its routes.
FIELDS = {"circuits": "circuit", "datasets": "dataset", "jobs": "job"}
INPUTS: dict[str, str] = {
    "UpdateCircuitInput": '{name: "mine"}',
    "DeploymentConfig": "{}",
}


def asked(client: httpx.Client, query: str, **variables: Any) -> httpx.Response:
    return client.post("/graphql", json={"query": query, "variables": variables})


def leaves(kind: GraphQLObjectType) -> str:
    """Everything of a type that is a value and needs no argument."""
    return " ".join(name for name, field in kind.fields.items() if is_leaf_type(get_named_type(field.type)))


def with_an_id(root: GraphQLObjectType | None) -> list[str]:
    assert root is not None
    return [name for name, field in root.fields.items() if any(_is_id(name) for name in field.args)]


def _is_id(argument: str) -> bool:
    return argument == "id" or argument.endswith("Id")


def operation(kind: str, root: GraphQLObjectType, name: str) -> str:
    """The operation that asks one field for `$id`, and for all values of what it answers."""
    field = root.fields[name]
    arguments = ", ".join(
        f"{argument}: {'$id' if _is_id(argument) else INPUTS[str(get_named_type(value.type))]}"
        for argument, value in field.args.items()
        if _is_id(argument) or _needed(value)
    )
    inside = get_named_type(field.type)
    selection = f" {{ {leaves(inside)} }}" if isinstance(inside, GraphQLObjectType) else ""
    return f"{kind}($id: ID!) {{ {name}({arguments}){selection} }}"


def _needed(argument: GraphQLArgument) -> bool:
    return isinstance(argument.type, GraphQLNonNull)


def words(answer: httpx.Response, *named: str) -> tuple[int, str]:
    text = answer.text
    for one in named:
        text = text.replace(one, "…")
    return answer.status_code, text


SCHEMA = schema()
QUERIES = [name for name in with_an_id(SCHEMA.query_type) if name != "backend"]
MUTATIONS = with_an_id(SCHEMA.mutation_type)
SUBSCRIPTIONS = [name for name in with_an_id(SCHEMA.subscription_type) if name != "backendStatus"]


def test_no_field_with_an_id_is_left_out() -> None:
    """What the tables below are made of is in the schema: a new field with an id is tried without being listed."""
    assert {"circuit", "job", "model", "dataset", "deployment", "organization"} <= set(QUERIES)
    assert {"updateCircuit", "deleteCircuit", "cancelJob", "deployModel", "retireModel"} <= set(MUTATIONS)
    assert {"jobProgress", "trainingMetrics"} <= set(SUBSCRIPTIONS)


@pytest.mark.parametrize(
    ("kind", "name"), [*(("query", name) for name in QUERIES), *(("mutation", name) for name in MUTATIONS)]
)
def test_every_field_with_every_id(
    fortress: Fortress, stranger: httpx.Client, owner: httpx.Client, kind: str, name: str
) -> None:
    """Another organization's id of any kind is, to the letter, like an id of nothing; for its owner it is not."""
    root = SCHEMA.query_type if kind == "query" else SCHEMA.mutation_type
    assert root is not None
    query = operation(kind, root, name)
    organization = owner.get("/v1/users/me").json()["data"]["organization_id"]
    for thing in (*fortress.things.values(), organization):
        absent = ids.new(thing.partition("_")[0])
        heard = [words(asked(stranger, query, id=id), id) for id in (thing, absent)]

        assert heard[0] == heard[1], thing
        found = json.loads(heard[0][1])
        assert found["data"] is None or not any(found["data"].values())
    if kind == "query" and name in FIELDS.values():
        own = next(id for tag, id in fortress.things.items() if FIELDS.get(tag) == name)
        assert asked(owner, query, id=own).json()["data"][name]["id"] == own


Shape = Callable[[dict[str, str]], str]

SHAPES: dict[str, Shape] = {
    "aliases": lambda t: f'{{ a: circuit(id: "{t["circuits"]}") {{ name }} b: job(id: "{t["jobs"]}") {{ status }} }}',
    "a fragment": lambda t: (
        f'{{ ...f }} fragment f on Query {{ circuit(id: "{t["circuits"]}") {{ ...g }} }} fragment g on Circuit {{ name id }}'
    ),
    "an inline fragment": lambda t: f'{{ ... on Query {{ job(id: "{t["jobs"]}") {{ ... on TrainingJob {{ id config }} }} }} }}',
    "a directive": lambda t: f'{{ circuit(id: "{t["circuits"]}") @include(if: true) {{ name @skip(if: false) }} }}',
    "nested to a circuit": lambda t: f'{{ job(id: "{t["jobs"]}") {{ circuit {{ name circuitDefinition }} }} }}',
    "nested to a model": lambda t: f'{{ job(id: "{t["jobs"]}") {{ model {{ id trainingJob {{ id }} }} }} }}',
    "an id of another kind": lambda t: f'{{ circuit(id: "{t["jobs"]}") {{ name }} job(id: "{t["circuits"]}") {{ status }} }}',
    "an id in other letters": lambda t: f'{{ circuit(id: "{t["circuits"].upper()}") {{ name }} }}',
    "an id with blanks": lambda t: f'{{ circuit(id: " {t["circuits"]} ") {{ name }} }}',
    "an id with a wildcard": lambda t: f'{{ circuit(id: "{t["circuits"][:12]}%") {{ name }} }}',
    "a data set": lambda t: f'{{ dataset(id: "{t["datasets"]}") {{ name classes digest }} }}',
    "all lists": lambda _: "{ circuits { id } jobs { id } datasets { id } models { id } deployments { id } }",
    "all lists, sorted": lambda _: '{ circuits(sort: "created_at", limit: 100) { id } jobs(sort: "-created_at", limit: 100) { id } }',
    "a filter by tag": lambda _: '{ circuits(filter: {tags: ["%", "_", ""]}) { id } }',
    "a filter by state": lambda _: "{ jobs(status: QUEUED, limit: 100) { id circuitId } }",
    "members and keys": lambda _: "{ currentUser { organization { members } apiKeys { id key } } }",
    "usage by user": lambda _: "{ usage(groupBy: USER) { breakdownByUser totalCost } budget { reserved } }",
    "an error's path": lambda t: f'mutation {{ x: cancelJob(id: "{t["jobs"]}") y: deleteCircuit(id: "{t["circuits"]}") }}',
    "a job on their circuit": lambda t: (
        f'mutation {{ submitTrainingJob(input: {{circuitId: "{t["circuits"]}", '
        'config: {dataset: {type: "iris"}}}) { id } }'
    ),
    "a job on their data": lambda t: (
        'mutation { submitTrainingJob(input: {circuitId: "circuit_00000000000000000000000000", '
        f'config: {{dataset: {{type: "{t["datasets"]}"}}}}}}) {{ id }} }}'
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_a_document(fortress: Fortress, stranger: httpx.Client, shape: Shape) -> None:
    """However a document is written, what it names of another organization is not there, and nothing of it is counted."""
    absent = {kind: ids.new(id.partition("_")[0]) for kind, id in fortress.things.items()}
    heard = []
    for things in (fortress.things, absent):
        answer = asked(stranger, shape(things))
        named = [*things.values(), *(id.upper() for id in things.values()), *(id[:12] + "%" for id in things.values())]
        heard.append(words(answer, *named))

    assert heard[0] == heard[1]
    for thing in fortress.things.values():
        assert thing not in heard[0][1]


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
def test_subscriptions(fortress: Fortress, name: str) -> None:
    """Over the socket another organization's job is like one that is not there."""
    root = SCHEMA.subscription_type
    assert root is not None
    query = operation("subscription", root, name)
    heard = []
    address = fortress.url.replace("http", "ws") + "/graphql"
    for id in (fortress.things["jobs"], ids.new("job")):
        with connect(address, proxy=None, subprotocols=[Subprotocol(socket.PROTOCOL)]) as connection:
            connection.send(json.dumps({"type": "connection_init", "payload": {"token": fortress.tokens["stranger"]}}))
            assert json.loads(connection.recv(SECONDS))["type"] == "connection_ack"
            connection.send(
                json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query, "variables": {"id": id}}})
            )
            heard.append(str(connection.recv(SECONDS)).replace(id, "…"))

    assert heard[0] == heard[1]
    assert json.loads(heard[0])["type"] == "error"
    assert re.search(r'"code": ?"NOT_FOUND"', heard[0])
