from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from qstore_appliance.engine import datasets
from qstore_appliance.engine.dataset_names import BUILTIN, IDX_DIGESTS, IDX_FILES
from qstore_appliance.engine.datasets import Samples, UploadLimits
from qstore_appliance.errors import ArtifactCorrupt, DatasetMissing, TooLarge, ValidationFailed


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def make_samples(n: int = 60, n_classes: int = 3, n_reference: int = 0) -> Samples:
    random = np.random.default_rng(0)
    return Samples(
        x=random.normal(size=(n, 4)),
        y=np.arange(n) % n_classes,
        classes=tuple("abcdef"[:n_classes]),
        feature_names=("p", "q", "r", "s"),
        n_reference=n_reference,
    )


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def npy(array: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.save(target, array)
    return target.getvalue()


def header(shape: str, dtype: str = "<f8") -> bytes:
    """An .npy member with a header of one's own making and no content."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def make_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


class TestBuiltin:
    @pytest.mark.parametrize("name", sorted(BUILTIN))
    def test_what_the_listing_says_is_what_the_data_set_holds(self, name: str) -> None:
        """Names, sizes and classes of the light table equal the data of scikit-learn's wheel."""
        samples = datasets.load_builtin(name)

        summary = BUILTIN[name]
        assert (samples.n_samples, samples.n_features) == (summary.n_samples, summary.n_features)
        assert len(samples.classes) == samples.y.max() + 1
        assert len(samples.feature_names) == samples.n_features

    @pytest.mark.parametrize("name", sorted(BUILTIN))
    def test_scikit_learn_reads_the_same(self, name: str) -> None:
        """Every number, label and name is that of scikit-learn's own loader, though it is not imported for it."""
        from sklearn import datasets as original

        samples, bunch = datasets.load_builtin(name), getattr(original, f"load_{name}")()

        assert np.array_equal(samples.x, bunch.data)
        assert np.array_equal(samples.y, bunch.target)
        assert samples.feature_names == tuple(map(str, bunch.feature_names))
        assert (samples.x.dtype, samples.y.dtype, samples.x.flags.c_contiguous) == (np.float64, np.int64, True)

    def test_a_wheel_without_its_data_sets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the files are not, the data set is missing, and the message says of what it is a part."""
        monkeypatch.setattr("qstore_appliance.engine.dataset_files._folder", lambda: tmp_path)

        with pytest.raises(DatasetMissing, match="scikit-learn"):
            datasets.load_builtin("iris")

    def test_an_importable_data_set_names_the_command_that_brings_it(self) -> None:
        """MNIST without its files is DATASET_MISSING with the command."""
        with pytest.raises(DatasetMissing, match="qstore dataset import mnist"):
            datasets.load_builtin("mnist")

    def test_an_unknown_name_is_refused(self) -> None:
        """A name that nobody knows is a fault of `config.dataset.type`."""
        with pytest.raises(ValidationFailed, match=r"config\.dataset\.type"):
            datasets.load_builtin("../digits")


class TestCanonicalFile:
    def test_equal_content_gives_equal_bytes_and_comes_back_whole(self, tmp_path: Path) -> None:
        """Saving twice gives one digest, which names the file, and loading gives every field back."""
        samples = make_samples(n_reference=40)

        first, path = samples.keep(tmp_path)
        second, _ = samples.keep(tmp_path)

        loaded = Samples.load(path, first)
        assert first == second == hashlib.sha256(path.read_bytes()).hexdigest()
        assert [file.name for file in tmp_path.iterdir()] == [f"{first}.npz"]
        assert np.array_equal(loaded.x, samples.x)
        assert np.array_equal(loaded.y, samples.y)
        assert (loaded.classes, loaded.feature_names, loaded.n_reference) == (("a", "b", "c"), ("p", "q", "r", "s"), 40)

    def test_one_flipped_bit_is_noticed(self, tmp_path: Path) -> None:
        """A stored data set that changed on the disk is ARTIFACT_CORRUPT, with and without the digest."""
        digest, path = make_samples().keep(tmp_path)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

        for expected in (digest, None):
            with pytest.raises(ArtifactCorrupt):
                Samples.load(path, expected)

    def test_a_plan_refers_to_a_file_or_a_name(self, tmp_path: Path) -> None:
        """`fetch` opens both, and says DATASET_MISSING when the file is gone."""
        digest, path = make_samples().keep(tmp_path)

        assert datasets.fetch({"kind": "builtin", "name": "iris"}).n_samples == 150
        assert datasets.fetch({"kind": "file", "path": str(path), "digest": digest}).n_samples == 60
        with pytest.raises(DatasetMissing):
            datasets.fetch({"kind": "file", "path": str(tmp_path / "gone.npz"), "digest": None})

    def test_statistics_agree_with_numpy(self) -> None:
        """Counts, mean, spread and range are those of the columns."""
        samples = make_samples()

        found = datasets.statistics(samples)

        assert found["classes"] == [{"label": label, "count": 20} for label in "abc"]
        for column, feature in enumerate(found["features"]):
            values = samples.x[:, column]
            expected = [values.mean(), values.std(), values.min(), values.max()]
            assert [feature[key] for key in ("mean", "std", "min", "max")] == pytest.approx(expected)


class TestCsv:
    def test_a_table_becomes_samples(self, tmp_path: Path) -> None:
        """The label may stand in any column, quoted or not; whole-number classes are in numeric order."""
        path = write(tmp_path / "t.csv", '\ufeffgrade,width,"the height"\r\n10,1.5,-2e3\r\n9,0,1\r\n10, 2 ,"3"\r\n\r\n')

        samples = datasets.read_csv(path, label="grade")

        assert samples.classes == ("9", "10")
        assert samples.y.tolist() == [1, 0, 1]
        assert samples.feature_names == ("width", "the height")
        assert samples.x.tolist() == [[1.5, -2000.0], [0.0, 1.0], [2.0, 3.0]]

    def test_the_last_column_is_the_label_by_default(self, tmp_path: Path) -> None:
        """Without a label's name the last column is taken, and text classes are in alphabetic order."""
        samples = datasets.read_csv(write(tmp_path / "t.csv", "a,b,kind\n1,2,tulip\n3,4,rose\n"))

        assert samples.classes == ("rose", "tulip")
        assert samples.feature_names == ("a", "b")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a,b,y\n1,,p\n2,3,q\n", "row 2, column 'b': a value is missing"),
            ("a,b,y\n1,2,p\n2,NA,q\n", "row 3, column 'b': a value is missing"),
            ("a,b,y\n1,2,p\nnan,3,q\n", "row 3, column 'a': a value is missing"),
            ("a,b,y\n1,2,p\ninf,3,q\n", "row 3, column 'a': 'inf' is not a finite number"),
            ("a,b,y\n1,2,p\n1_0,3,q\n", "row 3, column 'a': '1_0' is not a number"),
            ("a,b,y\n=1+1,2,p\n1,3,q\n", "row 2, column 'a': '=1\\+1' is not a number"),
            ("a,b,y\n1,2,\n2,3,q\n", "row 2, column 'y': the label is missing"),
            ("a,b,y\n1,2,p,4\n", "row 2 has 4 cells; the header names 3"),
            ("1,2,3\n4,5,6\n", "must name the columns"),
            ("a,a,y\n1,2,p\n", "two columns are named 'a'"),
            ("y\np\n", "at least two columns"),
            ("", "at least two columns"),
            ("a,y\n1,p\n", "fewer than two rows"),
            ("a,y\n1,p\n2,p\n", "all rows have the same label"),
            ("a,y\n1,p\n2,q\x07\n", "control characters"),
            ('a,y\n1,"p\n', "well-formed"),
        ],
    )
    def test_what_cannot_be_read_is_named_with_its_place(self, tmp_path: Path, text: str, message: str) -> None:
        """A faulty table is a VALIDATION_ERROR that says where and why."""
        with pytest.raises(ValidationFailed, match=message):
            datasets.read_csv(write(tmp_path / "t.csv", text))

    def test_an_unknown_label_column_lists_the_columns(self, tmp_path: Path) -> None:
        """The fault is the `label` field's."""
        with pytest.raises(ValidationFailed, match="label: there is no column 'z'; there are a, y"):
            datasets.read_csv(write(tmp_path / "t.csv", "a,y\n1,p\n2,q\n"), label="z")

    def test_bytes_that_are_no_text_are_refused(self, tmp_path: Path) -> None:
        """A pickle that calls itself CSV is refused unread."""
        path = tmp_path / "t.csv"
        path.write_bytes(pickle.dumps(Canary(tmp_path / "canary")))

        with pytest.raises(ValidationFailed, match="not UTF-8"):
            datasets.read_csv(path)

        assert not (tmp_path / "canary").exists()

    @pytest.mark.parametrize(
        "limits",
        [
            UploadLimits(max_bytes=10),
            UploadLimits(max_rows=2),
            UploadLimits(max_columns=2),
            UploadLimits(max_cells=5),
        ],
    )
    def test_limits_hold(self, tmp_path: Path, limits: UploadLimits) -> None:
        """More bytes, rows, columns or cells than allowed is TOO_LARGE."""
        path = write(tmp_path / "t.csv", "a,b,y\n1,2,p\n3,4,q\n5,6,p\n")

        with pytest.raises(TooLarge):
            datasets.read_csv(path, limits=limits)

    def test_a_line_without_end_is_too_large(self, tmp_path: Path) -> None:
        """A line is never held beyond a megabyte."""
        with pytest.raises(TooLarge, match="line is longer"):
            datasets.read_csv(write(tmp_path / "t.csv", "a,y\n" + "1" * 1_100_000))

    def test_more_labels_than_classes_may_be_are_measurements(self, tmp_path: Path) -> None:
        """A column of more than a thousand different numbers is a quantity for a regression, kept and loaded as it is."""
        rows = "".join(f"1,{index / 7}\n" for index in range(1001))

        samples = datasets.read_csv(write(tmp_path / "t.csv", "a,y\n" + rows))
        _, path = samples.keep(tmp_path)
        again = Samples.load(path)

        assert samples.classes == ()
        assert again.targets is not None
        assert again.targets.tolist() == [index / 7 for index in range(1001)]
        assert datasets.statistics(again)["target"]["max"] == 1000 / 7

    @pytest.mark.parametrize("label", ["rose", "nan", "1_0", "inf"])
    def test_more_labels_than_classes_must_be_finite_numbers(self, tmp_path: Path, label: str) -> None:
        """Among more than a thousand different labels one that is no finite number is refused, with its row."""
        rows = "".join(f"1,{index}\n" for index in range(1001)) + f"1,{label}\n"

        with pytest.raises(ValidationFailed, match="row 1003"):
            datasets.read_csv(write(tmp_path / "t.csv", "a,y\n" + rows))

    def test_too_many_names_are_refused(self, tmp_path: Path) -> None:
        """More than a thousand different names are neither classes nor measurements."""
        rows = "".join(f"1,name{index}\n" for index in range(1001))

        with pytest.raises(ValidationFailed, match="more than 1000 different labels"):
            datasets.read_csv(write(tmp_path / "t.csv", "a,y\n" + rows))


