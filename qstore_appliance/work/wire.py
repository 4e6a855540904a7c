"""
What crosses the pipe of a child: tagged MessagePack, and for short calculations any plain value.

A child parses uploads and runs plugins, so what it sends is read as data: a pickle of a child may name nothing but
value types of ours.
"""

from __future__ import annotations

import inspect
import io
import pickle
import sys
from typing import Any, Literal

import msgspec

from qstore_appliance.errors import (
    QStoreError,
    RateLimited,
    Unavailable,
    WorkerCrash,
    WorkerOutOfMemory,
    family,
)

#: What a training's server says to it: stop for good; stop, and go on later; what you noted is stored.
STOP, RELEASE, KEPT = b"stop", b"release", b"kept"

_PLAIN = {("builtins", name) for name in ("complex", "set", "frozenset", "bytearray", "range", "slice")} | {
    ("datetime", "datetime"),
    ("datetime", "date"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("pathlib", "PosixPath"),
    ("decimal", "Decimal"),
    ("types", "MappingProxyType"),
    ("copyreg", "_reconstructor"),
    ("builtins", "object"),
    # Makes a msgspec.Struct of a class that was found before.
    ("msgspec._utils", "rebuild"),
}


class Message(msgspec.Struct, array_like=True):
    """`kind` says what `body` is."""

    kind: str
    body: msgspec.Raw = msgspec.Raw(b"\xc0")


def pack(kind: str, body: Any = None) -> bytes:
    return msgspec.msgpack.encode((kind, body), enc_hook=str)


def unpack(content: bytes) -> Message:
    """
    Raises:
        WorkerCrash: These bytes are no message.
    """
    try:
        return msgspec.msgpack.decode(content, type=Message)
    except msgspec.MsgspecError as error:
        raise WorkerCrash("The worker process sent something that is no message.") from error


def body(message: Message, kind: Any) -> Any:
    """
    Raises:
        WorkerCrash: The body is not what its kind promises.
    """
    try:
        return msgspec.msgpack.decode(message.body, type=kind)
    except msgspec.MsgspecError as error:
        raise WorkerCrash(f"The worker process sent a broken {message.kind}: {error}") from error


class Question(msgspec.Struct, array_like=True):
    """What a predictor is asked: raw rows, and how they shall be run."""

    inputs: list[list[float]]
    shots: int | Literal["auto"] | None
    backend: str | None
    seed: int | None


class Fault(msgspec.Struct, kw_only=True):
    """An error on its way out of a child."""

    code: str
    message: str
    details: dict[str, Any] = {}
    retry_after: float | None = None
    trace: str = ""


def fault(error: BaseException, trace: str = "") -> Fault:
    """What the server shall know of an error; a stranger's becomes INTERNAL with its class and text."""
    if isinstance(error, QStoreError):
        after = getattr(error, "retry_after", None)
        return Fault(code=error.code, message=error.message, details=error.details, retry_after=after)
    if isinstance(error, MemoryError):
        return Fault(code=WorkerOutOfMemory.code, message="The worker process ran out of memory.", trace=trace)
    text = f"{type(error).__name__}: {error}"
    return Fault(code=QStoreError.code, message=text[:1000], trace=trace)


def error_of(found: Fault) -> QStoreError:
    """The error again, of the class that its code names."""
    kind = family().get(found.code, QStoreError)
    error = kind.__new__(kind)
    QStoreError.__init__(error, found.message, details=found.details)
    if isinstance(error, (RateLimited, Unavailable)):
        error.retry_after = found.retry_after if found.retry_after is not None else 1.0
    elif found.retry_after is not None or "retry_after" in inspect.signature(kind.__init__).parameters:
        error.retry_after = found.retry_after  # type: ignore[attr-defined]
    return error


class Reply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """To one question: an answer or a fault."""

    answer: dict[str, Any] | None = None
    fault: Fault | None = None


class _Reader(pickle.Unpickler):
    """Reads values; refuses to find anything but plain types and value types of this package."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PLAIN:
            return getattr(sys.modules.get(module) or __import__(module), name)
        if module.startswith("qstore_appliance.") and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is not a value")


def dump_value(value: Any) -> bytes:
    return pickle.dumps(value, protocol=5)


def load_value(content: bytes) -> Any:
    """
    Raises:
        WorkerCrash: The bytes hold something that is not a plain value.
    """
    try:
        return _Reader(io.BytesIO(content)).load()
    except Exception as error:
        raise WorkerCrash(f"The worker process sent something that is not a value: {error}") from error
