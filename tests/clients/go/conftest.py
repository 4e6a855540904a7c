"""A real server for the Go client."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.processes import PASSWORD, serving
from tests.clients.python.conftest import RIVAL, Laboratory, furnished

ROOT = Path(__file__).parents[3]
CLIENT = ROOT / "clients" / "go"


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with serving(tmp_path_factory.mktemp("clients") / "data") as served:
        yield furnished(served)


def go(*words: object, cwd: Path, told: Mapping[str, str]) -> str:
    """What the Go command printed. It asks nobody for anything: the client needs the standard library alone."""
    if shutil.which("go") is None:
        pytest.skip("no Go compiler on this machine")
    alone = {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    done = subprocess.run(
        ["go", *map(str, words)],
        cwd=cwd,
        env={**os.environ, **alone, **told},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout


def credentials(laboratory: Laboratory) -> dict[str, str]:
    return {
        "QSTORE_URL": laboratory.address,
        "QSTORE_API_KEY": laboratory.key,
        "EMAIL": "ada@example.org",
        "PASSWORD": PASSWORD,
        "RIVAL": RIVAL,
    }


def program(folder: Path, text: str) -> Path:
    """A program that uses the client from beside it, as its README says."""
    folder.mkdir()
    (folder / "main.go").write_text(text)
    (folder / "go.mod").write_text(
        "module program\n\ngo 1.19\n\nrequire github.com/qstore/client-go v0.0.0\n\n"
        f"replace github.com/qstore/client-go => {CLIENT}\n"
    )
    return folder
