"""
Noise: channels that act after gates, readout that errs, or a provider's own model by its name.

Channels do not depend on a circuit's parameters, so the shift rule stays exact under them. They are sampled, one random
trajectory per shot; so noise always needs a number of shots, and a shot's outcome is a fair draw from the noisy state:
the standard error of a mean of such outcomes is what it is without noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from qstore_appliance.errors import BackendCannot, ValidationFailed

#: Channels by their names in `config.noise`, in the order in which they act.
CHANNELS: Final = ("depolarizing", "amplitude_damping", "readout")


class ReadoutError(msgspec.Struct, frozen=True):
    """
    How a measured bit is misread, each bit by itself.

    Attributes:
        p01: probability that 0 is read as 1.
        p10: probability that 1 is read as 0.
    """

    p01: float = 0.0
    p10: float = 0.0


class Noise(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What an execution suffers; a channel that is None is not asked for.

    After each gate of the circuit, on each qubit that the gate touches: depolarizing, then amplitude damping. The gates
    that turn a measurement into another basis are part of the measurement and have none.

    Attributes:
        depolarizing: probability of an X, Y or Z, each equally likely.
        amplitude_damping: probability that an excited qubit relaxes.
        readout: errors of every measured bit.
        model: a provider's own model instead of channels.
    """

    depolarizing: float | None = None
    amplitude_damping: float | None = None
    readout: ReadoutError | None = None
    model: str | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any] | None) -> Noise | None:
        """
        What a job's `config.noise` asks for; None without one.

        Raises:
            ValidationFailed: `config.noise…`: a number that is no probability, a name that is not known, nothing at all,
                or a model beside channels.
        """
        if config is None:
            return None
        for name in config:
            if name not in (*CHANNELS, "model"):
                raise ValidationFailed.field(f"config.noise.{str(name)[:40]}", f"is none of {', '.join(CHANNELS)}")
        readout, model = config.get("readout"), config.get("model")
        if isinstance(readout, Mapping):
            for side in readout:
                if side not in ("p01", "p10"):
                    raise ValidationFailed.field(f"config.noise.readout.{str(side)[:40]}", "is neither p01 nor p10")
            misread = {side: _probability(f"readout.{side}", readout.get(side, 0.0)) or 0.0 for side in ("p01", "p10")}
            error: ReadoutError | None = ReadoutError(**misread)
        else:
            rate = _probability("readout", readout)
            error = None if rate is None else ReadoutError(rate, rate)
        noise = cls(
            depolarizing=_probability("depolarizing", config.get("depolarizing")),
            amplitude_damping=_probability("amplitude_damping", config.get("amplitude_damping")),
            readout=error,
            model=None if model is None else str(model),
        )
        if not noise.channels and noise.model is None:
            raise ValidationFailed.field("config.noise", f"name one of {', '.join(CHANNELS)}, or a model")
        if noise.channels and noise.model is not None:
            raise ValidationFailed.field("config.noise.model", "a provider's model stands alone, without channels")
        return noise

    @property
    def channels(self) -> tuple[str, ...]:
        """Those that are asked for, whatever their strength."""
        return tuple(name for name in CHANNELS if getattr(self, name) is not None)

    @property
    def on_gates(self) -> bool:
        """Whether the state itself suffers, and not only what is read of it."""
        return bool(self.depolarizing or self.amplitude_damping)

    def document(self) -> dict[str, Any]:
        """Ready for JSON: what is asked for and nothing else."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def check(self, backend: str, channels: Sequence[str], models: Sequence[str]) -> None:
        """
        Args:
            backend: its name; channels, models: what its capabilities list.

        Raises:
            BackendCannot: it has no such noise.
            ValidationFailed: `config.noise.model`: it has models, but none of this name.
        """
        missing = [name for name in self.channels if name not in channels]
        if missing:
            known = f"only {', '.join(channels)}" if channels else "no noise channels"
            raise BackendCannot(f"{backend} has {known}, not {', '.join(missing)}.", details={"noise": missing})
        if self.model is not None and not models:
            raise BackendCannot(f"{backend} has no noise models of its own.", details={"noise": ["model"]})
        if self.model is not None and self.model not in models:
            known = ", ".join(models)
            raise ValidationFailed.field(
                "config.noise.model", f"{backend} has none called {self.model!r}; it has {known}"
            )


def needs_shots() -> ValidationFailed:
    """The refusal of noise without shots."""
    return ValidationFailed.field("config.shots", "noise is sampled, one trajectory per shot; say how many shots")


def _probability(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        raise ValidationFailed.field(f"config.noise.{name}", "must be a probability from 0 to 1")
    return float(value)
