"""Circuits. Lists and pointers read their heads; gates and parameters are read only where somebody asks for them."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from qstore_appliance.api import inputs
from qstore_appliance.api.graphql.arguments import page, sent
from qstore_appliance.api.graphql.context import argument
from qstore_appliance.domain.circuits import CircuitDraft, CircuitHead, CircuitPatch, StoredCircuit
from qstore_appliance.errors import NotFound
from qstore_appliance.services.circuits import SORTS

Circuit = CircuitHead | StoredCircuit


async def circuit(_: None, info: GraphQLResolveInfo, id: str) -> Circuit | None:
    info.context.caller.require("circuits:read")
    found: Circuit | None = await info.context.loaders.circuits.load(id)
    return found


async def circuits(
    _: None, info: GraphQLResolveInfo, filter: dict[str, Any] | None = None, **paging: Any
) -> list[Circuit]:
    tags = (filter or {}).get("tags") or []
    listed = await info.context.appliance.circuits.listed(info.context.caller, page(paging, SORTS), tags)
    found = [info.context.loaders.circuits.load(item.id) for item in listed.items]
    # One that is deleted between the two reads is left out.
    return [head for head in [await future for future in found] if head is not None]


async def whole(circuit: Circuit, info: GraphQLResolveInfo) -> StoredCircuit:
    """
    Raises:
        NotFound: It was deleted meanwhile.
        TooLarge: The circuits of this answer are too large together.
    """
    if isinstance(circuit, StoredCircuit):
        return circuit
    found: StoredCircuit | None = await info.context.loaders.whole_circuits.load(circuit.id)
    if found is None:
        raise NotFound.of("circuit", circuit.id)
    return found


async def definition(circuit: Circuit, info: GraphQLResolveInfo) -> dict[str, Any]:
    return (await whole(circuit, info)).circuit_definition


async def parameters(circuit: Circuit, info: GraphQLResolveInfo) -> dict[str, Any]:
    return (await whole(circuit, info)).parameters


async def create(_: None, info: GraphQLResolveInfo, input: dict[str, Any]) -> StoredCircuit:
    with argument("input"):
        draft = inputs.validated(CircuitDraft, sent(input))
        made: StoredCircuit = await info.context.appliance.circuits.create(info.context.caller, draft)
        return made


async def update(_: None, info: GraphQLResolveInfo, id: str, input: dict[str, Any]) -> StoredCircuit:
    with argument("input"):
        patch = inputs.validated(CircuitPatch, sent(input))
        changed: StoredCircuit = await info.context.appliance.circuits.update(info.context.caller, id, patch)
        return changed


async def delete(_: None, info: GraphQLResolveInfo, id: str) -> bool:
    await info.context.appliance.circuits.delete(info.context.caller, id)
    return True


RESOLVERS = {
    "Query.circuit": circuit,
    "Query.circuits": circuits,
    "Circuit.circuitDefinition": definition,
    "Circuit.parameters": parameters,
    "Mutation.createCircuit": create,
    "Mutation.updateCircuit": update,
    "Mutation.deleteCircuit": delete,
}
