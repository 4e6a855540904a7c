"""The page of one job: it moves by itself, survives a lost connection, and stops what it shows."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.browser.serving import Lab

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

LONG = {"epochs": 5_000, "batch_size": 16}


def epoch(page: Any) -> int:
    return int(re.search(r"Epoch ([\d,]+)", page.locator("[data-part=epoch]").inner_text())[1].replace(",", ""))


def wait_for_epoch(page: Any, number: int) -> None:
    for _ in range(300):
        if epoch(page) >= number:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"still at epoch {epoch(page)}, waited for {number}")


def test_a_live_job_moves_without_reload_and_can_be_cancelled(lab: Lab, page: Any):
    """Epoch, curves, figures and log go on by themselves; the dialog's button ends the job and the page says so."""
    job_id = lab.submit("Long", "digits", **LONG)
    try:
        page.goto(f"/app/jobs/{job_id}")
        page.locator("[data-part=loss] canvas").wait_for()
        page.evaluate("window.neverReloaded = true")
        first = epoch(page)
        picture = page.locator("[data-part=loss] canvas").screenshot()
        loss = page.locator("[data-part=loss-keys] b").first.inner_text()

        wait_for_epoch(page, first + 3)
        page.locator("[data-part=log] li", has_text=re.compile(rf"Epoch {first + 2}/")).first.wait_for()
        assert page.locator("[data-part=loss] canvas").screenshot() != picture
        assert page.locator("[data-part=loss-keys] b").first.inner_text() != loss
        assert float(page.locator("[data-part=bar]").evaluate("e => e.style.getPropertyValue('--value')")) > 0
        assert "left" in page.locator("[data-part=eta]").inner_text()

        page.get_by_role("button", name="Cancel job").click()
        page.get_by_role("button", name="Let it train").click()
        wait_for_epoch(page, epoch(page) + 1)
        page.get_by_role("button", name="Cancel job").click()
        page.get_by_role("button", name="Cancel the job").click()
        page.locator("[data-part=status]", has_text="Cancelled").wait_for(timeout=5_000)
        assert page.evaluate("window.neverReloaded") is True
        assert lab.get(f"/v1/jobs/{job_id}")["status"] == "cancelled"
        assert page.get_by_role("button", name="Cancel job").is_hidden()
    finally:
        if lab.get(f"/v1/jobs/{job_id}")["status"] in {"queued", "running"}:
            lab.post(f"/v1/jobs/{job_id}/cancel", {})


def test_a_job_is_paused_and_resumed(lab: Lab, page: Any):
    """Pause stops the epochs and says so; Resume goes on from there, without a reload."""
    job_id = lab.submit("Pausing", "digits", **LONG)
    try:
        page.goto(f"/app/jobs/{job_id}")
        page.locator("[data-part=loss] canvas").wait_for()
        page.get_by_role("button", name="Pause", exact=True).click()
        page.locator("[data-part=status]", has_text="Paused").wait_for()
        stopped = lab.get(f"/v1/jobs/{job_id}")["progress"]["current_epoch"]
        assert page.get_by_role("button", name="Pause", exact=True).is_hidden()

        page.get_by_role("button", name="Resume").click()
        wait_for_epoch(page, stopped + 1)

        assert page.locator("[data-part=status]").inner_text() == "Training"
        assert page.get_by_role("button", name="Raise its limit").is_hidden(), "it has no limit to raise"
    finally:
        lab.post(f"/v1/jobs/{job_id}/cancel", {})


def test_a_limit_is_raised(lab: Lab, page: Any):
    """The dialog raises a job's limit; one that is no higher is refused with the API's sentence."""
    job_id = lab.submit("Limited", "digits", budget_limit=1.0, **LONG)
    try:
        page.goto(f"/app/jobs/{job_id}")
        page.get_by_role("button", name="Raise its limit").click()
        page.get_by_label("New limit in US dollars").fill("0.5")
        page.get_by_role("button", name="Raise the limit").click()
        page.locator("[data-part=top-up-fault]", has_text="must be more than").wait_for()

        page.get_by_label("New limit in US dollars").fill("2.5")
        page.get_by_role("button", name="Raise the limit").click()
        page.locator("[data-part=top-up-dialog]").wait_for(state="hidden")

        assert lab.get(f"/v1/jobs/{job_id}")["budget_limit"] == 2.5
    finally:
        lab.post(f"/v1/jobs/{job_id}/cancel", {})


def test_the_noise_of_a_job_is_shown(lab: Lab, page: Any):
    """The configuration names the channels with their strengths, beside the shots."""
    noise = {"readout": {"p01": 0.01, "p10": 0.04}}
    job_id = lab.submit("Noisy", "iris", epochs=1, qubits=2, shots=10, noise=noise)

    page.goto(f"/app/jobs/{job_id}")

    page.locator("[data-part=configuration]", has_text="readout 0.01 / 0.04").wait_for()
    assert lab.finished(job_id)["receipt"]["noise"] == noise


