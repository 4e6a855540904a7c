#!/usr/bin/env python3
"""
What `qstore serve` costs: seconds to `/ready`, and reads of a circuit while a job trains beside an idle server.

Run it with the project's Python: `.venv/bin/python scripts/bench/serve.py [--starts 5] [--requests 500]`. Figures of
one call are comparable with each other; across machines only the ratio is.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.acceptance.processes import data, long_job, serving, small_circuit, wait_for_epoch
from tests.acceptance.test_latency import p95, read_times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--requests", type=int, default=500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for _ in range(asked.starts):
            with serving(Path(folder) / "data") as server:
                seconds.append(server.seconds_to_ready)
        print(f"serve to /ready: first {seconds[0]:.2f} s, median of {asked.starts} {statistics.median(seconds):.2f} s")

        with serving(Path(folder) / "data") as server, server.client() as client:
            circuit_id = small_circuit(client)
            path = f"/v1/circuits/{circuit_id}"
            read_times(client, path, 50)
            idle = read_times(client, path, asked.requests)
            job_id = long_job(client, circuit_id)
            wait_for_epoch(client, job_id, 2)
            busy = read_times(client, path, asked.requests)
            trained = data(client.get(f"/v1/jobs/{job_id}"))
            data(client.post(f"/v1/jobs/{job_id}/cancel"))
    if trained["status"] != "running":
        raise SystemExit(f"the job was {trained['status']}: {trained['reason']}")
    for name, times in (("idle", idle), ("training", busy)):
        print(f"GET /v1/circuits/{{id}} {name}: median {statistics.median(times):.2f} ms, p95 {p95(times):.2f} ms")
    print(
        f"training / idle: median × {statistics.median(busy) / statistics.median(idle):.2f}, p95 × {p95(busy) / p95(idle):.2f}"
    )


if __name__ == "__main__":
    main()
