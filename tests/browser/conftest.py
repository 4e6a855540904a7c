"""
Chromium, a real server, and pages that tolerate nothing: any error on the console, any dialog and any request to
another host fails the test that caused it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.serving import EMAIL, PASSWORD, Lab, Serving

CHROMIUM = Path(os.environ.get("QSTORE_CHROMIUM", "/usr/bin/chromium"))
# The tests' machine may be a container: root has no sandbox there, and /dev/shm is small.
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PATIENCE_MS = 15_000


# Playwright's loop lives in the thread of the tests until it is closed, and no other loop can run there meanwhile: so
# it ends with this folder, not with the session.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        pytest.skip("no Playwright: install the extra [dev]")
    if not CHROMIUM.exists():
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One server with an owner for all tests of the session."""
    serving = Serving(tmp_path_factory.mktemp("lab") / "data")
    try:
        lab = Lab(serving)
        yield lab
        lab.close()
    finally:
        serving.stop()


@pytest.fixture(scope="package")
def digits_job(lab: Lab) -> dict[str, Any]:
    """A finished job on the handwritten digits whose model is deployed."""
    job = lab.finished(lab.submit("Digits", "digits", epochs=3))
    assert job["status"] == "completed", job["reason"]
    lab.deployed(job["model_id"])
    return job


Opened = Callable[..., Any]


@pytest.fixture
def opened(chromium: Any) -> Iterator[Opened]:
    """Opens fresh browser profiles: `opened(address, colour_scheme="dark", …)` answers a blank page."""
    contexts: list[Any] = []
    mishaps: list[str] = []

    def open_page(address: str, **options: Any) -> Any:
        context = chromium.new_context(base_url=address, **options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: mishaps.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: (mishaps.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda message: note(mishaps, message))
        own = (address, f"blob:{address}", address.replace("http", "ws", 1), "data:", "about:")
        page.on("request", lambda request: request.url.startswith(own) or mishaps.append(f"outside: {request.url}"))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert mishaps == []


def note(mishaps: list[str], message: Any) -> None:
    # Chromium reports every refused request as an error; refusals are what some tests are about.
    if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
        mishaps.append(f"{message.type}: {message.text}")


@pytest.fixture(scope="package")
def session(chromium: Any, lab: Lab) -> Any:
    """The cookies of the signed-in owner."""
    context = chromium.new_context(base_url=lab.address)
    page = context.new_page()
    sign_in(page, EMAIL, PASSWORD)
    page.wait_for_url("**/app/jobs")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def page(opened: Opened, lab: Lab, session: Any) -> Any:
    """A page of the signed-in owner."""
    return opened(lab.address, storage_state=session)


def sign_in(page: Any, email: str, password: str) -> None:
    page.goto("/app/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
