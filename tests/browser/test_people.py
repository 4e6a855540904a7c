"""Inviting, joining and looking after people, as those who do it see it."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest

from tests.browser.conftest import Opened, sign_in
from tests.browser.serving import PASSWORD, Lab

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

NEW = "a brand new password"
_numbers = itertools.count(1)


def guest() -> str:
    """An address that nobody has yet: the server is shared."""
    return f"guest{next(_numbers)}@lab.example"


def role_of(client: httpx.Client, email: str) -> str:
    return next(one["role"] for one in client.get("/v1/users?limit=100").json()["data"] if one["email"] == email)


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

    def test_a_second_organization(self, lab: Lab, opened: Opened):
        """Signed in as whom it is for, the link takes one button; the account's page leads from one to the other."""
        email = guest()
        lab.post("/v1/invitations/accept", {"token": invite(lab, email).partition("#")[2], "password": NEW})
        others = lab.second_organization()
        link = others.post("/v1/invitations", json={"email": email, "role": "viewer"}).json()["data"]["link"]
        page = opened(lab.address)
        sign_in(page, email, NEW)
        page.wait_for_url("**/app/jobs")

        page.goto(link)
        page.get_by_role("heading", name="Join Another lab").wait_for()
        page.get_by_role("button", name="Join").click()
        page.wait_for_url("**/app/jobs")
        page.goto("/app/account")
        page.get_by_text(f"{email} · viewer").wait_for()
        page.get_by_role("button", name="Go to Lab").click()
        page.wait_for_url("**/app/jobs")
        page.goto("/app/account")
        page.get_by_text(f"{email} · developer").wait_for()


