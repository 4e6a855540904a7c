"""The page of costs: what it shows is what the ledger says, and the budget is set from it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.browser.serving import Lab

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_the_month_is_that_of_the_ledger(lab: Lab, page: Any, digits_job: dict[str, Any]):
    """Every grouping has its table, with the ledger's numbers; the link gives the same as CSV."""
    usage = lab.get("/v1/usage")

    page.goto("/app/costs")
    page.locator("[data-part=rows] tr").first.wait_for()
    today = page.locator("[data-part=rows] tr").first.inner_text()
    page.get_by_role("button", name="Backend").click()
    page.get_by_role("columnheader", name="Backend", exact=True).wait_for()
    backends = page.locator("[data-part=rows] .primary").all_inner_texts()
    page.get_by_role("button", name="Project").click()
    page.locator("[data-part=rows]", has_text="No project").wait_for()
    address = page.locator("[data-part=csv]").evaluate("element => element.href")

    assert f"{usage['breakdown_by_day'][-1]['circuits']:,}" in today
    assert f"{usage['total_circuits']:,} circuits" in page.locator("[data-part=subtitle]").inner_text()
    assert sorted(backends) == sorted(usage["breakdown_by_backend"])
    answer = page.request.get(address)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text().startswith("project,backend,cost,circuits")


def test_a_month_without_usage_says_so(lab: Lab, page: Any):
    """Going back a month asks for that month; going on from the present one is not offered."""
    page.goto("/app/costs")
    page.locator("[data-part=subtitle]", has_text="circuits").wait_for()
    assert page.get_by_role("button", name="Later month").is_disabled()

    page.get_by_role("button", name="Earlier month").click()

    page.locator("[data-part=none]", has_text="Nothing ran in").wait_for()
    assert page.get_by_role("button", name="Later month").is_enabled()


def test_the_budget_is_set_and_taken_away(lab: Lab, page: Any):
    """The dialog sets the limit, refuses what is none with the API's sentence, and an empty field takes it away."""
    page.goto("/app/costs")
    page.locator("[data-part=share]", has_text="No limit is set").wait_for()
    page.get_by_role("button", name="Change the budget").click()
    field = page.get_by_label("Limit in US dollars")
    field.fill("2000000000")
    page.get_by_role("button", name="Set the budget").click()
    page.locator("[data-part=budget-fault]:not([hidden])").wait_for()
    assert lab.get("/v1/budget")["monthly_limit"] is None

    field.fill("12.5")
    page.get_by_role("button", name="Set the budget").click()
    page.locator("[data-part=spent]", has_text="of $12.50 spent").wait_for()
    assert lab.get("/v1/budget")["monthly_limit"] == 12.5

    page.get_by_role("button", name="Change the budget").click()
    field.fill("")
    page.get_by_role("button", name="Set the budget").click()
    page.locator("[data-part=share]", has_text="No limit is set").wait_for()
    assert lab.get("/v1/budget")["monthly_limit"] is None


def test_the_page_is_for_those_who_may_see_money(lab: Lab):
    """Somebody who is not signed in is led to the door."""
    answer = httpx.get(f"{lab.address}/app/costs", trust_env=False)

    assert answer.status_code == 302
    assert answer.headers["location"] == "/app/sign-in?next=/app/costs"
