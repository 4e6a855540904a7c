"""Data sets."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from qstore_appliance.api.graphql.arguments import page
from qstore_appliance.domain.datasets import Dataset
from qstore_appliance.errors import NotFound


async def dataset(_: None, info: GraphQLResolveInfo, id: str) -> Dataset | None:
    """
    Raises:
        DatasetMissing: A known one that nobody has imported, with the command that brings it.
    """
    try:
        found: Dataset = await info.context.appliance.datasets.get(info.context.caller, id)
    except NotFound:
        return None
    return found


async def datasets(_: None, info: GraphQLResolveInfo, **paging: Any) -> list[Dataset]:
    listed = await info.context.appliance.datasets.listed(info.context.caller, page(paging))
    return list(listed.items)


RESOLVERS = {"Query.dataset": dataset, "Query.datasets": datasets}
