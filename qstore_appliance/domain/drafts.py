"""What every draft that comes in shares: unknown fields, NaN, infinities and silent conversions are refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
