"""`qstore backend …`: where circuits run, when they do not, and what they cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from qstore_appliance.cli import acting
from qstore_appliance.cli.output import harmless, table
from qstore_appliance.domain.backends import spoken
from qstore_appliance.domain.costs import dollars
from qstore_appliance.errors import ValidationFailed

PRICES = ("per_circuit", "per_shot", "minimum_charge", "per_cpu_second", "per_gpu_second")


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield await appliance.backends.listed(await acting.caller(appliance, arguments), None)


async def maintenance(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    """Set a window, clear a backend's windows, or show them."""
    name, wanted = arguments["name"], _wanted(arguments)
    caller = await acting.caller(appliance, arguments)
    if wanted == "show":
        yield {"done": "shown", "windows": await appliance.backends.windows(caller, name)}
    elif wanted == "clear":
        yield {"done": "cleared", "backend": name, "cleared": await appliance.backends.clear_maintenance(caller, name)}
    else:
        start = None if arguments["start"] is None else _time("--start", arguments["start"])
        end = _time("--end", arguments["end"])
        window = await appliance.backends.maintain(caller, name, start, end, arguments["note"])
        yield {"done": "set", "windows": [window]}


async def price(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    """Each backend's prices in US dollars, None where its plugin did not load, and where each price comes from."""
    caller = await acting.caller(appliance, arguments)
    yield [
        {
            "name": found.name,
            **{key: None if getattr(found, key) is None else dollars(getattr(found, key)) for key in PRICES},
            "origins": found.origins,
        }
        for found in await appliance.backends.price_list(caller, arguments["name"])
    ]


def _wanted(arguments: dict[str, Any]) -> str:
    """
    Returns: `show`, `clear` or `set`.

    Raises:
        ValidationFailed: The flags contradict each other, or one is missing.
    """
    setting = [flag for flag in ("start", "end", "note") if arguments[flag] is not None]
    if arguments["name"] is None and (setting or arguments["clear"]):
        raise ValidationFailed.field("NAME", "say which backend")
    if arguments["clear"]:
        if setting:
            raise ValidationFailed.field("--clear", f"goes without --{setting[0]}")
        return "clear"
    if setting and arguments["end"] is None:
        raise ValidationFailed.field("--end", "say when the window ends")
    return "set" if setting else "show"


def _time(flag: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValidationFailed.field(flag, "write a time with its zone, such as 2025-12-20T02:00:00Z")
    return moment


def _listed(backends: list[dict[str, Any]], arguments: dict[str, Any]) -> None:
    rows = [
        (
            b["name"], b["type"], b["provider"], b["status"], b["capabilities"].get("max_qubits"), b["queue_depth"],
            b["avg_latency_ms"], None if b["uptime"] is None else f"{100 * b['uptime']:.1f} %", b["reason"],
        )
        for b in backends
    ]  # fmt: skip
    headings = ("name", "type", "provider", "status", "qubits", "waiting", "ms/circuit", "uptime", "reason")
    table(headings, rows, "No backend is installed.")


def _maintenance(result: dict[str, Any], arguments: dict[str, Any]) -> None:
    if result["done"] == "cleared":
        count = result["cleared"]
        print(f"{harmless(result['backend'])}: {count} maintenance window{'' if count == 1 else 's'} cleared.")
        return
    rows = [
        (w["backend"], spoken(datetime.fromisoformat(w["start"])), spoken(datetime.fromisoformat(w["end"])), w["note"])
        for w in result["windows"]
    ]
    table(("backend", "start", "end", "note"), rows, "No maintenance is planned.")


def _price(prices: list[dict[str, Any]], arguments: dict[str, Any]) -> None:
    rows = [(found["name"], *(_amount(found, key) for key in PRICES)) for found in prices]
    headings = ("name", "per circuit", "per shot", "minimum charge", "per CPU-second", "per GPU-second")
    table(headings, rows, "No backend is installed.")


def _amount(found: dict[str, Any], key: str) -> str | None:
    """Such as `$0.3 (plugin)`; to the micro-dollar, as it is charged."""
    if found[key] is None:
        return None
    text = f"{found[key]:.6f}".rstrip("0").rstrip(".")
    return f"${text} ({found['origins'][key]})"


SHOW = {"listed": _listed, "maintenance": _maintenance, "price": _price}
