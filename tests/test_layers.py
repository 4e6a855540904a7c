"""The import rules of the house, as declared in pyproject.toml, and proof that each of them can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINTER = Path(sys.executable).with_name("lint-imports")

pytestmark = pytest.mark.skipif(not LINTER.exists(), reason="import-linter is not installed")

# One forbidden import for each contract: the file that it is planted in, the line, the contract that must notice.
BREACHES = {
    "Rooms only look down": ("qstore_appliance/domain/jobs.py", "import qstore_appliance.services.jobs"),
    "The doors of the API do not know each other": (
        "qstore_appliance/api/live/socket.py",
        "from qstore_appliance.api.rest import jobs",
    ),
    "The API reaches database, engine and queue only through services": (
        "qstore_appliance/api/rest/jobs.py",
        "from qstore_appliance.database import connection",
    ),
    "Only the API knows Sanic": ("qstore_appliance/services/jobs.py", "from sanic.response import json"),
    "Only the work room knows Huey": ("qstore_appliance/services/jobs.py", "import huey"),
    "Only database and services know Tortoise": ("qstore_appliance/work/queue.py", "from tortoise import Tortoise"),
    "Only the engine and its backends know the heavy libraries": ("qstore_appliance/work/queue.py", "import numba"),
    "Only the deliveries room speaks to strangers": ("qstore_appliance/services/jobs.py", "import httpx"),
    "The engine and the nouns do no I/O": ("qstore_appliance/engine/circuit.py", "import asyncio"),
    "The engine stands on errors alone": ("qstore_appliance/engine/circuit.py", "import qstore_appliance.settings"),
    "A backend plugin sees the engine and errors, nothing else": (
        "qstore_backends/native.py",
        "import qstore_appliance.domain.jobs",
    ),
    "The product finds its backends through entry points alone": (
        "qstore_appliance/engine/circuit.py",
        "import qstore_backends.native",
    ),
}

SKELETON = [
    "qstore_appliance/__init__.py",
    "qstore_appliance/__main__.py",
    "qstore_appliance/appliance.py",
    "qstore_appliance/errors.py",
    "qstore_appliance/settings.py",
    "qstore_appliance/api/__init__.py",
    "qstore_appliance/api/app.py",
    "qstore_appliance/api/live/__init__.py",
    "qstore_appliance/api/live/socket.py",
    "qstore_appliance/api/rest/__init__.py",
    "qstore_appliance/api/rest/jobs.py",
    "qstore_appliance/cli/__init__.py",
    "qstore_appliance/database/__init__.py",
    "qstore_appliance/database/connection.py",
    "qstore_appliance/domain/__init__.py",
    "qstore_appliance/domain/jobs.py",
    "qstore_appliance/engine/__init__.py",
    "qstore_appliance/engine/circuit.py",
    "qstore_appliance/services/__init__.py",
    "qstore_appliance/services/jobs.py",
    "qstore_appliance/work/__init__.py",
    "qstore_appliance/work/queue.py",
    "qstore_backends/__init__.py",
    "qstore_backends/native.py",
]

# What the architecture allows, so that a contract which forbids too much is noticed as well.
ALLOWED = {
    "qstore_appliance/api/app.py": "import sanic\nfrom qstore_appliance.api.rest import jobs\n",
    "qstore_appliance/api/rest/jobs.py": "import qstore_appliance.services.jobs\n",
    "qstore_appliance/database/connection.py": "import tortoise\nimport qstore_appliance.domain.jobs\n",
    "qstore_appliance/domain/jobs.py": "import qstore_appliance.engine.circuit\n",
    "qstore_appliance/engine/circuit.py": "import numba\nimport qstore_appliance.errors\n",
    "qstore_appliance/services/jobs.py": "import tortoise\nimport qstore_appliance.database.connection\n",
    "qstore_appliance/work/queue.py": "import huey\nimport qstore_appliance.services.jobs\n",
    "qstore_backends/native.py": "import numba\nimport qstore_appliance.engine.circuit\nimport qstore_appliance.errors\n",
}


def lint(folder: Path) -> tuple[int, str]:
    command = [str(LINTER), "--config", "pyproject.toml", "--no-cache", "--verbose"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """The rooms with hardly anything in them, under the real contracts."""
    for name in SKELETON:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ALLOWED.get(name, ""))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_of_the_project_looks_down():
    """The source tree keeps every import contract."""
    code, output = lint(ROOT)

    assert code == 0, output
    assert f"{len(BREACHES)} kept, 0 broken" in output


def test_allowed_imports_are_allowed(skeleton: Path):
    """The contracts forbid nothing that the architecture permits."""
    code, output = lint(skeleton)

    assert code == 0, output


@pytest.mark.parametrize("contract", BREACHES)
def test_a_forbidden_import_is_reported(skeleton: Path, contract: str):
    """A single import that breaks a contract is reported under that contract's name."""
    file, line = BREACHES[contract]
    with (skeleton / file).open("a") as source:
        source.write(line + "\n")

    code, output = lint(skeleton)

    assert code == 1, output
    assert f"{contract} BROKEN" in output


def test_a_room_that_no_contract_knows_is_reported(skeleton: Path):
    """A new top-level room must be given its place among the layers."""
    (skeleton / "qstore_appliance" / "attic.py").write_text("")

    code, output = lint(skeleton)

    assert code == 1, output
    assert "Rooms only look down BROKEN" in output