class TestNpz:
    def test_images_are_flattened_and_keep_their_bytes(self, tmp_path: Path) -> None:
        """`x` of any shape becomes rows; bytes stay bytes until they are used."""
        np.savez_compressed(tmp_path / "t.npz", x=np.arange(48, dtype=np.uint8).reshape(3, 4, 4), y=[5, 2, 5])

        samples = datasets.read_npz(tmp_path / "t.npz")

        assert samples.x.shape == (3, 16)
        assert samples.x.dtype == np.uint8
        assert samples.classes == ("2", "5")
        assert samples.y.tolist() == [1, 0, 1]
        assert samples.rows(np.array([1]))[0].tolist() == list(range(16, 32))

    def test_fractions_are_measurements(self, tmp_path: Path) -> None:
        """Labels that are no whole numbers are a quantity for a regression."""
        np.savez(tmp_path / "t.npz", x=np.ones((3, 2)), y=[0.5, 1.0, -2.25])

        samples = datasets.read_npz(tmp_path / "t.npz")

        assert samples.classes == ()
        assert samples.targets is not None
        assert samples.targets.tolist() == [0.5, 1.0, -2.25]

    @pytest.mark.parametrize(
        ("y", "classes"),
        [(["b", "a", "b"], ("a", "b")), ([b"b", b"a", b"b"], ("a", "b")), ([1.0, 10.0, 2.0], ("1", "2", "10"))],
    )
    def test_labels_may_be_text_or_whole_numbers(self, tmp_path: Path, y: list[object], classes: tuple[str]) -> None:
        """Text, bytes and whole floats name classes."""
        np.savez(tmp_path / "t.npz", x=np.ones((3, 2), order="F"), y=np.array(y))

        assert datasets.read_npz(tmp_path / "t.npz").classes == classes

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("point", [0x110000, 0xFFFFFFFF, 0xD800])
    def test_labels_of_impossible_code_points_are_refused(self, tmp_path: Path, order: str, point: int) -> None:
        """What is no Unicode text is refused in words, in either byte order."""
        y = np.array([point, 0x61], dtype=f"{order}u4").view(f"{order}U1")
        np.savez(tmp_path / "t.npz", x=np.ones((2, 2)), y=y)

        with pytest.raises(ValidationFailed, match="not Unicode text"):
            datasets.read_npz(tmp_path / "t.npz", UploadLimits())

    def test_an_object_array_is_refused_and_nothing_is_executed(self, tmp_path: Path) -> None:
        """A pickle inside an NPZ is never loaded: its canary stays silent."""
        canary = tmp_path / "canary"
        np.savez(tmp_path / "t.npz", x=np.array([Canary(canary), Canary(canary)], dtype=object), y=[0, 1])

        with pytest.raises(ValidationFailed, match="objects never"):
            datasets.read_npz(tmp_path / "t.npz")

        assert not canary.exists()

    def test_a_renamed_pickle_is_refused_and_not_executed(self, tmp_path: Path) -> None:
        """A pickle named .npz is not an archive."""
        (tmp_path / "t.npz").write_bytes(pickle.dumps(Canary(tmp_path / "canary")))

        with pytest.raises(ValidationFailed, match="not a readable NPZ"):
            datasets.read_npz(tmp_path / "t.npz")

        assert not (tmp_path / "canary").exists()

    @pytest.mark.parametrize(
        ("members", "message"),
        [
            ({"x.npy": header("(8589934592,)"), "y.npy": npy(np.zeros(2))}, "says 68719476736 bytes"),
            ({"x.npy": header("(-1, 4)"), "y.npy": npy(np.zeros(2))}, "impossible shape"),
            ({"x.npy": header("(1,)*33"), "y.npy": npy(np.zeros(2))}, "no readable header"),
            ({"x.npy": header("((("), "y.npy": npy(np.zeros(2))}, "no readable header"),
            ({"x.npy": header("(9,), 7: 0"), "y.npy": npy(np.zeros(2))}, "no readable header"),
            ({"x.npy": header("(1000000000000,)", "<U0"), "y.npy": npy(np.zeros(2))}, "numbers and text"),
            ({"x.npy": header("(2, 2)", "|O"), "y.npy": npy(np.zeros(2))}, "objects never"),
            ({"x.npy": header("(2, 2)", "<M8[s]"), "y.npy": npy(np.zeros(2))}, "numbers and text"),
            ({"x.npy": b"\x93NUMPY", "y.npy": npy(np.zeros(2))}, "no readable header"),
            ({"x.npy": npy(np.ones((2, 2)))}, "two arrays"),
            (
                {"x.npy": npy(np.ones((2, 2))), "y.npy": npy(np.arange(2)), "z.npy": npy(np.ones(1))},
                "unexpected member",
            ),
            ({"x.npy": npy(np.ones((2, 2))), "../y.npy": npy(np.arange(2))}, "unexpected member"),
            ({"x.npy": npy(np.ones(2)), "y.npy": npy(np.arange(2))}, "`x` has shape"),
            ({"x.npy": npy(np.ones((2, 2), complex)), "y.npy": npy(np.arange(2))}, "real numbers"),
            ({"x.npy": npy(np.array([[1.0], [np.nan]])), "y.npy": npy(np.arange(2))}, r"x\[1, 0\] is not a finite"),
            ({"x.npy": npy(np.ones((2, 2))), "y.npy": npy(np.arange(3))}, "`y` has shape"),
            ({"x.npy": npy(np.ones((2, 2))), "y.npy": npy(np.array([0.5, 0.5]))}, "same label"),
            ({"x.npy": npy(np.ones((2, 2))), "y.npy": npy(np.array([np.nan, 1.0]))}, r"y\[0\] is not a finite number"),
            ({"x.npy": npy(np.ones((2, 2))), "y.npy": npy(np.array([1, 1]))}, "same label"),
        ],
    )
    def test_what_lies_or_does_not_fit_is_refused(
        self, tmp_path: Path, members: dict[str, bytes], message: str
    ) -> None:
        """Headers that promise other sizes than the archive holds are refused before allocation; so is what is no data."""
        with pytest.raises(ValidationFailed, match=message):
            datasets.read_npz(make_zip(tmp_path / "t.npz", members))

    def test_a_bomb_is_refused_by_its_ratio(self, tmp_path: Path) -> None:
        """Eight megabytes in a few kilobytes are TOO_LARGE before they are unpacked."""
        path = make_zip(tmp_path / "t.npz", {"x.npy": npy(np.zeros((1000, 1000))), "y.npy": npy(np.arange(1000))})

        with pytest.raises(TooLarge, match="compressed more than 200"):
            datasets.read_npz(path)

    def test_the_declared_sum_is_bounded(self, tmp_path: Path) -> None:
        """What would unpack to more than the limit is TOO_LARGE though the file is small."""
        random = np.random.default_rng(0).integers(0, 4, (100, 100)).astype(np.float64)
        path = make_zip(tmp_path / "t.npz", {"x.npy": npy(random), "y.npy": npy(np.arange(100))})

        with pytest.raises(TooLarge, match="Unpacked"):
            datasets.read_npz(path, UploadLimits(max_bytes=40_000))

    def test_many_members_are_refused(self, tmp_path: Path) -> None:
        """An archive of 65 members is TOO_LARGE."""
        with pytest.raises(TooLarge, match="65 members"):
            datasets.read_npz(make_zip(tmp_path / "t.npz", {f"m{index}.npy": b"" for index in range(65)}))

    def test_an_encrypted_member_is_refused(self, tmp_path: Path) -> None:
        """The encryption flag alone is enough."""
        path = make_zip(tmp_path / "t.npz", {"x.npy": npy(np.ones((2, 2))), "y.npy": npy(np.arange(2))})
        content = bytearray(path.read_bytes())
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(signature) + offset] |= 1
        path.write_bytes(content)

        with pytest.raises(ValidationFailed, match="encrypted"):
            datasets.read_npz(path)

    def test_overlapping_members_are_refused(self, tmp_path: Path) -> None:
        """Two names for the same bytes are refused."""
        path = make_zip(tmp_path / "t.npz", {"x.npy": npy(np.ones((2, 2))), "y.npy": npy(np.ones((2, 2)))}, 0)
        content = bytearray(path.read_bytes())
        second = content.rindex(b"PK\x01\x02")
        content[second + 42 : second + 46] = struct.pack("<I", 4)
        path.write_bytes(content)

        with pytest.raises(ValidationFailed, match="overlaps"):
            datasets.read_npz(path)

    def test_a_flipped_bit_is_noticed(self, tmp_path: Path) -> None:
        """The archive's own checksum is verified to the last byte."""
        path = make_zip(tmp_path / "t.npz", {"x.npy": npy(np.ones((4, 4))), "y.npy": npy(np.arange(4))}, 0)
        content = bytearray(path.read_bytes())
        content[content.index(struct.pack("<d", 1.0)) + 16] ^= 1
        path.write_bytes(content)

        with pytest.raises(ValidationFailed, match="CRC"):
            datasets.read_npz(path)