def test_a_lost_connection_comes_back_from_the_last_event(lab: Lab, page: Any):
    """The page says that it lost the server, reconnects by itself, and asks for what came after its last event."""
    sent: list[dict[str, Any]] = []
    sockets: list[Any] = []

    def pass_on(socket: Any) -> None:
        server = socket.connect_to_server()
        sockets.append(socket)
        socket.on_message(lambda text: (sent.append(json.loads(text)), server.send(text)))

    page.route_web_socket("**/v1/ws", pass_on)
    job_id = lab.submit("Long", "digits", **LONG)
    try:
        page.goto(f"/app/jobs/{job_id}")
        page.locator("[data-part=loss] canvas").wait_for()
        first = epoch(page)
        wait_for_epoch(page, first + 1)

        sockets[0].close(code=1001, reason="test")
        page.locator("[data-part=link]", has_text="trying again").wait_for()
        page.locator("[data-part=link]", has_text=re.compile("^Live$")).wait_for()
        wait_for_epoch(page, epoch(page) + 2)

        again = [frame for frame in sent if frame["type"] == "subscribe" and "last_seq" in frame]
        assert {frame["channel"] for frame in again} == {"job.progress", "job.metrics"}
        assert all(frame["last_seq"] > 0 and frame["job_id"] == job_id for frame in again)
        # No epoch is missing from the curve although some came while nobody listened.
        stored = lab.get(f"/v1/jobs/{job_id}")["metrics"]["loss_history"]
        assert len(stored) >= epoch(page)
    finally:
        lab.post(f"/v1/jobs/{job_id}/cancel", {})


def test_a_finished_job_shows_its_whole_course(lab: Lab, page: Any, digits_job: dict[str, Any]):
    """Opened after its end, the page shows the stored curves and the test score beside logistic regression."""
    page.goto(f"/app/jobs/{digits_job['id']}")
    page.locator("[data-part=status]", has_text="Completed").wait_for()
    page.locator("[data-part=accuracy] canvas").wait_for()

    metrics = digits_job["metrics"]
    label = page.locator("[data-part=loss]").get_attribute("aria-label")
    assert f"{metrics['loss_history'][-1]:.4f}" in label
    assert f"{metrics['val_loss_history'][-1]:.4f}" in label
    assert page.locator("[data-part=headline]").inner_text() == f"{100 * metrics['test_accuracy']:.1f} %"
    regression = page.locator(".score", has_text="Logistic regression")
    assert f"{100 * metrics['baseline']['logistic_regression']:.1f} %" in regression.inner_text()
    assert page.get_by_role("link", name="Open the model").get_attribute("href").endswith(digits_job["model_id"])
    assert page.get_by_role("button", name="Cancel job").is_hidden()


def test_the_list_moves_too(lab: Lab, page: Any):
    """A job that is submitted elsewhere appears in the open list, and its end shows without a reload."""
    page.goto("/app/jobs")
    page.locator("[data-part=link]", has_text="Live").wait_for()
    page.evaluate("window.neverReloaded = true")

    job_id = lab.submit("Seen in the list", "iris", epochs=2)
    row = page.locator("tr", has=page.locator(f"a[href$='{job_id}']"))
    row.wait_for()
    row.locator("[data-status=completed]").wait_for()
    assert page.evaluate("window.neverReloaded") is True


def test_an_unknown_job_is_explained(page: Any):
    """An id that does not exist leads to a sentence, not to an empty page."""
    page.goto("/app/jobs/job_00000000000000000000000000")
    page.get_by_role("alert").filter(has_text="No job with this id").wait_for()

    assert page.goto("/app/jobs/nonsense").status == 404
    page.get_by_role("heading", name="No such page").wait_for()


def chain(lab: Lab, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """A finished job without a data set, on two qubits."""
    gates: list[dict[str, Any]] = [{"type": "H", "targets": [0]}, {"type": "CNOT", "targets": [0, 1]}]
    if config["task"] == "energy":
        gates += [{"type": "RY", "targets": [qubit], "parameters": {"theta": f"theta_{qubit}"}} for qubit in (0, 1)]
    circuit = lab.post("/v1/circuits", {"name": name, "n_qubits": 2, "gates": gates})
    return lab.finished(lab.post("/v1/jobs", {"circuit_id": circuit["id"], "config": config})["job_id"])


def test_an_energy_stands_beside_the_exact_one(lab: Lab, page: Any):
    """A job on a Hamiltonian shows energies and no accuracy; its model says that there is nothing to ask it."""
    ising = {"model": "ising", "j": 1.0, "h": 0.5, "periodic": False}
    job = chain(lab, "Ising", {"task": "energy", "hamiltonian": ising, "optimizer": "lbfgs", "epochs": 10, "seed": 1})

    page.goto(f"/app/jobs/{job['id']}")
    page.locator("[data-part=headline]", has_text=f"{job['metrics']['energy']:.6f}").wait_for()
    assert page.locator("[data-part=loss-title]").inner_text() == "Energy"
    assert f"{job['metrics']['exact_energy']:.6f}" in page.locator("[data-part=figures]").inner_text()
    assert page.locator("[data-part=accuracy-figure]").is_hidden()
    assert "accuracy" not in page.locator("[data-part=body]").inner_text().lower()

    page.goto(f"/app/models/{job['model_id']}")
    page.locator("[data-part=ask-closed]", has_text="takes no inputs").wait_for()
    assert page.get_by_role("button", name="Deploy").is_hidden()


def test_samples_are_counted(lab: Lab, page: Any):
    """A job that samples shows its outcomes as bars, and no curves."""
    job = chain(lab, "Bell", {"task": "sampling", "shots": 1000, "seed": 3})

    page.goto(f"/app/jobs/{job['id']}")
    page.locator("[data-part=scores] .score").first.wait_for()
    assert {row.split()[0] for row in page.locator("[data-part=scores] .score").all_inner_texts()} == {"00", "11"}
    assert page.locator("[data-part=curves]").is_hidden()
