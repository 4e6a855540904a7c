"""A run that leaves out what it could have run is not green where it counts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run_pytest(folder: Path, source: str, *options: str, ci: bool) -> tuple[int, str]:
    (folder / "test_sample.py").write_text(source)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "PYTEST_"))}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    if ci:
        environment["CI"] = "true"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "xdist",
        "-p",
        "pytest_timeout",
        "-p",
        "tests.completeness",
        "--rootdir",
        str(folder),
    ]
    command += [*options, str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout


SKIPS = {
    "in a test": "import pytest\ndef test_one(): pytest.skip('no browser')\ndef test_two(): pass\n",
    "by a mark": "import pytest\n@pytest.mark.skip(reason='no browser')\ndef test_one(): pass\ndef test_two(): pass\n",
    "of a module": "import pytest\npytest.skip('no browser', allow_module_level=True)\n",
}


@pytest.mark.parametrize("how", SKIPS)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_skip_without_excuse_fails_under_ci(tmp_path: Path, how: str, workers: str):
    """Under CI a skipped test fails the run and is named, with workers and without."""
    code, output = run_pytest(tmp_path, SKIPS[how], "-n", workers, ci=True)

    assert code != 0, output
    assert "1 × no browser: " in output
    assert re.search(r"\d (passed|skipped)[^\n]*\n$", output), "pytest's closing line is still the last one"


@pytest.mark.parametrize("how", ["in a test", "by a mark"])
def test_a_skip_is_only_counted_elsewhere(tmp_path: Path, how: str):
    """On a developer's machine a missing part does not fail the run."""
    code, output = run_pytest(tmp_path, SKIPS[how], ci=False)

    assert code == 0, output
    assert "1 passed, 1 skipped" in output


def test_what_a_machine_may_lack_is_excused(tmp_path: Path):
    """Under CI, too, a test may be skipped for want of a GPU."""
    source = SKIPS["in a test"].replace("no browser", "no NVIDIA GPU here")

    code, output = run_pytest(tmp_path, source, ci=True)

    assert code == 0, output


def test_an_expected_failure_is_not_a_skip(tmp_path: Path):
    """A test that is marked to fail and does has run."""
    source = "import pytest\n@pytest.mark.xfail\ndef test_one(): assert False\ndef test_two(): pass\n"

    code, output = run_pytest(tmp_path, source, ci=True)

    assert code == 0, output


def test_long_tests_run_when_asked_for(tmp_path: Path):
    """Tests marked `long` are left out, not skipped, until `--long` is given."""
    source = "import pytest\n@pytest.mark.long\ndef test_one(): pass\ndef test_two(): pass\n"

    _, without = run_pytest(tmp_path, source, ci=True)
    _, with_long = run_pytest(tmp_path, source, "--long", ci=True)

    assert "1 passed, 1 deselected" in without
    assert "2 passed" in with_long


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_test_that_hangs_fails_alone(tmp_path: Path, workers: str):
    """A test that never ends is failed with where it hung, also in a group, and those behind it run."""
    source = (
        "import time, pytest\n"
        "pytestmark = pytest.mark.xdist_group('one')\n"
        "def test_one(): time.sleep(3600)\n"
        "def test_two(): pass\n"
    )

    code, output = run_pytest(
        tmp_path,
        source,
        "-o",
        "timeout=1",
        "-o",
        "timeout_method=signal",
        "-n",
        workers,
        "--dist",
        "loadgroup",
        ci=True,
    )

    assert code == 1, output
    assert "time.sleep(3600)" in output
    assert "Failed: Timeout" in output
    assert "1 failed, 1 passed" in output


def test_long_tests_may_take_long(tmp_path: Path):
    """The time that other tests have does not hold for those marked `long`."""
    source = "import time, pytest\n@pytest.mark.long\ndef test_one(): time.sleep(1.5)\n"

    _, output = run_pytest(tmp_path, source, "--long", "-o", "timeout=1", "-o", "timeout_method=signal", ci=True)

    assert "1 passed" in output


def test_a_worker_that_crashes_ends_the_run(tmp_path: Path):
    """`scripts/test` has no crashed worker replaced: xdist can hang when it does that under loadgroup."""
    source = "import os\ndef test_one(): os._exit(1)\ndef test_two(): pass\ndef test_three(): pass\n"
    (options,) = re.findall(
        r"^exec .* -m pytest (.*) --durations", (ROOT / "scripts" / "test").read_text(), re.MULTILINE
    )

    code, output = run_pytest(tmp_path, source, *options.split(), ci=True)

    assert code != 0, output
    assert "crashed while running" in output


def test_a_group_stays_in_one_worker(tmp_path: Path):
    """Tests that share an expensive fixture, or a port, can be kept together."""
    source = (
        "import os, pathlib, pytest\n"
        "pytestmark = pytest.mark.xdist_group('one')\n"
        "@pytest.mark.parametrize('number', range(6))\n"
        "def test_one(number): pathlib.Path(os.environ['PYTEST_XDIST_WORKER']).touch()\n"
    )

    code, output = run_pytest(tmp_path, source, "-n", "2", "--dist", "loadgroup", ci=True)

    assert code == 0, output
    assert len(list(tmp_path.glob("gw*"))) == 1
