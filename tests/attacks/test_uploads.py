"""A42 to A44: files that run, files that burst, and names that lead elsewhere."""

from __future__ import annotations

import gzip
import io
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.acceptance.processes import data
from tests.attacks.conftest import CIRCUIT, Fortress, code, status


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def npy(array: object) -> bytes:
    target = io.BytesIO()
    np.save(target, np.asarray(array), allow_pickle=True)
    return target.getvalue()


def headed(shape: str, dtype: str = "<f8", content: bytes = b"") -> bytes:
    """An .npy member whose header says what it likes."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + content


def packed(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


X, Y = npy(np.arange(12.0).reshape(6, 2)), npy([0, 1, 0, 1, 0, 1])
GOOD = packed({"x.npy": X, "y.npy": Y})
TABLE = b"a,b,label\n" + b"1,2,x\n3,4,y\n" * 5

File = Callable[[Path], tuple[str, bytes]]

RUNNING: dict[str, File] = {
    "a pickle": lambda c: ("a.pkl", pickle.dumps(Canary(c))),
    "a pickle as CSV": lambda c: ("a.csv", pickle.dumps(Canary(c))),
    "a pickle of protocol 0 as CSV": lambda c: ("a.csv", pickle.dumps(Canary(c), protocol=0)),
    "a pickle as NPZ": lambda c: ("a.npz", pickle.dumps(Canary(c))),
    "a pickle as NPY": lambda c: ("a.npy", pickle.dumps(Canary(c))),
    "an array of objects": lambda c: ("a.npz", packed({"x.npy": npy([[Canary(c)]] * 6), "y.npy": Y})),
    "labels that are objects": lambda c: ("a.npz", packed({"x.npy": X, "y.npy": npy([Canary(c)] * 6)})),
    "objects that say they are numbers": lambda c: (
        "a.npz", packed({"x.npy": headed("(6, 2)", "<f8", pickle.dumps(Canary(c))), "y.npy": Y})
    ),
    "a structured type with objects": lambda c: (
        "a.npz", packed({"x.npy": headed("(6,)", "|V8", b"\0" * 48), "y.npy": Y})
    ),
    "a pickle as a member": lambda c: ("a.npz", packed({"x.npy": pickle.dumps(Canary(c)), "y.npy": Y})),
    "a pickle beside the members": lambda c: ("a.npz", packed({"x.npy": X, "y.npy": Y, "data.pkl": pickle.dumps(Canary(c))})),
    "torch": lambda c: ("a.pt", packed({"archive/data.pkl": pickle.dumps(Canary(c)), "archive/version": b"3"})),
    "torch as NPZ": lambda c: ("a.npz", packed({"archive/data.pkl": pickle.dumps(Canary(c)), "archive/version": b"3"})),
    "joblib": lambda c: ("a.joblib", pickle.dumps(Canary(c))),
    "joblib, packed": lambda c: ("a.joblib", gzip.compress(pickle.dumps(Canary(c)))),
    "joblib as NPZ": lambda c: ("a.npz", gzip.compress(pickle.dumps(Canary(c)))),
    "HDF5": lambda c: ("a.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 512),
    "HDF5 as NPZ": lambda c: ("a.npz", b"\x89HDF\r\n\x1a\n" + b"\0" * 512),
    "a workbook": lambda c: ("a.xlsx", packed({"xl/workbook.xml": b"<workbook/>"})),
    "a document with an entity": lambda c: ("a.csv", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    "a script": lambda c: ("a.py", f"open({str(c)!r}, 'w')".encode()),
    "a script as CSV": lambda c: ("a.csv", f"open({str(c)!r}, 'w')".encode()),
    "YAML that makes objects": lambda c: ("a.yaml", f"!!python/object/apply:os.system ['touch {c}']".encode()),
    "a header that is a program": lambda c: (
        "a.npz", packed({"x.npy": headed(f"__import__('os').system('touch {c}')"), "y.npy": Y})
    ),
    "two endings": lambda c: ("a.csv.pkl", TABLE),
    "an ending after NUL": lambda c: ("a.pkl\0.csv", pickle.dumps(Canary(c))),
    "no ending": lambda c: ("a", TABLE),
}  # fmt: skip


def uploaded(client: httpx.Client, name: str, content: bytes) -> httpx.Response:
    return client.post("/v1/datasets", files={"file": (name, content)})


@pytest.mark.attack("A42")
@pytest.mark.parametrize("file", RUNNING.values(), ids=RUNNING)
def test_files_that_run(owner: httpx.Client, tmp_path: Path, file: File) -> None:
    """What only a pickle or a program can hold is refused, and nothing of it runs."""
    canary = tmp_path / "canary"

    answer = uploaded(owner, *file(canary))

    assert answer.status_code in (400, 415, 422), answer.text
    assert not canary.exists()


FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3+cmd|' /C calc'!A0", "@SUM(1+1)", "\t=1", "=HYPERLINK(0)")


@pytest.mark.attack("A42")
@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_are_names(owner: httpx.Client, formula: str) -> None:
    """A class that looks like a formula is a name: stored and shown as it is, in JSON, and never in a table of ours."""
    content = b"a,b,label\n" + f'1,2,"{formula}"\n3,4,y\n'.encode() * 5
    answer = uploaded(owner, "a.csv", content)

    assert answer.status_code in (201, 422)
    if answer.status_code == 201:
        assert formula.strip() in [name.strip() for name in data(answer)["classes"]]
        assert answer.headers["Content-Type"].startswith("application/json")


def overlapping() -> bytes:
    """Two names in the directory for one member, so that it counts twice and is stored once."""
    whole = GOOD
    place = whole.index(b"PK\x01\x02")
    first = whole[place : whole.index(b"PK\x01\x02", place + 4)]
    second = first.replace(b"x.npy", b"y.npy")
    end = bytearray(whole[whole.index(b"PK\x05\x06") :])
    end[12:16] = struct.pack("<I", len(first) + len(second))
    return whole[:place] + first + second + bytes(end)


def linked() -> bytes:
    """A member that says it is a symbolic link."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        link = zipfile.ZipInfo("x.npy")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("y.npy", Y)
    return target.getvalue()


