# Written by `generate` from `aio/models.py`; not by hand.
"""Models: what training leaves, deployed and asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from qstore_client import arrays
from qstore_client.bodies import at, sent
from qstore_client.pages import Page
from qstore_client.sync.http import Http
from qstore_client.types import (
    AutoScalingDraft,
    DeploymentStarted,
    Model,
    ModelMetrics,
    ModelSummary,
    Predictions,
    ResourcesDraft,
)

PATH = "/v1/models"


class Models:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(
        self, *, status: str | None = None, limit: int = 20, offset: int = 0, sort: str | None = None
    ) -> Page[ModelSummary]:
        return self._http.page(ModelSummary, PATH, status=status, limit=limit, offset=offset, sort=sort)

    def iterate(
        self, *, status: str | None = None, sort: str | None = None, page_size: int = 100
    ) -> Iterator[ModelSummary]:
        return self._http.rows(ModelSummary, PATH, page_size, status=status, sort=sort)

    def get(self, model_id: str) -> Model:
        """One model with its parameters and what it takes."""
        return self._http.get(Model, at(PATH, model_id))

    def deploy(
        self,
        model_id: str,
        *,
        backend: str | None = None,
        replicas: int = 1,
        auto_scaling: AutoScalingDraft | Mapping[str, Any] | None = None,
        resources: ResourcesDraft | Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> DeploymentStarted:
        """Serve a model. `client.deployments.wait(answer.deployment_id)` returns once it answers."""
        body = sent(backend=backend, replicas=replicas, auto_scaling=auto_scaling, resources=resources)
        return self._http.post(DeploymentStarted, at(PATH, model_id, "deploy"), body, key=idempotency_key)

    def predict(
        self,
        model_id: str,
        inputs: Any,
        *,
        backend: str | None = None,
        shots: int | Literal["auto"] | None = None,
        seed: int | None = None,
    ) -> Predictions:
        """
        Ask a deployed model: one answer for each row of `inputs`, which are raw features.

        Args:
            inputs: A numpy array, a data frame, or lists; one row for each sample.
            shots: Measurements of each; "auto" draws until the class is decided. Exact where nothing is said.

        Raises:
            ValidationFailed: The features are not as many as the model takes.
            Gone: The model is retired.
        """
        options = sent(backend=backend, shots=shots, seed=seed)
        body = sent(inputs=arrays.rows(inputs), options=options or None)
        return self._http.post(Predictions, at(PATH, model_id, "predict"), body)

    def metrics(self, model_id: str, window: str | None = None) -> ModelMetrics:
        """
        How a model did in service, by UTC day.

        Args:
            window: `7d` (the default), `24h`: the present day or hour included, at most 90 days.
        """
        return self._http.get(ModelMetrics, at(PATH, model_id, "metrics"), window=window)

    def retire(self, model_id: str) -> Model:
        """Take a model out of service for good."""
        return self._http.post(Model, at(PATH, model_id, "retire"))
