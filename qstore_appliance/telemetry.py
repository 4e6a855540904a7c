"""
Logging for people and for machines: one event is one line, whatever text is in it.

Events are named `room.what_happened` and carry key=value pairs. Everything goes to standard error; libraries that log
through the standard library come out in the same form.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

#: Longest text of one field; the rest is cut.
LONGEST = 8_000
#: Libraries that say more than an operator wants below this level.
QUIET = {"sanic.root": logging.WARNING, "sanic.server": logging.WARNING, "sanic.websockets": logging.ERROR,
         "websockets": logging.ERROR, "huey": logging.WARNING, "tortoise": logging.WARNING, "asyncio": logging.WARNING,
         "aiosqlite": logging.WARNING, "httpx": logging.WARNING}  # fmt: skip


def configure(level: str = "info", style: str = "auto", stream: TextIO | None = None) -> None:
    """
    Set up structlog and the standard library's logging. May be called again; the last call counts.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        style: `json`, `console`, or `auto`: console on a terminal, JSON elsewhere.
        stream: Where lines go; standard error by default.
    """
    stream = stream or sys.stderr
    as_json = style == "json" or (style == "auto" and not stream.isatty())
    number = getattr(logging, level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks without the values of variables: those may be passwords and keys.
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, plain]
    if as_json:
        quiet = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        last += [structlog.processors.ExceptionRenderer(quiet), structlog.processors.JSONRenderer()]
    else:
        colors = stream.isatty()
        renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
        last.append(renderer)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[*shared, add_logger], processors=last))
    root = logging.getLogger()
    for old in list(root.handlers):
        if getattr(old, "qstore", False):
            root.removeHandler(old)
    handler.qstore = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(number)
    for name, least in QUIET.items():
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(least, number))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,
    )


def add_logger(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event


def plain(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut long texts and escape control characters, so that no value can forge a line or paint the terminal."""
    for key, value in event.items():
        if isinstance(value, str):
            if len(value) > LONGEST:
                value = value[:LONGEST] + "…"
            if not value.isprintable():
                value = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
            event[key] = value
    return event
