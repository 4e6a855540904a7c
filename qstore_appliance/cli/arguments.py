"""The parser of the command line, made from the table of verbs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from qstore_appliance.cli.verbs import FAMILIES, VERBS, Verb

#: What the parser knows and a verb's code does not.
_OURS = ("words", "verb", "subverb", "data_dir", "config", "json")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line instead of the whole usage."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """Reading the installed version takes a while, so only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"qstore {version('qstore-appliance')}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="qstore",
        description="Q-Store Appliance: store circuits, train quantum models on real data, serve them.",
        epilog="Every verb takes --help.",
    )
    top.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="print the version and leave"
    )
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    families: dict[str, Any] = {}
    for verb in VERBS.values():
        first, *rest = verb.words
        if not rest:
            command = verbs.add_parser(first, help=verb.help, description=verb.help.capitalize() + ".")
            _declare(command, verb)
            if first in FAMILIES:
                families[first] = command.add_subparsers(dest="subverb", metavar="VERB", help=FAMILIES[first])
            continue
        if first not in families:
            family = verbs.add_parser(first, help=FAMILIES[first], description=FAMILIES[first].capitalize() + ".")
            families[first] = family.add_subparsers(dest="subverb", metavar="VERB", required=True)
        _declare(families[first].add_parser(rest[0], help=verb.help, description=verb.help.capitalize() + "."), verb)
    return top


def _declare(command: argparse.ArgumentParser, verb: Verb) -> None:
    verb.declare(command)
    default = "./qstore-demo" if verb.words == ("demo",) else "$QSTORE_DATA_DIR, else ./qstore-data"
    # Of a verb below another one they may stand before it too: nothing given here must not undo that.
    absent = argparse.SUPPRESS if verb.words[:-1] in VERBS else None
    command.add_argument(
        "--data-dir", type=Path, metavar="DIR", default=absent, help=f"data directory (default {default})"
    )
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=absent,
        help="settings (default DIR/qstore.toml, then ./qstore.toml)",
    )
    if not verb.alone:
        command.add_argument("--json", action="store_true", help="print JSON, one value a line")
    command.set_defaults(words=verb.words)


def parse(argv: Sequence[str]) -> tuple[Verb, argparse.Namespace, dict[str, Any]]:
    """
    The verb, everything that was parsed, and the part that the verb's code gets.

    Raises:
        SystemExit: 2 on wrong usage, after one line about it; 0 after `--help` and `--version`.
    """
    command_line = parser()
    parsed = command_line.parse_args(argv)
    verb = VERBS[parsed.words]
    own = {k: v for k, v in vars(parsed).items() if k not in _OURS}
    if verb.words[:-1] in VERBS:
        above = argparse.ArgumentParser()
        VERBS[verb.words[:-1]].declare(above)
        for flag in {action.dest for action in above._actions} & own.keys():
            if own.pop(flag) is not None:
                command_line.error(f"--{flag} goes without {verb.words[-1]}")
    return verb, parsed, own
