"""The registry in the browser: the list filtered, two models side by side, a model promoted, edited and exported."""

from __future__ import annotations

import re
import zipfile
from typing import Any

import pytest

from tests.browser.serving import Lab
from tests.browser.test_looks import PAYLOADS, check_harmless

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def versions(lab: Lab) -> list[str]:
    """Two versions of one model on wine, the second trained for longer; their ids."""
    jobs = [lab.finished(lab.submit("Wine", "wine", epochs=epochs, qubits=2)) for epochs in (1, 3)]
    assert [job["status"] for job in jobs] == ["completed"] * 2
    return [str(job["model_id"]) for job in jobs]


def test_the_list_is_filtered_and_says_so_in_its_address(lab: Lab, page: Any, versions: list[str]):
    """By name, by tag and by stage; the address opens the same list again, and a filter that fits nothing says that."""
    first, second = versions
    model = lab.patch(f"/v1/models/{second}", {"tags": ["cellar"]})
    lab.post(f"/v1/models/{first}/promote", {"stage": "production"})
    rows = page.locator("[data-part=rows] tr")

    page.goto("/app/models")
    page.get_by_label("Name").fill(model["name"])
    page.get_by_label("Order").select_option("-version")
    page.wait_for_url(re.compile(r"name=wine.*sort=-version"))
    page.locator("[data-part=count]", has_text="2 models, highest version first").wait_for()
    assert [row.get_attribute("href") for row in rows.locator(".primary > a").all()] == [
        f"/app/models/{id}" for id in (second, first)
    ]

    page.reload()
    page.locator("[data-part=count]", has_text="2 models, highest version first").wait_for()
    assert page.get_by_label("Name").input_value() == model["name"]
    page.get_by_role("button", name="In production").click()
    page.locator("[data-part=count]", has_text="1 model,").wait_for()
    assert rows.locator(".stage").all_inner_texts() == ["Production"]

    page.get_by_role("button", name="All").click()
    page.get_by_role("link", name="cellar").click()
    page.wait_for_url("**/app/models?tags=cellar")
    page.locator("[data-part=count]", has_text="1 model,").wait_for()
    page.get_by_label("Tags").fill("nothing, like this")
    page.get_by_label("Tags").press("Enter")
    page.get_by_text("No model is like that.").wait_for()


def test_two_are_compared(lab: Lab, page: Any, versions: list[str]):
    """Two that are picked stand side by side as the API compares them: numbers, the better one, what differs."""
    first, second = versions
    found = lab.post("/v1/models/compare", {"a": first, "b": second})
    page.goto("/app/models?name=wine+classifier&sort=version")
    for id in (first, second):
        page.locator("[data-part=rows] tr", has=page.locator(f'a[href="/app/models/{id}"]')).get_by_role(
            "checkbox"
        ).check()
    page.get_by_role("link", name="Compare the two").click()
    page.locator("[data-part=number-rows] tr").first.wait_for()

    better = page.locator("[data-part=number-rows] .better")
    assert better.count() == sum(pair["better"] is not None for pair in found["metrics"]) > 0
    assert page.locator("[data-part=number-rows] tr").count() == len(found["metrics"])
    assert "scored on the same samples" in page.locator("[data-part=subtitle]").inner_text()
    differs = page.locator("[data-part=difference-rows]")
    assert differs.locator("tr", has_text="config.epochs").locator("td").all_inner_texts() == [
        "config.epochs",
        "1",
        "3",
    ]
    assert page.locator("[data-part=reasons]").is_hidden()


def test_scores_on_other_data_are_not_compared(page: Any, digits_job: dict[str, Any], versions: list[str]):
    """The page says why the scores say nothing, and marks nobody as the better."""
    page.goto(f"/app/models/compare?a={versions[0]}&b={digits_job['model_id']}")

    page.locator("[data-part=reasons]", has_text="They learned from different data: wine and digits.").wait_for()
    assert page.locator(".better").count() == 0


def test_a_model_is_promoted_edited_and_exported(lab: Lab, page: Any, versions: list[str], tmp_path: Any):
    """From its page: a stage, a name and a version of one's own, notes, and the archive; what is refused is said in words."""
    first, second = versions
    page.goto(f"/app/models/{second}")
    page.locator("[data-part=version-rows] tr").nth(1).wait_for()
    page.get_by_label("Stage").select_option("staging")
    page.locator("[data-part=version-rows] .stage", has_text="Staging").wait_for()
    assert lab.get(f"/v1/models/{second}")["stage"] == "staging"

    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Version").fill("one")
    page.get_by_role("button", name="Save").click()
    page.locator("[data-part=edit-problem]", has_text="MAJOR.MINOR.PATCH").wait_for()
    page.get_by_role("textbox", name="Version").fill(lab.get(f"/v1/models/{first}")["version"])
    page.get_by_role("button", name="Save").click()
    page.locator("[data-part=edit-problem]", has_text="is taken").wait_for()
    page.get_by_role("textbox", name="Version").fill("2.1.0-rc.1")
    page.get_by_label("Notes").fill(PAYLOADS[0])
    page.get_by_label("Tags").fill(f"best, {PAYLOADS[1]}")
    page.get_by_role("button", name="Save").click()
    page.locator("[data-part=subtitle]", has_text="version 2.1.0-rc.1").wait_for()
    page.locator("[data-part=notes]", has_text=PAYLOADS[0]).wait_for()
    assert page.locator("[data-part=tags] .tag").all_inner_texts() == ["best", PAYLOADS[1]]
    check_harmless(page)
    page.goto(f"/app/models/compare?a={first}&b={second}")
    page.locator("[data-part=b]", has_text=PAYLOADS[0]).wait_for()
    check_harmless(page)

    page.goto(f"/app/models/{second}")
    with page.expect_download() as started:
        page.get_by_role("link", name="Export").click()
    started.value.save_as(tmp_path / "model.qcap")
    assert started.value.suggested_filename == "wine-classifier-2.1.0-rc.1.qcap"
    assert "manifest.json" in zipfile.ZipFile(tmp_path / "model.qcap").namelist()
