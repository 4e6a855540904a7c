# Written by `generate` from `aio/client.py`; not by hand.
"""The client: every noun of the API, in the order of its documentation."""

from __future__ import annotations

import os
import ssl
from types import TracebackType

from qstore_client.sync.api_keys import ApiKeys
from qstore_client.sync.audit import Audit
from qstore_client.sync.auth import Auth
from qstore_client.sync.backends import Backends
from qstore_client.sync.budget import Budget
from qstore_client.sync.circuits import Circuits
from qstore_client.sync.datasets import Datasets
from qstore_client.sync.deployments import Deployments
from qstore_client.sync.downloads import Downloads
from qstore_client.sync.events import Events
from qstore_client.sync.graphql import GraphQL
from qstore_client.sync.http import Http
from qstore_client.sync.invitations import Invitations
from qstore_client.sync.jobs import Jobs
from qstore_client.sync.models import Models
from qstore_client.sync.organization import Organizations
from qstore_client.sync.outbox import Outbox
from qstore_client.sync.probes import Probes
from qstore_client.sync.roles import Roles
from qstore_client.sync.second_factor import SecondFactor
from qstore_client.sync.sessions import Sessions
from qstore_client.sync.sweeps import Sweeps
from qstore_client.sync.usage import Usage
from qstore_client.sync.users import Users
from qstore_client.sync.webhooks import Webhooks
from qstore_client.sync.workers import Workers

#: Where a development server listens (the specification's "Base URL").
DEVELOPMENT = "http://localhost:8000"


class SyncQStoreClient:
    """
    A client of one Q-Store server. Credentials are an API key, or tokens, or a user; the first of these that is given.

    Args:
        base_url: The server's address; else `$QSTORE_URL`, else `http://localhost:8000`.
        api_key: `qsk_…`; else `$QSTORE_API_KEY`, where nothing else is given.
        token: An access token.
        refresh_token: Trades itself for new tokens when the access token ends.
        email, password: Signs in when it is first needed, and again when the session has ended.
        timeout: Seconds that an answer may take.
        retries: How often a request is sent again that found no server, a busy one, or an empty bucket. Every POST
            carries an `Idempotency-Key`, so what was done is not done twice.
        longest_wait: Seconds that the server may ask to wait before another try; beyond that its error is raised.
        verify: False, or an `ssl.SSLContext` that knows the server's certificate.
        trust_env: Use the proxies of the environment.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        token: str | None = None,
        refresh_token: str | None = None,
        email: str | None = None,
        password: str | None = None,
        timeout: float = 60.0,
        retries: int = 5,
        longest_wait: float = 60.0,
        verify: ssl.SSLContext | bool = True,
        trust_env: bool = True,
    ) -> None:
        if api_key is None and token is None and refresh_token is None and email is None:
            api_key = os.environ.get("QSTORE_API_KEY") or None
        self._http = Http(
            _address(base_url or os.environ.get("QSTORE_URL") or DEVELOPMENT),
            api_key=api_key,
            token=token,
            refresh_token=refresh_token,
            email=email,
            password=password,
            timeout=timeout,
            retries=retries,
            longest_wait=longest_wait,
            verify=verify,
            trust_env=trust_env,
        )
        self.events = Events(self._http)
        self.auth = Auth(self._http)
        self.sessions = Sessions(self._http)
        self.users = Users(self._http)
        self.second_factor = SecondFactor(self._http)
        self.organization = Organizations(self._http)
        self.roles = Roles(self._http)
        self.invitations = Invitations(self._http)
        self.api_keys = ApiKeys(self._http)
        self.circuits = Circuits(self._http)
        self.datasets = Datasets(self._http)
        self.jobs = Jobs(self._http, self.events)
        self.sweeps = Sweeps(self._http)
        self.models = Models(self._http)
        self.deployments = Deployments(self._http, self.events)
        self.backends = Backends(self._http, self.events)
        self.usage = Usage(self._http)
        self.budget = Budget(self._http)
        self.outbox = Outbox(self._http)
        self.webhooks = Webhooks(self._http)
        self.audit = Audit(self._http)
        self.workers = Workers(self._http)
        self.graphql = GraphQL(self._http)
        self.downloads = Downloads(self._http)
        self.probes = Probes(self._http)

    def __repr__(self) -> str:
        # Never the credentials.
        return f"{type(self).__name__}({self._http.base_url!r})"

    def __enter__(self) -> SyncQStoreClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what is connected."""
        self._http.close()


def _address(url: str) -> str:
    """Without the `/v1` that the specification's base URLs end with."""
    return url.rstrip("/").removesuffix("/v1").rstrip("/")
