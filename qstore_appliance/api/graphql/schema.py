"""The schema of `schema.graphql`, with a resolver for every field."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    assert_valid_schema,
    build_ast_schema,
)

from qstore_appliance.api.graphql import accounts, backends, circuits, datasets, events, jobs, models, money, scalars
from qstore_appliance.api.graphql.arguments import Input
from qstore_appliance.api.graphql.naming import DEFINITIONS, inside

RESOLVERS: dict[str, Callable[..., Any]] = {}
for _noun in (accounts, backends, circuits, datasets, events, jobs, models, money):
    RESOLVERS.update(_noun.RESOLVERS)


@functools.cache
def schema() -> GraphQLSchema:
    """
    Raises:
        KeyError: A resolver names a field that the schema does not have.
    """
    built = build_ast_schema(DEFINITIONS)
    assert_valid_schema(built)
    scalars.install(built.type_map)
    resolvers = dict(RESOLVERS)
    for name, kind in built.type_map.items():
        if name.startswith("__"):
            continue
        match kind:
            case GraphQLEnumType():
                for word, value in kind.values.items():
                    value.value = word.lower()
            case GraphQLInputObjectType():
                kind.out_type = Input  # type: ignore[method-assign,assignment]
                for field_name, field in kind.fields.items():
                    field.out_name = inside(field_name)
            case GraphQLObjectType():
                _bind(kind, resolvers)
    for name, subscribe in events.SUBSCRIBERS.items():
        built.type_map["Subscription"].fields[name].subscribe = subscribe  # type: ignore[attr-defined]
    if resolvers:
        raise KeyError(f"no such fields: {', '.join(resolvers)}")
    return built


def _bind(kind: GraphQLObjectType, resolvers: dict[str, Callable[..., Any]]) -> None:
    for name, field in kind.fields.items():
        own = resolvers.pop(f"{kind.name}.{name}", None)
        if own is not None and kind.name == "Mutation":
            own = _counted(own)
        field.resolve = own or _member(inside(name))
        for argument_name, argument in field.args.items():
            argument.out_name = inside(argument_name)


def _member(name: str) -> Callable[..., Any]:
    """What a value itself has under that name."""

    def resolve(value: Any, info: GraphQLResolveInfo) -> Any:
        info.context.rest()
        return value.get(name) if isinstance(value, Mapping) else getattr(value, name)

    return resolve


def _counted(mutate: Callable[..., Any]) -> Callable[..., Any]:
    """A mutation that is remembered as done, and after which nothing is answered from what was read before it."""

    @functools.wraps(mutate)
    async def resolve(value: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        answer = await mutate(value, info, **arguments)
        info.context.done.append(str(info.path.key))
        info.context.forget()
        return answer

    return resolve
