"""Our IonQ endpoint behind a real socket, opened once per module: what its tests make has ids of its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.ionq_endpoint import Endpoint, endpoint


@pytest.fixture(scope="module")
def ionq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with endpoint(tmp_path_factory.mktemp("ionq") / "data") as running:
        yield running


@pytest.fixture
def client(ionq: Endpoint) -> Iterator[httpx.Client]:
    """As IonQ's clients come: with `Authorization: apiKey …`."""
    headers = {"Authorization": f"apiKey {ionq.key}"}
    with httpx.Client(base_url=f"{ionq.url}/v0.4", headers=headers, timeout=20, trust_env=False) as made:
        yield made
