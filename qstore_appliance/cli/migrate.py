"""`qstore migrate`: the tables of this version. Opening the appliance brings them; this says that it did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any


async def migrate(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    await appliance.database.migrate()
    yield {"dialect": appliance.database.dialect}


def _migrated(result: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"The {result['dialect']} database is up to date.")


SHOW = {"migrate": _migrated}
