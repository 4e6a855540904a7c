from __future__ import annotations

from typing import Any

import pytest

from qstore_appliance.engine.schedules import schedule


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("constant", [1.0] * 6),
        ({"type": "step", "every": 1, "factor": 0.5}, [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]),
        ({"type": "step", "every": 2, "factor": 0.1}, [1.0, 1.0, 1.0, 1.0, 0.1, 0.1]),
        ({"type": "exponential", "factor": 0.25}, [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125]),
        ({"type": "constant", "warmup": 1}, [1 / 3, 2 / 3, 1.0, 1.0, 1.0, 1.0]),
        ({"type": "step", "every": 1, "factor": 0.5, "warmup": 1}, [1 / 3, 2 / 3, 1.0, 1.0, 0.5, 0.5]),
    ],
)
def test_factors_follow_the_definition(config: Any, expected: list[float]) -> None:
    """Over three epochs of two steps each; a warm-up comes in front and the schedule begins behind it."""
    found = schedule(config, total_steps=6, steps_per_epoch=2)

    assert [found.at(step) for step in range(6)] == pytest.approx(expected)


def test_a_warm_cosine_still_ends_at_zero() -> None:
    """The warm-up takes its steps from the run, not from the fall."""
    found = schedule({"type": "cosine", "warmup": 2}, total_steps=10, steps_per_epoch=1)
    factors = [found.at(step) for step in range(11)]

    assert factors[2] == max(factors) == 1.0
    assert factors[10] == pytest.approx(0.0)
