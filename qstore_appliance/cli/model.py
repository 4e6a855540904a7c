"""`qstore model …`: models, and the archives in which they go from one laboratory to another."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from qstore_appliance.cli import acting
from qstore_appliance.cli.output import harmless, more, table
from qstore_appliance.domain.model_registry import ModelFilter, Stage
from qstore_appliance.errors import Refused, TooLarge, Unavailable

#: Of an archive.
MAX_BYTES = 64_000_000


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    wanted = ModelFilter(
        name=arguments["name"],
        stage=Stage(arguments["stage"]) if arguments["stage"] else None,
        tags=tuple(arguments["tags"] or ()),
    )
    yield await appliance.model_registry.listed(caller, acting.page(arguments), wanted)


async def export(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    name, content = await appliance.capsules.export(caller, arguments["id"])
    signer = await appliance.capsules.signer(caller)
    yield {
        "file": name,
        "size_bytes": len(content),
        "signed_by": signer.fingerprint,
        "content": base64.b64encode(content).decode(),
    }


async def import_from(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    content = await _archive(arguments["archive"])
    yield await appliance.capsules.import_from(
        caller, content, name=arguments["name"], version=arguments["version"], accept=arguments["accept"]
    )


async def verify(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    yield await appliance.capsules.inspect(caller, await _archive(arguments["archive"]))


async def key(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield await appliance.capsules.signer(await acting.caller(appliance, arguments))


async def _archive(path: str) -> bytes:
    """
    Raises:
        Unavailable: It cannot be read; where a server runs, by the user who runs it.
        TooLarge: It is larger than an archive may be.
    """

    def read() -> bytes:
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)

    try:
        content = await asyncio.to_thread(read)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise TooLarge(f"{path}: an archive has at most {MAX_BYTES} bytes")
    return content


def _listed(models: dict[str, Any], arguments: dict[str, Any]) -> None:
    rows = [
        (m["id"], m["name"], m["version"], m["stage"], m["status"], m["metrics"].get("accuracy"), m["tags"])
        for m in models["items"]
    ]
    table(("id", "name", "version", "stage", "status", "accuracy", "tags"), rows, "No model.")
    more(models)


def _exported(exported: dict[str, Any], arguments: dict[str, Any]) -> None:
    content = base64.b64decode(exported["content"])
    if arguments["output"] == "-":
        sys.stdout.buffer.write(content)
        return
    target = Path(arguments["output"] or exported["file"])
    try:
        # Nothing that is there is written over.
        with target.open("xb") as file:
            file.write(content)
    except FileExistsError as error:
        raise Refused(f"{target} is there already; name another with --output.") from error
    except OSError as error:
        raise Unavailable(f"{target}: cannot be written ({error.strerror})") from error
    print(f"{target}: {exported['size_bytes']} bytes, signed by {exported['signed_by']}")


def _imported(model: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(model["id"])


def _verified(found: dict[str, Any], arguments: dict[str, Any]) -> None:
    signer = found["signer"]
    whose = {
        "own": "this installation",
        "trusted": f"{signer['name']}, whom this installation trusts",
        "unknown": "a key that this installation does not know",
    }[signer["standing"]]
    print(f"Whole, and signed by {harmless(whose)}: {signer['fingerprint']}")
    model = f"{found['name']} {found['version']}: {found['task']}, {found['n_qubits']} qubits, {found['n_gates']} gates"
    print(harmless(model))
    accuracy = found["metrics"].get("accuracy")
    if isinstance(accuracy, int | float):
        print(f"Its accuracy was {accuracy:.4f}.")
    print(harmless(f"Written by {found['written_by']} on {found['exported_at']}."))


def _key(signer: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"ed25519 {signer['public_key']} {signer['fingerprint']}")


SHOW = {"listed": _listed, "export": _exported, "import_from": _imported, "verify": _verified, "key": _key}
