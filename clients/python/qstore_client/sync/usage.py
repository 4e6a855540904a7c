# Written by `generate` from `aio/usage.py`; not by hand.
"""What was used and what it cost."""

from __future__ import annotations

from datetime import date

from qstore_client.sync.http import Http
from qstore_client.types import Usage as UsageReport

PATH = "/v1/usage"


class Usage:
    def __init__(self, http: Http) -> None:
        self._http = http

    def get(
        self, *, start_date: date | str | None = None, end_date: date | str | None = None, group_by: str = "day"
    ) -> UsageReport:
        """By `day`, `backend`, `user` or `project`; without dates the month so far."""
        return self._http.get(UsageReport, PATH, start_date=start_date, end_date=end_date, group_by=group_by)

    def csv(
        self, *, start_date: date | str | None = None, end_date: date | str | None = None, group_by: str = "day"
    ) -> str:
        return self._http.text(PATH, start_date=start_date, end_date=end_date, group_by=group_by, format="csv")
