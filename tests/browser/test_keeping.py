"""What a browser keeps of us, and what its pages do with passwords and with names that mean something to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Opened, sign_in
from tests.browser.serving import EMAIL, PASSWORD, Lab

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

WEB = Path(__file__).parents[2] / "web"
#: The choice of light or dark, and nothing else.
KEPT = {"qstore-theme"}
STORES = """async () => ({
  local: Object.keys(localStorage), session: Object.keys(sessionStorage),
  databases: (await indexedDB.databases()).length, caches: (await caches.keys()).length,
  readable: document.cookie,
})"""
PASTED = "field => field.dispatchEvent(new ClipboardEvent('paste', { bubbles: true, cancelable: true }))"


def test_nothing_is_kept(lab: Lab, opened: Opened, digits_job: dict[str, Any]):
    """After a walk through all pages no store of the browser has anything; after signing out there is no way back."""
    page = opened(lab.address)
    sign_in(page, EMAIL, PASSWORD)
    page.wait_for_url("**/app/jobs")
    page.get_by_role("button", name="Dark or light").click()
    for path in (f"jobs/{digits_job['id']}", f"models/{digits_job['model_id']}", "costs", "people", "account"):
        page.goto(f"/app/{path}")
        page.locator("h1").first.wait_for()
        found = page.evaluate(STORES)
        assert set(found.pop("local")) <= KEPT, path
        assert found == {"session": [], "databases": 0, "caches": 0, "readable": ""}, path

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/app/sign-in?out=1")
    page.go_back()
    page.wait_for_url("**/app/sign-in**")
    page.get_by_label("Password").wait_for()
    assert EMAIL not in page.content()


def test_prototypes_are_left_alone(lab: Lab, opened: Opened, session: Any, digits_job: dict[str, Any]):
    """With the prototypes of all objects frozen every page works, whatever things are called."""
    lab.finished(lab.submit("__proto__", "iris", epochs=1))
    lab.upload("constructor", "__proto__,toString,label\n" + "\n".join(f"{n},{n % 3},{'ab'[n % 2]}" for n in range(20)))
    page = opened(lab.address, storage_state=session)
    page.add_init_script("for (const kind of [Object, Array, String, Map, Promise]) Object.freeze(kind.prototype)")
    for path, drawn in (
        ("jobs", "[data-part=rows] tr"),
        (f"jobs/{digits_job['id']}", "[data-part=loss] canvas"),
        ("models", "[data-part=rows] tr"),
        (f"models/{digits_job['model_id']}", "[data-part=examples] button"),
        ("people", "[data-part=member-rows] tr"),
        ("account", "[data-part=session-rows] tr"),
    ):
        page.goto(f"/app/{path}")
        page.locator(drawn).first.wait_for()

        assert page.evaluate("Object.isFrozen(Object.prototype) && ({}).polluted === undefined"), path


def test_passwords_are_masked() -> None:
    """Every field of a password has that type, in every template."""
    fields = [
        field
        for page in (WEB / "templates").glob("*.html")
        for field in re.findall(r"<input[^>]*>", page.read_text(encoding="utf-8"))
        if "password" in field
    ]

    assert len(fields) >= 6
    assert [field for field in fields if 'type="password"' not in field] == []


def test_passwords_can_be_pasted(lab: Lab, opened: Opened, session: Any):
    """Nothing hinders pasting into a password's field, nor a manager of passwords that fills it."""
    stranger, page = opened(lab.address), opened(lab.address, storage_state=session)
    stranger.goto("/app/sign-in")
    page.goto("/app/account")
    for fields in (stranger.locator("input[type=password]"), page.locator("input[type=password]")):
        assert fields.count() >= 1
        for place in range(fields.count()):
            field = fields.nth(place)
            assert field.evaluate(PASTED)
            assert field.get_attribute("autocomplete") in ("current-password", "new-password")
    assert not [
        file.name for file in (WEB / "static" / "js").glob("*.js") if re.search(r"[\"']paste[\"']", file.read_text())
    ]
