"""Set-up, sign-in and sign-out in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qstore_appliance.engine import recipe
from tests.browser.conftest import Opened, sign_in
from tests.browser.serving import EMAIL, PASSWORD, Lab, Serving

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Serving]:
    """A server on an empty data directory: nobody has an account."""
    serving = Serving(tmp_path / "data")
    yield serving
    serving.stop()


def set_up(page: Any, token: str) -> None:
    page.get_by_label("Set-up token").fill(token)
    page.get_by_label("Organization").fill("Quantum Lab")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create the owner").click()


def test_the_first_owner_sets_up_and_trains_a_first_job(new_server: Serving, opened: Opened):
    """From an empty data directory to moving curves on a telephone's screen, and set-up is closed afterwards."""
    page = opened(new_server.address, viewport={"width": 390, "height": 844})
    width = "document.documentElement.scrollWidth"
    page.goto("/")
    page.wait_for_url("**/app/setup")
    assert page.evaluate(width) <= 390

    set_up(page, "not-the-token")
    page.get_by_role("alert").filter(has_text="token").wait_for()
    assert page.url.endswith("/app/setup")

    set_up(page, new_server.setup_token)
    page.wait_for_url("**/app/jobs")
    page.get_by_role("heading", name="Nothing has been trained here yet").wait_for()
    assert page.evaluate(width) <= 390
    assert f"{new_server.address}/v1/jobs" in page.locator("[data-part=curl]").inner_text()

    assert page.request.get("/app/setup").status == 410
    stranger = opened(new_server.address)
    assert stranger.goto("/app/setup").status == 410
    stranger.get_by_role("heading", name="This appliance is set up").wait_for()

    with page.expect_request("**/v1/circuits") as stored, page.expect_request("**/v1/jobs") as submitted:
        page.get_by_role("button", name="Train on handwritten digits").click()
    page.wait_for_url("**/app/jobs/job_*")
    page.locator("[data-part=loss] canvas").wait_for()
    page.get_by_role("heading", name=recipe.NAME).wait_for()
    assert stored.value.post_data_json["gates"] == recipe.gates()
    config = submitted.value.post_data_json["config"]
    assert config == {name: value for name, value in recipe.config().items() if name != "backend"}


def test_a_wrong_password_is_refused_in_words(lab: Lab, opened: Opened):
    """A wrong password leaves the form standing with a sentence, and no cookie."""
    page = opened(lab.address)
    sign_in(page, EMAIL, "wrong password")

    page.get_by_role("alert").filter(has_text="password").wait_for()
    assert page.url.endswith("/app/sign-in")
    assert page.context.cookies() == []


def test_signing_in_leads_back_and_signing_out_ends_the_session(lab: Lab, opened: Opened):
    """Sign-in returns to the page that was asked for; after sign-out the old cookie opens nothing."""
    page = opened(lab.address)
    page.goto("/app/models")
    page.wait_for_url("**/app/sign-in?next=/app/models")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    # In full: as a pattern it would match the sign-in page's own address, too.
    page.wait_for_url(f"{lab.address}/app/models")

    (cookie,) = page.context.cookies()
    assert cookie["name"] == "__Host-qstore"
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/app/sign-in?out=1")
    assert page.context.cookies() == []
    page.context.add_cookies([cookie])
    page.goto("/app/jobs")
    page.wait_for_url("**/app/sign-in?next=/app/jobs")


@pytest.mark.parametrize(
    "target", ["//evil.example/app/jobs", "https://evil.example/", "/app/../v1/users/me", "/\\evil"]
)
def test_a_link_cannot_lead_away_after_sign_in(lab: Lab, opened: Opened, target: str):
    """`next` is followed to pages of ours only."""
    page = opened(lab.address)
    page.goto(f"/app/sign-in?next={target}")

    assert page.locator("form").get_attribute("data-next") == "/app/jobs"
