"""What is measured of a machine, kept, and used to order its backends."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from qstore_appliance.engine import machine_speed
from qstore_appliance.engine.machine_speed import MachineSpeed, Speed

NAMES = ("native", "lightning", "qsim")


def speed(*forward: float, adjoint: float = 2.0) -> Speed:
    return Speed(qubits=(4, 10, 18), forward=forward, adjoint=adjoint, call=1e-5)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where measurements are kept, empty."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path / machine_speed.FILE_NAME


def test_the_crossover_is_where_lightning_begins_to_be_faster() -> None:
    """From the first size on at which native never wins again."""
    measured = MachineSpeed(key="", speeds={"native": speed(1e-10, 1e-10, 1e-9), "lightning": speed(1e-7, 1e-9, 1e-10)})

    crossover = measured.crossover()

    assert crossover is not None
    assert 10 < crossover < 18
    assert machine_speed.auto_order(crossover - 1, NAMES, measured) == ["native", "lightning", "qsim"]
    assert machine_speed.auto_order(crossover, NAMES, measured) == ["lightning", "native", "qsim"]


def test_without_a_crossover_the_order_stays() -> None:
    """Where native is always faster, or nothing was measured, the list is what it was."""
    always = MachineSpeed(key="", speeds={"native": speed(1e-10, 1e-10, 1e-10), "lightning": speed(1e-7, 1e-8, 1e-9)})
    alone = MachineSpeed(key="", speeds={"native": speed(1e-10, 1e-10, 1e-10)})

    for measured in (always, alone):
        assert measured.crossover() is None
        assert machine_speed.auto_order(20, NAMES, measured) == list(NAMES)


def test_speeds_between_and_beyond_what_was_measured() -> None:
    """Between two sizes the logarithm is a straight line; beyond the last it stays."""
    found = speed(1e-8, 1e-10, 1e-10)

    assert found.per_amplitude(1) == found.per_amplitude(4) == 1e-8
    assert found.per_amplitude(7) == pytest.approx(1e-9)
    assert found.per_amplitude(30) == 1e-10


def test_nothing_is_read_where_nothing_was_measured(kept: Path) -> None:
    """No file, a broken one, and one of another version or processor count as none."""
    assert machine_speed.load() is None
    kept.write_text("{")
    assert machine_speed.load() is None
    kept.write_bytes(msgspec.json.encode(MachineSpeed(key="another", speeds={})))
    assert machine_speed.load() is None


@pytest.mark.long
def test_a_measurement_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured is what is read, with every rival that works here."""
    monkeypatch.setattr(machine_speed, "FILE_NAME", "speed-of-a-test.json")
    monkeypatch.setattr(machine_speed, "POINTS", ((2, 8), (4, 8)))
    try:
        measured = machine_speed.measure()

        assert machine_speed.load() == measured
        assert measured.speeds["native"].qubits == (2, 4)
        assert all(0 < seconds < 1 for speed in measured.speeds.values() for seconds in speed.forward)
    finally:
        machine_speed.path().unlink(missing_ok=True)
