"""One real server for all tests of the Python client, with two organizations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from qstore_client import QStoreClient, SyncQStoreClient

from tests.acceptance.processes import PASSWORD, Served, qstore, serving

ROOT = Path(__file__).parents[3]
RIVAL = "rival@example.org"
#: A small job that takes a moment.
CONFIG: dict[str, Any] = {
    "epochs": 3,
    "seed": 1,
    "dataset": {"type": "iris", "features": {"method": "none", "scale": "angle"}},
}


@dataclass(frozen=True)
class Laboratory:
    served: Served
    key: str

    @property
    def address(self) -> str:
        return self.served.address

    def client(self, **more: Any) -> QStoreClient:
        return QStoreClient(**{"base_url": self.address, "api_key": self.key, "trust_env": False, **more})

    def owner(self) -> SyncQStoreClient:
        """Signed in: some things a key may not do."""
        return SyncQStoreClient(self.address, email="ada@example.org", password=PASSWORD, trust_env=False)

    def sync(self, **more: Any) -> SyncQStoreClient:
        return SyncQStoreClient(**{"base_url": self.address, "api_key": self.key, "trust_env": False, **more})


def furnished(served: Served) -> Laboratory:
    """With an owner's key, and a rival in another organization."""
    served.client().close()
    made = qstore(
        "user", "create", "--data-dir", served.data_dir, "--email", RIVAL, "--organization", "Rivals", "--role", "owner",
        "--password-file", "-", stdin=PASSWORD,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with Laboratory(served, "").owner() as owner:
        key = owner.api_keys.create("tests", owner.users.me().scopes, rate_limit=6_000).key
    assert key is not None
    return Laboratory(served, key)


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with serving(tmp_path_factory.mktemp("clients") / "data") as served:
        yield furnished(served)


@pytest_asyncio.fixture
async def client(laboratory: Laboratory) -> AsyncIterator[QStoreClient]:
    async with laboratory.client() as made:
        yield made


@pytest.fixture
def lab(laboratory: Laboratory) -> Iterator[SyncQStoreClient]:
    with laboratory.sync() as made:
        yield made


def gates(n_qubits: int = 4) -> list[dict[str, Any]]:
    return [
        *({"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{q}"}} for q in range(n_qubits)),
        *({"type": "CNOT", "targets": [q, q + 1]} for q in range(n_qubits - 1)),
    ]
