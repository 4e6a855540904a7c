"""Who asks, and their organization."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from qstore_appliance.api.graphql import money
from qstore_appliance.domain.accounts import ApiKey, Organization, User
from qstore_appliance.domain.listing import MAX_LIMIT, Page


async def current_user(_: None, info: GraphQLResolveInfo) -> User:
    user: User = await info.context.appliance.accounts.me(info.context.caller)
    return user


async def organization(_: None, info: GraphQLResolveInfo, id: str) -> Organization | None:
    """Another organization is to everybody as if it did not exist."""
    return await own_organization(None, info) if id == info.context.caller.organization_id else None


async def own_organization(_: Any, info: GraphQLResolveInfo) -> Organization:
    found: Organization = await info.context.appliance.accounts.organization(info.context.caller)
    return found


async def members(_: Organization, info: GraphQLResolveInfo) -> int:
    count: int = await info.context.appliance.accounts.members(info.context.caller)
    return count


async def api_keys(user: User, info: GraphQLResolveInfo) -> list[ApiKey]:
    caller = info.context.caller
    if not caller.may("api-keys:own"):
        return []
    keys = await info.context.appliance.accounts.list_keys(caller, Page(limit=MAX_LIMIT))
    return [key for key in keys.items if key.user_id == user.id]


def masked(key: ApiKey, _: GraphQLResolveInfo) -> str:
    return f"qsk_{key.environment}_***"


def scopes(_: User, info: GraphQLResolveInfo) -> list[str]:
    return sorted(info.context.caller.scopes)


RESOLVERS = {
    "Query.currentUser": current_user,
    "Query.organization": organization,
    "User.organization": own_organization,
    "User.apiKeys": api_keys,
    "User.scopes": scopes,
    "ApiKey.key": masked,
    "Organization.members": members,
    "Organization.budget": money.budget,
}
