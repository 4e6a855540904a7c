"""Budget and usage over HTTP: shapes, permissions, refusals, and a table that runs no formula."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from qstore_appliance.database.tables.costs import CostEventRow
from qstore_appliance.domain import ids
from tests.api.conftest import Client, Served

BUDGET = {
    "monthly_limit": 10_000.0,
    "alerts": [
        {"threshold": 75, "action": "email", "recipients": ["admin@example.com"]},
        {"threshold": 90, "action": "slack", "webhook": "https://hooks.slack.com/services/x"},
        {"threshold": 100, "action": "pause_new_jobs"},
    ],
}
TODAY = datetime.now(UTC).replace(hour=12)


async def event(served: Served, days_ago: int = 0, role: str = "owner", **changes: Any) -> str:
    """Something that cost a dollar and a half on qsim."""
    caller = await served.caller(role)
    values: dict[str, Any] = {
        "event_type": "training",
        "backend": "qsim",
        "amount": 1_500_000,
        "circuits": 10,
        "shots": 100,
    }
    await CostEventRow.create(
        id=ids.new("cost"),
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        created_at=TODAY - timedelta(days=days_ago),
        **{**values, **changes},
    )
    return caller.user_id


async def test_a_budget_is_set_and_shown(client: Client) -> None:
    """PUT answers what GET shows; alerts that are left out stay; no limit has nothing to be a share of."""
    admin = client("admin")
    fresh = (await admin.get("/v1/budget")).json()["data"]

    put = await admin.put("/v1/budget", json=BUDGET)
    again = (await admin.put("/v1/budget", json={"monthly_limit": 0.5})).json()["data"]
    unlimited = (await admin.put("/v1/budget", json={"monthly_limit": None, "alerts": []})).json()["data"]

    assert (fresh["monthly_limit"], fresh["remaining"], fresh["percentage_used"], fresh["alerts"]) == (None,) * 3 + (
        [],
    )
    assert put.status_code == 200
    assert put.json()["data"] == {
        "monthly_limit": 10_000.0,
        "current_spend": 0.0,
        "reserved": 0.0,
        "remaining": 10_000.0,
        "percentage_used": 0.0,
        "alerts": [
            {"threshold": 75, "status": "not_triggered", "action": "email"},
            {"threshold": 90, "status": "not_triggered", "action": "slack"},
            {"threshold": 100, "status": "not_triggered", "action": "pause_new_jobs"},
        ],
        "projected_monthly_spend": 0.0,
    }
    assert (again["monthly_limit"], len(again["alerts"])) == (0.5, 3)
    assert (unlimited["monthly_limit"], unlimited["alerts"]) == (None, [])


async def test_a_budget_is_an_admins(client: Client) -> None:
    """Everybody of the organization sees it; developers and viewers may not set it."""
    for role in ("viewer", "developer"):
        assert (await client(role).get("/v1/budget")).status_code == 200
        assert (await client(role).put("/v1/budget", json=BUDGET)).status_code == 403


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e400", "-1", "9223372036854775808", '"5"', "true"])
async def test_numbers_that_are_no_money(client: Client, text: str) -> None:
    """422 for a limit, a top-up and a job's limit, and nothing changes."""
    headers = {"Content-Type": "application/json"}
    for method, path, body in (
        ("PUT", "/v1/budget", f'{{"monthly_limit": {text}}}'),
        ("POST", f"/v1/jobs/{ids.new('job')}/top-up", f'{{"budget_limit": {text}}}'),
        ("POST", "/v1/jobs", f'{{"circuit_id": "c", "config": {{"epochs": 1}}, "budget_limit": {text}}}'),
    ):
        answer = await client("admin").request(method, path, content=body, headers=headers)
        assert answer.status_code == 422, (path, answer.text)
    assert (await client("admin").get("/v1/budget")).json()["data"]["monthly_limit"] is None


