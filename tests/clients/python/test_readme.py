"""Every snippet of the client's README runs, in the order in which it stands there, against a real server."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from tests.clients.python.conftest import ROOT, Laboratory

README = ROOT / "clients" / "python" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)

pytestmark = pytest.mark.xdist_group("python-client")


async def test_the_readme(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As typed in: one shell, all blocks; what they print is what they say."""
    monkeypatch.setenv("QSTORE_URL", laboratory.address + "/v1")
    monkeypatch.setenv("QSTORE_API_KEY", laboratory.key)
    monkeypatch.setenv("NO_PROXY", "*")
    shell: dict[str, object] = {}

    for number, block in enumerate(BLOCKS):
        code = compile(block, f"README.md, block {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        answered = eval(code, shell)
        if inspect.isawaitable(answered):
            await answered

    printed = capsys.readouterr().out
    assert "Epoch 10: loss=" in printed
    assert float(re.search(r"test accuracy ([0-9.]+)", printed)[1]) > 0.6  # type: ignore[index]
    assert "'field': 'config.epochs'" in printed
    assert "NOT_FOUND req_" in printed
    assert "['left', 'right']" in printed
    assert "OPENQASM 3" in printed
