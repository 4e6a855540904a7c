"""The page of one's own account, and the door that asks for a code: as somebody with a telephone at hand goes through."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest

from tests.browser.conftest import Opened, sign_in
from tests.browser.serving import EMAIL, PASSWORD, Lab, Serving

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

NEW = "a brand new password"


@pytest.fixture
def house(tmp_path: Any) -> Iterator[Lab]:
    """A server of this test's own: others are signed in with the owner's password."""
    serving = Serving(tmp_path / "data")
    try:
        lab = Lab(serving)
        yield lab
        lab.close()
    finally:
        serving.stop()


@pytest.fixture
def page(house: Lab, opened: Opened) -> Any:
    """The owner's account."""
    page = opened(house.address)
    sign_in(page, EMAIL, PASSWORD)
    page.wait_for_url("**/app/jobs")
    page.get_by_role("link", name="Your account").click()
    page.wait_for_url("**/app/account")
    page.locator("[data-part=session-rows] tr").first.wait_for()
    return page


def code(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).generate_otp(int(time.time()) // 30 + steps)


def test_a_new_password(house: Lab, page: Any, opened: Opened):
    """A wrong present one is said beside its field; with the right one the new one counts and other sessions are gone."""
    page.locator("[data-part=session-rows] tr").nth(1).wait_for()
    page.get_by_label("Present password").fill("wrong password")
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button", name="Change the password").click()
    page.get_by_role("alert").filter(has_text="is not your password").wait_for()

    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    page.get_by_role("status").filter(has_text="Your password is changed").wait_for()

    page.locator("[data-part=session-rows]:not(:has(tr:nth-child(2)))").wait_for()
    assert page.get_by_label("New password").input_value() == ""
    again = opened(house.address)
    sign_in(again, EMAIL, NEW)
    again.wait_for_url("**/app/jobs")


def test_a_second_factor(house: Lab, page: Any, opened: Opened):
    """Turned on with a picture and a code; the door then asks for one; recovery codes work; it is turned off again."""
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_role("textbox", name="Your password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("img", name="QR code for your authenticator").wait_for()
    secret = page.locator("[data-part=secret]").inner_text().replace(" ", "")
    assert page.locator("[data-part=qr] img").evaluate("image => image.complete && image.naturalWidth > 0")

    page.get_by_role("textbox", name="Code", exact=True).fill("000000" if code(secret) != "000000" else "000001")
    page.locator("[data-part=confirm-form]").get_by_role("button", name="Turn it on").click()
    page.get_by_role("alert").filter(has_text="present code").wait_for()
    page.get_by_role("textbox", name="Code", exact=True).fill(code(secret))
    page.locator("[data-part=confirm-form]").get_by_role("button", name="Turn it on").click()
    page.locator("[data-part=codes-list] li").first.wait_for()
    recovery_codes = page.locator("[data-part=codes-list] li").all_inner_texts()
    page.get_by_role("button", name="I have kept them").click()
    page.locator("[data-part=factor-words]", has_text="Recovery codes left: 10").wait_for()
    assert secret not in page.content()
    assert recovery_codes[0] not in page.content()

    other = opened(house.address)
    sign_in(other, EMAIL, PASSWORD)
    other.get_by_label("Code of your authenticator").wait_for()
    assert other.get_by_role("alert").filter(visible=True).count() == 0
    other.get_by_label("Code of your authenticator").fill("abcd-efgh")
    other.get_by_role("button", name="Sign in").click()
    other.get_by_role("alert").filter(has_text="This code is wrong").wait_for()
    other.get_by_label("Code of your authenticator").fill(recovery_codes[0])
    other.get_by_role("button", name="Sign in").click()
    other.wait_for_url("**/app/jobs")

    other.goto("/app/account")
    other.locator("[data-part=session-rows]", has_text="Password and recovery code").wait_for()
    other.locator("[data-part=factor-words]", has_text="Recovery codes left: 9").wait_for()
    other.get_by_role("button", name="Turn it off").click()
    other.get_by_role("textbox", name="Your password").fill(PASSWORD)
    other.get_by_role("textbox", name="Code", exact=True).fill(recovery_codes[1])
    other.locator("[data-part=spend-form]").get_by_role("button", name="Turn it off").click()
    other.locator("[data-part=factor-state]", has_text="Off").wait_for()
    third = opened(house.address)
    sign_in(third, EMAIL, PASSWORD)
    third.wait_for_url("**/app/jobs")


def test_sessions(house: Lab, page: Any, opened: Opened):
    """Each is named by browser and place; one that is ended here is led to the door there."""
    other = opened(house.address)
    sign_in(other, EMAIL, PASSWORD)
    other.wait_for_url("**/app/jobs")
    page.reload()
    rows = page.locator("[data-part=session-rows] tr")
    # Those two, the lab's own client, and the one of the set-up.
    rows.nth(3).wait_for()
    assert "Chrome on Linux" in rows.first.inner_text()
    assert page.locator("[data-part=session-rows]", has_text="This one").count() == 1

    page.get_by_role("button", name="End the session of Chrome on Linux").click()
    page.locator("[data-part=session-rows]:not(:has(tr:nth-child(4)))").wait_for()
    other.goto("/app/models")
    other.wait_for_url("**/app/sign-in?next=/app/models")

    page.get_by_role("button", name="End all others").click()
    page.locator("[data-part=session-rows]:not(:has(tr:nth-child(2)))").wait_for()
    assert not page.get_by_role("button", name="End all others").is_visible()


def test_a_forgotten_password(house: Lab, opened: Opened):
    """Without a mail server the page says whom to ask; a link that is no good says so, and leaves the address bar clean."""
    page = opened(house.address)
    page.goto("/app/sign-in")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_text("qstore user reset-password").wait_for()

    page.goto("/app/reset#reset_x.forged")
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button", name="Set the password").click()
    page.get_by_role("alert").filter(has_text="too old").wait_for()
    assert page.url == f"{house.address}/app/reset"
