"""Every installed backend in turn; one that cannot be had here is skipped with its own reason."""

from __future__ import annotations

import pytest

from qstore_appliance.engine import discovery
from qstore_appliance.engine.backend import Backend
from qstore_appliance.errors import BackendUnavailable


@pytest.fixture(scope="session", params=discovery.names())
def backend(request: pytest.FixtureRequest) -> Backend:
    """A working backend of each kind."""
    try:
        loaded = discovery.load(request.param, {})
        loaded.probe()
    except BackendUnavailable as reason:
        pytest.skip(f"{request.param}: {reason.message}")
    return loaded


@pytest.fixture(params=["single", "double"])
def precision(request: pytest.FixtureRequest, backend: Backend) -> str:
    """Each precision that the backend has."""
    if request.param not in backend.capabilities.precisions:
        pytest.skip(f"{backend.name} computes in {' and '.join(backend.capabilities.precisions)} precision only")
    return str(request.param)


@pytest.fixture
def tolerance(precision: str) -> float:
    """What the product promises: 1e-5 in single precision, 1e-10 in double."""
    return 1e-5 if precision == "single" else 1e-10
