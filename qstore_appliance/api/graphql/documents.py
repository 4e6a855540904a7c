"""
A GraphQL document, judged before anything of it runs: readable, valid, and small enough.

What is refused here has cost a few milliseconds at the most. Documents that were found valid are remembered, so a client
that asks the same again pays for reading once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    parse,
    specified_rules,
    validate,
)
from graphql.language import Visitor, visit
from graphql.validation import MaxIntrospectionDepthRule

from qstore_appliance.errors import QStoreError, TooLarge, ValidationFailed

#: Of a document.
MAX_BYTES = 65_536
MAX_TOKENS = 2_000
MAX_OPERATIONS = 10
MAX_FRAGMENTS = 50
MAX_ALIASES = 50
MAX_DIRECTIVES = 50
#: Faults named in one answer.
MAX_ERRORS = 10
#: Documents that are remembered, and the characters of the largest of them.
REMEMBERED = 200
REMEMBERED_CHARACTERS = 8_192

#: That of overlapping fields compares them pair by pair, which takes seconds for a document of a few kilobytes; `plan.py`
#: judges the same in one walk.
RULES = [rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule]
if MaxIntrospectionDepthRule not in RULES:
    RULES.append(MaxIntrospectionDepthRule)


class Refused(Exception):
    """The document is not run. `errors` are GraphQL's own, or one of the family's."""

    def __init__(self, errors: list[GraphQLError | QStoreError]) -> None:
        self.errors = errors
        super().__init__(str(errors[0]))


class Documents:
    """Documents of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._known: OrderedDict[str, DocumentNode] = OrderedDict()

    def read(self, text: str) -> DocumentNode:
        """
        Raises:
            Refused: Not GraphQL, not valid against the schema, or larger than any honest document.
        """
        known = self._known.get(text)
        if known is not None:
            self._known.move_to_end(text)
            return known
        document = self._judged(text)
        if len(text) <= REMEMBERED_CHARACTERS:
            self._known[text] = document
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return document

    def _judged(self, text: str) -> DocumentNode:
        if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            raise Refused([too_large("bytes", MAX_BYTES)])
        try:
            # Comments and commas are no tokens of the grammar, and the bytes bound them already.
            document = parse(text, max_lexical_tokens=MAX_TOKENS, max_comments=MAX_TOKENS)
        except GraphQLError as error:
            raise Refused([error]) from None
        _require_few(document)
        errors = validate(self._schema, document, RULES, max_errors=MAX_ERRORS)
        if errors:
            raise Refused([*errors])
        return document


def _require_few(document: DocumentNode) -> None:
    counts = {"operations": 0, "fragments": 0, "aliases": 0, "directives": 0}

    class Count(Visitor):
        def enter_operation_definition(self, *_: Any) -> None:
            counts["operations"] += 1

        def enter_fragment_definition(self, *_: Any) -> None:
            counts["fragments"] += 1

        def enter_field(self, node: FieldNode, *_: Any) -> None:
            counts["aliases"] += node.alias is not None

        def enter_directive(self, *_: Any) -> None:
            counts["directives"] += 1

    visit(document, Count())
    for noun, most in (
        ("operations", MAX_OPERATIONS),
        ("fragments", MAX_FRAGMENTS),
        ("aliases", MAX_ALIASES),
        ("directives", MAX_DIRECTIVES),
    ):
        if counts[noun] > most:
            raise Refused([too_large(noun, most)])


def too_large(noun: str, most: int) -> TooLarge:
    return TooLarge(f"The document has more than {most} {noun}.", details={"of": noun, "limit": most})


def operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """
    The operation to run.

    Raises:
        Refused: None of that name, or several and no name.
    """
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    wanted = [node for node in found if name is None or (node.name is not None and node.name.value == name)]
    if len(wanted) == 1:
        return wanted[0]
    fault = (
        "must say which of the document's operations to run" if name is None else "names no operation of the document"
    )
    raise Refused([ValidationFailed.field("operationName", fault)])
