"""`qstore user …`: the users of every organization of this installation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import ValidationError

from qstore_appliance.cli import acting
from qstore_appliance.cli.output import table
from qstore_appliance.domain.invitations import InvitationDraft
from qstore_appliance.domain.members import MemberPatch
from qstore_appliance.errors import ValidationFailed


async def create(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield await appliance.accounts.create_user(
        email=arguments["email"],
        organization=arguments["organization"],
        role=arguments["role"],
        password=arguments["password"],
        name=arguments["name"],
    )


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield await appliance.accounts.list_users_of_installation()


async def reset_password(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    await appliance.accounts.reset_password(email=arguments["email"], password=arguments["password"])
    if arguments["without_second_factor"]:
        await appliance.second_factors.drop(arguments["email"])
    yield {"email": arguments["email"]}


async def disable(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    await appliance.accounts.disable(email=arguments["email"])
    yield {"email": arguments["email"]}


async def enable(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    await appliance.accounts.enable(email=arguments["email"])
    yield {"email": arguments["email"]}


async def invite(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    try:
        draft = InvitationDraft(email=arguments["email"], role=arguments["role"])
    except ValidationError as error:
        raise ValidationFailed.of([(f"--{e['loc'][0]}", e["msg"]) for e in error.errors()]) from error
    yield await appliance.invitations.create(caller, draft)


async def role(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    member = await appliance.members.by_email(caller, arguments["email"])
    yield await appliance.members.change(caller, member.id, MemberPatch(role=arguments["role"]))


async def remove(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    member = await appliance.members.by_email(caller, arguments["email"])
    await appliance.members.remove(caller, member.id)
    yield {"email": member.email}


def _created(user: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{user['email']} is {user['role']} in {arguments['organization']} ({user['id']}).")


def _listed(users: list[dict[str, Any]], arguments: dict[str, Any]) -> None:
    rows = [
        (u["email"], u["name"], u["role"], u["operator"], u["disabled"], u["organization_id"], u["created_at"])
        for u in users
    ]
    table(("email", "name", "role", "operator", "disabled", "organization", "created"), rows, "No user yet.")


def _reset(result: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{result['email']} has a new password; every session of theirs has ended.")
    if arguments["without_second_factor"]:
        print("Signing in takes the password alone.")


def _disabled(result: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{result['email']} is kept out.")


def _enabled(result: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{result['email']} may come in again.")


def _invited(invitation: dict[str, Any], arguments: dict[str, Any]) -> None:
    # The link alone, so that a script can take it; nothing else prints it ever again.
    print(invitation["link"])


def _given(member: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{member['email']} is {member['role']} now.")


def _removed(result: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{result['email']} is removed; what they made stays.")


SHOW = {
    "create": _created,
    "listed": _listed,
    "reset_password": _reset,
    "disable": _disabled,
    "enable": _enabled,
    "invite": _invited,
    "role": _given,
    "remove": _removed,
}
