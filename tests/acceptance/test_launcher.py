"""`./scripts/qstore` on machines that lack something, and the locks that it installs from."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
LOCKS = ROOT / "config" / "requirements"


def launch(
    *arguments: str, script: Path = ROOT / "scripts" / "qstore", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def environment_that_was_set_up(folder: Path, root: Path = ROOT) -> Path:
    """What the launcher looks at: a Python, the program, and the note of what was installed."""
    program(folder / "bin" / "python", "exit 1")
    program(folder / "bin" / "qstore", 'echo "ran $*"')
    (folder / ".qstore-setup").write_text(f"{root}\n0 0\n\n")
    return folder


def test_after_the_first_start_it_just_runs(tmp_path: Path):
    """A finished set-up is not looked into again, and every argument arrives."""
    venv = environment_that_was_set_up(tmp_path / "venv")

    done = launch("serve", "--port", "8001", QSTORE_VENV=str(venv))

    assert (done.returncode, done.stdout, done.stderr) == (0, "ran serve --port 8001\n", "")


def test_it_runs_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The launcher finds its checkout by its own path, not by where it was called."""
    venv = environment_that_was_set_up(tmp_path / "venv")
    monkeypatch.chdir(tmp_path)

    assert launch(script=ROOT / "scripts" / ".." / "scripts" / "qstore", QSTORE_VENV=str(venv)).stdout == "ran \n"


def test_a_checkout_that_was_moved_is_set_up_anew(tmp_path: Path):
    """An environment that belongs to another folder is not used: its programs name their old place."""
    venv = environment_that_was_set_up(tmp_path / "venv", root=tmp_path / "elsewhere")

    done = launch("serve", QSTORE_VENV=str(venv), QSTORE_PYTHON="/nonexistent/python3")

    assert done.returncode == 1
    assert "ran" not in done.stdout


def test_without_python_it_says_what_to_install(tmp_path: Path):
    """No suitable Python is one sentence with the fix."""
    done = launch(QSTORE_VENV=str(tmp_path / "venv"), QSTORE_PYTHON="/nonexistent/python3")

    assert done.returncode == 1
    assert "no Python 3.11 or newer was found" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr


def test_without_the_venv_module_it_says_what_to_install(tmp_path: Path):
    """Debian's Python without python3-venv is told apart from no Python at all."""
    python = program(tmp_path / "python3", 'case "$*" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac')

    done = launch(QSTORE_VENV=str(tmp_path / "venv"), QSTORE_PYTHON=str(python))

    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr


def test_without_the_network_it_says_so_and_goes_on_later(tmp_path: Path):
    """A set-up that cannot download ends with the reason, and is not taken for a finished one."""
    nowhere = "http://127.0.0.1:9/simple"
    venv = tmp_path / "venv"

    done = launch(
        QSTORE_VENV=str(venv),
        PIP_INDEX_URL=nowhere,
        PIP_CONFIG_FILE=os.devnull,
        PIP_NO_CACHE_DIR="1",
        UV_DEFAULT_INDEX=nowhere,
        UV_NO_CACHE="1",
    )

    assert done.returncode == 1
    assert "needs the network; the next start goes on from here" in done.stderr
    assert not (venv / ".qstore-setup").exists()


def test_an_unknown_part_is_refused():
    """`setup` with a part that does not exist changes nothing and lists those that do."""
    done = launch("setup", "kitchen")

    assert done.returncode == 64
    assert "there are dev, bench and gpu" in done.stderr


@pytest.mark.long
def test_two_first_starts_at_once_make_one_working_environment(tmp_path: Path):
    """Whoever comes second waits for the first; both then run."""
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".venv*", ".git", "*.egg-info", "__pycache__", "node_modules", ".*_cache")
    shutil.copytree(ROOT, checkout, ignore=ignored, symlinks=True)
    command = [str(checkout / "scripts" / "qstore"), "--version"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]

    answers = [process.communicate(timeout=600) for process in both]

    assert [process.returncode for process in both] == [0, 0], answers
    assert len({out for out, _ in answers}) == 1
    assert sum("Another set-up of this folder is running" in err for _, err in answers) == 1


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.lock")), ids=lambda lock: lock.stem)
def test_a_lock_holds_exact_versions_with_hashes_and_no_addresses(lock: Path):
    """What is installed was decided when it was locked, wherever it is downloaded from."""
    text = lock.read_text()
    pinned = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]

    assert pinned
    assert all(re.match(r"[\w.-]+==[\w.]+( ; [^\n]+)? \\\n", entry) for entry in pinned)
    assert all(re.search(r"^    --hash=sha256:[0-9a-f]{64}", entry, re.MULTILINE) for entry in pinned)
    assert not re.search(r"://|file:|^-|^/", text, re.MULTILINE)


def test_the_locks_satisfy_the_metadata():
    """Every dependency that setup.cfg declares is locked, at a version within its range."""
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    declared = {"runtime": metadata["options"]["install_requires"], **metadata["options.extras_require"]}

    for part, text in declared.items():
        locked: dict[str, set[str]] = {}
        for name in {"runtime", part}:
            for found in re.finditer(r"^([\w.-]+)==([\w.]+)", (LOCKS / f"{name}.lock").read_text(), re.MULTILINE):
                locked.setdefault(canonicalize_name(found[1]), set()).add(found[2])
        for line in filter(None, text.splitlines()):
            requirement = Requirement(line)
            versions = locked.get(canonicalize_name(requirement.name), set())
            assert versions, f"{requirement.name} is not locked: run scripts/lock"
            assert all(requirement.specifier.contains(version) for version in versions), (
                f"{requirement}: run scripts/lock"
            )
