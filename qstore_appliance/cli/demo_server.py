"""The demo's server: a real `qstore serve` in a process of its own, which never outlives the demo."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from qstore_appliance.errors import Unavailable
from qstore_appliance.settings import Settings

START_SECONDS = 60.0
STOP_SECONDS = 15.0


def _stay_behind_the_demo() -> None:
    """
    Before the child becomes `qstore serve`.

    A terminal's Ctrl-C goes to every process of its group: the demo alone shall take it, and stop its server in order.
    Where the demo is killed, Linux tells the server.
    """
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG


@contextlib.contextmanager
def serving(settings: Settings, config: Path | None) -> Iterator[subprocess.Popen[str]]:
    """
    A server that answers, inside the block.

    Raises:
        Unavailable: It did not start; the message is its last line.
    """
    log_path = settings.data_dir / "demo.log"
    command = [sys.executable, "-P", "-m", "qstore_appliance", "serve", "--data-dir", str(settings.data_dir)]
    command += ["--host", settings.server.host, "--port", str(settings.server.port)]
    if config is not None:
        command += ["--config", str(config)]
    if settings.server.insecure_http:
        command.append("--insecure-http")
    with log_path.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            preexec_fn=_stay_behind_the_demo,
        )  # fmt: skip
    try:
        _wait_until_ready(process, log_path)
        yield process
    finally:
        _stop(process)


def _wait_until_ready(process: subprocess.Popen[str], log_path: Path) -> None:
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, name="server-output", daemon=True).start()
    try:
        if lines.get(timeout=START_SECONDS) is not None:
            return
    except queue.Empty as error:
        raise Unavailable(f"The server was not ready after {START_SECONDS:.0f} s; see {log_path}.") from error
    written = log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    reason = written[-1].removeprefix("qstore: ") if written else f"exit code {process.wait()}"
    raise Unavailable(f"The server did not start: {reason}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()
