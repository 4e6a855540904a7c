"""Organizations do not see each other: not by id, not in lists, counts or words of errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from qstore_appliance.blobs import FileBlobs
from qstore_appliance.database.connection import Database
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.circuits import CircuitPatch
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import NotFound
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.circuits import Circuits
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.settings import Settings
from tests.factories import PASSWORD, SteppingClock, ThreadCalculator, make_caller, make_circuit_draft, make_key_draft


class House(NamedTuple):
    """Two organizations' owners, the services, and one thing of each kind that belongs to the first."""

    ours: Caller
    theirs: Caller
    accounts: Accounts
    circuits: Circuits
    datasets: Datasets
    circuit: str
    dataset: str
    key: str


@pytest.fixture
async def house(
    database: Database, clock: SteppingClock, settings: Settings, accounts: Accounts, tmp_path: Path
) -> House:
    callers = []
    for name in ("one", "two"):
        user = await accounts.create_user(f"owner@{name}.example", name, "owner", PASSWORD)
        callers.append(make_caller("owner", user_id=user.id, organization_id=user.organization_id))
    circuits = Circuits(database, clock, ThreadCalculator())
    datasets = Datasets(database, FileBlobs(settings.blob_dir), ThreadCalculator(), clock, settings)
    table = tmp_path / "t.csv"
    table.write_text("length,kind\n1,a\n2,b\n")
    ours = callers[0]
    return House(
        *callers,
        accounts,
        circuits,
        datasets,
        (await circuits.create(ours, make_circuit_draft())).id,
        (await datasets.upload(ours, path=table, filename="t.csv")).id,
        (await accounts.create_key(ours, make_key_draft())).id,
    )


ATTEMPTS: dict[str, tuple[str, Callable[[House, str], Awaitable[Any]]]] = {
    "get circuit": ("circuit", lambda h, id: h.circuits.get(h.theirs, id)),
    "rename circuit": ("circuit", lambda h, id: h.circuits.update(h.theirs, id, CircuitPatch(name="mine"))),
    "replace gates": ("circuit", lambda h, id: h.circuits.update(h.theirs, id, CircuitPatch(n_qubits=8))),
    "delete circuit": ("circuit", lambda h, id: h.circuits.delete(h.theirs, id)),
    "restore circuit": ("circuit", lambda h, id: h.circuits.restore(h.theirs, id)),
    "get data set": ("dataset", lambda h, id: h.datasets.get(h.theirs, id)),
    "statistics": ("dataset", lambda h, id: h.datasets.statistics(h.theirs, id)),
    "train on data set": ("dataset", lambda h, id: h.datasets.resolve(h.theirs.organization_id, id)),
    "delete data set": ("dataset", lambda h, id: h.datasets.delete(h.theirs, id)),
    "restore data set": ("dataset", lambda h, id: h.datasets.restore(h.theirs, id)),
    "revoke key": ("key", lambda h, id: h.accounts.revoke_key(h.theirs, id)),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_by_id(house: House, attempt: str) -> None:
    """Another organization's id answers exactly as an id that does not exist."""
    kind, act = ATTEMPTS[attempt]
    real, invented = getattr(house, kind), ids.new(kind)
    heard = []

    for id in (real, invented):
        with pytest.raises(NotFound) as caught:
            await act(house, id)
        heard.append((caught.value.message, {**caught.value.details, "id": ""}))

    assert heard[0] == heard[1]


async def test_lists(house: House) -> None:
    """Lists, filters and totals are not touched by what others have."""
    circuits = await house.circuits.listed(house.theirs, Page())
    tagged = await house.circuits.listed(house.theirs, Page(), ["vqe"])
    datasets = await house.datasets.listed(house.theirs, Page())
    keys = await house.accounts.list_keys(house.theirs)

    assert (circuits.total, tagged.total, keys.total) == (0, 0, 0)
    assert {item.source for item in datasets.items} == {"builtin"}
    assert datasets.total == 4


async def test_same_names(house: House) -> None:
    """Two organizations may use the same names and tags without learning of each other."""
    made = await house.circuits.create(house.theirs, make_circuit_draft())

    listed = await house.circuits.listed(house.theirs, Page(), ["vqe"])

    assert [item.id for item in listed.items] == [made.id]


async def test_nothing_happened(house: House) -> None:
    """After every attempt the owner still has everything unchanged."""
    before = await house.circuits.get(house.ours, house.circuit)
    for kind, act in ATTEMPTS.values():
        with pytest.raises(NotFound):
            await act(house, getattr(house, kind))

    assert await house.circuits.get(house.ours, house.circuit) == before
    assert (await house.datasets.get(house.ours, house.dataset)).id == house.dataset
    assert [key.id for key in (await house.accounts.list_keys(house.ours)).items] == [house.key]
