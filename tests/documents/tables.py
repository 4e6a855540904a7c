"""
The tables of the documents, written from what the code declares.

`python -m tests.documents.tables` brings them up to date in `docs/`; the tests beside this file fail while they are not.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from pathlib import Path

from qstore_appliance import errors, settings
from qstore_appliance.api import faults
from qstore_appliance.api.app import endpoints
from qstore_appliance.cli.arguments import parser
from qstore_appliance.cli.entry import EXIT_CODES
from qstore_appliance.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def error_codes() -> str:
    """Every code of the error family with its status, its exit code and its sentence."""
    rows = ["| code | status | exit code | meaning |", "|---|---|---|---|"]
    for code, kind in errors.family().items():
        exit_code = next((number for base, number in EXIT_CODES.items() if issubclass(kind, base)), 1)
        rows.append(f"| `{code}` | {faults.STATUSES.get(code, 500)} | {exit_code} | {kind().message} |")
    return "\n".join(rows)


def setting_keys() -> str:
    """Every key of every section with its default and its sentence."""
    parts = []
    for section, kind in settings.SECTIONS.items():
        rows = [f"### `[{section}]`", "", "| key | default | meaning |", "|---|---|---|"]
        for key in dataclasses.fields(kind):
            low, high = key.metadata["low"], key.metadata["high"]
            bounds = "" if low is None else f" At least {low}{f', at most {high}' if high is not None else ''}."
            secret = f" A secret: `{key.name}_file` names a file that holds it." if key.metadata["secret"] else ""
            default = "[]" if key.default == () else str(key.default).lower() if key.type == "bool" else key.default
            shown = '""' if default == "" else default
            rows.append(f"| `{key.name}` | `{shown}` | {key.metadata['help']}{bounds}{secret} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def verbs() -> str:
    """Every verb with its own arguments, as its parser has them."""
    top = parser()
    parts = []
    for verb in VERBS.values():
        command = top
        for word in verb.words:
            (choices,) = (a for a in command._actions if isinstance(a, argparse._SubParsersAction))
            command = choices.choices[word]
        rows = [f"### `qstore {' '.join(verb.words)}`", "", verb.help[0].upper() + verb.help[1:] + "."]
        own = [a for a in command._actions if a.dest not in {"help", "data_dir", "config", "json", "subverb"}]
        if own:
            rows += ["", "| argument | meaning |", "|---|---|"]
        for argument in own:
            words = ", ".join(argument.option_strings) or str(argument.metavar or argument.dest)
            choices_of = "/".join(argument.choices) if argument.choices else ""
            takes = str(argument.metavar or choices_of or argument.dest.upper())
            if argument.option_strings and argument.nargs != 0:
                words += f" {takes}"
            needed = " Required." if argument.required and argument.option_strings else ""
            meaning = argument.help or f"One of {choices_of.replace('/', ', ')}"
            if argument.help is None and argument.default:
                meaning += f" (default {argument.default})"
            rows.append(f"| `{words}` | {meaning[0].upper() + meaning[1:].rstrip('.')}.{needed} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def routes() -> str:
    """Every route with who may use it and its sentence."""
    rows = ["| route | who | what |", "|---|---|---|"]
    rows += [f"| `{e.method} {e.path}` | {e.permission} | {e.summary} |" for e in endpoints()]
    return "\n".join(rows)


TABLES = {"errors.md": error_codes, "configuration.md": setting_keys, "command-line.md": verbs, "api.md": routes}
_SLOT = re.compile(r"(?<=<!-- generated -->\n).*?(?=\n<!-- end -->)", re.DOTALL)


def up_to_date(name: str) -> str:
    """The document with its table as it should be."""
    text = (DOCS / name).read_text(encoding="utf-8")
    table = TABLES[name]()
    written, count = _SLOT.subn(lambda _: table, text)
    if count != 1:
        raise ValueError(f"docs/{name} has {count} places for its table")
    return written


if __name__ == "__main__":
    for name in TABLES:
        (DOCS / name).write_text(up_to_date(name), encoding="utf-8")
