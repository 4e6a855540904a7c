"""A real server for the JavaScript client, and a folder in which its package is installed as a user would install it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.processes import serving
from tests.clients.python.conftest import Laboratory, furnished

ROOT = Path(__file__).parents[3]
CLIENT = ROOT / "clients" / "javascript"

Runner = Callable[..., str]


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with serving(tmp_path_factory.mktemp("clients") / "data") as served:
        yield furnished(served)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a program that has installed the packed client. Needs no registry: the client depends on nothing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node with npm on this machine")
    folder = tmp_path_factory.mktemp("program")
    packed = npm("pack", "--json", "--pack-destination", folder, CLIENT, cwd=folder)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    npm("install", "--offline", "--no-audit", "--no-fund", folder / json.loads(packed)[0]["filename"], cwd=folder)
    return folder


@pytest.fixture(scope="session")
def node(installed: Path) -> Runner:
    """Run a program beside the installed client; what it printed."""

    def run(name: str, program: str, told: Mapping[str, str], *flags: str) -> str:
        (installed / name).write_text(program)
        done = subprocess.run(
            ["node", *flags, name], cwd=installed, env=surroundings(told), capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-4000:]
        return done.stdout

    return run


def npm(*words: object, cwd: Path) -> str:
    done = subprocess.run(["npm", *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def surroundings(told: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **told}


def credentials(laboratory: Laboratory) -> dict[str, str]:
    return {"QSTORE_URL": laboratory.address, "QSTORE_API_KEY": laboratory.key}
