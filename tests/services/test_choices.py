"""Why a job gets the backend that it gets, in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qstore_appliance.domain.accounts import Allowance
from qstore_appliance.engine import machine_speed
from qstore_appliance.engine.machine_speed import MachineSpeed, Speed
from qstore_appliance.errors import BackendCannot, BackendUnavailable
from tests.factories import SteppingClock, make_caller
from tests.services.test_backends import CIRCUIT, LAB, build, described

__all__ = ["build"]

NOON = datetime(2025, 12, 20, 12, 0, tzinfo=UTC)
ONE = NOON + timedelta(hours=1)


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock(NOON)


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which native and lightning have been measured, native being the faster one."""
    fast, slow = (Speed(qubits=(4, 18), forward=(pace, pace), adjoint=2.0, call=1e-5) for pace in (1e-10, 1e-8))
    found = MachineSpeed(key="", speeds={"native": fast, "lightning": slow})
    monkeypatch.setattr(machine_speed, "load", lambda: found)


async def why(backends: Any, wanted: str | None = None, gpus: int = 0, **preferences: Any) -> tuple[str, str, str]:
    found = await backends.choose(LAB, wanted, preferences, CIRCUIT, None, gpus)
    return found.backend, found.auto, found.reason


async def test_named_preferred_fastest(build: Any) -> None:
    """The job's own word, the user's preference, and the measured speed are told apart."""
    backends = build(native=described("native"), lightning=described("lightning"), qsim=described("qsim"))

    assert await why(backends, "qsim") == ("qsim", "native", "The job names qsim.")
    assert await why(backends, default_backend="qsim") == ("qsim", "native", "qsim is the user's default backend.")
    assert await why(backends) == (
        "native",
        "native",
        "native is the fastest that was measured on this machine for 2 qubits.",
    )
    await backends.close()


async def test_what_was_passed_over(build: Any) -> None:
    """A faster one that cannot, and a preference that does not fit, are named with their reasons."""
    backends = build(
        native=described("native", max_qubits=1),
        lightning=described("lightning", available=False, reason="The backend lightning needs pennylane."),
        qsim=described("qsim"),
        tiny=described("tiny", max_depth=1),
    )

    _, _, reason = await why(backends, default_backend="tiny")

    assert reason == (
        "Of those that can take it now, qsim is the first that can run it, none of those that were measured on this "
        "machine can; passed over tiny, the user's default backend (tiny takes circuits up to depth 1; this one has 2), "
        "native (native takes at most 1 qubits on this machine; the circuit has 2), lightning (the backend lightning is "
        "not available: The backend lightning needs pennylane)."
    )
    await backends.close()


async def test_degraded_is_named_only(build: Any) -> None:
    """A degraded backend says why, is passed over by "auto", and may still be named; a good report clears it."""
    backends = build(native=described("native"), lightning=described("lightning"))
    await backends.listed(make_caller())

    backends.degrade("native", "Its provider failed five times in a row.")
    backends.degrade("no such backend", "x")
    (native,) = await backends.listed(make_caller(), "degraded")
    named, auto = await why(backends, "native"), await why(backends)
    backends.degrade("native", None)

    assert (native.name, native.reason) == ("native", "Its provider failed five times in a row.")
    assert named == (
        "native",
        "lightning",
        "The job names native, which is degraded: Its provider failed five times in a row.",
    )
    assert auto[2] == (
        "Of those that can take it now, lightning is the fastest that was measured on this machine for 2 qubits; passed "
        "over native (it is degraded: Its provider failed five times in a row)."
    )
    assert (await why(backends))[0] == "native"
    assert await backends.listed(make_caller(), "degraded") == []
    await backends.close()


async def test_maintenance_is_waited_for_by_name_only(build: Any, clock: SteppingClock) -> None:
    """ "auto" passes over a backend in maintenance; who names it gets it, even where it does not answer meanwhile."""
    backends = build(
        native=described("native", available=False, reason="It is being upgraded."), qsim=described("qsim")
    )
    await backends.maintain(make_caller("owner", operator=True), "native", None, ONE)

    assert await why(backends, "native") == (
        "native",
        "qsim",
        "The job names native; it waits for the maintenance there to end at 2025-12-20T13:00:00Z.",
    )
    assert (await why(backends))[0] == "qsim"
    clock.advance(hours=1)
    with pytest.raises(BackendUnavailable, match=r"It is being upgraded\."):
        await why(backends, "native")
    await backends.close()


async def test_everything_in_maintenance(build: Any) -> None:
    """Where "auto" finds nothing in service it refuses, and says until when each is in maintenance."""
    backends = build(native=described("native"))
    await backends.maintain(make_caller("owner", operator=True), "native", None, ONE)

    with pytest.raises(BackendCannot, match="native: It is in maintenance until 2025-12-20T13:00:00Z"):
        await why(backends)
    await backends.close()


async def test_gpu_is_preferred_where_it_is_asked_for(build: Any) -> None:
    """A job that asks for a GPU gets the simulator that has one; one that does not gets the fastest."""
    backends = build(native=described("native"), cuda=described("cuda", gpu=True))

    assert await why(backends, gpus=1) == ("cuda", "cuda", "cuda has the GPU that the job asks for.")
    assert (await why(backends))[0] == "native"
    assert (await why(backends, "native", gpus=1))[0::2] == ("native", "The job names native.")
    await backends.close()


async def test_no_gpu_is_said(build: Any) -> None:
    """Where no GPU can be had the job runs without, and the sentence says so; a remote GPU is none for "auto"."""
    backends = build(native=described("native"), cloud=described("cloud", gpu=True, remote=True))

    assert await why(backends, gpus=2) == (
        "native",
        "native",
        "native is the fastest that was measured on this machine for 2 qubits; the job asks for a GPU, and no simulator "
        "here that can run it has one.",
    )
    await backends.close()


async def test_allow_lists_hold_for_gpus(build: Any) -> None:
    """A GPU that the organization does not allow is passed over, and the sentence says why."""
    backends = build(native=described("native"), cuda=described("cuda", gpu=True))

    found = await backends.choose(Allowance(allowed_backends=["native"]), None, {}, CIRCUIT, None, 1)

    assert found.backend == "native"
    assert "passed over cuda (Your organization does not allow the backend cuda)." in found.reason
    await backends.close()