def encrypted() -> bytes:
    content = bytearray(GOOD)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(mark)
        content[at + place] |= 1
    return bytes(content)


def doubled() -> bytes:
    """Two members of one name: one reader takes the first, another the last."""
    return packed({"x.npy": X, "y.npy": Y, "z.npy": X}).replace(b"z.npy", b"x.npy")


def lying() -> bytes:
    """The directory says that 64 GiB are inside."""
    content = bytearray(GOOD)
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFFE)
    return bytes(content)


BURSTING: dict[str, Callable[[], bytes]] = {
    "a thousand to one": lambda: packed({"x.npy": npy(np.zeros((8_000, 1_000))), "y.npy": npy(np.arange(8_000))}),
    "a thousand to one, named later": lambda: packed({"y.npy": Y, "x.npy": npy(np.zeros((8_000, 1_000)))}),
    "a bomb inside a bomb": lambda: packed({"x.npy": packed({"x.npy": npy(np.zeros((8_000, 1_000)))}), "y.npy": Y}),
    "65 members": lambda: packed({f"{n}.npy": Y for n in range(65)}),
    "60,000 members": lambda: packed({f"{n}": b"" for n in range(60_000)}, zipfile.ZIP_STORED),
    "overlapping members": overlapping,
    "a link": linked,
    "encrypted": encrypted,
    "a directory that lies": lying,
    "a header of 64 GiB": lambda: packed({"x.npy": headed("(8589934592,)"), "y.npy": Y}),
    "a header of 2^63 rows": lambda: packed({"x.npy": headed("(9223372036854775807, 2)"), "y.npy": Y}),
    "a shape below nothing": lambda: packed({"x.npy": headed("(-1, 2)"), "y.npy": Y}),
    "two shapes below nothing": lambda: packed({"x.npy": headed("(-6, -2)", content=b"\0" * 96), "y.npy": Y}),
    "33 dimensions": lambda: packed({"x.npy": headed("(" + "1," * 33 + ")", content=b"\0" * 8), "y.npy": Y}),
    "a header of 60,000 brackets": lambda: packed({"x.npy": headed("(" * 60_000), "y.npy": Y}),
    "no width": lambda: packed({"x.npy": headed("(1000000000000,)", "<U0"), "y.npy": Y}),
    "a type of dates": lambda: packed({"x.npy": headed("(6, 2)", "<M8[s]", b"\0" * 96), "y.npy": Y}),
    "a name that climbs": lambda: packed({"x.npy": X, "../../y.npy": Y}),
    "an absolute name": lambda: packed({"x.npy": X, "/tmp/y.npy": Y}),
    "one name twice": doubled,
    "cut": lambda: GOOD[:-30],
    "bytes of another checksum": lambda: GOOD.replace(X[-8:], b"\1" * 8) if X[-8:] in GOOD else packed({"x.npy": X[:-8], "y.npy": Y}),
    "BZIP2": lambda: packed({"x.npy": X, "y.npy": Y}, zipfile.ZIP_BZIP2),
    "LZMA": lambda: packed({"x.npy": X, "y.npy": Y}, zipfile.ZIP_LZMA),
    "an empty archive": lambda: packed({}),
}  # fmt: skip


