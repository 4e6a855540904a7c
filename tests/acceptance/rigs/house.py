"""
The house that a rig sets on fire: a real `qstore serve`, killed and started again, on SQLite or on Postgres.

Where it has a world outside, it trains at a provider too, and its budget calls a webhook.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.processes import Served, data
from tests.acceptance.rigs.outside import Outside
from tests.servers import Postgres

#: Price of a circuit, so that the ledger has something to hold.
CONFIG = "[backends.native]\nper_circuit = 0.000001\n"
LIMITS = {
    "QSTORE_LIMITS__USER": "100000000",
    "QSTORE_AUTH__ACCESS_SECONDS": "86400",
    "QSTORE_JOBS__SLOTS": "3",
    "QSTORE_JOBS__THREADS": "1",
}
PLANTS = Path(__file__).parent / "plants"
GATES = [
    gate
    for qubit in range(2)
    for gate in (
        {"type": "RY", "targets": [qubit], "parameters": {"theta": f"x_{qubit}"}},
        {"type": "RY", "targets": [qubit], "parameters": {"theta": f"theta_{qubit}"}},
    )
] + [{"type": "CNOT", "targets": [0, 1]}]
#: With batches drawn anew in each epoch, an optimiser that remembers, and early epochs that differ from late ones.
WITNESS = {
    "learning_rate": 0.05,
    "seed": 11,
    "batch_size": 16,
    "optimizer": "adam",
    "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}},
}

#: The same at the provider, of a few samples: each of its circuits is a request there.
ELSEWHERE = {
    "backend": "ionq_simulator",
    "batch_size": 8,
    "dataset": {**WITNESS["dataset"], "train_size": 8, "val_size": 4},  # type: ignore[dict-item]
}
#: Percent of the month's budget at which its webhook is called.
THRESHOLDS = range(1, 51)


def until(fact: Callable[[], Any], seconds: float = 90.0, every: float = 0.02) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(every)
    return found


class House:
    """
    Args:
        plant: Name of a bug of `plants/sitecustomize.py` that the server has.
        postgres: Where its rows are; SQLite where it is left out.
        outside: A provider to train at, and a receiver of what its budget has to tell.
        free: Nothing costs anything: then a training does not wait until its last epoch is paid for.
    """

    def __init__(
        self,
        folder: Path,
        *,
        postgres: Postgres | None = None,
        plant: str | None = None,
        outside: Outside | None = None,
        free: bool = False,
        **more: str,
    ) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.data_dir.mkdir(parents=True)
        self.outside = outside
        (self.data_dir / "qstore.toml").write_text(
            ("" if free else CONFIG) + (outside.config if outside is not None else "")
        )
        (self.data_dir / "qstore.toml").chmod(0o600)
        self.postgres = postgres
        self.database = postgres.create() if postgres is not None else None
        self.environment = {**LIMITS, **more}
        if postgres is not None:
            self.environment["QSTORE_DATABASE__URL"] = postgres.url(self.database or "")
        if plant is not None:
            self.environment |= {"PYTHONPATH": str(PLANTS), "RIG_PLANT": plant}
        self.served = Served(self.data_dir, **self.environment)
        self.client = self.served.client()
        circuit = {"name": "witness", "n_qubits": 2, "gates": GATES}
        self.circuit = str(data(self.client.post("/v1/circuits", json=circuit))["id"])

    @property
    def token(self) -> str:
        return str(self.client.headers["Authorization"]).removeprefix("Bearer ")

    def close(self) -> None:
        self.client.close()
        self.served.stop()
        if self.postgres is not None and self.database is not None:
            self.postgres.drop(self.database)

    def kill(self) -> None:
        self.served.stop(signal.SIGKILL)

    def start(self) -> float:
        """Returns: seconds until it was ready."""
        self.served = Served(self.data_dir, port=self.served.port, **self.environment)
        return self.served.seconds_to_ready

    # Jobs --------------------------------------------------------------------------------------------------------

    def submit(self, epochs: int, circuit_id: str | None = None, **more: Any) -> str:
        config = {**WITNESS, "epochs": epochs, **more}
        body = {"circuit_id": circuit_id or self.circuit, "config": config, "priority": "high"}
        return str(data(self.client.post("/v1/jobs", json=body, timeout=90))["job_id"])

    def submit_elsewhere(self, epochs: int) -> str:
        return self.submit(epochs, **ELSEWHERE)

    def budget(self, dollars: float, url: str) -> None:
        """What a month may cost, with a webhook at each of `THRESHOLDS`."""
        alerts = [{"threshold": one, "action": "webhook", "webhook": url} for one in THRESHOLDS]
        data(self.client.put("/v1/budget", json={"monthly_limit": dollars, "alerts": alerts}))

    def job(self, id: str) -> dict[str, Any]:
        return dict(data(self.client.get(f"/v1/jobs/{id}")))

    def ended(self, id: str, seconds: float = 120.0) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            job = self.job(id)
            return job if job["status"] in {"completed", "failed", "cancelled"} else None

        return dict(until(look, seconds, 0.05))

    def learned(self, id: str) -> dict[str, Any]:
        """Of a completed job, what must not depend on what was killed meanwhile."""
        job = self.ended(id)
        assert job["status"] == "completed", job
        model = data(self.client.get(f"/v1/models/{job['model_id']}"))
        histories = {key: value for key, value in job["metrics"].items() if key.endswith("_history")}
        return {"parameters": model["parameters"], "histories": histories, "epochs": job["progress"]["current_epoch"]}

    def children(self, job_id: str) -> list[int]:
        """Processes that this server has started for the job, as its log tells."""
        found = []
        for line in self.served.log.read_text().splitlines():
            if "training.child_started" in line and job_id in line:
                found.append(int(json.loads(line)["pid"]))
        return found

    # Rows --------------------------------------------------------------------------------------------------------

    def snapshot(self, queries: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
        """Rows of several queries, all of one moment."""
        if self.postgres is None:
            connection = sqlite3.connect(f"file:{self.data_dir / 'qstore.sqlite3'}?mode=ro", uri=True, timeout=10)
            connection.row_factory = sqlite3.Row
            try:
                connection.execute("BEGIN")
                return {name: [_plain(dict(row)) for row in connection.execute(sql)] for name, sql in queries.items()}
            finally:
                connection.close()
        parts = ", ".join(
            f"'{name}', (SELECT coalesce(json_agg(t), '[]') FROM ({sql}) t)" for name, sql in queries.items()
        )
        found: dict[str, Any] = json.loads(
            self.postgres.execute(f"SELECT json_build_object({parts})", self.database or "")
        )
        return {name: list(rows) for name, rows in found.items()}

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return self.snapshot({"rows": sql})["rows"]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """JSON columns as they are in Postgres."""
    return {
        key: json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[") else value
        for key, value in row.items()
    }
