"""
Entry points to backends. A missing dependency or a broken plugin becomes a stated reason, never a crash.

Listing names reads package metadata only; loading and describing import the plugin, so they belong into a child process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final, TypeVar

import msgspec

from qstore_appliance.engine.backend import LIMIT_KEYS, Backend, Capabilities, Limits, Prices
from qstore_appliance.errors import BackendUnavailable, NotFound, QStoreError

GROUP: Final = "qstore.backends"

PROBE_SECONDS: Final = 20.0
"""How long a plugin may take to load and to answer; importing the heaviest takes about three seconds."""

_MAX_REASON: Final = 300

Result = TypeVar("Result")


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known of a backend; of one that does not load only its name and the reason.

    Attributes:
        available: Whether it can be used now.
        reason: Why not, a sentence; None when available.
        degraded: What jobs on that machine have found wrong with its provider since then; no probe says so.
    """

    name: str
    kind: str = "unknown"
    provider: str = "unknown"
    capabilities: Capabilities | None = None
    prices: Prices = Prices()
    limits: Limits = Limits()
    available: bool = False
    reason: str | None = None
    degraded: str | None = None


def names() -> list[str]:
    """Every installed backend's name, without importing any of them."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def load(name: str, options: Mapping[str, object]) -> Backend:
    """
    Import a plugin and make its backend.

    The operator's limits among the options (`LIMIT_KEYS`) are kept from the plugin and tighten what it states.

    Raises:
        NotFound: No package offers a backend of this name.
        BackendUnavailable: With the reason: a missing dependency, an import error, an exit, wrong options.
    """
    entry = _entry(name)
    own = {key: value for key, value in options.items() if key not in LIMIT_KEYS}
    backend = _guarded(name, lambda: _made(entry, own))
    if not isinstance(getattr(backend, "capabilities", None), Capabilities):
        raise BackendUnavailable(f"The backend {name} states no capabilities.")
    _guarded(name, lambda: _limit(backend, options))
    return backend


def describe(name: str, options: Mapping[str, object], timeout: float = PROBE_SECONDS) -> Description:
    """
    Load and probe a backend; whatever goes wrong is in the description.

    Raises:
        NotFound: No package offers a backend of this name.
    """
    _entry(name)
    outcome = [Description(name=name, reason=f"The backend {name} did not answer within {timeout:g} s.")]
    worker = threading.Thread(target=_describe, args=(name, options, outcome), name=f"probe-{name}", daemon=True)
    worker.start()
    worker.join(timeout)
    return outcome[-1]


def _describe(name: str, options: Mapping[str, object], outcome: list[Description]) -> None:
    """Appends what is known so far, so that a probe that hangs still leaves the capabilities behind."""
    try:
        backend = load(name, options)
    except QStoreError as fault:
        outcome.append(Description(name=name, reason=fault.message))
        return
    known = Description(
        name=name,
        kind=str(backend.kind),
        provider=str(backend.provider),
        capabilities=backend.capabilities,
        prices=backend.prices,
        limits=backend.limits,
        reason=outcome[0].reason,
    )
    outcome.append(known)
    try:
        _guarded(name, backend.probe)
    except QStoreError as fault:
        outcome.append(msgspec.structs.replace(known, reason=fault.message))
    else:
        outcome.append(msgspec.structs.replace(known, available=True, reason=None))


def _entry(name: str) -> EntryPoint:
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=name)}
    if not found:
        raise NotFound(f"No backend is called {name[:64]!r}.", details={"backend": name[:64]})
    if len(found) > 1:
        raise BackendUnavailable(f"Several packages offer a backend called {name}: {', '.join(sorted(found))}.")
    return next(iter(found.values()))


def _made(entry: EntryPoint, options: Mapping[str, object]) -> Backend:
    kind = entry.load()
    if not (isinstance(kind, type) and issubclass(kind, Backend)):
        raise BackendUnavailable(f"{entry.value} is not a backend.")
    return kind(options)


def _limit(backend: Backend, options: Mapping[str, object]) -> None:
    """Check the limits that a plugin states, which everybody's jobs will wait for, and tighten them."""
    stated = backend.limits
    if not isinstance(stated, Limits):
        raise BackendUnavailable(f"The backend {backend.name} states limits that are none.")
    stated.tightened({key: value for key, value in msgspec.structs.asdict(stated).items() if value is not None})
    if LIMIT_KEYS & options.keys():
        backend.limits = stated.tightened(options)


def _guarded(name: str, action: Callable[[], Result]) -> Result:
    """Turns everything that a plugin may raise into BackendUnavailable; Ctrl-C stays Ctrl-C."""
    try:
        return action()
    except KeyboardInterrupt:
        raise
    except BackendUnavailable:
        raise
    except QStoreError as fault:
        raise BackendUnavailable(fault.message) from fault
    except ModuleNotFoundError as fault:
        raise BackendUnavailable(f"The backend {name} needs the package {fault.name}, which is missing.") from fault
    except SystemExit as fault:
        raise BackendUnavailable(f"The backend {name} ended itself with status {fault.code!s:.40}.") from fault
    except BaseException as fault:
        said = " ".join(str(fault).split())[:_MAX_REASON]
        raise BackendUnavailable(f"The backend {name} does not work: {type(fault).__name__}: {said}") from fault
