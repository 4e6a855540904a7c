"""A61, A62 and A64: foreign files beside the program, doors of the workshop that stayed open, and what came from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from importlib import metadata
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import httpx
import pytest

from qstore_appliance.api.app import endpoints
from tests.acceptance.processes import data, environment, serving, small_circuit
from tests.attacks.conftest import Fortress, status

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "qstore"
#: Of the standard library, of what the appliance stands on, of itself, and what Python looks for at each start.
SHADOWED = (
    *("multiprocessing", "random", "socket", "struct", "tempfile", "json", "logging", "importlib", "types", "pickle"),
    *("numpy", "scipy", "sklearn", "numba", "cirq", "pennylane", "sanic", "tortoise", "huey", "msgspec", "orjson"),
    *("qstore_appliance", "qstore_backends", "sitecustomize", "usercustomize", "qstore_plugin"),
)


def planted(folder: Path, hits: Path) -> None:
    """A module of each name that tells when it is imported, and a backend that says it is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHADOWED:
        (folder / f"{name}.py").write_text(f"open({str(hits / name)!r}, 'w').close()\nraise ImportError('planted')\n")
    about = folder / "qstore_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: qstore-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[qstore.backends]\nplanted = qstore_plugin:Plugin\n")


@pytest.mark.attack("A61")
@pytest.mark.parametrize("verb", ["--version", "--help", "doctor"])
def test_verbs_load_nothing_from_where_they_are_started(tmp_path: Path, verb: str) -> None:
    """In a folder of foreign modules the program is itself."""
    hits = tmp_path / "hits"
    hits.mkdir()
    planted(tmp_path / "here", hits)
    more = ["--data-dir", str(tmp_path / "data")] if verb == "doctor" else []

    subprocess.run([PROGRAM, verb, *more], cwd=tmp_path / "here", capture_output=True, env=environment(), check=False, timeout=120)  # fmt: skip

    assert [path.name for path in hits.iterdir()] == []


