"""Every installed backend in turn; one that cannot be had here is skipped with its own reason."""

from __future__ import annotations

import pytest

from qstore_appliance.engine import discovery
from qstore_appliance.engine.backend import Backend
from qstore_appliance.errors import BackendUnavailable

# Those elsewhere need somebody to talk to: tests/plugins holds them to the same oracle, over our own IonQ endpoint.
HERE = [name for name in discovery.names() if not name.startswith("ionq_")]


@pytest.fixture(scope="session", params=HERE)
def backend(request: pytest.FixtureRequest) -> Backend:
    """A working backend of each kind."""
    try:
        loaded = discovery.load(request.param, {})
        loaded.probe()
    except BackendUnavailable as reason:
        pytest.skip(f"{request.param}: {reason.message}")
    return loaded
