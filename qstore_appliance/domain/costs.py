"""Money: integer micro-dollars in rows and arithmetic, decimal dollars in JSON; rounding is always up."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_CEILING, Decimal

import msgspec

MICRO = 1_000_000


def micros(dollars: float | Decimal | str) -> int:
    """US dollars to micro-dollars, rounded up. Floats go through their shortest decimal form."""
    return int((Decimal(str(dollars)) * MICRO).to_integral_value(rounding=ROUND_CEILING))


def dollars(micros: int) -> float:
    """Micro-dollars to US dollars for JSON: exact to the micro-dollar up to a billion dollars."""
    return micros / MICRO


def month_of(moment: datetime) -> str:
    """The calendar month of a time in UTC, `2026-03`: what a monthly limit is of. Sorts as text."""
    return moment.strftime("%Y-%m")


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """
    What ran.

    Attributes:
        cpu_microseconds: Processor time of the process that computed, all its threads together.
        gpu_microseconds: Wall time in which it held a graphics card.
    """

    circuits: int = 0
    shots: int = 0
    cpu_microseconds: int = 0
    gpu_microseconds: int = 0

    def __add__(self, other: Metered) -> Metered:
        return Metered(
            circuits=self.circuits + other.circuits,
            shots=self.shots + other.shots,
            cpu_microseconds=self.cpu_microseconds + other.cpu_microseconds,
            gpu_microseconds=self.gpu_microseconds + other.gpu_microseconds,
        )

    def __sub__(self, other: Metered) -> Metered:
        return Metered(
            circuits=self.circuits - other.circuits,
            shots=self.shots - other.shots,
            cpu_microseconds=self.cpu_microseconds - other.cpu_microseconds,
            gpu_microseconds=self.gpu_microseconds - other.gpu_microseconds,
        )


def price(
    circuits: int,
    shots: int,
    *,
    per_circuit: int,
    per_shot: int,
    minimum_charge: int = 0,
    cpu_microseconds: int = 0,
    gpu_microseconds: int = 0,
    per_cpu_second: int = 0,
    per_gpu_second: int = 0,
) -> int:
    """What so much costs in micro-dollars, rounded up; the minimum applies only where something costs at all."""
    amount = circuits * per_circuit + shots * per_shot
    # Whole numbers throughout: a float would lose micro-dollars, and round down as often as up.
    amount -= -(cpu_microseconds * per_cpu_second + gpu_microseconds * per_gpu_second) // MICRO
    return max(amount, minimum_charge) if amount else 0


class CostEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    A row of the ledger; `amount` in micro-dollars, `event_type` is `training`, `prediction` or `circuit`.

    A negative amount corrects what an earlier event of the same job has charged too much.
    """

    id: str
    organization_id: str
    user_id: str
    event_type: str
    backend: str
    amount: int
    circuits: int
    shots: int
    cpu_microseconds: int = 0
    gpu_microseconds: int = 0
    job_id: str | None = None
    model_id: str | None = None
    project: str | None = None