@pytest.mark.attack("A61")
def test_the_server_and_its_children_load_nothing_that_lies_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules and a plugin in the working folder and in the data directory are not loaded, while a job is trained."""
    hits, here, folder = tmp_path / "hits", tmp_path / "here", tmp_path / "data"
    hits.mkdir()
    planted(here, hits)
    with serving(folder) as first, first.client():
        pass
    for place in (folder, folder / "datasets", folder / "plugins", folder / "downloads"):
        planted(place, hits)
    monkeypatch.chdir(here)
    with serving(folder) as server, server.client() as client:
        config = {"epochs": 1, "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}}}
        body = {"circuit_id": small_circuit(client), "config": config}
        job = data(client.post("/v1/jobs", json=body))["job_id"]
        upload = client.post("/v1/datasets", files={"file": ("numpy.csv", b"a,b,c\n1,2,x\n3,4,y\n" * 3)})
        deadline = time.monotonic() + 120
        while (found := data(client.get(f"/v1/jobs/{job}")))["status"] in ("queued", "running"):
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        backends = {row["name"] for row in data(client.get("/v1/backends"))}

    assert found["status"] == "completed", found
    assert upload.status_code in (201, 422)
    assert "planted" not in backends
    assert [path.name for path in hits.iterdir()] == []


WORKSHOP = (
    *(
        ".git/config",
        ".git/HEAD",
        ".svn/entries",
        ".env",
        ".DS_Store",
        "setup.cfg",
        "pyproject.toml",
        "qstore.toml",
        "Makefile",
    ),
    *(
        "secret.key",
        "qstore.db",
        "qstore.sqlite3",
        "data/secret.key",
        "backup.zip",
        "dump.sql",
        "id_rsa",
        "config.json",
    ),
    *(
        "debug",
        "console",
        "__debug__",
        "_debug",
        "trace",
        "server-status",
        "server-info",
        "phpinfo.php",
        "actuator/env",
    ),
    *("inspector", "sanic", "_inspector", "pprof", "debug/pprof/", "heapdump", "wp-login.php", "admin", "cgi-bin/test"),
    *(
        "app/static/js/main.js.map",
        "app/static/",
        "static/",
        "app/templates/shell.html",
        "robots.txt",
        ".well-known/security.txt",
    ),
    *("v1/debug", "v1/internal", "v1/admin", "v2/users", "internal/jobs", "shutdown", "v1/shutdown", "v1/restart"),
)


@pytest.mark.attack("A62")
@pytest.mark.parametrize("path", WORKSHOP)
def test_nothing_of_the_workshop_is_served(anonymous: httpx.Client, owner: httpx.Client, path: str) -> None:
    """What a careless deployment leaves in reach is not there, neither for strangers nor for the owner."""
    for client in (anonymous, owner):
        answer = client.get(f"/{path}")

        assert answer.status_code in (302, 401, 404), path
        assert "Index of" not in answer.text
        assert "Traceback" not in answer.text


@pytest.mark.attack("A62")
@pytest.mark.parametrize(
    "path", ["/metrics", "/v1/metrics", "/v1/workers", "/v1/audit", "/docs", "/openapi.json", "/ready", "/health"]
)
def test_what_strangers_see_of_the_inside(anonymous: httpx.Client, fortress: Fortress, path: str) -> None:
    """Figures and lists ask who one is; what is public names no version, path or process of this machine."""
    answer = anonymous.get(path)

    public = {"/docs", "/openapi.json", "/ready", "/health"}
    assert answer.status_code in ((200, 302, 303) if path in public else (401, 404)), answer.text[:200]
    for word in (
        str(fortress.server.data_dir),
        sys.version.split()[0],
        str(fortress.server.process.pid),
        "/site-packages/",
    ):
        assert word not in answer.text if path not in ("/openapi.json", "/docs") else True


@pytest.mark.attack("A62")
@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "TRACK", "DEBUG", "x"]
)
def test_no_answer_tells_what_runs(fortress: Fortress, method: str) -> None:
    """No header names a server or a framework, and no method is echoed."""
    for path in ("/", "/health", "/v1/circuits", "/nothing", "/app/sign-in"):
        answer = fortress.speak(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Echo: echoed-back\r\nConnection: close\r\n\r\n".encode()
        )
        head = answer.partition(b"\r\n\r\n")[0].lower()

        assert status(answer) != 500
        for word in (b"\r\nserver:", b"\r\nx-powered-by:", b"\r\nvia:", b"sanic", b"uvicorn", b"python/", b"werkzeug"):
            assert word not in head
        assert b"echoed-back" not in answer


@pytest.mark.attack("A62")
def test_causes_stay_inside(owner: httpx.Client) -> None:
    """No refusal of any route names a file, a line, a table or a class of ours."""
    for endpoint in endpoints():
        if endpoint.path.endswith("logout") or endpoint.path.startswith("/v1/events"):
            continue
        answer = owner.request(endpoint.method, re.sub(r"{\w+}", "x", endpoint.path), json={"x": {"y": [None]}})
        if answer.status_code >= 400:
            for word in ("Traceback", ".py", "sqlite", "tortoise", "pydantic", "<class", "0x7f", "SELECT "):
                assert word not in answer.text, (endpoint.method, endpoint.path)


LOCKS = sorted((ROOT / "config" / "requirements").glob("*.lock"))
#: The fault of each, and the first version of each that is without it: `faults-and-attacks.md` §1 and §0.
WITHOUT_FAULT = {
    "pyjwt": (2, 12, 0),
    "redis": (4, 5, 4),
    "python-engineio": (3, 9, 0),
    "orjson": (3, 9, 15),
    "websockets": (5, 0),
    "tortoise-orm": (0, 16, 6),
    "sanic": (0, 5, 1),
}


@pytest.mark.attack("A64")
@pytest.mark.parametrize("name", WITHOUT_FAULT)
def test_what_is_locked_is_without_the_faults_we_know(name: str) -> None:
    """Each version that is pinned is newer than the fault that taught us about it."""
    for lock in LOCKS:
        for found in re.findall(rf"^{name}(?:\[[a-z,]+\])?==([0-9.]+)", lock.read_text(), re.MULTILINE | re.IGNORECASE):
            assert tuple(map(int, found.split("."))) >= WITHOUT_FAULT[name], lock.name
    try:
        running = metadata.version(name)
    except metadata.PackageNotFoundError:
        return
    assert tuple(int(part) for part in re.findall(r"\d+", running)[:3]) >= WITHOUT_FAULT[name]


@pytest.mark.attack("A64")
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_has_its_bytes(lock: Path) -> None:
    """Every requirement is one version with its SHA-256, and none comes from an address."""
    requirements = [
        line for line in lock.read_text().replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")
    ]

    assert requirements
    for line in requirements:
        assert re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z,-]+\])?==[A-Za-z0-9.+!_-]+", line.strip()), line[:80]
        assert "--hash=sha256:" in line
        assert not re.search(r"://|git\+|file:|-e ", line)


@pytest.mark.attack("A64")
@pytest.mark.parametrize("path", ["/app/sign-in", "/docs", "/app/setup", "/downloads"])
def test_pages_load_from_here(anonymous: httpx.Client, path: str) -> None:
    """A page needs no other host, and its policy allows none."""
    answer = anonymous.get(path, follow_redirects=True, headers={"Accept": "text/html"})

    assert re.findall(r"(?:src|href|action)=[\"']?(?:https?:)?//", answer.text) == []
    policy = answer.headers["Content-Security-Policy"]
    assert "http:" not in policy
    assert "https:" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.attack("A64")
def test_a_changed_lock_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit refuses a lock whose pin is loose, without a hash, or an address."""
    loader = SourceFileLoader("audit_dependencies", str(ROOT / "scripts" / "audit-dependencies"))
    audit = module_from_spec(spec_from_loader("audit_dependencies", loader))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(audit)
    good = "a==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    found = {}
    for name, text in {
        "good": good,
        "loose": good.replace("==", ">="),
        "no hash": "a==1.0\n",
        "short hash": good.replace("0" * 64, "0" * 40),
        "address": "a @ https://evil.example/a.whl --hash=sha256:" + "0" * 64 + "\n",
    }.items():
        lock = tmp_path / f"{name}.lock"
        lock.write_text(text)
        found[name] = bool(audit.faults(lock))

    assert found == {"good": False, "loose": True, "no hash": True, "short hash": True, "address": True}