class TestIdx:
    @staticmethod
    def make_files(folder: Path, n_train: int = 30, n_test: int = 10, packed: bool = True) -> dict[str, str]:
        random = np.random.default_rng(1)
        digests = {}
        for stem, n in zip(IDX_FILES, (n_train, n_train, n_test, n_test), strict=True):
            if "idx3" in stem:
                content = struct.pack(">4B3I", 0, 0, 8, 3, n, 4, 4) + random.bytes(n * 16)
            else:
                content = struct.pack(">4B1I", 0, 0, 8, 1, n) + bytes(index % 10 for index in range(n))
            stored = gzip.compress(content, mtime=0) if packed else content
            (folder / (f"{stem}.gz" if packed else stem)).write_bytes(stored)
            digests[stem] = f"sha256:{hashlib.sha256(stored).hexdigest()}"
        return digests

    @pytest.mark.parametrize("packed", [True, False])
    def test_four_files_become_one_data_set(self, tmp_path: Path, packed: bool) -> None:
        """Images are rows of bytes, and the publisher's line between training and test part is remembered."""
        digests = self.make_files(tmp_path, packed=packed)

        samples = datasets.read_idx(tmp_path, "mnist", digests)

        assert samples.x.shape == (40, 16)
        assert samples.x.dtype == np.uint8
        assert samples.n_reference == 30
        assert samples.y[30:].tolist() == list(range(10))

    def test_a_digest_of_the_unpacked_content_will_do(self, tmp_path: Path) -> None:
        """An md5 of what the packed file holds is accepted like one of the file itself."""
        digests = self.make_files(tmp_path)
        content = gzip.decompress((tmp_path / f"{IDX_FILES[1]}.gz").read_bytes())
        digests[IDX_FILES[1]] = f"md5:{hashlib.md5(content).hexdigest()}"

        assert datasets.read_idx(tmp_path, "fashion_mnist", digests).classes[9] == "Ankle boot"

    def test_files_that_are_not_the_published_ones_are_refused(self, tmp_path: Path) -> None:
        """Without an override the digest must be the published one, and the fault names the file."""
        self.make_files(tmp_path)

        with pytest.raises(ValidationFailed, match="train-images-idx3-ubyte: its digest is"):
            datasets.read_idx(tmp_path, "mnist")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (struct.pack(">4B1I", 0, 0, 8, 1, 31) + bytes(30), "its header says 31 bytes"),
            (struct.pack(">4B1I", 0, 0, 8, 1, 29) + bytes(30), "its header says 29 bytes"),
            (struct.pack(">4B1I", 0, 0, 8, 1, 29) + bytes(29), "do not fit together"),
            (struct.pack(">4B1I", 0, 0, 8, 1, 30) + b"\x0a" * 30, "a label is 10"),
            (struct.pack(">4B1I", 0, 0, 9, 1, 30) + bytes(30), "not an idx1 file"),
            (b"", "not an idx1 file"),
        ],
    )
    def test_magic_dimensions_and_sizes_are_checked(self, tmp_path: Path, content: bytes, message: str) -> None:
        """A label file that contradicts itself or its images is refused whatever its digest."""
        digests = self.make_files(tmp_path, packed=False)
        (tmp_path / IDX_FILES[1]).write_bytes(content)
        digests[IDX_FILES[1]] = f"sha256:{hashlib.sha256(content).hexdigest()}"

        with pytest.raises(ValidationFailed, match=message):
            datasets.read_idx(tmp_path, "mnist", digests)

    def test_a_missing_or_truncated_file_is_named(self, tmp_path: Path) -> None:
        """The fault carries the name of the file."""
        digests = self.make_files(tmp_path)
        packed = tmp_path / f"{IDX_FILES[3]}.gz"
        packed.write_bytes(packed.read_bytes()[:-12])
        with pytest.raises(ValidationFailed, match="t10k-labels-idx1-ubyte: the file cannot be unpacked"):
            datasets.read_idx(tmp_path, "mnist", digests)

        packed.unlink()
        with pytest.raises(ValidationFailed, match=r"there is no t10k-labels-idx1-ubyte\.gz"):
            datasets.read_idx(tmp_path, "mnist", digests)

    def test_the_table_has_two_digests_for_each_file(self) -> None:
        """One of the packed file, one of its content."""
        for table in IDX_DIGESTS.values():
            assert sorted(table) == sorted(IDX_FILES)
            for packed, content in table.values():
                assert len(bytes.fromhex(packed.removeprefix("sha256:"))) == 32
                assert len(bytes.fromhex(content.removeprefix("md5:"))) == 16