@pytest.mark.attack("A43")
@pytest.mark.parametrize("content", BURSTING.values(), ids=BURSTING)
def test_files_that_burst(owner: httpx.Client, content: Callable[[], bytes]) -> None:
    """What would be larger, or is not, what it says, is refused before it is unpacked."""
    answer = uploaded(owner, "a.npz", content())

    assert answer.status_code in (413, 422), answer.text
    assert code(answer) in ("TOO_LARGE", "VALIDATION_ERROR")


@pytest.mark.attack("A43")
@pytest.mark.parametrize(
    "content",
    [
        b"a,b,label\n" + b"1," * 100_000 + b"x\n",
        b"a,b,label\n" + b"1" * 1_200_000 + b",2,x\n",
        b'a,b,label\n1,2,"' + b"\n" * 200_000,
        b",".join(b"c%d" % n for n in range(50_000)) + b"\n",
        b"\0" * 10_000,
        b"a,b,label\n1,2,x\n" + b"\0" * 10_000,
        gzip.compress(TABLE),
        b"\xff\xfe" + "a,b,label\n1,2,x\n".encode("utf-16-le"),
    ],
    ids=["wide", "long line", "open quote", "50,000 columns", "NUL", "NUL at the end", "gzip", "UTF-16"],
)
def test_tables_that_burst(owner: httpx.Client, content: bytes) -> None:
    """A table that is none is refused with its place, whatever its size."""
    answer = uploaded(owner, "a.csv", content)

    assert (answer.status_code, code(answer)) in ((413, "TOO_LARGE"), (422, "VALIDATION_ERROR"))


@pytest.mark.attack("A42", "A43")
def test_good_files_are_taken(owner: httpx.Client) -> None:
    """The refusals above are about what is wrong in the files: the same without it is a data set."""
    for name, content in (("a.npz", GOOD), ("a.csv", TABLE)):
        made = uploaded(owner, name, content)

        assert made.status_code == 201, made.text
        owner.delete(f"/v1/datasets/{data(made)['id']}")


NAMES = (
    *("../../etc/passwd.csv", "..\\..\\windows\\win.csv", "/etc/cron.d/x.csv", "C:\\x.csv", "\\\\host\\share\\x.csv"),
    *(
        "%2e%2e%2fx.csv",
        "%252e%252e%252fx.csv",
        "..%c0%af..%c0%afx.csv",
        "~root/x.csv",
        "CON.csv",
        "aux.csv",
        "-rf.csv",
    ),
    *(
        "file:///etc/passwd.csv",
        "s3://bucket/x.csv",
        "\u202evsc.exe.csv",
        "a" * 300 + ".csv",
        ".csv",
        "..csv",
        "$(id).csv",
    ),
)


