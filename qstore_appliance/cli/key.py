"""`qstore key …`: API keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from qstore_appliance.cli import acting
from qstore_appliance.cli.output import more, table
from qstore_appliance.domain.accounts import ApiKeyDraft
from qstore_appliance.errors import ValidationFailed


async def create(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    hours = arguments["hours"]
    try:
        draft = ApiKeyDraft(
            name=arguments["name"],
            # Without --scope a key may do what its owner may.
            scopes=arguments["scopes"] or sorted(caller.scopes),
            environment=arguments["environment"],
            rate_limit=arguments["rate_limit"],
            expires_at=None if hours is None else appliance.clock.now() + timedelta(hours=hours),
        )
    except ValidationError as error:
        rows = [(f"--{e['loc'][0]}".replace("_", "-"), e["msg"]) for e in error.errors()]
        raise ValidationFailed.of(rows) from error
    yield await appliance.accounts.create_key(caller, draft)


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield await appliance.accounts.list_keys(await acting.caller(appliance, arguments), acting.page(arguments))


async def revoke(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    await appliance.accounts.revoke_key(await acting.caller(appliance, arguments), arguments["id"])
    yield {"id": arguments["id"]}


def _created(key: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(key["key"])


def _listed(keys: dict[str, Any], arguments: dict[str, Any]) -> None:
    rows = [
        (k["id"], k["name"], k["prefix"], k["rate_limit"], k["expires_at"], k["last_used"], k["scopes"])
        for k in keys["items"]
    ]
    table(("id", "name", "prefix", "rate limit", "expires", "last used", "scopes"), rows, "No API key.")
    more(keys)


def _revoked(result: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{result['id']} is revoked.")


SHOW = {"create": _created, "listed": _listed, "revoke": _revoked}
