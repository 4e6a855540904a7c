# Written by `generate` from `aio/models.py`; not by hand.
"""Models: what training leaves, kept in order, deployed and asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from qstore_client import arrays
from qstore_client.bodies import at, sent
from qstore_client.decoding import decode
from qstore_client.pages import Page
from qstore_client.sync.http import Http
from qstore_client.types import (
    AutoScalingDraft,
    Comparison,
    DeploymentStarted,
    Inspection,
    Model,
    ModelMetrics,
    ModelSummary,
    Predictions,
    ResourcesDraft,
    Signer,
)
from qstore_client.uploads import FileLike, Upload

PATH = "/v1/models"


class Models:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        stage: str | None = None,
        tags: Sequence[str] | None = None,
        circuit_id: str | None = None,
        limit: int = 20,
        offset: int = 0,
        sort: str | None = None,
    ) -> Page[ModelSummary]:
        """With `name` and `sort="-version"` the versions of one model, newest first; `tags` are any of them."""
        wanted = _wanted(status, name, stage, tags, circuit_id)
        return self._http.page(ModelSummary, PATH, **wanted, limit=limit, offset=offset, sort=sort)

    def iterate(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        stage: str | None = None,
        tags: Sequence[str] | None = None,
        circuit_id: str | None = None,
        sort: str | None = None,
        page_size: int = 100,
    ) -> Iterator[ModelSummary]:
        wanted = _wanted(status, name, stage, tags, circuit_id)
        return self._http.rows(ModelSummary, PATH, page_size, **wanted, sort=sort)

    def get(self, model_id: str) -> Model:
        """One model with its parameters, what it takes and where it comes from."""
        return self._http.get(Model, at(PATH, model_id))

    def update(
        self,
        model_id: str,
        *,
        name: str | None = None,
        version: str | None = None,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Model:
        """Change what is given and leave the rest."""
        body = sent(name=name, version=version, notes=notes, tags=tags)
        return decode(Model, (self._http.ask("PATCH", at(PATH, model_id), json=body)).data)

    def promote(self, model_id: str, stage: str | None) -> Model:
        """Give a model the stage `staging` or `production`, which the version that had it loses; None takes it away."""
        return self._http.post(Model, at(PATH, model_id, "promote"), {"stage": stage})

    def compare(self, a: str, b: str) -> Comparison:
        """Two models side by side: their numbers, what differs, and whether their scores compare."""
        return self._http.post(Comparison, at(PATH, "compare"), {"a": a, "b": b})

    def delete(self, model_id: str) -> None:
        """For 24 hours it can be restored."""
        self._http.ask("DELETE", at(PATH, model_id))

    def restore(self, model_id: str) -> Model:
        """Bring back a model that was deleted within the last 24 hours."""
        return self._http.post(Model, at(PATH, model_id, "restore"))

    def export(self, model_id: str) -> bytes:
        """A model as one signed archive; write it into a file that ends in `.qcap`."""
        return (self._http.send("GET", at(PATH, model_id, "export"))).content

    def signer(self) -> Signer:
        """The key that this installation signs archives with."""
        return self._http.get(Signer, f"{PATH}/signer")

    def verify(self, file: FileLike, *, filename: str = "model.qcap") -> Inspection:
        """
        Whether an archive is whole and rightly signed, by whom, and which model is in it.

        Raises:
            ValidationFailed: It is none.
            Conflict: A part is not what was signed, or the signature is wrong.
        """
        with Upload(file, filename) as upload:
            return decode(Inspection, (self._http.ask("POST", f"{PATH}/verify", file=upload)).data)

    def import_(
        self,
        file: FileLike,
        *,
        name: str | None = None,
        version: str | None = None,
        accept: str | None = None,
        filename: str = "model.qcap",
        idempotency_key: str | None = None,
    ) -> Model:
        """
        Take in a model from an archive, with its circuit.

        Args:
            file: Its path, what it holds, or an open file.
            name, version: What it is called here, where it shall not keep its own.
            accept: The fingerprint of a key that is not among the trusted ones, trusted for this once.

        Raises:
            Conflict: The key is neither trusted nor accepted, or this version is there already.
        """
        form = sent(name=name, version=version, accept=accept)
        with Upload(file, filename) as upload:
            answer = self._http.ask("POST", f"{PATH}/import", file=upload, data=form, key=idempotency_key)
        return decode(Model, answer.data)

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


def _wanted(
    status: str | None, name: str | None, stage: str | None, tags: Sequence[str] | None, circuit_id: str | None
) -> dict[str, str | None]:
    joined = ",".join(tags) if tags else None
    return {"status": status, "name": name, "stage": stage, "tags": joined, "circuit_id": circuit_id}
