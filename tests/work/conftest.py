"""A real appliance with its slots, children and queue, on a data directory of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from qstore_appliance.appliance import Appliance
from qstore_appliance.settings import Settings
from tests.work.bench import Bench


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest_asyncio.fixture
async def appliance(settings: Settings) -> AsyncIterator[Appliance]:
    async with Appliance.open(settings) as appliance:
        yield appliance


@pytest_asyncio.fixture
async def bench(appliance: Appliance) -> Bench:
    return await Bench.at(appliance)
