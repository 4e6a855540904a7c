"""Strangers' backends, installed as packages: the one of `docs/backends.md` works, and broken ones hurt nobody."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import Served, data, serving, small_circuit

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "backends.md"
#: Far longer than it takes to give up both plugins that hang, one after the other.
PROBED_SECONDS = 240.0

BROKEN = {
    "x_exits": "import sys\nsys.exit('no licence')",
    "x_hangs_at_import": "import time\ntime.sleep(3600)",
    "x_hangs_at_probe": """
import time
from qstore_appliance.engine.backend import Backend, Capabilities

class Plugin(Backend):
    name, provider = "x_hangs_at_probe", "A stranger"
    capabilities = Capabilities(
        max_qubits=3, max_depth=None, gates=("H",), exact=True, shots=False, adjoint=False, statevector=False
    )

    def expectations(self, execution):
        raise NotImplementedError

    def probe(self):
        time.sleep(3600)
""",
    "x_misses_a_library": "raise ImportError('libdriver.so.7: cannot open shared object file')",
}
BROKEN_PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "broken-backends"
version = "1.0"

[tool.setuptools]
py-modules = [{modules}]

[project.entry-points."qstore.backends"]
{entries}
"""

#: In one worker: packages and server are made once.
pytestmark = pytest.mark.xdist_group("backend packages")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH into which pip has installed the document's package and one of broken backends."""
    folder = tmp_path_factory.mktemp("packages")
    text = DOCUMENT.read_text(encoding="utf-8")
    (project,) = re.findall(r"```toml\n(\[build-system\].*?)```", text, re.DOTALL)
    (module,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    install(folder, "qstore-tensor", {"pyproject.toml": project, "qstore_tensor.py": module})
    words = ", ".join(f'"{name}"' for name in BROKEN)
    entries = "\n".join(f'{name} = "{name}:Plugin"' for name in BROKEN)
    sources = {f"{name}.py": source for name, source in BROKEN.items()}
    install(
        folder, "broken-backends", sources | {"pyproject.toml": BROKEN_PROJECT.format(modules=words, entries=entries)}
    )
    return folder / "installed"


def install(folder: Path, name: str, files: dict[str, str]) -> None:
    """What a stranger does, without the network and beside our environment rather than into it."""
    (folder / name).mkdir()
    for file, content in files.items():
        (folder / name / file).write_text(content, encoding="utf-8")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", folder / "installed", folder / name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def served(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "qstore.toml").write_text("[backends.tensor]\nmax_qubits = 3\nper_circuit = 0.001\n")
    with serving(folder / "data", "--config", folder / "qstore.toml", PYTHONPATH=str(packages)) as server:
        yield server


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def submit(client: httpx.Client, backend: str, **config: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "backend": backend,
        "epochs": 15,
        "learning_rate": 0.1,
        "seed": 7,
        "readout": {"observables": "z+zz"},
        "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}},
        **config,
    }
    body = {"circuit_id": small_circuit(client), "config": settings}
    answer: dict[str, Any] = data(client.post("/v1/jobs", json=body, timeout=120))
    return answer


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while True:
        job: dict[str, Any] = data(client.get(f"/v1/jobs/{job_id}"))
        if job["status"] not in {"queued", "running"}:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.1)


def listed(client: httpx.Client) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in data(client.get("/v1/backends"))}


def test_jobs_run_while_others_hang(client: httpx.Client) -> None:
    """The server is ready before a plugin that hangs is given up, and trains a job on `native` all the same."""
    assert {listed(client)[name]["status"] for name in BROKEN if "hangs" in name} == {"starting"}

    job = ended(client, submit(client, "native", epochs=2)["job_id"])

    assert job["status"] == "completed", job


def test_the_documents_backend_is_available(client: httpx.Client) -> None:
    """What the document says is enough to be listed, with the operator's options and price and its own capabilities."""
    deadline = time.monotonic() + PROBED_SECONDS
    while (row := listed(client)["tensor"])["status"] == "starting":
        assert time.monotonic() < deadline, row
        time.sleep(0.2)

    assert (row["status"], row["reason"], row["provider"]) == ("available", None, "A stranger")
    assert row["id"] == "backend_tensor_001"
    assert row["cost_per_circuit"] == 0.001
    assert row["capabilities"]["max_qubits"] == 3
    assert (row["capabilities"]["supports_exact"], row["capabilities"]["supports_shots"]) == (True, False)


def test_a_job_trains_on_the_documents_backend(client: httpx.Client) -> None:
    """Iris by shifted circuits: as accurate as on `native` with the same seed, and paid for at the operator's price."""
    submitted = submit(client, "tensor")
    here = ended(client, submit(client, "native")["job_id"])

    job = ended(client, submitted["job_id"])

    assert job["status"] == "completed", job
    assert job["backend"] == "tensor"
    assert job["metrics"]["test_accuracy"] > 0.6
    # The same gradients by another way: the losses of both agree as far as single precision goes.
    assert job["metrics"]["current_loss"] == pytest.approx(here["metrics"]["current_loss"], abs=1e-3)
    assert job["metrics"]["cost_so_far"] > 0


def test_the_documents_backend_is_held_to_its_options(client: httpx.Client) -> None:
    """`max_qubits = 3` of the settings reached the class: a circuit of four qubits is refused before it runs."""
    gates = [{"type": "RY", "targets": [qubit], "parameters": {"theta": f"theta_{qubit}"}} for qubit in range(4)]
    circuit = data(client.post("/v1/circuits", json={"name": "four", "n_qubits": 4, "gates": gates}))["id"]
    body = {"circuit_id": circuit, "config": {"backend": "tensor", "dataset": {"type": "iris"}}}

    error = client.post("/v1/jobs", json=body).json()["error"]

    assert error["code"] == "BACKEND_CANNOT"
    assert "3 qubits" in error["message"]


def test_the_contract_suite_holds_for_the_documents_backend(packages: Path) -> None:
    """The command of the document runs our own suite against an installed stranger, and it passes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CI"))}
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/backends", "-k", "tensor"]
    assert f"./scripts/test {' '.join(command[-3:])}" in DOCUMENT.read_text(encoding="utf-8")

    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=kept | {"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 8  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x_misses_a_library", "ImportError: libdriver.so.7: cannot open shared object file"),
        ("x_exits", "ended itself with status no licence"),
        ("x_hangs_at_import", "did not answer within 20 s"),
        ("x_hangs_at_probe", "did not answer within 20 s"),
    ],
)
def test_a_broken_backend_is_listed_with_its_reason(client: httpx.Client, name: str, reason: str) -> None:
    """An import error, an exit and a hang end as a sentence in the list; whoever asks for it gets that sentence."""
    deadline = time.monotonic() + PROBED_SECONDS
    while (row := listed(client)[name])["status"] == "starting":
        assert time.monotonic() < deadline, row
        time.sleep(0.2)
    body = {"circuit_id": small_circuit(client), "config": {"backend": name, "dataset": {"type": "iris"}}}

    refused = client.post("/v1/jobs", json=body)

    assert row["status"] == "unavailable"
    assert reason in row["reason"]
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "BACKEND_UNAVAILABLE")
    assert reason in refused.json()["error"]["message"]


def test_the_others_are_not_touched(client: httpx.Client) -> None:
    """Beside the broken ones every backend is what it is without them, and the server answers."""
    found = listed(client)

    assert [found[name]["status"] for name in ("native", "tensor")] == ["available", "available"]
    assert client.get("/ready").status_code == 200
