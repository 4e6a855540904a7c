"""`qstore serve` with a budget: what it has to tell arrives though it is killed on the way, and jobs pause and go on."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from qstore_appliance.services.webhooks import signature
from tests.acceptance.processes import data, free_port, long_job, serving, small_circuit, wait_for_epoch
from tests.deliveries.receiving import AUTHORITY, mail_server, receiving

pytestmark = pytest.mark.xdist_group("alerts")


def configure(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "qstore.toml").write_text(text)
    (folder / "qstore.toml").chmod(0o600)
    return folder


def budget(folder: Path, client: httpx.Client, dollars: int, *alerts: dict[str, Any]) -> None:
    """The organization's budget, written beside the running server."""
    organization = data(client.get("/v1/organization"))["id"]
    connection = sqlite3.connect(folder / "qstore.sqlite3", timeout=30)
    now = "2026-01-01 00:00:00+00:00"
    with connection:
        connection.execute(
            "INSERT INTO budgets (organization_id, monthly_limit, alerts, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (organization_id)"
            " DO UPDATE SET monthly_limit = excluded.monthly_limit, alerts = excluded.alerts",
            (organization, dollars * 1_000_000, json.dumps(alerts), now, now),
        )
    connection.close()


def until(found: Callable[[], Any], seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def letters(client: httpx.Client, status: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data(client.get("/v1/outbox", params={"status": status}))
    return found


def test_a_server_that_is_killed_on_the_way(tmp_path: Path) -> None:
    """
    Letters are written, one hangs at its receiver, one finds no mail server, and the server is killed: the next one
    delivers both, with the ids that they have had from the beginning.
    """
    mail_port = free_port()
    with receiving() as hanging:
        port = hanging.port
        folder = configure(
            tmp_path / "data",
            f'[webhooks]\nallow = ["localhost:{port}"]\n[smtp]\nhost = "localhost"\nport = {mail_port}\n'
            f'sender = "lab@example.org"\nauthority = "{AUTHORITY}"\n',
        )
        with serving(folder) as served, served.client() as client:
            budget(
                folder,
                client,
                100,
                {"threshold": 50, "action": "webhook", "webhook": f"http://localhost:{port}/hang"},
                {"threshold": 50, "action": "email", "recipients": ["ada@example.com"]},
            )
            hook, mail = data(client.post("/v1/budget/alerts/test"))
            secret = data(client.get("/v1/webhooks/secret"))["secret"]
            hanging.wait_for(1)
            (waiting,) = until(lambda: [one for one in letters(client, "pending") if one["last_error"]])
            served.stop(signal.SIGKILL)
        assert waiting["id"] == mail["id"]
        assert waiting["last_error"] == "The mail server cannot be reached, or broke off."
        (first,) = hanging.received

    with receiving(port=port) as receiver, mail_server(port=mail_port) as mails:
        # The path still says that it hangs; here that is over at once.
        receiver.stopping.set()
        with serving(folder) as served, served.client() as client:
            (second,) = receiver.wait_for(1)
            data(client.post(f"/v1/outbox/{mail['id']}/retry"))
            until(lambda: len(letters(client, "delivered")) == 2)
            (mailed,) = mails.mails

    assert first.headers["X-QStore-Delivery"] == second.headers["X-QStore-Delivery"] == hook["id"]
    assert first.body == second.body
    timestamp = second.headers["X-QStore-Timestamp"]
    assert second.headers["X-QStore-Signature"] == signature(secret, timestamp, second.body)
    assert mailed.tls
    assert mailed.message["Message-ID"] == f"<{mail['id']}@example.org>"


@pytest.mark.long
def test_jobs_pause_and_go_on(tmp_path: Path) -> None:
    """A job in the middle of its epochs is paused by the charge of another one, and goes on once the limit is raised."""
    folder = configure(tmp_path / "data", "[jobs]\nslots = 2\n[backends.qsim]\nper_circuit = 0.001\n")
    # Next to nothing of a limit that leaves room for what the other job may cost.
    alerts = ({"threshold": 1, "action": "pause_jobs"}, {"threshold": 1, "action": "pause_new_jobs"})
    with serving(folder) as served, served.client() as client:
        circuit_id = small_circuit(client)
        job_id = long_job(client, circuit_id)
        wait_for_epoch(client, job_id)
        budget(folder, client, 20, *alerts)
        config = {
            "backend": "qsim",
            "epochs": 1,
            "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}},
        }
        data(client.post("/v1/jobs", json={"circuit_id": circuit_id, "config": config}))

        def job() -> dict[str, Any]:
            found: dict[str, Any] = data(client.get(f"/v1/jobs/{job_id}"))
            return found

        paused = until(lambda: job() if job()["status"] == "paused" else None)
        assert paused["reason"].startswith("Waits for the budget: its alert at 1 % pauses all jobs until ")
        again = client.post("/v1/jobs", json={"circuit_id": circuit_id, "config": config})
        assert (again.status_code, again.json()["error"]["code"]) == (402, "BUDGET_EXCEEDED")
        budget(folder, client, 1_000_000, *alerts)
        went_on = until(
            lambda: job() if job()["progress"]["current_epoch"] > paused["progress"]["current_epoch"] else None
        )
        assert went_on["status"] == "running"
        assert went_on["reason"] is None
        data(client.post(f"/v1/jobs/{job_id}/cancel"))
