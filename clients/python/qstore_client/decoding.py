"""
JSON into the dataclasses of `types.py`.

What a newer server says in addition is passed over: an update of the server breaks no client.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from datetime import date, datetime
from typing import Any, TypeVar, cast

from qstore_client.errors import UnexpectedAnswer

T = TypeVar("T")


def decode(kind: type[T], value: Any) -> T:
    """
    Raises:
        UnexpectedAnswer: A field that the type needs is not there, or is something else.
    """
    return cast(T, _decoded(kind, value, kind.__name__))


def decode_all(kind: type[T], values: Any) -> list[T]:
    return [decode(kind, value) for value in _of(list, values, kind.__name__)]


def parse_time(text: str) -> datetime:
    """RFC 3339; up to Python 3.10 `fromisoformat` knows no Z, and no fraction but of 3 or 6 digits."""
    text = text.replace("Z", "+00:00")
    head, dot, tail = text.partition(".")
    if dot:
        digits = tail.split("+")[0].split("-")[0]
        text = f"{head}.{digits[:6]:0<6}{tail[len(digits) :]}"
    return datetime.fromisoformat(text)


def _decoded(kind: Any, value: Any, place: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any or origin is typing.Literal:
        return value
    if origin in (typing.Union, types.UnionType):
        return _one_of(typing.get_args(kind), value, place)
    if origin is list:
        (item,) = typing.get_args(kind)
        return [_decoded(item, one, f"{place}[]") for one in _of(list, value, place)]
    if origin is dict:
        item = typing.get_args(kind)[1]
        if item is Any:
            return _of(dict, value, place)
        return {key: _decoded(item, one, f"{place}.{key}") for key, one in _of(dict, value, place).items()}
    if dataclasses.is_dataclass(kind):
        given, made = _of(dict, value, place), cast(type, kind)
        return made(
            **{
                name: _decoded(shape, given[wire], f"{place}.{wire}")
                for name, wire, shape, needed in _fields(made)
                if _is_there(wire, given, needed, place)
            }
        )
    if kind in (datetime, date):
        try:
            return parse_time(value) if kind is datetime else date.fromisoformat(value)
        except (TypeError, ValueError):
            raise UnexpectedAnswer(f"{place}: no time: {value!r}") from None
    if kind is float and type(value) is int:
        return float(value)
    return _of(kind, value, place)


def _one_of(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    faults = []
    for kind in kinds:
        if kind is not type(None):
            try:
                return _decoded(kind, value, place)
            except UnexpectedAnswer as fault:
                faults.append(fault)
    raise faults[0]


def _of(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise UnexpectedAnswer(f"{place}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def _is_there(wire: str, given: dict[str, Any], needed: bool, place: str) -> bool:
    if wire in given:
        return True
    if needed:
        raise UnexpectedAnswer(f"{place}: {wire} is missing. Is the server older than this client?")
    return False


@functools.cache
def _fields(kind: type) -> list[tuple[str, str, Any, bool]]:
    """Name here, name on the wire, type, and whether it must be there, of each field."""
    hints = typing.get_type_hints(kind)
    return [
        (
            field.name,
            field.metadata.get("wire", field.name),
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
    ]
