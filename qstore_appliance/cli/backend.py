"""`qstore backend …`: where circuits run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from qstore_appliance.cli import acting
from qstore_appliance.cli.output import table


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield await appliance.backends.listed(await acting.caller(appliance, arguments), None)


def _listed(backends: list[dict[str, Any]], arguments: dict[str, Any]) -> None:
    rows = [
        (b["name"], b["type"], b["provider"], b["status"], b["capabilities"].get("max_qubits"), b["reason"])
        for b in backends
    ]
    table(("name", "type", "provider", "status", "qubits", "reason"), rows, "No backend is installed.")


SHOW = {"listed": _listed}
