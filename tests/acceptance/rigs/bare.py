"""A Sanic that does nothing, started beside ours for comparison: what of a start is the machine's load and Python's own."""

from __future__ import annotations

import subprocess
import sys
import time

import httpx

from tests.acceptance.processes import environment, free_port

PROGRAM = """
import sys
from sanic import Sanic
from sanic.response import text

app = Sanic("bare", configure_logging=False)

@app.get("/")
async def answer(request):
    return text("ready")

if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), single_process=True, motd=False, access_log=False)
"""


def seconds_to_ready() -> float:
    """From the start of such a process to its first answer; it is killed then."""
    port = free_port()
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, str(port)], env=environment(), stderr=subprocess.DEVNULL
    )
    try:
        while process.poll() is None:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 200:
                    return time.monotonic() - began
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError(f"a bare Sanic ended with {process.returncode}")
    finally:
        process.kill()
        process.wait()
