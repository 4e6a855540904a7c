"""A data directory with a model in it, whose artifact is a blob."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qstore_appliance.blobs import FileBlobs
from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.settings import Settings
from tests.factories import make_caller, make_model_row


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data_dir=tmp_path / "data")
    furnish(made, "first")
    return made


def furnish(settings: Settings, name: str) -> None:
    """Add a model of this name, with its artifact, and write the name into the secret too."""
    settings.data_dir.mkdir(mode=0o700, exist_ok=True)
    settings.secret_file.write_bytes(name.encode().ljust(32))
    settings.secret_file.chmod(0o600)

    async def add() -> None:
        database = await Database.open(settings)
        try:
            await database.migrate()
            digest = await FileBlobs(settings.blob_dir).put(f"artifact of {name}".encode() * 1000)
            await make_model_row(make_caller(), name=name, artifact_digest=digest)
        finally:
            await database.close()

    asyncio.run(add())


def contents(settings: Settings) -> dict[str, bytes]:
    """What each model's artifact is, by name, and the secret; asserts that the artifacts are whole."""

    async def look() -> dict[str, bytes]:
        database = await Database.open(settings)
        try:
            found = {
                row.name: await FileBlobs(settings.blob_dir).get(row.artifact_digest) for row in await ModelRow.all()
            }
        finally:
            await database.close()
        return {**found, "secret": settings.secret_file.read_bytes().strip()}

    return asyncio.run(look())
