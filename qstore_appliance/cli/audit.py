"""`qstore audit …`: who did what on this installation, and whether the record of it is whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from qstore_appliance.cli import acting
from qstore_appliance.cli.output import harmless, more, table
from qstore_appliance.domain.audit import (
    COLUMNS,
    INSTALLATION,
    AuditFilter,
    as_csv_line,
    as_json_line,
    as_row,
    csv_line,
)
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import Refused


async def verify(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    """
    Raises:
        Refused: A chain is not whole; every chain's state was told before.
    """
    broken = []
    async for state in appliance.audit.verify_all():
        yield state
        if state.fault is not None:
            broken.append(f"{state.chain}: {state.fault}")
    if broken:
        raise Refused("The audit log was tampered with. " + "; ".join(broken))


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    asked = acting.page(arguments)
    page = Page(limit=asked.limit, offset=asked.offset, sort="-seq")
    wanted = AuditFilter(action=arguments["action"])
    found = await appliance.audit.listed(caller, page, wanted, installation=arguments["installation"])
    rows = [as_row(entry) for entry in found.items]
    yield {"items": rows, "total": found.total, "limit": found.limit, "offset": found.offset}


async def export(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    as_csv = arguments["format"] == "csv"
    if as_csv:
        yield csv_line(list(COLUMNS))
    wanted = AuditFilter(action=arguments["action"])
    async for entry in appliance.audit.exported(caller, wanted, installation=arguments["installation"]):
        yield as_csv_line(entry) if as_csv else as_json_line(entry)


def _verified(state: dict[str, Any], arguments: dict[str, Any]) -> None:
    name = "The installation" if state["chain"] == INSTALLATION else state["chain"]
    if state["fault"] is None:
        print(f"{name}: {state['entries']} entries, whole; head {state['head']}")
    else:
        print(f"{name}: NOT WHOLE: {state['fault']}")


def _listed(found: dict[str, Any], arguments: dict[str, Any]) -> None:
    rows = [
        (e["seq"], e["time"][:19], e["action"], e["actor"], e["address"], e["subject"], str(e["details"]))
        for e in found["items"]
    ]
    table(("seq", "time (UTC)", "action", "actor", "address", "subject", "details"), rows, "No entry.")
    more(found)


def _exported(line: str, arguments: dict[str, Any]) -> None:
    print("\n".join(harmless(part) for part in line.removesuffix("\n").removesuffix("\r").split("\n")))


SHOW = {"verify": _verified, "listed": _listed, "export": _exported}
