"""`qstore organization …`: what the operator decides about every organization of this installation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any


async def storage(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    if arguments["bytes"] is not None or arguments["default"]:
        await appliance.organizations.limit_storage(arguments["name"], arguments["bytes"])
    found = await appliance.organizations.named(arguments["name"])
    yield {"name": found.name, "id": found.id} | _built(await appliance.storage.use(found.id))


def _built(use: Any) -> dict[str, Any]:
    return {name: getattr(use, name) for name in use.__struct_fields__}


def _storage(use: dict[str, Any], arguments: dict[str, Any]) -> None:
    of = "without a limit" if use["limit_bytes"] is None else f"of {use['limit_bytes']:,}"
    print(
        f"{use['name']} keeps {use['used_bytes']:,} bytes {of}: data sets {use['datasets_bytes']:,}, "
        f"models {use['models_bytes']:,}, checkpoints {use['checkpoints_bytes']:,}."
    )


SHOW = {"storage": _storage}
