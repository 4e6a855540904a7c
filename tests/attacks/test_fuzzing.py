"""Every route by what its description says of it: Schemathesis makes requests, valid and not, and judges the answers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.conftest import Fortress, failures

#: Left out: what would end the session of the test itself; a request may be valid by its schema and wrong by its meaning
#: (an id of nothing, a budget below what is spent), so that refusing it is right.
LEFT_OUT = (
    *("--exclude-path", "/v1/auth/logout", "--exclude-path", "/v1/events"),
    *("--exclude-path", "/v1/sessions", "--exclude-path", "/v1/sessions/{id}"),
)
CHECKS = ("--checks", "all", "--exclude-checks", "positive_data_acceptance")
CONFIG = Path(__file__).with_name("schemathesis.toml")
#: The short tier tries the same requests at each run, so that a change is told by its own fault; the long one tries others.
SEED = "20261126"
SHORT = 4


@pytest.mark.parametrize(
    ("role", "examples", "phases"),
    [
        # The boundary values of every field take seven minutes: they are part of the long tier.
        ("owner", SHORT, "fuzzing"),
        pytest.param("owner", 15_000, "coverage,fuzzing,stateful", marks=pytest.mark.long),
        pytest.param("developer", 1_500, "coverage,fuzzing", marks=pytest.mark.long),
    ],
)
def test_every_route_as_it_is_described(
    fortress: Fortress,
    tmp_path: Path,
    role: str,
    examples: int,
    phases: str,
    record_property: Callable[[str, object], None],
) -> None:
    """No answer is a failure of the server, and none has a status, a type or a shape that its description lacks."""
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(CONFIG), "--no-color"),
        *("run", f"{fortress.url}/openapi.json"),
        *("-H", f"Authorization: Bearer {fortress.tokens[role]}", "--request-timeout", "20"),
        *(
            "--phases",
            phases,
            "--max-examples",
            str(examples),
            "--continue-on-failure",
            "--suppress-health-check",
            "all",
        ),
        *LEFT_OUT,
        *CHECKS,
        *(() if examples > SHORT else ("--seed", SEED)),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = re.search(r"(\d+) generated", done.stdout)

    assert found is not None, done.stdout[-3000:] + done.stderr[-2000:]
    assert done.returncode == 0, done.stdout[-8000:]
    assert failures(fortress.log()) == []
    with fortress.client(role) as client:
        assert client.get("/v1/circuits").status_code == 200, "the session ended, so that nothing was reached behind it"
    record_property("report", f"fuzzed calls as {role}: {found[1]}, server errors: 0, undocumented answers: 0")
