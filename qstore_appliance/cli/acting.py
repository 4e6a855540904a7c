"""Whom the host's command line acts for: whoever may run it may act as any user of the installation."""

from __future__ import annotations

from typing import Any

from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import Refused, ValidationFailed


async def caller(appliance: Any, arguments: dict[str, Any]) -> Caller:
    """
    The user of `--as`, else the operator.

    Raises:
        NotFound: Nobody has this address.
        Refused: There is no user at all yet, or this one is disabled.
    """
    wanted = arguments.get("acting")
    if wanted is None:
        users = await appliance.accounts.list_users_of_installation()
        operator = next((user for user in users if user.operator and not user.disabled), None)
        if operator is None:
            raise Refused("There is no user yet; qstore init makes the first.")
        wanted = operator.email
    acting: Caller = await appliance.accounts.caller_of(wanted)
    return acting


def page(arguments: dict[str, Any]) -> Page:
    limit, offset = arguments["limit"], arguments["offset"]
    if not 1 <= limit <= 100:
        raise ValidationFailed.field("--limit", "must be between 1 and 100")
    if offset < 0:
        raise ValidationFailed.field("--offset", "must not be negative")
    return Page(limit=limit, offset=offset)
