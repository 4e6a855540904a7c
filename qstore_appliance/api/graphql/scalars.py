"""Scalars of the schema: times, JSON, and whole numbers that JavaScript still holds exactly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from graphql import (
    GraphQLError,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)
from graphql.utilities import value_from_ast_untyped

from qstore_appliance.api import inputs
from qstore_appliance.errors import QStoreError

#: The largest whole number below which a double holds them all.
EXACT = 2**53
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})")
_DIGITS = re.compile(r"-?\d{1,16}")


def time_in(value: Any) -> datetime:
    """
    Raises:
        GraphQLError: Not RFC 3339 with a zone.
    """
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # A thirteenth month: refused below, like everything else that is no time.
    raise GraphQLError("DateTime is written as 2025-12-19T10:30:00Z.")


def time_out(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def time_written(node: ValueNode, _variables: Any = None) -> datetime:
    if not isinstance(node, StringValueNode):
        raise GraphQLError("DateTime is written as a string.", node)
    return time_in(node.value)


def big_in(value: Any) -> int:
    """
    Raises:
        GraphQLError: Not a whole number that a double holds exactly.
    """
    if type(value) is not int or not -EXACT <= value <= EXACT:
        raise GraphQLError("BigInt is a whole number up to 2^53.")
    return value


def big_written(node: ValueNode, _variables: Any = None) -> int:
    if not isinstance(node, IntValueNode) or not _DIGITS.fullmatch(node.value):
        raise GraphQLError("BigInt is a whole number up to 2^53.", node)
    return big_in(int(node.value))


def json_in(value: Any) -> Any:
    """
    Raises:
        GraphQLError: What no body may hold either: NaN, infinities, numbers beyond 64 bits, NUL.
    """
    try:
        inputs.inspect(value)
    except QStoreError as error:
        raise GraphQLError(f"JSON {error.message}", original_error=error) from error
    return value


def json_written(node: ValueNode, _variables: Any = None) -> Any:
    """A variable inside would be a way to write a megabyte a thousand times over."""
    if _has_variable(node):
        raise GraphQLError("A JSON value is written whole, or is one variable as a whole.", node)
    try:
        value = value_from_ast_untyped(node)
    except ValueError:
        # Python refuses integers of thousands of digits before it makes them.
        raise GraphQLError("JSON holds a number of too many digits.", node) from None
    return json_in(value)


def _has_variable(node: ValueNode) -> bool:
    if isinstance(node, ListValueNode):
        return any(_has_variable(inner) for inner in node.values)
    if isinstance(node, ObjectValueNode):
        return any(_has_variable(field.value) for field in node.fields)
    return isinstance(node, VariableNode)


def install(types: Mapping[str, Any]) -> None:
    """Give the schema's scalars their meaning."""
    scalars: dict[str, tuple[Any, Any, Any]] = {
        "DateTime": (time_out, time_in, time_written),
        "BigInt": (int, big_in, big_written),
        "JSON": (lambda value: value, json_in, json_written),
    }
    for name, (out, into, written) in scalars.items():
        scalar = types[name]
        scalar.serialize = scalar.coerce_output_value = out
        scalar.parse_value = scalar.coerce_input_value = into
        scalar.parse_literal = written
