"""Data sets, on both databases, with the real reader in threads."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qstore_appliance.blobs import FileBlobs
from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.datasets import DatasetRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.listing import Page
from qstore_appliance.engine.dataset_names import IDX_FILES
from qstore_appliance.engine.datasets import fetch
from qstore_appliance.errors import (
    ArtifactCorrupt,
    Conflict,
    DatasetMissing,
    Forbidden,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
    ValidationFailed,
)
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.settings import Datasets as DatasetSettings
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, ThreadCalculator, make_caller, make_job_row

TABLE = "length,width,kind\n1,2,a\n3,4,b\n5,6,a\n7,8,b\n"


@pytest.fixture
def datasets(database: Database, clock: SteppingClock, settings: Settings) -> Datasets:
    return Datasets(database, FileBlobs(settings.blob_dir), ThreadCalculator(), clock, settings)


@pytest.fixture
def caller() -> Caller:
    return make_caller()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "received"
    path.write_text(TABLE)
    return path


class TestList:
    async def test_builtin_ones_come_first(self, datasets: Datasets, caller: Caller, table: Path) -> None:
        """A list begins with the built-in data sets, and pages go on with one's own."""
        made = [await datasets.upload(caller, path=table, filename=f"{n}.csv") for n in "ab"]

        pages = [await datasets.listed(caller, Page(limit=3, offset=offset, sort="name")) for offset in (0, 3, 6)]

        assert [item.id for page in pages for item in page.items] == [
            "digits", "iris", "wine", "breast_cancer", made[0].id, made[1].id,
        ]  # fmt: skip
        assert [page.total for page in pages] == [6, 6, 6]

    async def test_digits(self, datasets: Datasets, caller: Caller) -> None:
        """The built-in digits are described without being opened."""
        digits = await datasets.get(caller, "digits")

        assert (digits.n_samples, digits.n_features, digits.source) == (1797, 64, "builtin")
        assert digits.classes == [str(n) for n in range(10)]
        assert await datasets.resolve("org_any", "digits") == {"kind": "builtin", "name": "digits", "digest": None}


class TestUpload:
    async def test_csv(self, datasets: Datasets, caller: Caller, table: Path, settings: Settings) -> None:
        """A table becomes a data set whose kept file holds its rows, and the received file is left alone."""
        made = await datasets.upload(caller, path=table, filename="Flowers.CSV", label="kind")

        assert (made.name, made.source, made.n_samples, made.n_features) == ("Flowers", "upload", 4, 2)
        assert made.classes == ["a", "b"]
        assert made == await datasets.get(caller, made.id)
        samples = fetch(await datasets.resolve(caller.organization_id, made.id))
        assert samples.x.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
        assert samples.y.tolist() == [0, 1, 0, 1]
        assert table.read_text() == TABLE
        assert list((settings.data_dir / "incoming").iterdir()) == []

    async def test_label_column(self, datasets: Datasets, caller: Caller, tmp_path: Path) -> None:
        """The class may stand in any column that the upload names."""
        path = tmp_path / "t.csv"
        path.write_text("kind,length\na,1\nb,2\n")

        made = await datasets.upload(caller, path=path, filename="t.csv", name="First column", label="kind")

        assert (made.name, made.n_features, made.classes) == ("First column", 1, ["a", "b"])

    async def test_npz(self, datasets: Datasets, caller: Caller, tmp_path: Path) -> None:
        """Arrays x and y become a data set; equal content has an equal digest."""
        path = tmp_path / "arrays"
        np.savez(path, x=np.arange(12.0).reshape(4, 3), y=np.array([3, 1, 3, 1]))
        path = path.with_suffix(".npz")

        first, second = [await datasets.upload(caller, path=path, filename="arrays.npz") for _ in range(2)]

        assert (first.n_samples, first.n_features, first.classes) == (4, 3, ["1", "3"])
        assert first.digest == second.digest
        assert first.id != second.id

    @pytest.mark.parametrize("filename", ["data.pkl", "data", "data.csv.gz", "../../etc/passwd", "data.joblib", ""])
    async def test_other_files(self, datasets: Datasets, caller: Caller, table: Path, filename: str) -> None:
        """Only CSV and NPZ are taken."""
        with pytest.raises(UnsupportedMediaType):
            await datasets.upload(caller, path=table, filename=filename)

    async def test_pickle_is_not_opened(self, datasets: Datasets, caller: Caller, tmp_path: Path) -> None:
        """Objects inside an NPZ are refused unread: nothing in them runs."""
        canary = tmp_path / "canary"
        path = tmp_path / "evil.npz"
        np.savez(path, x=np.array([Evil(canary)], dtype=object), y=np.array([0]))

        with pytest.raises(ValidationFailed):
            await datasets.upload(caller, path=path, filename="evil.npz")

        assert not canary.exists()

    async def test_refused_upload_leaves_nothing(
        self, datasets: Datasets, caller: Caller, tmp_path: Path, settings: Settings
    ) -> None:
        """A table with a hole is refused with row and column, and no row, blob or temporary file remains."""
        path = tmp_path / "t.csv"
        path.write_text("length,kind\n1,a\n,b\n")

        with pytest.raises(ValidationFailed, match="row 3, column 'length'"):
            await datasets.upload(caller, path=path, filename="t.csv")

        assert await DatasetRow.all().count() == 0
        assert [file for file in settings.data_dir.rglob("*") if file.suffix in {".npz", ".bin"}] == []

    @pytest.mark.parametrize("name", ["", "   ", "x" * 256, "line\nfeed", "\x00"])
    async def test_name(self, datasets: Datasets, caller: Caller, table: Path, name: str) -> None:
        """A name has 1 to 255 printable characters."""
        with pytest.raises(ValidationFailed, match="name"):
            await datasets.upload(caller, path=table, filename="t.csv", name=name)

    async def test_too_large(
        self, database: Database, clock: SteppingClock, caller: Caller, table: Path, settings: Settings
    ) -> None:
        """A file beyond `datasets.max_bytes` is refused."""
        small = replace(settings, datasets=DatasetSettings(max_bytes=10))
        datasets = Datasets(database, FileBlobs(settings.blob_dir), ThreadCalculator(), clock, small)

        with pytest.raises(TooLarge):
            await datasets.upload(caller, path=table, filename="t.csv")

    async def test_viewer_may_not(self, datasets: Datasets, table: Path) -> None:
        """Viewers read data sets and write none."""
        with pytest.raises(Forbidden):
            await datasets.upload(make_caller("viewer"), path=table, filename="t.csv")