class TestSplit:
    def test_the_default_is_eighty_ten_ten_and_stratified(self) -> None:
        """Every row is in exactly one part, and every part has the classes in proportion."""
        samples = make_samples(n=600)

        parts = datasets.split(samples, seed=3)

        assert [len(parts.train), len(parts.validation), len(parts.test)] == [480, 60, 60]
        assert sorted(np.concatenate([parts.train, parts.validation, parts.test])) == list(range(600))
        for rows in (parts.train, parts.validation, parts.test):
            assert len(set(np.bincount(parts.y[rows]))) == 1

    def test_the_seed_decides(self) -> None:
        """The same seed draws the same parts, another one does not."""
        samples = make_samples(n=600)

        first, again, other = (datasets.split(samples, seed=seed) for seed in (1, 1, 2))

        assert np.array_equal(first.train, again.train)
        assert not np.array_equal(first.train, other.train)

    def test_sizes_are_exact(self) -> None:
        """Whatever the classes, the parts have the sizes that were asked for and the rest is the test part."""
        parts = datasets.split(make_samples(n=101), train_size=50, val_size=17)

        assert [len(parts.train), len(parts.validation), len(parts.test)] == [50, 17, 34]

    def test_some_classes_only(self) -> None:
        """Rows of other classes take no part, and the rest is numbered anew in the data set's order."""
        samples = make_samples(n=60)

        parts = datasets.split(samples, classes=["c", "a"])

        assert parts.classes == ("a", "c")
        assert set(samples.y[parts.train]) == {0, 2}
        assert np.array_equal(parts.y[parts.train], samples.y[parts.train] // 2)

    def test_classes_may_be_numbers(self) -> None:
        """Digits are asked for as numbers."""
        assert datasets.split(datasets.load_builtin("digits"), classes=[3, 8]).classes == ("3", "8")

    def test_the_publishers_test_part_is_used_where_there_is_one(self) -> None:
        """Rows behind the publisher's line are the test part, and no other row is."""
        samples = make_samples(n=70, n_reference=60)

        for sizes in ({}, {"train_size": 30, "val_size": 12}):
            parts = datasets.split(samples, **sizes)
            assert parts.test.tolist() == list(range(60, 70))
            assert max(parts.train.max(), parts.validation.max()) < 60
        pooled = datasets.split(samples, train_size=60, val_size=5)
        assert [len(pooled.train), len(pooled.validation), len(pooled.test)] == [60, 5, 5]

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"train_size": 61}, "train_size"),
            ({"train_size": 50, "val_size": 11}, "train_size"),
            ({"train_size": 2}, "train_size"),
            ({"val_size": 60}, "val_size"),
            ({"val_size": -1}, "val_size"),
            ({"classes": ["a", "z"]}, "classes"),
            ({"classes": ["a"]}, "classes"),
            ({"classes": []}, "classes"),
        ],
    )
    def test_what_cannot_be_had_is_refused_by_its_field(self, arguments: dict[str, object], field: str) -> None:
        """The fault names the field of the job's config."""
        with pytest.raises(ValidationFailed, match=rf"config\.dataset\.{field}"):
            datasets.split(make_samples(), **arguments)  # type: ignore[arg-type]
