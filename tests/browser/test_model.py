"""The page of one model: its score, and asking it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.serving import Lab

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def iris_model(lab: Lab) -> str:
    """A model with named features that is not deployed."""
    job = lab.finished(lab.submit("Iris", "iris", epochs=5))
    assert job["status"] == "completed", job["reason"]
    return str(job["model_id"])


def test_an_example_and_a_drawing_are_answered(lab: Lab, page: Any, digits_job: dict[str, Any]):
    """A held-out image is answered as the API answers it, beside its true label; so is what is painted on the pad."""
    path = f"/v1/models/{digits_job['model_id']}"
    example = lab.get(path)["inputs"]["examples"][1]
    expected = lab.post(f"{path}/predict", {"inputs": [example["input"]]})["predictions"][0]
    page.goto(f"/app/models/{digits_job['model_id']}")
    page.get_by_role("button", name=re.compile("^Example 2,")).click()

    answer = page.locator("[data-part=answer]")
    answer.locator(".answer-label", has_text=re.compile(f"^{expected['label']}$")).wait_for()
    assert f"{100 * expected['confidence']:.1f} % sure" in answer.inner_text()
    assert f"held-out example is {example['label']}" in answer.inner_text()
    assert answer.locator(".classes li").count() == 10

    page.get_by_role("button", name="Clear").click()
    box = page.locator("canvas.pad").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.15)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.85, steps=12)
    with page.expect_response(re.compile("/predict$")) as answered:
        page.mouse.up()
    painted = answered.value.request.post_data_json["inputs"][0]
    assert len(painted) == 64
    assert max(painted) == 16
    assert painted[0] == 0
    label = answered.value.json()["data"]["predictions"][0]["label"]
    answer.locator(".answer-label", has_text=re.compile(f"^{label}$")).wait_for()
    assert "held-out example" not in answer.inner_text()


def test_the_pad_is_painted_with_the_keyboard(page: Any, digits_job: dict[str, Any]):
    """Arrow keys and the space bar paint, and the model answers."""
    page.goto(f"/app/models/{digits_job['model_id']}")
    page.locator("canvas.pad").focus()
    page.keyboard.press("Backspace")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    with page.expect_response(re.compile("/predict$")) as answered:
        page.keyboard.press(" ")

    painted = answered.value.request.post_data_json["inputs"][0]
    assert painted[3 * 8 + 4] == 16
    assert sum(value > 0 for value in painted) == 5


def test_a_model_is_deployed_asked_and_retired(lab: Lab, page: Any, iris_model: str):
    """Deploying opens the form, an empty field is refused in words, numbers are answered, retiring closes it."""
    page.goto(f"/app/models/{iris_model}")
    page.locator("[data-part=ask-closed]", has_text="Deploy the model first").wait_for()
    page.get_by_role("button", name="Deploy").click()
    page.locator("[data-part=status]", has_text="Deployed").wait_for()

    fields = page.locator("[data-part=input] input")
    assert fields.count() == 4
    fields.nth(2).fill("")
    page.get_by_role("button", name="Predict").click()
    page.get_by_role("alert").filter(has_text="Every field needs a number").wait_for()
    for index, value in enumerate(["5.1", "3.5", "1.4", "0.2"]):
        fields.nth(index).fill(value)
    page.get_by_role("button", name="Predict").click()
    asked = {"inputs": [[5.1, 3.5, 1.4, 0.2]]}
    expected = lab.post(f"/v1/models/{iris_model}/predict", asked)["predictions"][0]
    page.locator(".answer-label", has_text=re.compile(f"^{expected['label']}$")).wait_for()
    assert page.locator("[data-part=ask-problem]").is_hidden()

    page.get_by_role("button", name="Retire").click()
    page.get_by_role("button", name="Retire the model").click()
    page.locator("[data-part=status]", has_text="Retired").wait_for()
    assert page.locator("[data-part=ask]").is_hidden()
    assert lab.get(f"/v1/models/{iris_model}")["status"] == "retired"


def test_the_score_stands_beside_the_baselines(lab: Lab, page: Any, digits_job: dict[str, Any]):
    """Test accuracy, logistic regression and the commonest class, as stored with the model."""
    metrics = lab.get(f"/v1/models/{digits_job['model_id']}")["metrics"]
    page.goto(f"/app/models/{digits_job['model_id']}")
    page.locator(".score").first.wait_for()

    shown = [row.inner_text() for row in page.locator(".score").all()]
    wanted = [metrics["accuracy"], metrics["baseline"]["logistic_regression"], metrics["baseline"]["majority"]]
    assert all(f"{100 * value:.1f} %" in text for value, text in zip(wanted, shown, strict=True))
    assert page.locator(".confusion tbody tr").count() == 10
