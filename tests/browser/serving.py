"""A `qstore serve` of a test's own, and a client of its REST API."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import httpx

from tests.servers import free_port

START_SECONDS = 30
STOP_SECONDS = 15
JOB_SECONDS = 40
EMAIL = "ada@lab.example"
PASSWORD = "correct horse battery"


class Serving:
    """The real process on a free port, with everything below `folder`; its console is read as it writes."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.setup_token = ""
        command = [sys.executable, "-m", "qstore_appliance", "serve", "--data-dir", str(folder), "--port", str(port)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("QSTORE_")}
        self.folder = folder
        self._process = subprocess.Popen(
            command,
            cwd=folder.parent,
            env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # Read to the end on a thread: a full pipe would stop the server.
        self._console: deque[str] = deque(maxlen=200)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._console.append(line)
            if found := re.search(r"set-up token: (\S+)", line):
                self.setup_token = found[1]

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.setup_token:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("the server did not come up:\n" + "".join(self._console))
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(STOP_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()


class Lab:
    """A set-up server seen from a client: what the pages are compared with comes from here."""

    def __init__(self, serving: Serving) -> None:
        self.address = serving.address
        self._folder = serving.folder
        self._client = httpx.Client(base_url=serving.address, timeout=30, trust_env=False)
        owner = {"token": serving.setup_token, "email": EMAIL, "password": PASSWORD, "organization": "Lab"}
        self._client.post("/app/setup", json=owner, headers={"Origin": serving.address}).raise_for_status()
        self._client.cookies.clear()
        grant = {"grant_type": "password", "email": EMAIL, "password": PASSWORD}
        token = self.post("/v1/auth/token", grant)["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str) -> Any:
        return self._data(self._client.get(path))

    def post(self, path: str, body: Any) -> Any:
        return self._data(self._client.post(path, json=body))

    def patch(self, path: str, body: Any) -> Any:
        return self._data(self._client.patch(path, json=body))

    def delete(self, path: str) -> None:
        self._client.delete(path).raise_for_status()

    def upload(self, name: str, csv: str) -> Any:
        return self._data(
            self._client.post("/v1/datasets", data={"name": name}, files={"file": ("data.csv", csv, "text/csv")})
        )

    @staticmethod
    def _data(answer: httpx.Response) -> Any:
        envelope = answer.json()
        assert envelope["success"], envelope["error"]
        return envelope["data"]

    def submit(
        self,
        name: str,
        dataset: str,
        *,
        epochs: int,
        qubits: int = 4,
        batch_size: int = 32,
        budget_limit: float | None = None,
        **config: Any,
    ) -> str:
        """A job on a new circuit of one layer; its id."""
        turns = [("RY", "x_{}"), ("RY", "theta_{}"), ("RZ", "phi_{}")]
        gates: list[dict[str, Any]] = [
            {"type": gate, "targets": [qubit], "parameters": {"theta": angle.format(qubit)}}
            for gate, angle in turns
            for qubit in range(qubits)
        ]
        gates += [{"type": "CNOT", "targets": [qubit, (qubit + 1) % qubits]} for qubit in range(qubits)]
        circuit = self.post("/v1/circuits", {"name": name, "n_qubits": qubits, "gates": gates})
        config |= {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": 0.05,
            "seed": 1,
            "dataset": {"type": dataset, "features": {"method": "pca", "count": qubits}},
        }
        draft = {"circuit_id": circuit["id"], "config": config, "budget_limit": budget_limit}
        return str(self.post("/v1/jobs", draft)["job_id"])

    def finished(self, job_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + JOB_SECONDS
        while True:
            job: dict[str, Any] = self.get(f"/v1/jobs/{job_id}")
            if job["status"] in {"completed", "failed", "cancelled"}:
                return job
            assert time.monotonic() < deadline, f"{job_id} is still {job['status']}: {job['reason']}"
            time.sleep(0.05)

    def deployed(self, model_id: str) -> None:
        self.post(f"/v1/models/{model_id}/deploy", {})
        deadline = time.monotonic() + JOB_SECONDS
        while self.get(f"/v1/models/{model_id}")["status"] != "deployed":
            assert time.monotonic() < deadline, f"{model_id} is not deployed yet"
            time.sleep(0.05)

    def second_organization(self, email: str = "eve@another.example", name: str = "Another lab") -> httpx.Client:
        """Whoever owns another organization of this server, which the host makes."""
        command = [sys.executable, "-m", "qstore_appliance", "user", "create", "--data-dir", str(self._folder)]
        who = ["--email", email, "--organization", name, "--role", "owner"]
        subprocess.run(
            [*command, *who, "--password-file", "-"], input=PASSWORD, text=True, check=True, capture_output=True
        )
        grant = {"grant_type": "password", "email": email, "password": PASSWORD}
        token = self.post("/v1/auth/token", grant)["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.address, headers=bearer, timeout=30, trust_env=False)

    def close(self) -> None:
        self._client.close()
