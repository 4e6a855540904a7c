"""
Calls that nobody would send, made from what the routes and the schema declare: the same for the same seed and number, so
that a run goes on where another was cut off.
"""

from __future__ import annotations

import json
import random
import string
from typing import Any, NamedTuple

from graphql import (  # fmt: skip
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
)

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.graphql.schema import schema
from qstore_appliance.domain import ids

#: Left out: what would end the session of the test itself or take its password away, and what never ends.
LEFT_OUT = ("/v1/auth/", "/v1/sessions", "/v1/events", "/v1/ws", "/v1/users/me/", "/v1/second-factor", "/graphql")
ENDPOINTS = [
    one for one in endpoints() if not one.path.startswith(LEFT_OUT) and "{" not in one.path.replace("{id}", "")
]
SCHEMA = schema()
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 1.5, 1e308, 2**31, 2**53, 2**63, -(2**63), "", " ", "a", "null", "0", "NaN", "%", "_", "'"),
    *('"', "\\", "\u202e", "ü", "\U0001f600", "a" * 300, "2026-11-26", "2026-11-26T00:00:00Z", "9999-12-31T23:59:59Z", "<b>"),
    *("../x", "a,b", "=1", "-created_at", "name", "queued", "native", "iris", "adam", [], {}, [[]], {"a": None}, [None], [1, "a"]),
)  # fmt: skip
PARAMETERS = ("limit", "offset", "sort", "tags", "status", "format", "since", "until", "q", "action", "level", "lines", "group_by", "start_date", "end_date", "x")  # fmt: skip
PLAUSIBLE: dict[str, tuple[Any, ...]] = {
    "name": ("c", "d"),
    "n_qubits": (1, 2, 3),
    "gates": ([{"type": "H", "targets": [0]}], [{"type": "RY", "targets": [0], "parameters": {"theta": "a"}}]),
    "config": ({"epochs": 1, "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}}},),
    "scopes": (["jobs:read"], ["circuits:*"]),
    "monthly_limit": (None, 1_000_000.0),
    "shots": (None, 10),
}


class Call(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    content: bytes | None


def call(seed: int, number: int, things: dict[str, str]) -> Call:
    """The call of this number: one of three is a GraphQL document."""
    dice = random.Random(f"{seed}:{number}")
    if number % 3 == 0:
        return Call("POST", "/graphql", {}, _graphql(dice, things))
    endpoint = ENDPOINTS[dice.randrange(len(ENDPOINTS))]
    path = endpoint.path.replace("{id}", _id(dice, things, endpoint.tag))
    query = {dice.choice(PARAMETERS): _text(_odd(dice)) for _ in range(dice.choice((0, 0, 1, 2)))}
    return Call(endpoint.method, path, query, _body(dice, endpoint, things) if endpoint.body else None)


def _odd(dice: random.Random) -> Any:
    if dice.random() < 0.1:
        return "".join(dice.choice(string.printable) for _ in range(dice.randrange(20)))
    return dice.choice(ODD)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _id(dice: random.Random, things: dict[str, str], tag: str) -> str:
    kind = dice.random()
    if kind < 0.5 and tag in things:
        return things[tag]
    if kind < 0.7:
        return dice.choice(list(things.values()))
    if kind < 0.9:
        return ids.new(dice.choice(("circuit", "job", "model", "dataset", "deploy", "key")))
    return "".join(dice.choice(string.ascii_letters + string.digits + "_-.~") for _ in range(1 + dice.randrange(40)))


def _body(dice: random.Random, endpoint: Any, things: dict[str, str]) -> bytes:
    fields = [name for draft in endpoint.body for name in getattr(draft, "model_fields", {})]
    body: dict[str, Any] = {}
    for name in fields:
        kind = dice.random()
        if kind < 0.6 and name in PLAUSIBLE:
            body[name] = dice.choice(PLAUSIBLE[name])
        elif kind < 0.6 and name == "circuit_id":
            body[name] = things["circuits"]
        elif kind > 0.75:
            body[name] = _odd(dice)
    if dice.random() < 0.05:
        body[str(_odd(dice))] = _odd(dice)
    return _spoilt(dice, json.dumps(body)).encode("utf-8", "replace")


def _spoilt(dice: random.Random, text: str) -> str:
    """Now and then with a piece left out, doubled or replaced."""
    if dice.random() > 0.1 or not text:
        return text
    start = dice.randrange(len(text))
    end = min(len(text), start + dice.randrange(1, 6))
    return text[:start] + dice.choice(("", text[start:end] * 2, "\u0000", "{", "]", "9" * 40, "\ufeff")) + text[end:]


def _graphql(dice: random.Random, things: dict[str, str]) -> bytes:
    mutation = dice.random() < 0.3
    root = SCHEMA.mutation_type if mutation else SCHEMA.query_type
    assert root is not None
    names = [dice.choice(list(root.fields)) for _ in range(dice.choice((1, 1, 2, 3)))]
    fields = " ".join(f"a{place}: {_field(dice, root, name, things, 1)}" for place, name in enumerate(names))
    text = _spoilt(dice, f"{'mutation' if mutation else 'query'} {{ {fields} }}")
    return json.dumps({"query": text}).encode()


def _field(dice: random.Random, parent: GraphQLObjectType, name: str, things: dict[str, str], depth: int) -> str:
    field = parent.fields[name]
    arguments = [
        f"{argument}: {_value(dice, value.type, argument, things)}"
        for argument, value in field.args.items()
        if isinstance(value.type, GraphQLNonNull) or dice.random() < 0.3
    ]
    inside = get_named_type(field.type)
    text = name + (f"({', '.join(arguments)})" if arguments else "")
    if not isinstance(inside, GraphQLObjectType):
        return text
    plain = [one for one, kind in inside.fields.items() if not isinstance(get_named_type(kind.type), GraphQLObjectType)]
    deeper = [one for one in inside.fields if one not in plain]
    chosen = dice.sample(plain, min(len(plain), dice.randrange(1, 5)))
    if deeper and dice.random() < 0.5 and depth < 10:
        chosen.append(_field(dice, inside, dice.choice(deeper), things, depth + 1))
    return f"{text} {{ {' '.join(chosen)} }}"


def _value(dice: random.Random, kind: Any, name: str, things: dict[str, str]) -> str:
    if dice.random() < 0.1:
        return json.dumps(_odd(dice)) if dice.random() < 0.8 else "FOO"
    bare = get_nullable_type(kind)
    if isinstance(bare, GraphQLList):
        return "[" + ", ".join(_value(dice, bare.of_type, name, things) for _ in range(dice.randrange(3))) + "]"
    if isinstance(bare, GraphQLEnumType):
        return dice.choice(list(bare.values))
    if isinstance(bare, GraphQLInputObjectType):
        wanted = [
            one for one, field in bare.fields.items() if isinstance(field.type, GraphQLNonNull) or dice.random() < 0.2
        ]
        return "{" + ", ".join(f"{one}: {_value(dice, bare.fields[one].type, one, things)}" for one in wanted) + "}"
    if str(bare) == "ID":
        return json.dumps(dice.choice([*things.values(), "x", ids.new("job")]))
    plain = {"Int": (0, 1, 2, 100), "Float": (0.0, 0.5, 1_000_000.0), "Boolean": (True, False), "BigInt": (0, 2**40)}
    return json.dumps(dice.choice(plain.get(str(bare), ("a", "H", "iris", "native", "2026-11-26T00:00:00Z"))))
