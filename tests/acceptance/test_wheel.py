"""What a stranger installs: the built wheel, in a fresh environment, far from the source tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.acceptance.processes import environment, free_port

ROOT = Path(__file__).parent.parent.parent
SOURCES = {"qstore_appliance": "qstore_appliance", "plugins/backends": "qstore_backends", "web": "qstore_web"}

#: In one worker, so that the wheel is built and installed once.
pytestmark = pytest.mark.xdist_group("wheel")


@dataclass(frozen=True)
class Installation:
    """A virtual environment that holds the wheel and what the lock says, nothing else."""

    folder: Path
    wheel: Path

    @property
    def qstore(self) -> Path:
        return self.folder / "bin" / "qstore"

    def run(self, *command: str | Path, cwd: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment in `cwd`, knowing nothing of this checkout."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "QSTORE", "VIRTUAL_"))
        }
        return subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            # Kernels are cached by the path of their source, which nobody will ask for again.
            env=kept | {"XDG_CACHE_HOME": str(self.folder / "cache")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build(folder)
    environment = folder / "environment"
    uv = [sys.executable, "-m", "uv"]
    succeed(*uv, "venv", "--quiet", "--python", sys.executable, str(environment))
    install = [*uv, "pip", "install", "--quiet", "--python", str(environment / "bin" / "python")]
    locked = [*install, "--require-hashes", "-r", str(ROOT / "config" / "requirements" / "runtime.lock")]
    if subprocess.run([*locked, "--offline"], capture_output=True, check=False).returncode != 0:
        succeed(*locked)
    succeed(*install, "--no-deps", str(wheel))
    return Installation(environment, wheel)


def build(folder: Path) -> Path:
    """Builds the wheel from a copy, since a build leaves its own folders beside the sources."""
    sources = folder / "sources"
    sources.mkdir()
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, sources)
    for name in SOURCES:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    # What the server offers for download is packed while ours is.
    shutil.copytree(ROOT / "clients", sources / "clients", ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    (sources / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "downloads", sources / "scripts")
    shutil.rmtree(sources / "web" / "downloads", ignore_errors=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    succeed(*command, "--wheel-dir", str(folder), str(sources))
    return next(folder.glob("*.whl"))


def succeed(*command: str) -> None:
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"


def test_the_wheel_holds_every_source_file(installation: Installation):
    """Nothing of the product is left out: modules, migrations, templates, scripts, fonts."""
    expected = {
        f"{package}/{path.relative_to(ROOT / source)}"
        for source, package in SOURCES.items()
        for path in (ROOT / source).rglob("*")
        if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts)
    }

    packed = set(zipfile.ZipFile(installation.wheel).namelist())

    assert expected - packed == set()


def test_the_wheel_holds_nothing_but_the_product(installation: Installation):
    """No test, script or configuration of the checkout is installed on a user's machine."""
    packed = {name.split("/")[0] for name in zipfile.ZipFile(installation.wheel).namelist()}

    assert {name for name in packed if not name.endswith(".dist-info")} == set(SOURCES.values())


def test_the_installed_program_runs_from_an_empty_directory(installation: Installation, tmp_path: Path):
    """`qstore --version` names the version that was built."""
    done = installation.run(installation.qstore, "--version", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert installation.wheel.name.split("-")[1] in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_installed_packages_are_not_those_of_the_checkout(installation: Installation, tmp_path: Path):
    """Product, backends and dashboard come from the environment; every shipped backend can be imported by its name."""
    program = (
        "import importlib.metadata, qstore_appliance, qstore_backends, qstore_web\n"
        "for package in (qstore_appliance, qstore_backends, qstore_web): print(package.__file__)\n"
        "for backend in importlib.metadata.entry_points(group='qstore.backends'): print(backend.load().__module__)\n"
    )

    done = installation.run(installation.folder / "bin" / "python", "-c", program, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    files, backends = done.stdout.split()[:3], done.stdout.split()[3:]
    assert all(Path(file).is_relative_to(installation.folder) for file in files)
    assert "qstore_backends.native" in backends


def test_the_demo_runs_from_an_empty_directory(installation: Installation, tmp_path: Path):
    """The main job works without the source tree: circuit, training, deployment, predictions, dashboard address."""
    done = installation.run(
        installation.qstore, "demo", "--exit", "--port", str(free_port()), cwd=tmp_path, timeout=300
    )

    assert done.returncode == 0, done.stderr + done.stdout
    assert "Test accuracy" in done.stdout
    assert "/app/jobs/job_" in done.stdout


def test_the_dashboard_from_the_wheel(installation: Installation, tmp_path: Path):
    """The installed server finds its pages and their assets, and offers the clients."""
    port = free_port()
    process = subprocess.Popen(
        [installation.qstore, "serve", "--port", str(port)],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "ready at" in process.stdout.readline()
        page = httpx.get(f"http://127.0.0.1:{port}/", follow_redirects=True, trust_env=False)
        assets = re.findall(r'(?:href|src)="(/app/static/[^"]+)"', page.text)

        assert page.status_code == 200
        assert page.url.path == "/app/setup"
        downloads = httpx.get(f"http://127.0.0.1:{port}/downloads", trust_env=False).json()["data"]
        assert [one["name"] for one in downloads if one["name"].startswith("qstore_client-")]
        assert assets
        for asset in assets:
            assert httpx.get(f"http://127.0.0.1:{port}{asset}", trust_env=False).status_code == 200, asset
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
