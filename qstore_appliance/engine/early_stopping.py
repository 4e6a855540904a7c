"""
Stopping when the loss no longer falls, and remembering where it was lowest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.errors import ValidationFailed


class EarlyStopping:
    """
    Watches one number per epoch: the validation loss, or the training loss where nothing validates.

    Args:
        config: `{"patience", "min_delta"?: 0.0, "restore_best"?: true}`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        patience = config.get("patience", 5)
        self.min_delta = float(config.get("min_delta") or 0.0)
        self.restore_best = bool(config.get("restore_best", True))
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ValidationFailed.field("config.early_stopping.patience", "must be a whole number of at least 1")
        if not (math.isfinite(self.min_delta) and self.min_delta >= 0.0):
            raise ValidationFailed.field("config.early_stopping.min_delta", "must be a finite number of at least 0")
        self.patience = patience
        self.best: float | None = None
        self.scores: dict[str, Any] = {}
        self.parameters: NDArray[np.float64] | None = None
        self.waited = 0

    def observe(self, loss: float, parameters: NDArray[np.float64], scores: Mapping[str, Any]) -> None:
        """Take in one epoch."""
        if self.best is None or loss < self.best - self.min_delta:
            self.best, self.parameters, self.scores, self.waited = loss, parameters.copy(), dict(scores), 0
        else:
            self.waited += 1

    @property
    def stopped(self) -> bool:
        return self.waited >= self.patience

    def renew(self) -> None:
        """Somebody wants to go on all the same: be as patient again. One that has not stopped is left as it is."""
        if self.stopped:
            self.waited = 0

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and a JSON document."""
        arrays = {} if self.parameters is None else {"parameters": self.parameters}
        return arrays, {"best": self.best, "waited": self.waited, "scores": self.scores}

    def restore(self, arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]) -> None:
        if document:
            self.best, self.waited, self.scores = document["best"], document["waited"], document["scores"]
            self.parameters = arrays.get("parameters")
