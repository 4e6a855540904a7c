"""
From the words of the command line to a verb's code, and from its end to an exit code.

A verb runs in an open appliance. Where a server has the data directory, that is the server's, reached through its
control socket; otherwise this process opens the data directory itself, for as long as the verb takes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qstore_appliance import settings as settings_module
from qstore_appliance.cli import arguments as command_line
from qstore_appliance.cli.output import complain
from qstore_appliance.cli.verbs import Verb
from qstore_appliance.errors import (
    ConfigurationInvalid,
    DataDirectoryInUse,
    Malformed,
    QStoreError,
    Refused,
    Unavailable,
)
from qstore_appliance.settings import Settings

#: The others are 1; wrong usage is 2.
EXIT_CODES: dict[type[QStoreError], int] = {Refused: 3, DataDirectoryInUse: 73, ConfigurationInvalid: 78}
#: Another verb may hold the data directory for a moment.
PATIENCE = 10.0


def run(argv: list[str]) -> int:
    """Run what the words ask for; every way to fail ends in one line on standard error."""
    try:
        verb, parsed, own = command_line.parse(argv)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    settings = None
    try:
        settings = _settings(verb, parsed, own)
        if verb.alone:
            return int(verb.module.run(settings, {**own, "config": parsed.config}))
        _invoke(verb, settings, own, as_json=parsed.json)
        print(f"Data directory: {settings.data_dir}", file=sys.stderr)
        sys.stdout.flush()
        return 0
    except QStoreError as error:
        complain(error.message if settings is None else _placed(error, settings))
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output left (`qstore job list | head`); Python would complain once more while it closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if settings is not None and settings.telemetry.level == "debug":
            raise
        complain(f"{type(error).__name__}: {error} (QSTORE_TELEMETRY__LEVEL=debug shows where)")
        return 1


def exit_code(error: QStoreError) -> int:
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)


def _placed(error: QStoreError, settings: Settings) -> str:
    """A message that would puzzle in the wrong directory says which one it is about."""
    directory = str(settings.data_dir)
    told = isinstance(error, ConfigurationInvalid) or directory in error.message
    return error.message if told else f"{error.message} (data directory {directory})"


def _settings(verb: Verb, parsed: Any, own: dict[str, Any]) -> Settings:
    data_dir = parsed.data_dir
    if data_dir is None:
        data_dir = Path("qstore-demo") if verb.words == ("demo",) else settings_module.default_data_dir()
    known = ("host", "port", "insecure_http", "tls_key", "tls_self_signed")
    flags = {f"server.{key}": own[key] for key in known if own.get(key) is not None}
    if own.get("tls_cert") is not None:
        flags["server.tls_certificate"] = own["tls_cert"]
    if own.get("slots") is not None:
        flags["jobs.slots"] = own["slots"]
    return settings_module.load(data_dir, parsed.config, os.environ, flags)


def _invoke(verb: Verb, settings: Settings, own: dict[str, Any], *, as_json: bool) -> None:
    module = verb.module
    if "password_file" in own:
        own["password"] = _password(own.pop("password_file"))
    if "source" in own:
        own["source"] = _text(own["source"])
    if "file" in own:
        own["document"] = _document(own.pop("file"))
    for place in ("folder", "archive", "output"):
        if own.get(place):
            own[place] = str(Path(own[place]).absolute())
    if not verb.creates and not settings.data_dir.is_dir():
        raise Refused(f"There is no data directory at {settings.data_dir}; qstore serve or qstore init makes one.")

    def show(result: Any) -> None:
        if as_json:
            print(json.dumps(result, ensure_ascii=False), flush=True)
        else:
            module.SHOW[verb.name](result, own)

    deadline = time.monotonic() + PATIENCE
    while not _through_server(verb, settings, own, show):
        try:
            asyncio.run(_here(verb, settings, own, show))
        except DataDirectoryInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _through_server(verb: Verb, settings: Settings, own: dict[str, Any], show: Callable[[Any], None]) -> bool:
    """Whether a server took the verb; False when none listens."""
    from qstore_appliance.cli import control

    try:
        for result in control.call(settings, verb.words, own):
            show(result)
    except control.NoServer:
        return False
    return True


async def _here(verb: Verb, settings: Settings, own: dict[str, Any], show: Callable[[Any], None]) -> None:
    from qstore_appliance import telemetry
    from qstore_appliance.appliance import Appliance
    from qstore_appliance.cli.control import plain

    # What is worth telling of a verb is its result; a server's events are for its log.
    telemetry.configure("warning" if settings.telemetry.level == "info" else settings.telemetry.level, "console")
    async with Appliance.open(settings, work=False) as appliance:
        async for result in verb.start(appliance, {**own, "served": False}):
            show(plain(result))


def _password(file: str | None) -> str:
    """
    The password from a file, standard input (`-`) or the keyboard.

    Raises:
        Unavailable: It cannot be read, or there is neither a file nor a keyboard.
    """
    if file is None:
        if not sys.stdin.isatty():
            raise Unavailable("Give --password-file FILE, or --password-file - and the password on standard input.")
        import getpass

        first = getpass.getpass("Password: ")
        if first != getpass.getpass("Again: "):
            raise Unavailable("The two passwords differ.")
        return first
    return _text(file).removesuffix("\n").removesuffix("\r")


def _document(file: str) -> Any:
    """
    Raises:
        Unavailable: It cannot be read.
        Malformed: It is not JSON.
    """
    try:
        return json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{file}: is not JSON ({error})") from error


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"{file}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})") from error
