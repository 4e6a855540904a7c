"""Every noun of the JavaScript client, by the test runner of Node, from the installed package."""

from __future__ import annotations

import pytest

from tests.acceptance.processes import PASSWORD
from tests.clients.javascript.conftest import Runner, credentials
from tests.clients.python.conftest import RIVAL, ROOT, Laboratory

pytestmark = pytest.mark.xdist_group("javascript-client")

PROGRAM = ROOT / "tests" / "clients" / "javascript" / "nouns.test.mjs"
#: Both ways to the package: its names one by one, and all of its errors.
ENTRANCE = "export * from '@qstore/client';\nexport * as errors from '@qstore/client';\n"


def test_nouns(laboratory: Laboratory, node: Runner) -> None:
    """Twelve programs and what they are answered; a failing one fails this test."""
    told = {**credentials(laboratory), "EMAIL": "ada@example.org", "PASSWORD": PASSWORD, "RIVAL": RIVAL}
    node("qstore.mjs", ENTRANCE, told)

    printed = node("nouns.test.mjs", PROGRAM.read_text(encoding="utf-8"), told, "--test")

    assert "# fail 0" in printed or "ℹ fail 0" in printed, printed[-3000:]
