"""Data sets over HTTP: list, upload as it comes, look, delete."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from qstore_appliance.settings import Datasets, Settings
from tests.api.conftest import Client, House, Served, serving

CSV = b"a,b,label\n" + b"".join(f"{i},{i * 0.5},{'yes' if i % 2 else 'no'}\n".encode() for i in range(20))


async def upload(
    client: httpx.AsyncClient, content: bytes = CSV, filename: str = "set.csv", **fields: str
) -> httpx.Response:
    return await client.post("/v1/datasets", files={"file": (filename, content)}, data=fields, timeout=60)


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def left(served: Served) -> list[Path]:
    """Files that uploads left behind."""
    folder = served.settings.data_dir / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


async def test_built_in_sets_are_listed(owner: httpx.AsyncClient) -> None:
    """The built-in data sets are there for everybody, with their sizes and classes."""
    rows = {row["id"]: row for row in (await owner.get("/v1/datasets")).json()["data"]}

    assert {"digits", "iris", "wine", "breast_cancer"} <= set(rows)
    assert (rows["digits"]["n_samples"], rows["digits"]["n_features"], len(rows["digits"]["classes"])) == (1797, 64, 10)
    assert (await owner.get("/v1/datasets/iris")).json()["data"]["source"] == "builtin"


async def test_an_upload_from_its_birth_to_its_end(served: Served, client: Client) -> None:
    """A CSV becomes a data set of the organization: listed, described, unknown to strangers, deleted."""
    owner, stranger = client("owner"), client("stranger")

    answer = await upload(owner, label="label")
    data = answer.json()["data"]
    address = f"/v1/datasets/{data['id']}"
    theirs = await stranger.get(address)
    statistics = await owner.get(f"{address}/statistics", timeout=60)
    deleted = await owner.delete(address)

    assert answer.status_code == 201
    assert answer.headers["Location"] == address
    assert (data["name"], data["n_samples"], data["n_features"]) == ("set", 20, 2)
    assert sorted(data["classes"]) == ["no", "yes"]
    assert data["digest"].startswith("sha256:")
    assert theirs.status_code == 404
    assert statistics.status_code == 200
    assert (deleted.status_code, (await owner.get(address)).status_code) == (204, 404)
    assert left(served) == []


async def test_npz_and_a_name(owner: httpx.AsyncClient) -> None:
    """An NPZ with x and y is taken, under the name that is sent with it."""
    content = npz(x=np.arange(12.0).reshape(6, 2), y=np.array([0, 1, 0, 1, 0, 1]))

    data = (await upload(owner, content, "x.npz", name="Mine")).json()["data"]

    assert (data["name"], data["n_samples"], data["n_features"]) == ("Mine", 6, 2)


async def test_pickles_are_never_opened(owner: httpx.AsyncClient) -> None:
    """An array of objects, which only a pickle can hold, is refused."""
    answer = await upload(owner, npz(x=np.array([{"a": 1}], dtype=object), y=np.array([1])), "evil.npz")

    assert answer.status_code in (415, 422)


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        (b"", "multipart/form-data; boundary=b", 400),
        (b"--b\r\n", "multipart/form-data; boundary=b", 400),
        (b"nothing", "multipart/form-data; boundary=b", 400),
        (b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n1,2', "multipart/form-data; boundary=b", 400),
        (b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n', "multipart/form-data; boundary=b", 422),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nx\r\n--b--\r\n', "multipart/form-data; boundary=b", 422),
        (b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\n--b--\r\n', "multipart/form-data; boundary=b", 422),
        (b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--b--\r\n', "multipart/form-data; boundary=b", 422),
        (b"--b\r\n" + b"X" * 9000 + b": y\r\n\r\n", "multipart/form-data; boundary=b", 400),
        (b"{}", "application/json", 415),
        (b"x", "multipart/form-data", 415),
    ],
    ids=["nothing", "cut", "no boundary inside", "cut in the file", "no file name", "unknown field", "no file", "not utf-8",
         "long header", "json", "no boundary"],
)  # fmt: skip
async def test_broken_forms(served: Served, owner: httpx.AsyncClient, content: bytes, media: str, status: int) -> None:
    """A form that makes no sense is refused with its reason, and leaves nothing behind."""
    answer = await owner.post("/v1/datasets", content=content, headers={"Content-Type": media})

    assert answer.status_code == status, answer.text
    assert left(served) == []


async def test_a_file_above_the_limit(settings: Settings, house: House) -> None:
    """A file above `datasets.max_bytes` is 413, whether its length is announced or not, and leaves nothing behind."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        for _ in range(40):
            yield b"1,2,3\n" * 5_000
        yield b"\r\n--b--\r\n"

    small = replace(settings, datasets=Datasets(max_bytes=500_000))
    async with serving(small, house) as served:
        headers = {"Authorization": f"Bearer {house.tokens['owner']}"}
        async with httpx.AsyncClient(base_url=served.url, headers=headers, trust_env=False) as client:
            announced = await upload(client, b"1,2,3\n" * 200_000)
            chunked = await client.post(
                "/v1/datasets", content=chunks(), headers={"Content-Type": "multipart/form-data; boundary=b"}
            )

        for answer in (announced, chunked):
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "TOO_LARGE")
        assert left(served) == []


async def test_uploads_may_be_larger_than_other_bodies(owner: httpx.AsyncClient) -> None:
    """A file of three megabytes goes through, where other bodies end at one."""
    content = b"a,b,label\n" + b"".join(b"%d.123456789,2.987654321,%d\n" % (i, i % 3) for i in range(100_000))
    assert len(content) > 2_500_000

    answer = await upload(owner, content)

    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["n_samples"] == 100_000


async def test_an_upload_is_done_once(owner: httpx.AsyncClient) -> None:
    """The same upload under the same key answers the first data set; another file is a conflict."""
    key = {"Idempotency-Key": "upload-1"}
    owner.headers.update(key)

    first, second, other = await upload(owner), await upload(owner), await upload(owner, CSV + b"1,2,yes\n")

    assert first.json()["data"]["id"] == second.json()["data"]["id"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert other.status_code == 409


async def test_viewers_upload_nothing(served: Served, client: Client) -> None:
    """Who may not write is refused before a byte is stored."""
    assert (await upload(client("viewer"))).status_code == 403
    assert left(served) == []
