# Written by `generate` from `aio/budget.py`; not by hand.
"""The month's budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qstore_client.decoding import decode, decode_all
from qstore_client.sync.http import Http
from qstore_client.types import Budget as BudgetState
from qstore_client.types import BudgetAlertDraft, SentLetter

PATH = "/v1/budget"


class Budget:
    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self) -> BudgetState:
        """The limit, what is spent and reserved of it, and where the month is heading."""
        return self._http.get(BudgetState, PATH)

    def update(
        self,
        monthly_limit: float | None,
        alerts: Sequence[BudgetAlertDraft | Mapping[str, Any]] | None = None,
    ) -> BudgetState:
        """
        Args:
            monthly_limit: US dollars; None for no limit.
            alerts: Those that were there stay, if none are given.
        """
        body: dict[str, Any] = {"monthly_limit": monthly_limit}
        if alerts is not None:
            body["alerts"] = list(alerts)
        return decode(BudgetState, (self._http.ask("PUT", PATH, json=body)).data)

    def test_alerts(self) -> list[SentLetter]:
        """Send a test message to every destination of the alerts."""
        return decode_all(SentLetter, (self._http.ask("POST", f"{PATH}/alerts/test")).data)
