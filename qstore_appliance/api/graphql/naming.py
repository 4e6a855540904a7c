"""Names on both sides: `nQubits` in the schema is `n_qubits` inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources

from graphql import DocumentNode, InputObjectTypeDefinitionNode, ObjectTypeDefinitionNode, parse

from qstore_appliance.errors import QStoreError

_UPPER = re.compile(r"[A-Z]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: The schema as it is published.
SDL: str = resources.files(__package__).joinpath("schema.graphql").read_text("utf-8")
DEFINITIONS: DocumentNode = parse(SDL, no_location=True)


def inside(name: str) -> str:
    return _UPPER.sub(lambda found: f"_{found[0].lower()}", name)


def _input_names() -> Iterator[str]:
    for definition in DEFINITIONS.definitions:
        if isinstance(definition, InputObjectTypeDefinitionNode):
            yield from (field.name.value for field in definition.fields or ())
        if isinstance(definition, ObjectTypeDefinitionNode):
            yield from (argument.name.value for field in definition.fields or () for argument in field.arguments or ())


#: Names of arguments and of inputs' fields, inside → in the schema; and of one that the specification calls otherwise.
SPOKEN: dict[str, str] = {inside(name): name for name in _input_names()} | {"monthly_limit": "limit"}


def place(path: str, prefix: str) -> str:
    """`gates[3].n_qubits` → `input.gates[3].nQubits`; names that no input field has stay as they are."""
    named = _NAME.sub(lambda found: SPOKEN.get(found[0], found[0]), path)
    if path in ("body", prefix):
        return prefix
    return f"{prefix}.{named}" if prefix else named


def relocated(error: QStoreError, prefix: str) -> QStoreError:
    """The same error with its fields named as the client named them."""
    rows = error.details.get("errors")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "field" in row for row in rows):
        return error
    moved = [{**row, "field": place(row["field"], prefix)} for row in rows]
    message = error.message
    if rows and message.startswith(rows[0]["field"]):
        message = moved[0]["field"] + message[len(rows[0]["field"]) :]
    changed = type(error).__new__(type(error))
    changed.__dict__.update(error.__dict__)
    QStoreError.__init__(changed, message, details={**error.details, "errors": moved})
    return changed
