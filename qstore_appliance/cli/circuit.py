"""`qstore circuit …`: stored circuits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from qstore_appliance.cli import acting
from qstore_appliance.cli.output import more, table


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    yield await appliance.circuits.listed(caller, acting.page(arguments), arguments["tags"] or [])


def _listed(circuits: dict[str, Any], arguments: dict[str, Any]) -> None:
    rows = [
        (c["id"], c["name"], c["n_qubits"], c["depth"], c["gate_count"], c["version"], c["tags"])
        for c in circuits["items"]
    ]
    table(("id", "name", "qubits", "depth", "gates", "version", "tags"), rows, "No circuit.")
    more(circuits)


SHOW = {"listed": _listed}
