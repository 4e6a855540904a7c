"""`/downloads`: what is offered there, to whom, and what is not."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.api.conftest import Client, Served
from tests.api.test_envelope import assert_envelope, assert_safe

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own(served: Served) -> Path:
    """The operator's folder, with a package that came from elsewhere and things that are none."""
    folder = served.settings.data_dir / "downloads"
    folder.mkdir()
    (folder / "httpx-0.28.1-py3-none-any.whl").write_bytes(b"wheel")
    (folder / "secret.txt").write_text("hunter2")
    (folder / ".hidden.whl").write_text("hunter2")
    (folder / "li<nk.whl").write_text("hunter2")
    (folder / "link.whl").symlink_to(served.settings.data_dir / "qstore.db")
    (folder / "folder.whl").mkdir()
    return folder


async def test_the_client_is_offered(served: Served, client: Client) -> None:
    """Everybody finds the wheel of the Python client, as it was packed, with its digest."""
    anonymous = client(None)
    listed = assert_envelope(await anonymous.get("/downloads/"))["data"]
    (wheel,) = [one for one in listed if one["name"].startswith("qstore_client-")]

    answer = await anonymous.get(wheel["url"])

    assert (answer.status_code, len(answer.content)) == (200, wheel["size_bytes"])
    assert hashlib.sha256(answer.content).hexdigest() == wheel["sha256"]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{wheel["name"]}"'
    assert_safe(answer)
    head = await anonymous.head(wheel["url"])
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) == wheel["size_bytes"]


async def test_packages_of_the_operator(own: Path, client: Client) -> None:
    """What lies in the data directory is offered beside it; links, folders and what is no package are not."""
    listed = (await client(None).get("/downloads", headers={"Accept": "application/json"})).json()["data"]
    names = [one["name"] for one in listed]

    assert "httpx-0.28.1-py3-none-any.whl" in names
    assert names.index("httpx-0.28.1-py3-none-any.whl") == len(names) - 1
    for name in ("secret.txt", ".hidden.whl", "li<nk.whl", "link.whl", "folder.whl"):
        assert name not in names
        assert (await client(None).get(f"/downloads/{name}")).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "..%2fqstore.db", "%2e%2e%2fqstore.db", "..%5cqstore.db", "%2fetc%2fpasswd", "a%00.whl", "../qstore.db",
        "....//qstore.db", "x" * 161 + ".whl", "%c0%ae%c0%ae/qstore.db", "httpx-0.28.1-py3-none-any.whl/", "nothing.whl",
    ],
)  # fmt: skip
async def test_no_path_leads_out(own: Path, client: Client, path: str) -> None:
    """Whatever is asked for, only names of the table are answered."""
    answer = await client(None).get(f"/downloads/{path}")

    assert answer.status_code in (400, 404) or answer.content == b"wheel"
    assert b"SQLite" not in answer.content
    assert b"root:" not in answer.content


async def test_a_package_that_is_replaced(own: Path, client: Client) -> None:
    """The digest is that of the bytes that are there now."""
    file = own / "httpx-0.28.1-py3-none-any.whl"
    before = (await client(None).get("/downloads")).json()["data"][-1]["sha256"]
    file.write_bytes(b"another wheel")
    after = (await client(None).get("/downloads")).json()["data"][-1]["sha256"]

    assert before == hashlib.sha256(b"wheel").hexdigest()
    assert after == hashlib.sha256(b"another wheel").hexdigest()


async def test_pip_installs_from_there(served: Served, client: Client, tmp_path: Path) -> None:
    """`pip install --find-links` reads the page, checks the digest and installs what can be imported."""
    command = [
        sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-index", "--no-deps",
        "--no-cache-dir", "--find-links", f"{served.url}/downloads/", "--target", str(tmp_path), "qstore-client",
    ]  # fmt: skip
    import asyncio

    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    program = "import qstore_client; print(qstore_client.__file__, qstore_client.__version__)"
    ran = subprocess.run(
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert ran.stdout.startswith(str(tmp_path))


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    """What `scripts/downloads` packs depends on the sources alone, and replaces what was there."""
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "qstore_client-4.0.0-py3-none-any.whl").write_bytes(b"of an earlier version")
    for folder in ("first", "second"):
        command = [sys.executable, ROOT / "scripts" / "downloads", tmp_path / folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    (wheel,) = (tmp_path / "first").glob("*.whl")
    assert {"qstore_client/py.typed", "qstore_client/sync/jobs.py"} <= set(zipfile.ZipFile(wheel).namelist())
