"""
A server to be killed: `python -m tests.work.victim DIRECTORY` trains for ever and says which processes belong to it.

It prints one line of JSON when its job has finished an epoch and its model answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from qstore_appliance import telemetry
from qstore_appliance.appliance import Appliance
from qstore_appliance.domain.models import DeploymentDraft
from qstore_appliance.settings import Settings
from tests.work.bench import LONG, Bench, children_of


async def main(directory: Path) -> None:
    async with Appliance.open(Settings(data_dir=directory)) as appliance:
        bench = await Bench.at(appliance)
        model_id = await bench.model()
        await appliance.models.deploy(bench.caller, model_id, DeploymentDraft())
        await appliance.calculator.call("qstore_appliance.engine.discovery:names")
        job_id = await bench.submit(epochs=LONG)
        await bench.trained(job_id)
        pids = [pid for target in ("train", "calculate", "predict") for pid in children_of(target)]
        print(json.dumps({"pid": os.getpid(), "children": pids, "job_id": job_id, "model_id": model_id}), flush=True)
        await asyncio.sleep(600)


if __name__ == "__main__":
    # Standard output is for what the test reads.
    telemetry.configure("warning")
    asyncio.run(main(Path(sys.argv[1])))
