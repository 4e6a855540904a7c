"""
The state of a training between two epochs, as bytes.

Random streams are addressed by seed and epoch (`streams.py`): the epoch's number is all there is to remember of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import archive
from qstore_appliance.errors import ArtifactCorrupt, QStoreError

VERSION = 1
_KEYS = frozenset({"epoch", "fingerprint", "optimizer", "early_stopping", "scores", "best_loss", "features"})


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """
    Attributes:
        epoch: the last one that is over.
        fingerprint: of what must be the same to go on: circuit, data, readout, noise, optimiser, seed.
        parameters: [weights, head] flat.
        optimizer: its arrays and document.
        features: the fitted transform's arrays and document.
        early_stopping: arrays and document, empty where it is not asked for.
        scores: of the last epoch.
        best_loss: lowest training loss so far.
        health: what `health.py` remembers, arrays and document.
    """

    epoch: int
    fingerprint: str
    parameters: NDArray[np.float64]
    optimizer: tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]
    features: tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]
    early_stopping: tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]
    scores: Mapping[str, Any]
    best_loss: float
    health: tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]] = ({}, {})

    def pack(self) -> bytes:
        arrays = {"parameters": self.parameters}
        for section in ("optimizer", "features", "early_stopping", "health"):
            arrays |= {f"{section}.{name}": array for name, array in getattr(self, section)[0].items()}
        return archive.pack(
            arrays,
            {
                "version": VERSION,
                "epoch": self.epoch,
                "fingerprint": self.fingerprint,
                "optimizer": dict(self.optimizer[1]),
                "features": dict(self.features[1]),
                "early_stopping": dict(self.early_stopping[1]),
                "scores": dict(self.scores),
                "best_loss": self.best_loss,
                "health": dict(self.health[1]),
            },
        )

    @classmethod
    def unpack(cls, content: bytes) -> Checkpoint:
        """
        Raises:
            ArtifactCorrupt: these are not the bytes of a checkpoint of this version.
        """
        try:
            arrays, document = archive.read(content)
        except QStoreError as error:
            raise ArtifactCorrupt(f"The checkpoint cannot be read: {error.message}") from error
        if document.get("version") != VERSION or not document.keys() >= _KEYS or "parameters" not in arrays:
            raise ArtifactCorrupt("The checkpoint is of another version or incomplete.")

        def section(name: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
            prefix = f"{name}."
            found = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
            return found, document.get(name, {})

        return cls(
            epoch=document["epoch"],
            fingerprint=document["fingerprint"],
            parameters=arrays["parameters"],
            optimizer=section("optimizer"),
            features=section("features"),
            early_stopping=section("early_stopping"),
            scores=document["scores"],
            best_loss=document["best_loss"],
            health=section("health"),
        )
