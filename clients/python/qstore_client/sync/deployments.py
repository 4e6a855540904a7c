# Written by `generate` from `aio/deployments.py`; not by hand.
"""Deployments of models."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from types import EllipsisType
from typing import Any

from qstore_client.bodies import at, sent
from qstore_client.decoding import decode
from qstore_client.errors import QStoreError
from qstore_client.pages import Page
from qstore_client.sync.events import Events, told
from qstore_client.sync.http import Http
from qstore_client.sync.wire import sleep
from qstore_client.types import CanaryDraft, Deployment, DeploymentUpdate, ShadowDraft

PATH = "/v1/deployments"


class DeploymentFailed(QStoreError):
    """A deployment that was waited for does not answer."""


class Deployments:
    def __init__(self, http: Http, events: Events) -> None:
        self._http = http
        self._events = events

    def list(self, *, limit: int = 20, offset: int = 0, sort: str | None = None) -> Page[Deployment]:
        return self._http.page(Deployment, PATH, limit=limit, offset=offset, sort=sort)

    def iterate(self, *, sort: str | None = None, page_size: int = 100) -> Iterator[Deployment]:
        return self._http.rows(Deployment, PATH, page_size, sort=sort)

    def get(self, deployment_id: str) -> Deployment:
        """One deployment with its replicas."""
        return self._http.get(Deployment, at(PATH, deployment_id))

    def roll_out(
        self,
        deployment_id: str,
        *,
        model_id: str | None = None,
        canary: CanaryDraft | Mapping[str, Any] | EllipsisType | None = ...,
        shadow: ShadowDraft | Mapping[str, Any] | EllipsisType | None = ...,
    ) -> Deployment:
        """
        Change the versions behind its address; what is not given stays.

        Args:
            model_id: Answers from now on.
            canary: `{"model_id", "share"}` answers that share of the requests; None ends it.
            shadow: `{"model_id"}` is asked the same and compared; None ends it.
        """
        body: dict[str, Any] = sent(model_id=model_id)
        if canary is not ...:
            body["canary"] = canary
        if shadow is not ...:
            body["shadow"] = shadow
        return decode(Deployment, (self._http.ask("PATCH", at(PATH, deployment_id), json=body)).data)

    def roll_back(self, deployment_id: str) -> Deployment:
        """End a canary and a shadow; where there is neither, the version that answered before answers again."""
        return self._http.post(Deployment, at(PATH, deployment_id, "rollback"))

    def stream_status(self, deployment_id: str) -> Generator[DeploymentUpdate, None, None]:
        """Each change of its status, until you stop listening."""
        for event in self._events.subscribe("deployment.status", deployment_id=deployment_id):
            if not event.reset:
                yield told(DeploymentUpdate, event)

    def wait(self, deployment_id: str) -> Deployment:
        """
        The deployment, once it answers predictions.

        Raises:
            DeploymentFailed: It does not, and will not.
        """
        deployment = self.get(deployment_id)
        while deployment.status == "deploying":
            # Its stream tells of changes alone, and it may have changed before anybody listened.
            sleep(0.2)
            deployment = self.get(deployment_id)
        if deployment.status != "deployed":
            raise DeploymentFailed(f"Deployment {deployment_id} is {deployment.status}.")
        return deployment
