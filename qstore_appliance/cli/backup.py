"""`qstore backup`: everything of a data directory in one file, while the server goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any


async def backup(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    from qstore_appliance.maintenance import backup as backups

    output = arguments["output"]
    yield await asyncio.to_thread(backups.make, appliance.settings, None if output is None else Path(output))


def _made(made: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{made['file']}: {made['files']} files, {made['bytes'] / 1e6:.1f} MB")
    if made["missing"]:
        print(f"{made['missing']} blobs were lost before, and are not inside.")


SHOW = {"backup": _made}
