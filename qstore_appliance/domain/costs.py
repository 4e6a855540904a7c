"""Money: integer micro-dollars in rows and arithmetic, decimal dollars in JSON; rounding is always up."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

import msgspec

MICRO = 1_000_000


def micros(dollars: float | Decimal | str) -> int:
    """US dollars to micro-dollars, rounded up. Floats go through their shortest decimal form."""
    return int((Decimal(str(dollars)) * MICRO).to_integral_value(rounding=ROUND_CEILING))


def dollars(micros: int) -> float:
    """Micro-dollars to US dollars for JSON: exact to the micro-dollar up to a billion dollars."""
    return micros / MICRO


def price(circuits: int, shots: int, *, per_circuit: int, per_shot: int, minimum_charge: int = 0) -> int:
    """What circuits and shots cost in micro-dollars; the minimum applies only where something costs at all."""
    amount = circuits * per_circuit + shots * per_shot
    return max(amount, minimum_charge) if amount else 0


class CostEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger; `amount` in micro-dollars, `event_type` is `training` or `prediction`."""

    id: str
    organization_id: str
    user_id: str
    event_type: str
    backend: str
    amount: int
    circuits: int
    shots: int
    job_id: str | None = None
    model_id: str | None = None
