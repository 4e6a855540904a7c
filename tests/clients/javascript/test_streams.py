"""A stream of the JavaScript client while its server starts anew."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.processes import Served
from tests.clients.javascript.conftest import credentials, surroundings
from tests.clients.python.conftest import CONFIG, furnished, gates

pytestmark = pytest.mark.xdist_group("javascript-client")

PROGRAM = """
import { QStoreClient } from '@qstore/client';
const client = new QStoreClient();
const logs = (async () => {
  const seen = [];
  for await (const line of client.jobs.followLogs(process.argv[2])) seen.push(line.seq);
  return seen;
})();
for await (const update of client.jobs.streamProgress(process.argv[2])) {
  console.log(JSON.stringify({ seq: update.seq, epoch: update.epoch, status: update.status }));
}
console.log(JSON.stringify({ logs: await logs }));
"""


def test_a_server_that_starts_anew(tmp_path: Path, installed: Path) -> None:
    """A stream is in the middle when its server is stopped and started again; each number comes once, up to the end."""
    served = Served(tmp_path / "data")
    try:
        laboratory = furnished(served)
        with laboratory.sync() as lab:
            circuit = lab.circuits.create(name="streamed", n_qubits=4, gates=gates())
            id = lab.jobs.submit(circuit_id=circuit.id, config={**CONFIG, "epochs": 100_000}).id
        (installed / "stream.mjs").write_text(PROGRAM)
        told = surroundings(credentials(laboratory))
        seen: list[dict[str, Any]] = []
        before = None
        with subprocess.Popen(
            ["node", "stream.mjs", id], cwd=installed, env=told, stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdout is not None
            for line in program.stdout:
                seen.append(json.loads(line))
                epoch = seen[-1].get("epoch", 0)
                if before is None and epoch >= 20:
                    before = epoch
                    served.stop()
                    served = Served(tmp_path / "data", port=served.port)
                elif before is not None and epoch > before + 50 and seen[-1]["status"] == "running":
                    with laboratory.sync() as lab:
                        lab.jobs.cancel(id)
        assert program.returncode == 0
    finally:
        served.stop()

    *updates, last = seen
    numbers = [one["seq"] for one in updates]
    assert numbers == sorted(set(numbers))
    assert updates[-1]["status"] == "cancelled"
    assert "queued" in {one["status"] for one in updates}, "the job went back into the line when its server stopped"
    assert last["logs"] == sorted(set(last["logs"]))
