"""Finding backends: listing imports nothing, and a broken plugin hurts nobody."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from qstore_appliance.engine import discovery
from qstore_appliance.engine.backend import Backend
from qstore_appliance.errors import BackendUnavailable, NotFound

WORKING = """
import numpy as np
from qstore_appliance.engine.backend import Backend, Capabilities, Prices

class Plugin(Backend):
    name = "plugin"
    provider = "a laboratory"
    capabilities = Capabilities(
        max_qubits=2, max_depth=None, gates=("H",), exact=True, shots=False, adjoint=False, statevector=False
    )
    prices = Prices(per_circuit=7)

    def expectations(self, execution):
        self.check(execution)
        return np.ones((execution.batch, len(execution.observables)))
"""

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes a module with the given source the only installed plugin, called `plugin`."""

    def installed(source: str) -> None:
        (tmp_path / "some_plugin.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "some_plugin", raising=False)
        entries = [EntryPoint("plugin", "some_plugin:Plugin", discovery.GROUP)]
        monkeypatch.setattr(
            discovery, "entry_points", lambda group, name=None: [e for e in entries if name in (None, e.name)]
        )

    return installed


def test_the_built_in_backend_is_found_through_its_entry_point() -> None:
    """`native` uses the same door as any stranger's plugin."""
    assert "native" in discovery.names()
    assert isinstance(discovery.load("native", {}), Backend)


def test_native_describes_itself() -> None:
    """A description has kind, capabilities and prices, and says that the backend is available."""
    description = discovery.describe("native", {})

    assert description.available, description.reason
    assert description.reason is None
    assert description.kind == "simulator"
    assert description.capabilities is not None
    assert description.capabilities.adjoint
    assert description.prices.per_circuit == 0


def test_listing_imports_no_plugin() -> None:
    """Names come from package metadata alone."""
    script = "import sys\nfrom qstore_appliance.engine import discovery\ndiscovery.names()\nprint('qstore_backends' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_a_strangers_plugin_works(install: Install) -> None:
    """One required method is enough."""
    install(WORKING)

    description = discovery.describe("plugin", {})

    assert discovery.names() == ["plugin"]
    assert (description.provider, description.available, description.prices.per_circuit) == ("a laboratory", True, 7)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_package_at_all", "needs the package no_such_package_at_all"),
        ("raise SystemExit(3)", "ended itself with status 3"),
        ("import sys\nsys.exit('bye')", "ended itself"),
        ("raise RuntimeError('driver\\nbroken')", "RuntimeError: driver broken"),
        ("def (", "SyntaxError"),
        ("class Other: pass", "AttributeError"),
        ("class Plugin: pass", "is not a backend"),
        ("Plugin = 3", "is not a backend"),
        (WORKING.replace("    capabilities", "    abilities"), "states no capabilities"),
        (WORKING + "\n    limits = 5", "states limits that are none"),
        (
            WORKING + "\n    from qstore_appliance.engine.backend import Limits\n    limits = Limits(0)",
            "max_circuits_per",
        ),
        (WORKING.replace("def expectations", "def expectation"), "TypeError"),
        (WORKING + "\n    def __init__(self, options): raise MemoryError", "MemoryError"),
        (WORKING + "\n    def __init__(self, options): raise BaseException('odd')", "odd"),
        (WORKING + "\n    def __init__(self, options): options['token']", "KeyError"),
    ],
)
def test_a_plugin_that_does_not_load_is_a_reason(install: Install, source: str, reason: str) -> None:
    """Missing packages, exits, faults and nonsense become BackendUnavailable with a sentence."""
    install(source)

    with pytest.raises(BackendUnavailable, match=reason):
        discovery.load("plugin", {})
    description = discovery.describe("plugin", {})

    assert not description.available
    assert description.reason is not None
    assert len(description.reason) < 500


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        ("raise ConnectionError('no route')", "no route"),
        ("raise SystemExit", "ended itself"),
        ("import time; time.sleep(30)", "did not answer within 0.5 s"),
    ],
)
def test_a_failing_or_hanging_probe_leaves_the_capabilities(install: Install, probe: str, reason: str) -> None:
    """What loaded but does not answer is listed with what it could do, and in time."""
    install(WORKING + f"\n    def probe(self): {probe}")
    start = time.perf_counter()

    description = discovery.describe("plugin", {}, timeout=0.5)

    assert time.perf_counter() - start < 3
    assert not description.available
    assert description.reason is not None
    assert reason in description.reason
    assert description.capabilities is not None


def test_a_hanging_import_is_given_up(install: Install) -> None:
    """A plugin that never finishes importing costs the time limit and no more."""
    install("import time\ntime.sleep(2)")

    description = discovery.describe("plugin", {}, timeout=0.3)

    assert not description.available
    assert "did not answer" in str(description.reason)


def test_an_unknown_name_is_not_found(install: Install) -> None:
    """A name that nobody offers is NOT_FOUND, with the name cut short."""
    install(WORKING)

    for ask in (discovery.load, discovery.describe):
        with pytest.raises(NotFound):
            ask("x" * 1000, {})


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can slip in under the name of an installed backend."""
    entries = [EntryPoint("native", value, discovery.GROUP) for value in ("one:Native", "two:Native")]
    monkeypatch.setattr(discovery, "entry_points", lambda group, name=None: entries)

    with pytest.raises(BackendUnavailable, match="Several packages"):
        discovery.load("native", {})
