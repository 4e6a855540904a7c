"""The words of the command line: help, usage, speed, and that every verb has its code."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time

import pytest

from qstore_appliance.__main__ import main
from qstore_appliance.cli.arguments import parse
from qstore_appliance.cli.verbs import FAMILIES, VERBS, Verb


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: " ".join(verb.words))
class TestEveryVerb:
    def test_help(self, verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
        """Every verb explains itself and takes --data-dir and --config."""
        assert main([*verb.words, "--help"]) == 0

        shown = capsys.readouterr().out
        assert "--data-dir DIR" in shown
        assert "--config FILE" in shown

    def test_its_code_exists(self, verb: Verb) -> None:
        """Every verb leads to a function: `run`, or an async generator with something that shows its results."""
        if verb.alone:
            assert list(inspect.signature(verb.module.run).parameters) == ["settings", "arguments"]
        else:
            assert inspect.isasyncgenfunction(getattr(verb.module, verb.name))
            assert verb.name in verb.module.SHOW

    def test_an_unknown_flag(self, verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
        """A flag that does not exist is wrong usage: exit code 2 and one line that names the verb."""
        assert main([*verb.words, "--no-such-flag"]) == 2

        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("qstore")
        assert "--help" in line


@pytest.mark.parametrize("words", [[], ["nonsense"], ["user"], ["user", "nonsense"], ["serve", "--port", "many"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Missing and unknown verbs and words that are no numbers are one line and exit code 2."""
    assert main(words) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the installed version."""
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"qstore {version('qstore-appliance')}\n"


def test_help_is_quick() -> None:
    """The first thing that anybody types answers at once: no library is imported for it."""
    began = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "qstore_appliance", "--help"], capture_output=True, text=True
    )
    seconds = time.perf_counter() - began

    assert ended.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines()}
    assert imported.isdisjoint({"sanic", "tortoise", "pydantic", "rich", "httpx", "numpy", "numba", "structlog"})
    assert seconds < 30


def test_families_have_sentences() -> None:
    """Every family of verbs has its line in the help."""
    assert {verb.words[0] for verb in VERBS.values() if len(verb.words) > 1} == set(FAMILIES)


def test_the_verb_gets_its_own_words_only() -> None:
    """A verb's code sees its own arguments, and nothing of the data directory or the settings."""
    verb, parsed, own = parse(["user", "disable", "--email", "a@b", "--data-dir", "/x"])

    assert verb.words == ("user", "disable")
    assert str(parsed.data_dir) == "/x"
    assert own == {"email": "a@b"}


def test_a_verb_below_another_one() -> None:
    """`worker` runs and `worker list` lists; what both take may stand before or after, and the first's own is not the other's."""
    alone, _, own = parse(["worker", "--slots", "2", "--data-dir", "/x"])
    assert (alone.words, own) == (("worker",), {"slots": 2})
    for words in (["worker", "list", "--data-dir", "/x"], ["worker", "--data-dir", "/x", "list"]):
        below, parsed, own = parse(words)
        assert (below.words, str(parsed.data_dir)) == (("worker", "list"), "/x")
        assert own == {"acting": None, "limit": 20, "offset": 0}


def test_flags_of_the_verb_above(capsys: pytest.CaptureFixture[str]) -> None:
    """A flag that only the verb above understands is wrong usage below it, not ignored."""
    assert main(["worker", "--slots", "2", "list"]) == 2
    assert "--slots goes without list" in capsys.readouterr().err


def test_importing_main_does_nothing() -> None:
    """A forkserver that imports the main file again starts no second server."""
    ended = subprocess.run(
        [sys.executable, "-c", "import runpy; runpy.run_module('qstore_appliance', run_name='__mp_main__')"],
        capture_output=True,
        text=True,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