class TestLookingAfterPeople:
    @pytest.fixture
    def page(self, page: Any) -> Any:
        page.goto("/app/people")
        page.locator("[data-part=member-rows] tr").first.wait_for()
        return page

    def joined(self, lab: Lab, role: str = "developer") -> str:
        """The address of a new member."""
        email = guest()
        lab.post("/v1/invitations/accept", {"token": invite(lab, email, role).partition("#")[2], "password": NEW})
        return email

    def test_invite_and_take_back(self, lab: Lab, page: Any, opened: Opened):
        """The dialog answers a link once, which opens; the invitation waits in the list until it is taken back."""
        email = guest()
        page.get_by_role("button", name="Invite somebody").click()
        page.keyboard.type(email)
        page.get_by_role("dialog").get_by_label("Role").select_option("viewer")
        page.get_by_text("Sees everything and changes nothing.").wait_for()
        page.get_by_role("button", name="Invite", exact=True).click()
        link = page.locator("[data-part=link]")
        link.get_by_text("/app/invitation#").wait_for()
        address = link.inner_text()
        dialog = "document.querySelector('[data-part=invite-dialog]')"
        assert page.evaluate(f"{dialog}.scrollWidth <= {dialog}.clientWidth"), "nothing is cut off"
        page.keyboard.press("Escape")
        page.locator("[data-part=link]:empty").wait_for(state="attached")

        stranger = opened(lab.address)
        stranger.goto(address)
        stranger.get_by_role("heading", name="Join Lab").wait_for()
        page.get_by_role("button", name=f"Take back the invitation of {email}").click()
        page.locator("[data-part=invitations]").get_by_text(email).wait_for(state="detached")
        stranger.goto("/app/sign-in")
        stranger.goto(address)
        stranger.get_by_role("heading", name="This link is no good any more").wait_for()

    def test_roles_and_keeping_out(self, lab: Lab, page: Any):
        """A role counts as it is chosen; who is kept out is shown so, let in again, and removed after a question."""
        email = self.joined(lab)
        page.reload()
        row = page.locator("[data-part=member-rows] tr", has=page.get_by_text(email, exact=True))
        row.get_by_role("combobox").select_option("viewer")
        page.wait_for_function(
            "email => fetch('/v1/users?limit=100').then(r => r.json())"
            ".then(r => r.data.find(one => one.email === email).role === 'viewer')",
            arg=email,
        )
        row.get_by_role("button", name="Keep out").click()
        page.get_by_role("button", name="Keep them out").click()
        row.get_by_text("Kept out").wait_for()
        row.get_by_role("button", name="Let in").click()
        row.get_by_text("Active").wait_for()

        row.get_by_role("button", name="Remove").click()
        page.keyboard.press("Escape")
        row.get_by_role("button", name="Remove").click()
        page.get_by_role("button", name="Remove them").click()
        row.wait_for(state="detached")
        assert email not in {one["email"] for one in lab.get("/v1/users?limit=100")}

    def test_an_owner_more(self, lab: Lab, page: Any):
        """Making an owner is asked about; leaving the question leaves the role."""
        email = self.joined(lab)
        page.reload()
        row = page.locator("[data-part=member-rows] tr", has=page.get_by_text(email, exact=True))
        row.get_by_role("combobox").select_option("owner")
        page.get_by_role("dialog").get_by_text("Make").first.wait_for()
        page.get_by_role("button", name="Leave it").click()
        page.wait_for_function(
            "email => [...document.querySelectorAll('[data-part=member-rows] tr')]"
            ".find(row => row.textContent.includes(email))?.querySelector('select').value === 'developer'",
            arg=email,
        )

        row.get_by_role("combobox").select_option("owner")
        page.get_by_role("button", name="Make them an owner").click()
        page.get_by_role("dialog").wait_for(state="hidden")

        (found,) = [one for one in lab.get("/v1/users?limit=100") if one["email"] == email]
        assert found["role"] == "owner"
        lab.delete(f"/v1/users/{found['id']}")

    def test_handing_over(self, lab: Lab, opened: Opened):
        """The organization is handed over after a question; who did it is an administrator, and the page offers no more."""
        chief = "olga@third.example"
        others = lab.second_organization(chief, "Third lab")
        email = guest()
        link = others.post("/v1/invitations", json={"email": email, "role": "viewer"}).json()["data"]["link"]
        lab.post("/v1/invitations/accept", {"token": link.partition("#")[2], "password": NEW})
        page = opened(lab.address)
        sign_in(page, chief, PASSWORD)
        page.wait_for_url("**/app/jobs")
        page.goto("/app/people")
        row = page.locator("[data-part=member-rows] tr", has=page.get_by_text(email, exact=True))
        row.get_by_role("button", name="Hand over").click()
        page.get_by_role("dialog").get_by_text("you cannot take it back yourself").wait_for()
        page.get_by_role("button", name="Leave it").click()
        assert role_of(others, email) == "viewer"
        row.get_by_role("button", name="Hand over").click()
        page.get_by_role("button", name="Hand it over").click()
        row.locator("td").nth(1).get_by_text("owner").wait_for()

        assert (role_of(others, email), role_of(others, chief)) == ("owner", "admin")
        assert page.get_by_role("button", name="Hand over").count() == 0
        assert row.get_by_role("combobox").count() == 0

    def test_a_role_of_their_own(self, lab: Lab, page: Any):
        """A role is made out of permissions, given and offered like the others, changed, and deleted when nobody has it."""
        email = self.joined(lab)
        page.reload()
        row = page.locator("[data-part=member-rows] tr", has=page.get_by_text(email, exact=True))
        row.wait_for()
        page.get_by_role("button", name="Make a role").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name", exact=True).fill("Night Shift")
        dialog.get_by_role("button", name="Make it").click()
        dialog.get_by_role("alert").first.wait_for()
        dialog.get_by_label("Name", exact=True).fill("night-shift")
        dialog.get_by_label("What it is for").fill("Stops jobs at night.")
        dialog.get_by_role("button", name="Make it").click()
        dialog.get_by_text("Choose at least one permission.").wait_for()
        dialog.get_by_role("checkbox", name="jobs:read").check()
        dialog.get_by_role("checkbox", name="jobs:cancel").check()
        dialog.get_by_role("button", name="Make it").click()
        dialog.wait_for(state="hidden")
        own = page.locator("[data-part=role-rows] tr", has_text="night-shift")
        own.get_by_text("jobs:cancel · jobs:read").wait_for()

        row.get_by_role("combobox").select_option("night-shift")
        own.locator("td.number").get_by_text("1").wait_for()
        own.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete it").click()
        page.get_by_role("alert").filter(has_text="Somebody has this role").wait_for()
        page.get_by_role("button", name="Leave it").click()
        own.get_by_role("button", name="Change").click()
        dialog.get_by_role("checkbox", name="jobs:cancel").uncheck()
        assert dialog.get_by_label("Name", exact=True).get_attribute("readonly") is not None
        dialog.get_by_role("button", name="Change it").click()
        dialog.wait_for(state="hidden")
        own.get_by_text("jobs:read", exact=True).wait_for()
        (found,) = [one for one in lab.get("/v1/roles") if not one["built_in"]]
        assert (found["permissions"], found["members"]) == (["jobs:read"], 1)

        row.get_by_role("combobox").select_option("viewer")
        own.locator("td.number").get_by_text("0").wait_for()
        page.get_by_role("button", name="Invite somebody").click()
        page.get_by_role("dialog").get_by_label("Role").select_option("night-shift")
        page.get_by_role("dialog").get_by_text("Stops jobs at night.").wait_for()
        page.keyboard.press("Escape")
        own.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete it").click()
        own.wait_for(state="detached")
        assert len(lab.get("/v1/roles")) == 4

    def test_settings(self, lab: Lab, page: Any):
        """What the form says is what the organization has: a list of backends, none of which is said, hardware, numbers."""
        page.get_by_label("Jobs at once").fill("0")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("alert").filter(visible=True).first.wait_for()
        page.get_by_label("Jobs at once").fill("7")
        page.get_by_label("All that are installed").uncheck()
        for name in ("ionq_hardware", "ionq_simulator", "lightning", "qsim", "native"):
            page.get_by_role("checkbox", name=name).uncheck()
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Allow at least one backend.").wait_for()
        page.get_by_role("checkbox", name="native").check()
        page.get_by_role("button", name="Save").click()
        page.get_by_role("status").filter(has_text="Saved.").wait_for()
        settings = lab.get("/v1/organization")["settings"]
        assert settings == {
            "max_concurrent_jobs": 7,
            "allowed_backends": ["native"],
            "enable_hardware": False,
            "max_storage_bytes": None,
        }

        page.reload()
        page.get_by_label("All that are installed").check()
        page.get_by_label("Jobs at once").fill("10")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("status").filter(has_text="Saved.").wait_for()
        assert lab.get("/v1/organization")["settings"]["allowed_backends"] is None

    def test_not_for_everybody(self, lab: Lab, opened: Opened):
        """Who does not look after people has no such page, and no way to it."""
        email = self.joined(lab)
        page = opened(lab.address)
        sign_in(page, email, NEW)
        page.wait_for_url("**/app/jobs")
        assert page.get_by_role("link", name="People").count() == 0
        answer = page.goto("/app/people")
        assert answer.status == 403
        page.get_by_role("heading", name="Not for you").wait_for()