async def test_usage_by_day_has_the_printed_shape(served: Served, owner: httpx.AsyncClient) -> None:
    """Totals, days with their backends, and backends, of the range and of nobody else."""
    await event(served, days_ago=2)
    await event(served, amount=250_000, backend="native", cpu_microseconds=2_500_000)
    await event(served)
    await event(served, days_ago=40, amount=9_000_000)
    await event(served, role="stranger", amount=7_000_000)
    first, last = ((TODAY - timedelta(days=days)).date().isoformat() for days in (2, 0))

    answer = await owner.get("/v1/usage", params={"start_date": first, "end_date": last, "group_by": "day"})

    assert answer.status_code == 200
    assert answer.json()["data"] == {
        "start_date": first,
        "end_date": last,
        "total_cost": 3.25,
        "total_circuits": 30,
        "total_shots": 300,
        "total_cpu_seconds": 2.5,
        "total_gpu_seconds": 0.0,
        "breakdown_by_day": [
            {"date": first, "cost": 1.5, "circuits": 10, "shots": 100, "backend_breakdown": {"qsim": 1.5}},
            {
                "date": last,
                "cost": 1.75,
                "circuits": 20,
                "shots": 200,
                "backend_breakdown": {"native": 0.25, "qsim": 1.5},
            },
        ],
        "breakdown_by_backend": {"qsim": 3.0, "native": 0.25},
    }


async def test_usage_by_user_project_and_backend(served: Served, owner: httpx.AsyncClient) -> None:
    """Each has its own breakdown, and the one by backend beside it."""
    ours, colleague = await event(served, project="qml"), await event(served, role="developer", amount=500_000)
    found = {
        by: (await owner.get("/v1/usage", params={"group_by": by})).json()["data"]
        for by in ("user", "project", "backend")
    }

    assert found["user"]["breakdown_by_user"] == {ours: 1.5, colleague: 0.5}
    assert found["project"]["breakdown_by_project"] == {"": 0.5, "qml": 1.5}
    for by in found:
        assert found[by]["breakdown_by_backend"] == {"qsim": 2.0}
        assert "breakdown_by_day" not in found[by]


async def test_usage_as_a_table_runs_no_formula(served: Served, owner: httpx.AsyncClient) -> None:
    """CSV by parameter or by Accept; a project that looks like a formula is text; amounts are exact."""
    for project in ("=1+1", "+1", "-1", "@SUM(A1)", 'plain, "quoted"'):
        await event(served, project=project, amount=1)
    await event(served, amount=-10)

    asked = await owner.get("/v1/usage", params={"group_by": "project", "format": "csv"})
    accepted = await owner.get("/v1/usage", params={"group_by": "project"}, headers={"Accept": "text/csv"})

    rows = list(csv.reader(io.StringIO(asked.text)))
    assert asked.text == accepted.text
    assert asked.headers["content-type"].startswith("text/csv")
    assert rows[0] == ["project", "backend", "cost", "circuits", "shots", "cpu_seconds", "gpu_seconds"]
    assert {row[0] for row in rows[1:]} == {"", "'=1+1", "'+1", "'-1", "'@SUM(A1)", 'plain, "quoted"'}
    assert {row[2] for row in rows[1:]} == {"0.000001", "-0.000010"}


@pytest.mark.parametrize(
    "params",
    [
        {"start_date": "2025-12-02", "end_date": "2025-12-01"},
        {"start_date": "2024-01-01", "end_date": "2025-01-01"},
        {"start_date": "2025-13-01"},
        {"start_date": "20251201"},
        {"end_date": "9999-12-31"},
        {"end_date": "tomorrow"},
        {"group_by": "country"},
        {"format": "xlsx"},
    ],
    ids=str,
)
async def test_ranges_that_are_none(owner: httpx.AsyncClient, params: dict[str, str]) -> None:
    """Backwards, longer than a year, not days, or by something unknown: 422 with the parameter."""
    answer = await owner.get("/v1/usage", params=params)

    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["errors"][0]["field"] in params


async def test_a_leap_year_is_one_report(owner: httpx.AsyncClient) -> None:
    """366 days are a range, and a day that nothing ran on is none of its rows."""
    answer = await owner.get("/v1/usage", params={"start_date": "2024-01-01", "end_date": "2024-12-31"})

    assert answer.status_code == 200
    assert answer.json()["data"]["breakdown_by_day"] == []
