# Written by `generate` from `aio/graphql.py`; not by hand.
"""GraphQL, for questions that REST needs several requests for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qstore_client.errors import UnexpectedAnswer, api_error
from qstore_client.sync.http import Http, graphql_fault

PATH = "/graphql"


class GraphQL:
    def __init__(self, http: Http) -> None:
        self._http = http

    def query(
        self, query: str, variables: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """
        `data` of a query, or of a document of mutations.

        Raises:
            APIError: By the code of the first error; its `details["errors"]` has them all, `details["data"]` what there
                was beside.
        """
        body = {"query": query, "variables": dict(variables or {})}
        response = self._http.send("POST", PATH, json=body, key=idempotency_key)
        answer = response.json()
        if not isinstance(answer, dict):
            raise UnexpectedAnswer("GraphQL answered no object")
        if answer.get("errors"):
            raise api_error(graphql_fault(answer), status=response.status_code)
        return dict(answer["data"])

    def schema(self) -> str:
        """The schema, for code generators and editors."""
        return self._http.text("/graphql/schema.graphql")