@pytest.mark.attack("A44")
@pytest.mark.parametrize("name", NAMES)
def test_names_of_files(fortress: Fortress, owner: httpx.Client, name: str) -> None:
    """A file's name is a label: nothing outside of the data directory is written, and nothing in it has that name."""
    before = {path.name for path in fortress.server.data_dir.parent.iterdir()}

    answer = uploaded(owner, name, TABLE)

    assert answer.status_code in (201, 400, 415, 422), answer.text
    assert {path.name for path in fortress.server.data_dir.parent.iterdir()} == before
    found = [path.name for path in fortress.server.data_dir.rglob("*") if path.name.endswith(".csv")]
    assert found == []
    if answer.status_code == 201:
        owner.delete(f"/v1/datasets/{data(answer)['id']}")


CLIMBS = (
    *(
        "../secret.key",
        "..%2fsecret.key",
        "..%2Fsecret.key",
        "..%252fsecret.key",
        "%2e%2e/secret.key",
        "..\\secret.key",
    ),
    *("..%5csecret.key", "..;/secret.key", "....//secret.key", "/etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd"),
    *("secret.key%00.css", "secret.key", "./secret.key", "%c0%ae%c0%ae/secret.key", "~/secret.key", "-data-secret/x"),
)
PLACES = (
    *(
        "/downloads/",
        "/app/static/",
        "/app/static/0123456789abcdef/",
        "/app/static/0123456789abcdef/css/",
        "/v1/circuits/",
    ),
    *("/v1/datasets/", "/v1/jobs/", "/v1/models/", "/v1/backends/", "/v1/deployments/", "/app/jobs/", "/docs/", "/"),
)


@pytest.mark.attack("A44")
@pytest.mark.parametrize("climb", CLIMBS)
def test_addresses_that_climb(fortress: Fortress, climb: str) -> None:
    """In every place where an address names something, one that climbs names nothing."""
    secret = (fortress.server.data_dir / "secret.key").read_bytes()
    for place in PLACES:
        head = (
            f"GET {place}{climb} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {fortress.tokens['owner']}\r\n"
            "Connection: close\r\n\r\n"
        )
        answer = fortress.speak(head.encode("latin-1"))

        assert status(answer) in (302, 303, 400, 404, 422), place
        assert secret not in answer
        assert b"root:" not in answer


@pytest.mark.attack("A44")
@pytest.mark.parametrize(
    "name", ["linked.whl", "folder.whl", "tailed.whl", ".hidden.whl", "two\nlines.whl", "plain.whl"]
)
def test_links_among_the_downloads(fortress: Fortress, anonymous: httpx.Client, name: str) -> None:
    """What lies among the packages and is a link, a folder, or has a strange name is neither listed nor sent."""
    folder = fortress.server.data_dir / "downloads"
    folder.mkdir(exist_ok=True)
    place = folder / name
    if name == "linked.whl":
        place.symlink_to(fortress.server.data_dir / "secret.key")
    elif name == "folder.whl":
        place.mkdir()
    elif name == "tailed.whl":
        place.symlink_to("/etc")
    else:
        place.write_bytes(b"a package")
    try:
        listed = [row["name"] for row in data(anonymous.get("/downloads"))]
        answer = anonymous.get(f"/downloads/{name}".replace("\n", "%0a"))
    finally:
        if place.is_dir() and not place.is_symlink():
            place.rmdir()
        else:
            place.unlink()

    taken = name == "plain.whl"
    assert (name in listed) is taken
    assert answer.status_code == (200 if taken else 404)


@pytest.mark.attack("A44")
@pytest.mark.parametrize("text", CLIMBS)
def test_ids_in_bodies_that_climb(owner: httpx.Client, text: str) -> None:
    """Where a body names a thing, what climbs is a thing that is not there."""
    circuit = data(owner.post("/v1/circuits", json=CIRCUIT))["id"]
    bodies = [
        {"circuit_id": text, "config": {"dataset": {"type": "iris"}}},
        {"circuit_id": circuit, "config": {"dataset": {"type": text}}},
        {"circuit_id": circuit, "config": {"backend": text, "dataset": {"type": "iris"}}},
    ]
    for body in bodies:
        for path in ("/v1/jobs", "/v1/jobs/estimate"):
            answer = owner.post(path, json=body)

            assert answer.status_code in (404, 422), body
            assert "Errno" not in answer.text
