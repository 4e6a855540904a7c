"""`qstore serve`: claim the port, open the house, say where it is, stop when told."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import signal
import ssl
import time
from typing import Any

from qstore_appliance.cli.control import ControlSocket, is_served
from qstore_appliance.cli.output import complain
from qstore_appliance.errors import ConfigurationInvalid, DataDirectoryInUse
from qstore_appliance.settings import Settings

#: Looks at `/ready`, twenty a second, before the operator is told that it takes long.
PATIENCE_TURNS = 200
#: A verb of the command line that has the directory is done by then.
VERB_SECONDS = 1.0


def run(settings: Settings, arguments: dict[str, Any]) -> int:
    """
    Serve until a signal comes.

    Raises:
        DataDirectoryInUse, Refused: Another server has the directory or the port; nothing was touched.
        QStoreError: The appliance could not be opened.
    """
    refuse_if_in_use(settings)

    from qstore_appliance import telemetry
    from qstore_appliance.api import server
    from qstore_appliance.api.app import create_app

    telemetry.configure(settings.telemetry.level, settings.telemetry.format)
    listener = server.listen(settings)
    make_data_dir(settings)
    fingerprint = None
    if settings.server.tls_self_signed:
        from qstore_appliance.api import certificates

        fingerprint = certificates.ensure(settings)
    if not settings.is_loopback and not settings.server.tls_certificate:
        complain(
            f"WARNING: plain HTTP on {settings.server.host}. Passwords and keys travel unprotected; "
            "give tls_certificate and tls_key, or put a proxy with TLS in front."
        )
    app = create_app(settings)
    presence = Presence(settings, app, fingerprint)
    app.register_listener(presence.vanish, "before_server_stop")
    server.run(app, settings, ready=presence.appear, listener=listener)
    return 0


def refuse_if_in_use(settings: Settings) -> None:
    """
    Say it before anything is touched; `Appliance.open` decides. A verb that has the directory for a moment is waited for.

    Raises:
        DataDirectoryInUse: Naming who has it.
    """
    deadline = time.monotonic() + VERB_SECONDS
    while True:
        holder = _holder(settings)
        if holder is None:
            return
        if is_served(settings) or time.monotonic() > deadline:
            raise DataDirectoryInUse(
                f"{settings.data_dir} is in use by another server: process {holder.get('pid', 'unknown')} on "
                f"{holder.get('host', 'an unknown host')}, at {holder.get('address', 'an unknown address')}.",
                details=holder,
            )
        time.sleep(0.1)


def _holder(settings: Settings) -> dict[str, Any] | None:
    """What the lock file says of the process that holds it; None when nobody does."""
    try:
        with settings.lock_file.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holder: dict[str, Any] = json.loads(file.read() or b"{}")
                return holder
    except OSError:
        # Not there, or not ours to read: opening the appliance tells.
        return None
    except ValueError:
        return {}
    return None


def make_data_dir(settings: Settings) -> None:
    """
    Raises:
        ConfigurationInvalid: It cannot be made or written to.
    """
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationInvalid(f"{settings.data_dir}: cannot be made ({error.strerror})") from error
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise ConfigurationInvalid(f"{settings.data_dir}: cannot be written to")


class Presence:
    """What a serving process shows of itself: the control socket, the ready line, how it takes a second signal."""

    def __init__(self, settings: Settings, app: Any, fingerprint: str | None = None) -> None:
        self.settings = settings
        self.fingerprint = fingerprint
        self.app = app
        self._control: ControlSocket | None = None

    async def appear(self) -> None:
        self._control = ControlSocket(self.settings, self.app.ctx.appliance)
        await self._control.open()
        # Not the app's own task list: Sanic keeps one only for servers that it runs itself.
        self._announcing = asyncio.create_task(self._announce(), name="announce")

    async def vanish(self, app: Any) -> None:
        # Stopping may wait for requests. Who signals again does not want to: the system ends us at once, our children
        # notice, and rows and files are whole at every moment.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        if self._control is not None:
            await self._control.close()

    async def _announce(self) -> None:
        for turn in itertools.count():
            if await answers_ready(self.settings):
                break
            if turn == PATIENCE_TURNS:
                complain("Not ready yet; the log says why, and so does GET /ready.")
            await asyncio.sleep(0.05)
        address = self.settings.address
        lines = [f"Q-Store is ready at {address} (data directory {self.settings.data_dir})"]
        if self.fingerprint is not None:
            lines.append(f"Its certificate is its own; compare the fingerprint (SHA-256): {self.fingerprint}")
        token = await self.app.ctx.appliance.accounts.issue_setup_token()
        if token is not None:
            minutes = self.settings.auth.setup_seconds // 60
            lines.append(f"Nobody can sign in yet. Open {address}/app/setup within {minutes} minutes.")
            lines.append(f"One-time set-up token: {token}")
        # Whoever started us may have closed its end; serving goes on.
        with contextlib.suppress(BrokenPipeError):
            print("\n".join(lines), flush=True)


def own_host(settings: Settings) -> str:
    """The address at which this machine reaches its own server."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)  # noqa: S104


async def answers_ready(settings: Settings) -> bool:
    """Whether `/ready` answers 200, asked through the front door."""
    host = own_host(settings)
    context = None
    if settings.server.tls_certificate:
        # We ask ourselves: the certificate is made out to a name, not to this address.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        reader, writer = await asyncio.open_connection(host, settings.server.port, ssl=context)
    except OSError:
        return False
    with contextlib.closing(writer):
        shown = f"[{host}]" if ":" in host else host
        writer.write(f"GET /ready HTTP/1.1\r\nHost: {shown}\r\nConnection: close\r\n\r\n".encode())
        return (await reader.readline()).startswith(b"HTTP/1.1 200")
