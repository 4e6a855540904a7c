"""What holds on every page: narrow screens, dark and light, hostile names, keyboard."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Opened
from tests.browser.serving import Lab

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAYLOADS = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "{{7*7}} javascript:alert(3) <svg onload=alert(4)>",
    "abc\u202egnp.exe \u001b[31mred " + "w" * 120,
]


def pages(job: dict[str, Any]) -> list[tuple[str, str]]:
    """Every page inside the frame, with what shows that it is drawn."""
    return [
        ("/app/jobs", "[data-part=rows] tr"),
        (f"/app/jobs/{job['id']}", "[data-part=loss] canvas"),
        ("/app/models", "[data-part=rows] tr"),
        (f"/app/models/{job['model_id']}", "[data-part=examples] button"),
        (f"/app/models/compare?a={job['model_id']}&b={job['model_id']}", "[data-part=number-rows] tr"),
        ("/app/costs", "[data-part=rows] tr"),
        ("/app/people", "[data-part=organization]:not([hidden])"),
        ("/app/account", "[data-part=session-rows] tr"),
    ]


def test_nothing_scrolls_sideways_at_390_pixels(lab: Lab, opened: Opened, session: Any, digits_job: dict[str, Any]):
    """On a telephone every page is as wide as the screen, whatever its names are."""
    narrow = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
    page = opened(lab.address, storage_state=session, **narrow)
    for path, drawn in pages(digits_job):
        page.goto(path)
        page.locator(drawn).first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    stranger = opened(lab.address, **narrow)
    stranger.goto("/app/sign-in")
    assert stranger.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_theme_follows_the_system_until_it_is_chosen(
    lab: Lab, opened: Opened, session: Any, digits_job: dict[str, Any]
):
    """Dark systems get dark pages; the toggle overrules it and is remembered; curves are drawn again in new colours."""
    background = "getComputedStyle(document.documentElement).backgroundColor"
    page = opened(lab.address, storage_state=session, color_scheme="dark")
    page.goto(f"/app/jobs/{digits_job['id']}")
    page.locator("[data-part=loss] canvas").wait_for()
    dark, picture = page.evaluate(background), page.locator("[data-part=loss] canvas").screenshot()

    page.get_by_role("button", name="Dark or light").click()
    light = page.evaluate(background)
    assert brightness(dark) < 40 < 220 < brightness(light)
    assert page.locator("[data-part=loss] canvas").screenshot() != picture
    page.reload()
    assert page.evaluate(background) == light


def brightness(colour: str) -> float:
    channels = [float(value) for value in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(channels) / 3


@pytest.mark.attack("A39")
def test_hostile_names_are_shown_as_text(lab: Lab, page: Any):
    """Names made of markup, scripts, control and direction characters appear as they are, on lists and on pages."""
    jobs = [lab.finished(lab.submit(name, "iris", epochs=1)) for name in PAYLOADS]

    page.goto("/app/jobs")
    for name in PAYLOADS:
        page.locator("[data-part=rows]").get_by_text(visible(name)).first.wait_for()
    for job, name in zip(jobs, PAYLOADS, strict=True):
        page.goto(f"/app/jobs/{job['id']}")
        page.locator("h1").get_by_text(visible(name)).wait_for()
        check_harmless(page)


@pytest.mark.attack("A39")
def test_hostile_data_is_shown_as_text(lab: Lab, page: Any):
    """The same for an uploaded data set: its name, its columns and its classes."""
    name, column, one_class, _ = PAYLOADS
    classes = [one_class, '"><b onmouseover=alert(5)>bold</b>']
    rows = [f"{number % 7},{number % 5},{quoted(classes[number % 2])}" for number in range(60)]
    dataset = lab.upload(name, "\n".join([f"{quoted(column)},second,label", *rows]))
    job = lab.finished(lab.submit("Uploaded", dataset["id"], epochs=1, qubits=2))
    assert job["status"] == "completed", job["reason"]
    lab.deployed(job["model_id"])

    page.goto("/app/models")
    page.locator("[data-part=rows]").get_by_text(name).first.wait_for()
    check_harmless(page)
    page.goto(f"/app/models/{job['model_id']}")
    page.locator("label").get_by_text(column).wait_for()
    page.locator("[data-part=examples] button").first.click()
    page.locator(".answer-label").wait_for()
    assert sorted(page.locator(".classes .name").all_inner_texts()) == sorted(classes)
    check_harmless(page)


def check_harmless(page: Any) -> None:
    """Nothing of it became an element, and nothing of it made the page wider than the window."""
    assert page.locator("main img, main script, main svg").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def visible(name: str) -> str:
    """A part of the name without the characters that have no picture."""
    return name.split("\u202e")[0].strip() if "\u202e" in name else name


def test_the_keyboard_reaches_everything(page: Any, digits_job: dict[str, Any]):
    """Tab leads over the skip link, the navigation and the page's own controls, and shows where it is."""
    page.goto(f"/app/jobs/{digits_job['id']}")
    page.get_by_role("link", name="Open the model").wait_for()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"

    wanted = [
        "Skip to the content",
        "Q-Store Appliance",
        "Jobs",
        "Models",
        "Your account",
        "Dark or light",
        "Sign out",
        "Open the model",
    ]
    assert [name for name in reached if name in wanted][: len(wanted)] == [
        "Skip to the content",
        "Q-Store Appliance",
        "Jobs",
        "Models",
        "Your account",
        "Dark or light",
        "Sign out",
        "Jobs",
    ]
    assert "Open the model" in reached
