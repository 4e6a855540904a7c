"""Every installed backend in turn; one that cannot be had here is skipped with its own reason."""

from __future__ import annotations

import pytest

from qstore_appliance.engine import discovery
from qstore_appliance.engine.backend import Backend
from qstore_appliance.errors import BackendUnavailable

# Those elsewhere need somebody to talk to: tests/plugins holds them to the same oracle, over our own IonQ endpoint.
HERE = [name for name in discovery.names() if not name.startswith("ionq_")]
OPTIONS = {"lightning": {"device": "cpu"}}
KINDS = [
    *(pytest.param((name, OPTIONS.get(name, {})), id=name) for name in HERE),
    pytest.param(("lightning", {"device": "gpu"}), id="graphics_card", marks=pytest.mark.gpu),
]


@pytest.fixture(scope="session", params=KINDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """A working backend of each kind."""
    name, options = request.param
    try:
        loaded = discovery.load(name, options)
        loaded.probe()
    except BackendUnavailable as reason:
        words = "no NVIDIA GPU here" if options.get("device") == "gpu" else name
        pytest.skip(f"{words}: {reason.message}")
    return loaded
