"""
What an operation may cost, from its text and its variables, before it runs.

Fields of the same name in the same place are one field of the answer, so the walk merges them as the execution does.
The schema has no interfaces or unions: whatever stands in one place is of one type, which keeps this short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLList,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    get_named_type,
    get_nullable_type,
    print_ast,
)

from qstore_appliance.api.graphql.documents import Refused
from qstore_appliance.domain.listing import MAX_LIMIT, Page
from qstore_appliance.errors import QStoreError, TooLarge

MAX_DEPTH = 8
#: Values in the answer, lists counted at their limit.
MAX_COST = 5_000
MAX_MUTATIONS = 5
#: Selections of the document, those of a fragment counted wherever it is used.
MAX_SELECTIONS = 2_000
#: What a list without a limit holds at the most: data sets of one upload, backends, keys, replicas.
SHORT_LIST = 10
#: A field that is more work than reading a value.
WEIGHTS = {
    "Query.usage": 100,
    "Query.backends": 20,
    "Query.backend": 20,
    "Query.budget": 5,
    "TrainingJob.reason": 5,
    "Organization.members": 5,
    "User.apiKeys": 5,
    "Mutation.submitTrainingJob": 100,
    "Mutation.deployModel": 100,
    "Query.__schema": 2_000,
    "Query.__type": 200,
}


class Plan(NamedTuple):
    """
    Attributes:
        fields: Names of the fields at the root, as the schema has them.
        cost: Values that the answer may have.
    """

    kind: OperationType
    fields: list[str]
    cost: int


class Planner:
    """
    Args:
        variables: As they came; a limit among them that makes no sense is refused when the operation runs.
    """

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._selections = 0

    def plan(self, operation: OperationDefinitionNode) -> Plan:
        """
        Raises:
            Refused: Too deep, too costly, too many mutations, or two fields of one name that are not the same.
        """
        root = self._schema.get_root_type(operation.operation)
        assert root is not None, "validation has seen to that"
        groups = self._merged([operation])
        fields = [nodes[0].name.value for nodes in groups.values()]
        if operation.operation is OperationType.MUTATION and len(fields) > MAX_MUTATIONS:
            raise Refused([_beyond(f"A document has at most {MAX_MUTATIONS} mutations.", "mutations", MAX_MUTATIONS)])
        return Plan(operation.operation, fields, self._cost(root, groups, 1))

    def _merged(self, parents: list[Any]) -> dict[str, list[FieldNode]]:
        """The fields below some parents that are one in the answer, by the name that they have there."""
        groups: dict[str, list[FieldNode]] = {}
        used: set[str] = set()
        waiting: list[Iterator[Any]] = [iter(node.selection_set.selections) for node in parents if node.selection_set]
        for selections in waiting:
            for node in selections:
                self._selections += 1
                if self._selections > MAX_SELECTIONS:
                    words = f"The document selects more than {MAX_SELECTIONS} times, its fragments written out."
                    raise Refused([_beyond(words, "selections", MAX_SELECTIONS)])
                if isinstance(node, FieldNode):
                    groups.setdefault((node.alias or node.name).value, []).append(node)
                elif isinstance(node, InlineFragmentNode):
                    waiting.append(iter(node.selection_set.selections))
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in used:
                    used.add(node.name.value)
                    waiting.append(iter(self._fragments[node.name.value].selection_set.selections))
        for name, nodes in groups.items():
            if len(nodes) > 1 and len({_signature(node) for node in nodes}) > 1:
                words = f"Fields '{name}' conflict: they are not the same field with the same arguments. Use aliases."
                raise Refused([GraphQLError(words, nodes[:2])])
        return groups

    def _cost(self, parent: GraphQLObjectType, groups: Mapping[str, list[FieldNode]], depth: int) -> int:
        total = 0
        for nodes in groups.values():
            name = nodes[0].name.value
            own = WEIGHTS.get(f"{parent.name}.{name}", 1)
            if name.startswith("__"):
                # The schema about itself has a depth of its own, and does not grow with anything.
                total += own
            else:
                total += self._cost_of(parent, nodes, own, depth)
            if total > MAX_COST:
                words = (
                    f"The answer may have more than {MAX_COST} values. Ask for less at once, or with a smaller limit."
                )
                raise Refused([_beyond(words, "cost", MAX_COST)])
        return total

    def _cost_of(self, parent: GraphQLObjectType, nodes: list[FieldNode], own: int, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise Refused([_beyond(f"The document is deeper than {MAX_DEPTH} levels.", "depth", MAX_DEPTH)])
        field = parent.fields[nodes[0].name.value]
        kind = get_named_type(field.type)
        if not isinstance(kind, GraphQLObjectType):
            return own
        many = 1
        if isinstance(get_nullable_type(field.type), GraphQLList):
            many = self._limit(nodes[0]) if "limit" in field.args else SHORT_LIST
        return own + many * (1 + self._cost(kind, self._merged(nodes), depth + 1))

    def _limit(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value != "limit":
                continue
            value: Any = None
            if isinstance(argument.value, IntValueNode):
                value = int(argument.value.value[:12])
            elif isinstance(argument.value, VariableNode):
                # One that has a default in the document is worth as much as the largest.
                value = self._variables.get(argument.value.name.value, MAX_LIMIT)
            if isinstance(value, int):
                return min(max(value, 1), MAX_LIMIT)
        return Page().limit


def _signature(node: FieldNode) -> str:
    arguments = sorted(f"{argument.name.value}:{print_ast(argument.value)}" for argument in node.arguments or ())
    return f"{node.name.value}({','.join(arguments)})"


def _beyond(words: str, noun: str, most: int) -> QStoreError:
    return TooLarge(words, details={"of": noun, "limit": most})
