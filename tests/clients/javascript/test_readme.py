"""Every snippet of the client's README runs, in the order in which it stands there, against a real server."""

from __future__ import annotations

import re

import pytest

from tests.clients.javascript.conftest import CLIENT, Runner, credentials
from tests.clients.python.conftest import Laboratory

BLOCKS = re.findall(r"```js\n(.*?)```", (CLIENT / "README.md").read_text(encoding="utf-8"), re.DOTALL)

pytestmark = pytest.mark.xdist_group("javascript-client")


def test_the_readme(laboratory: Laboratory, node: Runner) -> None:
    """As one program, from the installed package; what it prints is what it says."""
    told = credentials(laboratory)
    printed = node("readme.mjs", "\n".join(BLOCKS), {**told, "QSTORE_URL": told["QSTORE_URL"] + "/v1"})

    assert "Epoch 10: loss=" in printed
    accuracy = re.search(r"test accuracy ([0-9.]+)", printed)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.6
    assert "config.epochs" in printed
    assert "NOT_FOUND req_" in printed
    assert "right" in printed
    assert "OPENQASM 3" in printed
