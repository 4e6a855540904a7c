"""GraphiQL, Swagger UI and ReDoc: offline, under their policies, with the dashboard's session. No console error is let by."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.browser.conftest import Opened
from tests.browser.serving import EMAIL, PASSWORD, Lab

pytestmark = pytest.mark.browser

#: They are megabytes of script.
PATIENCE_MS = 120_000
PATHS = ("/graphql", "/docs", "/redoc")


@pytest.fixture
def patient(page: Any) -> Any:
    page.set_default_timeout(PATIENCE_MS)
    return page


def test_graphiql_asks_and_subscribes(patient: Any, lab: Lab, digits_job: dict[str, Any]):
    """A query runs by POST with the session's cookie, a subscription over the WebSocket, and the schema is there to read."""
    patient.goto("/graphql")
    patient.locator(".graphiql-execute-button").click()
    answer = patient.locator(".graphiql-response")
    answer.get_by_text(f'"{EMAIL}"').wait_for()

    query = f'subscription {{ jobProgress(jobId: "{digits_job["id"]}", lastSeq: 0) {{ status currentEpoch }} }}'
    patient.locator(".graphiql-query-editor .CodeMirror").click()
    patient.keyboard.press("Control+a")
    patient.keyboard.insert_text(query)
    # GraphiQL reads what was typed a moment later; until then it names the operation that was there before.
    for _ in range(60):
        patient.wait_for_timeout(1_000)
        patient.locator(".graphiql-execute-button").click()
        patient.wait_for_timeout(1_000)
        if answer.get_by_text('"COMPLETED"').is_visible():
            break
    answer.get_by_text('"COMPLETED"').wait_for()
    patient.get_by_role("button", name="Show Documentation Explorer").click()
    patient.locator(".graphiql-doc-explorer").get_by_text("Mutation", exact=False).first.wait_for()


def test_swagger_ui_tries_a_route(patient: Any, lab: Lab):
    """Every tag is listed; a POST made from the page is done in the name of who is signed in."""
    patient.goto("/docs")
    patient.locator("#operations-tag-circuits").click()
    block = patient.locator("#operations-circuits-circuits_create")
    block.locator(".opblock-summary").click()
    block.get_by_role("button", name="Execute").click()
    block.locator(".live-responses-table .response-col_status", has_text="201").first.wait_for()

    assert any(circuit["name"] == "Two moons" for circuit in lab.get("/v1/circuits?limit=100"))


def test_redoc_shows_every_route(patient: Any, lab: Lab):
    """The reference has the routes with their codes and examples, and nothing comes from elsewhere."""
    patient.goto("/redoc")
    patient.locator("h1", has_text="Q-Store Appliance").wait_for()
    submit = patient.locator("[id='tag/jobs/operation/jobs_submit']")
    submit.wait_for(state="attached")
    submit.scroll_into_view_if_needed()
    submit.get_by_text("BUDGET_EXCEEDED").first.wait_for(state="attached")


@pytest.mark.parametrize("path", PATHS)
def test_the_door_leads_back(opened: Opened, lab: Lab, path: str):
    """Who is not signed in is led to the door, and from there to the explorer."""
    page = opened(lab.address)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(path)
    page.wait_for_url(re.compile(r"/app/sign-in\?next=/"))
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    page.wait_for_url(re.compile(rf"{path}$"))
    page.locator("#explorer > *").first.wait_for()


@pytest.mark.parametrize("path", PATHS)
def test_scripts_come_from_files_of_ours_alone(lab: Lab, path: str):
    """No inline script, no eval, no other host; styles may be written by the widgets."""
    with httpx.Client(base_url=lab.address, trust_env=False) as browser:
        browser.post("/app/sign-in", json={"email": EMAIL, "password": PASSWORD}, headers={"Origin": lab.address})
        cookie = "; ".join(f"{one.name}={one.value}" for one in browser.cookies.jar)
        answer = httpx.get(f"{lab.address}{path}", headers={"Accept": "text/html", "Cookie": cookie}, trust_env=False)

    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
    assert answer.status_code == 200
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert not re.findall(r"https?:", answer.headers["Content-Security-Policy"])
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", answer.text))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_on_a_phone(opened: Opened, lab: Lab, session: Any, path: str, scheme: str):
    """At 390 pixels nothing is wider than the screen, in light and in dark."""
    page = opened(
        lab.address, storage_state=session, viewport={"width": 390, "height": 844}, color_scheme=scheme, bypass_csp=True
    )
    page.set_default_timeout(PATIENCE_MS)
    page.goto(path)
    page.locator("#explorer > *").first.wait_for()

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
