"""The whole way: `qstore serve` trains on the backend `ionq_simulator`, which is that same server's `/v0.4`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.acceptance.processes import PASSWORD, data, free_port, qstore, serving


@pytest.mark.long
def test_a_server_trains_through_its_own_ionq_endpoint(tmp_path: Path) -> None:
    """The job completes, the circuits ran as circuit jobs of the key's owner, and every one of them is in the ledger."""
    folder, port = tmp_path / "data", free_port()
    made = qstore(
        "init", "--data-dir", folder, "--email", "ada@example.org", "--organization", "Lab", "--password-file", "-",
        stdin=PASSWORD,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    (folder / "qstore.toml").write_text("[limits]\nkey = 1000000\n")
    key = qstore("key", "create", "--data-dir", folder, "--name", "ionq", "--rate-limit", 1_000_000, "--json")
    assert key.returncode == 0, key.stderr
    secret = tmp_path / "ionq.key"
    secret.touch(mode=0o600)
    secret.write_text(json.loads(key.stdout)["key"])
    (folder / "qstore.toml").write_text(
        "[limits]\nkey = 1000000\n"
        f'[backends.ionq_simulator]\napi_key_file = "{secret}"\nbase_url = "http://127.0.0.1:{port}"\n'
        "poll_interval = 0.05\n"
    )
    with serving(folder, port=port) as served, served.client() as client:
        gates = [
            {"type": "RY", "targets": [0], "parameters": {"theta": "x_0"}},
            {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
        ]
        circuit = data(client.post("/v1/circuits", json={"name": "one", "n_qubits": 1, "gates": gates}))
        config = {
            "backend": "ionq_simulator",
            "epochs": 1,
            "batch_size": 8,
            "seed": 1,
            "dataset": {
                "type": "iris", "train_size": 8, "val_size": 4, "features": {"method": "pca", "count": 1},
            },
        }  # fmt: skip

        job = data(client.post("/v1/jobs", json={"circuit_id": circuit["id"], "config": config}, timeout=90))
        id = job["job_id"]
        deadline = time.monotonic() + 120
        while (job := data(client.get(f"/v1/jobs/{id}")))["status"] not in {"completed", "failed"}:
            assert time.monotonic() < deadline, job
            time.sleep(0.1)

        assert job["status"] == "completed", job
        assert job["backend"] == "ionq_simulator"
        found = client.get("/v0.4/jobs", params={"limit": 100}).json()["jobs"]
        assert {one["status"] for one in found} == {"completed"}
        assert all(one["name"].startswith("qstore-") for one in found)
        circuits = sum(one["stats"]["circuits"] for one in found)
        # Eight samples with one rotation shifted twice, four for validation, and what the test part has.
        assert circuits >= 8 * 3 + 4
        status = data(client.get("/v1/backends/backend_native_001/status"))
        assert status["performance"]["circuits_today"] == circuits
