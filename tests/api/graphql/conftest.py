"""Asking over GraphQL: `ask("{ currentUser { email } }", role="viewer")`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.conftest import Client


class Answered:
    """An answer, read."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self.headers = answer.headers
        body: dict[str, Any] = answer.json()
        assert set(body) <= {"data", "errors"}, body
        self.errors: list[dict[str, Any]] = body.get("errors", [])
        self.body = body
        self.raw = body.get("data")

    @property
    def data(self) -> dict[str, Any]:
        """Of an answer without errors."""
        assert self.errors == []
        assert self.raw is not None
        return self.raw

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]


Ask = Callable[..., Any]


@pytest.fixture
def ask(client: Client) -> Ask:
    clients: dict[str, httpx.AsyncClient] = {}

    async def asked(query: str, /, role: str = "owner", name: str | None = None, **variables: Any) -> Answered:
        if role not in clients:
            clients[role] = client(role)
        body = {"query": query, "variables": variables} | ({"operationName": name} if name else {})
        return Answered(await clients[role].post("/graphql", json=body))

    return asked
