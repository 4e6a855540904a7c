"""Inviting, joining and looking after people, as those who do it see it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.browser.conftest import Opened, sign_in
from tests.browser.serving import Lab

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

NEW = "a brand new password"
_numbers = itertools.count(1)


def guest() -> str:
    """An address that nobody has yet: the server is shared."""
    return f"guest{next(_numbers)}@lab.example"


def invite(lab: Lab, email: str, role: str = "developer") -> str:
    return str(lab.post("/v1/invitations", {"email": email, "role": role})["link"])


class TestJoining:
    def test_somebody_new(self, lab: Lab, opened: Opened):
        """The link says what it offers, takes name and password by the keyboard alone, and works once."""
        email = guest()
        link = invite(lab, email)
        page = opened(lab.address)
        page.goto(link)
        page.get_by_role("heading", name="Join Lab").wait_for()
        assert "#" not in page.url
        assert page.get_by_label("E-mail").input_value() == email

        page.keyboard.type("Grace")
        page.keyboard.press("Tab")
        page.keyboard.type("short")
        page.keyboard.press("Enter")
        page.get_by_role("alert").first.wait_for()
        page.get_by_label("Password").fill(NEW)
        page.keyboard.press("Enter")
        page.get_by_role("status").filter(has_text="You belong to Lab now, as developer.").wait_for()
        page.get_by_role("link", name="Sign in").click()
        sign_in(page, email, NEW)
        page.wait_for_url("**/app/jobs")

        late = opened(lab.address)
        late.goto(link)
        late.get_by_role("heading", name="This link is no good any more").wait_for()

    def test_a_wrong_password_of_an_account(self, lab: Lab, opened: Opened):
        """An address that has an account is asked for that password; a wrong one is said, and leaves the page."""
        email = guest()
        lab.post("/v1/invitations/accept", {"token": invite(lab, email).partition("#")[2], "password": NEW})
        (row,) = [one for one in lab.get("/v1/users?limit=100") if one["email"] == email]
        lab.delete(f"/v1/users/{row['id']}")
        page = opened(lab.address)
        page.goto(invite(lab, email, "viewer"))
        page.get_by_role("heading", name="Join Lab").wait_for()
        page.get_by_label("Password").fill("not that password")
        page.get_by_role("button", name="Join").click()
        page.get_by_role("alert").filter(has_text="password is wrong").wait_for()

        page.get_by_label("Password").fill(NEW)
        page.get_by_role("button", name="Join").click()

        page.get_by_role("status").filter(has_text="as viewer").wait_for()

    def test_for_somebody_else(self, lab: Lab, page: Any):
        """Whoever is signed in as somebody else is told so."""
        page.goto(invite(lab, guest()))
        page.get_by_role("button", name="Join").click()

        page.get_by_role("alert").filter(has_text="This invitation is for somebody else.").wait_for()
