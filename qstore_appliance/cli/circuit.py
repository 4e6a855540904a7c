"""`qstore circuit …`: stored circuits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from qstore_appliance.cli import acting
from qstore_appliance.cli.output import more, table
from qstore_appliance.domain.circuits import CircuitImport
from qstore_appliance.errors import Malformed


async def import_from(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    # The same checks, with the same words, as for a body that comes over HTTP.
    from qstore_appliance.api.inputs import validated

    source, format = arguments["source"], arguments["format"]
    if format not in ("qasm2", "qasm3"):
        try:
            source = json.loads(source)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"The circuit is not JSON ({error}); --format qasm3 reads OpenQASM.") from error
    wanted = {"name": arguments["name"], "format": format, "source": source}
    if arguments["tags"]:
        wanted["metadata"] = {"tags": arguments["tags"]}
    draft = validated(CircuitImport, wanted)
    yield await appliance.circuits.import_from(await acting.caller(appliance, arguments), draft)


async def export(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    yield await appliance.circuits.written(caller, arguments["id"], arguments["format"])


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    yield await appliance.circuits.listed(caller, acting.page(arguments), arguments["tags"] or [])


def _imported(circuit: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(circuit["id"])


def _exported(circuit: str | dict[str, Any], arguments: dict[str, Any]) -> None:
    print(circuit, end="") if isinstance(circuit, str) else print(json.dumps(circuit, indent=2))


def _listed(circuits: dict[str, Any], arguments: dict[str, Any]) -> None:
    rows = [
        (c["id"], c["name"], c["n_qubits"], c["depth"], c["gate_count"], c["version"], c["tags"])
        for c in circuits["items"]
    ]
    table(("id", "name", "qubits", "depth", "gates", "version", "tags"), rows, "No circuit.")
    more(circuits)


SHOW = {"import_from": _imported, "export": _exported, "listed": _listed}
