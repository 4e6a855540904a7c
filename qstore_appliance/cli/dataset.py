"""`qstore dataset …`: data sets that jobs can learn from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from qstore_appliance.cli import acting
from qstore_appliance.cli.output import more, table


async def import_from(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield await appliance.datasets.import_folder(arguments["name"], Path(arguments["folder"]))


async def listed(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    caller = await acting.caller(appliance, arguments)
    yield await appliance.datasets.listed(caller, acting.page(arguments))


def _imported(dataset: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{dataset['name']}: {dataset['n_samples']} samples in {len(dataset['classes'])} classes.")


def _listed(datasets: dict[str, Any], arguments: dict[str, Any]) -> None:
    rows = [
        (d["id"], d["name"], d["source"], d["n_samples"], d["n_features"], len(d["classes"])) for d in datasets["items"]
    ]
    table(("id", "name", "source", "samples", "features", "classes"), rows, "No data set.")
    more(datasets)


SHOW = {"import_from": _imported, "listed": _listed}