class Evil:
    """Unpickling this makes a file."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (self._canary,))


class TestStatistics:
    async def test_upload(self, datasets: Datasets, caller: Caller, table: Path) -> None:
        """Statistics count the classes and measure the columns."""
        made = await datasets.upload(caller, path=table, filename="t.csv")

        statistics = await datasets.statistics(caller, made.id)

        assert statistics["classes"] == [{"label": "a", "count": 2}, {"label": "b", "count": 2}]
        length = statistics["features"][0]
        assert (length["name"], length["mean"], length["min"], length["max"]) == ("length", 4.0, 1.0, 7.0)

    async def test_builtin(self, datasets: Datasets, caller: Caller) -> None:
        """Iris has fifty flowers of each kind."""
        statistics = await datasets.statistics(caller, "iris")

        assert [row["count"] for row in statistics["classes"]] == [50, 50, 50]

    async def test_damaged_file(self, datasets: Datasets, caller: Caller, table: Path, settings: Settings) -> None:
        """A kept file with one flipped bit is refused instead of trained on."""
        made = await datasets.upload(caller, path=table, filename="t.csv")
        (blob,) = settings.blob_dir.rglob("*.bin")
        content = bytearray(blob.read_bytes())
        content[100] ^= 1
        blob.write_bytes(content)

        with pytest.raises(ArtifactCorrupt):
            await datasets.statistics(caller, made.id)


class TestDelete:
    async def test_vanishes_and_comes_back(self, datasets: Datasets, caller: Caller, table: Path) -> None:
        """A deleted upload is in no answer until it is restored."""
        made = await datasets.upload(caller, path=table, filename="t.csv")

        await datasets.delete(caller, made.id)

        for verb in (datasets.get, datasets.delete, datasets.statistics):
            with pytest.raises(NotFound):
                await verb(caller, made.id)
        assert (await datasets.listed(caller, Page())).total == 4
        assert await datasets.restore(caller, made.id) == made

    async def test_space_is_freed_after_a_day(
        self, datasets: Datasets, caller: Caller, table: Path, clock: SteppingClock, settings: Settings
    ) -> None:
        """The sweep frees a blob when the last data set with its bytes is gone."""
        first, second = [await datasets.upload(caller, path=table, filename="t.csv") for _ in range(2)]
        left = []
        for made in (first, second):
            await datasets.delete(caller, made.id)
            clock.advance(hours=24)
            with pytest.raises(NotFound):
                await datasets.restore(caller, made.id)
            assert await datasets.purge() == 1
            left.append(len(list(settings.blob_dir.rglob("*.bin"))))

        assert left == [1, 0]

    async def test_live_job(self, datasets: Datasets, caller: Caller, table: Path) -> None:
        """A data set that a live job learns from stays, and the answer names the job."""
        made = await datasets.upload(caller, path=table, filename="t.csv")
        job = await make_job_row(caller, config={"dataset": {"type": made.id}})

        with pytest.raises(Conflict) as caught:
            await datasets.delete(caller, made.id)

        assert caught.value.details == {"job_id": job.id}

    @pytest.mark.parametrize("id", ["digits", "mnist"])
    async def test_installations_own(self, datasets: Datasets, id: str) -> None:
        """Nobody deletes what belongs to the installation."""
        with pytest.raises(Forbidden):
            await datasets.delete(make_caller("owner"), id)

    async def test_somebody_elses(self, datasets: Datasets, caller: Caller, table: Path) -> None:
        """A developer deletes their own uploads, an admin also those of others."""
        made = await datasets.upload(caller, path=table, filename="t.csv")

        with pytest.raises(Forbidden):
            await datasets.delete(make_caller("developer", organization_id=caller.organization_id), made.id)

        await datasets.delete(make_caller("admin", organization_id=caller.organization_id), made.id)


class TestImport:
    @pytest.fixture
    def digested(self, settings: Settings, tmp_path: Path) -> Settings:
        """Settings that accept the four idx files written to `tmp_path/idx`."""
        folder = tmp_path / "idx"
        folder.mkdir()
        digests = {}
        for stem in IDX_FILES:
            content = gzip.compress(idx_file(stem), mtime=0)
            (folder / f"{stem}.gz").write_bytes(content)
            digests[f"{stem}.gz"] = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return replace(settings, dataset_digests={"mnist": digests})

    @pytest.fixture
    def datasets(self, database: Database, clock: SteppingClock, digested: Settings) -> Datasets:
        return Datasets(database, FileBlobs(digested.blob_dir), ThreadCalculator(), clock, digested)

    async def test_absent(self, datasets: Datasets, caller: Caller) -> None:
        """What nobody has imported is in no list, and asking for it tells the command that brings it."""
        for verb in (datasets.get(caller, "mnist"), datasets.resolve(caller.organization_id, "mnist")):
            with pytest.raises(DatasetMissing, match="qstore dataset import mnist FOLDER"):
                await verb

        assert "mnist" not in {item.id for item in (await datasets.listed(caller, Page())).items}

    async def test_import(self, datasets: Datasets, caller: Caller, tmp_path: Path) -> None:
        """Four idx files become a data set for every organization, under its own name."""
        made = await datasets.import_folder("mnist", tmp_path / "idx")

        assert (made.id, made.source, made.n_samples, made.n_features) == ("mnist", "imported", 5, 6)
        assert (await datasets.get(make_caller(), "mnist")).digest == made.digest
        assert [item.id for item in (await datasets.listed(caller, Page())).items][4:] == ["mnist"]
        samples = fetch(await datasets.resolve("org_any", "mnist"))
        assert (samples.n_samples, samples.n_reference) == (5, 3)

    async def test_again(self, datasets: Datasets, caller: Caller, tmp_path: Path) -> None:
        """Importing again replaces what was there."""
        for _ in range(2):
            await datasets.import_folder("mnist", tmp_path / "idx")

        assert (await datasets.listed(caller, Page())).total == 5

    async def test_lost_file(self, datasets: Datasets, caller: Caller, tmp_path: Path, settings: Settings) -> None:
        """When the imported file is gone from this machine, the answer is the command again."""
        await datasets.import_folder("mnist", tmp_path / "idx")
        for file in settings.data_dir.rglob("*.bin"):
            file.unlink()

        with pytest.raises(DatasetMissing, match="qstore dataset import mnist FOLDER"):
            await datasets.resolve(caller.organization_id, "mnist")

    async def test_other_digest(self, datasets: Datasets, tmp_path: Path) -> None:
        """A file that is not the published one is refused by its name."""
        (tmp_path / "idx" / f"{IDX_FILES[1]}.gz").write_bytes(gzip.compress(idx_file(IDX_FILES[1]), mtime=1))

        with pytest.raises(ValidationFailed, match=IDX_FILES[1]):
            await datasets.import_folder("mnist", tmp_path / "idx")

    async def test_unknown_name(self, datasets: Datasets, tmp_path: Path) -> None:
        """Only the known idx data sets can be imported."""
        with pytest.raises(ValidationFailed, match="mnist, fashion_mnist"):
            await datasets.import_folder("cifar10", tmp_path)


def idx_file(stem: str) -> bytes:
    """An idx file of three (training) or two (test) images of 2×3 pixels, or their labels."""
    count = 3 if stem.startswith("train") else 2
    if "labels" in stem:
        return struct.pack(">BBBBI", 0, 0, 8, 1, count) + bytes(range(count))
    return struct.pack(">BBBBIII", 0, 0, 8, 3, count, 2, 3) + bytes(range(count * 6))


async def test_unknown_type(datasets: Datasets, caller: Caller) -> None:
    """A name that means nothing is refused with the names that do; an id that means nothing is not found."""
    with pytest.raises(ValidationFailed, match=r"config.dataset.type: must be one of digits, iris"):
        await datasets.resolve(caller.organization_id, "cifar10")
    with pytest.raises(NotFound):
        await datasets.resolve(caller.organization_id, "dataset_00000000000000000000000000")
