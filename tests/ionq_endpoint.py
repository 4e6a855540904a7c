"""Our own IonQ endpoint on a free port, in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from qstore_appliance.api.app import create_app
from qstore_appliance.api.server import Server, listen
from qstore_appliance.appliance import Appliance
from qstore_appliance.domain.accounts import ApiKeyDraft
from qstore_appliance.settings import Limits, Settings
from qstore_appliance.settings import Server as ServerSettings
from tests.factories import PASSWORD, ThreadCalculator, make_caller

Result = TypeVar("Result")

SCOPES = ["jobs:submit", "jobs:read", "jobs:cancel", "backends:read"]


@dataclass
class Endpoint:
    """
    Attributes:
        url: Without the version.
        key: Of the owner's organization; `strange_key` of another's.
    """

    url: str
    key: str
    strange_key: str
    appliance: Any
    loop: asyncio.AbstractEventLoop

    def ask(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Await something in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def options(self, **more: Any) -> dict[str, Any]:
        """Of a backend that runs here."""
        return {"api_key": self.key, "base_url": self.url, "poll_interval": 0.05, "retry_pause": 0.01, **more}


@contextmanager
def endpoint(folder: Path, simulator: str = "native") -> Iterator[Endpoint]:
    """Serves until the block ends."""
    opened: Future[Endpoint] = Future()
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, simulator, opened, stop)), name="ionq-endpoint")
    thread.start()
    try:
        yield opened.result(60)
    finally:
        stop.set()
        thread.join(30)


async def _serve(folder: Path, simulator: str, opened: Future[Endpoint], stop: threading.Event) -> None:
    try:
        # Port 0 means any; what was taken is written down before the app is made.
        listener = listen(Settings(data_dir=folder, server=ServerSettings(port=0)))
        settings = Settings(
            data_dir=folder,
            server=ServerSettings(port=listener.getsockname()[1]),
            limits=Limits(key=1_000_000, address=100_000),
        )
        app = create_app(settings, open_appliance=lambda settings: Appliance.open(settings, work=False))
        server = Server(app, settings)
        await server.start(listener)
    except BaseException as error:
        opened.set_exception(error)
        return
    try:
        appliance = app.ctx.appliance
        # The true functions, in threads: children take seconds to start, and have tests of their own.
        appliance.backends._calculator = appliance.circuit_runs._calculator = ThreadCalculator()
        appliance.backends._names = [simulator]
        await appliance.circuit_runs.start()
        try:
            keys = [await _key(appliance, name) for name in ("one", "two")]
            opened.set_result(Endpoint(settings.address, *keys, appliance, asyncio.get_running_loop()))
            while not stop.is_set():
                await asyncio.sleep(0.02)
        finally:
            await appliance.circuit_runs.close()
    finally:
        await server.stop()


async def _key(appliance: Any, name: str) -> str:
    user = await appliance.accounts.create_user(f"owner@{name}.example", name, "owner", PASSWORD)
    caller = make_caller("owner", user_id=user.id, organization_id=user.organization_id)
    made = await appliance.accounts.create_key(caller, ApiKeyDraft(name="script", scopes=SCOPES, rate_limit=1_000_000))
    return str(made.key)
