"""
Settings: one table of sections, frozen once read.

Later wins: defaults < `qstore.toml` < environment (`QSTORE_SECTION__KEY`) < flags. A secret may be given as
`<key>_file`, the path of a file that only its owner can read. Nothing here opens a database or a socket.
"""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qstore_appliance.errors import ConfigurationInvalid


def option(
    default: Any, help: str, *, secret: bool = False, low: float | None = None, high: float | None = None
) -> Any:
    """One key of a section: its default, the sentence that documents it, and its bounds."""
    metadata = {"help": help, "secret": secret, "low": low, "high": high}
    if isinstance(default, (list, dict)):
        raise TypeError("defaults are immutable: use a tuple")
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Server:
    host: str = option("127.0.0.1", "Address to listen on.")
    port: int = option(8000, "Port to listen on.", low=1, high=65535)
    allowed_hosts: tuple[str, ...] = option((), "Host names that this server answers to, besides its own.")
    public_url: str = option("", "Address printed in answers where clients reach us through a proxy.")
    insecure_http: bool = option(False, "Allow plain HTTP on an address that is not loopback.")
    tls_certificate: str = option("", "PEM file of the certificate chain; with tls_key, serves HTTPS.")
    tls_key: str = option("", "PEM file of the private key.")


@dataclass(frozen=True)
class Database:
    url: str = option(
        "", "Empty: SQLite in the data directory. Or postgres://user:password@host:5432/name.", secret=True
    )


@dataclass(frozen=True)
class Queue:
    url: str = option("", "Empty: a queue file in the data directory. Or redis://host:6379/0.", secret=True)


@dataclass(frozen=True)
class Jobs:
    slots: int = option(1, "Training jobs that run at the same time on this machine.", low=0, high=64)
    threads: int = option(0, "Threads of one training job; 0: all cores divided by the slots.", low=0, high=1024)
    lease_seconds: int = option(15, "A running job that is silent for so long is taken to be dead.", low=3, high=3600)
    max_queued: int = option(10_000, "Waiting jobs of one organization.", low=1, high=10_000_000)


@dataclass(frozen=True)
class Datasets:
    max_bytes: int = option(2_000_000_000, "Largest upload in bytes.", low=1)
    folder: str = option("", "Where imported data sets lie; empty: `datasets` in the data directory.")


@dataclass(frozen=True)
class Limits:
    key: int = option(1_000, "Requests in an API key's bucket (refilled by a hundredth each second).", low=1)
    user: int = option(6_000, "Requests in a signed-in user's bucket.", low=1)
    address: int = option(300, "Requests in the bucket of an address without credentials.", low=1)
    sign_in_failures: int = option(10, "Failed sign-ins allowed per account and address in five minutes.", low=1)


@dataclass(frozen=True)
class Auth:
    access_seconds: int = option(3_600, "Life of an access token.", low=60, high=86_400)
    refresh_seconds: int = option(30 * 86_400, "Life of a refresh token and of a dashboard session.", low=300)
    setup_seconds: int = option(15 * 60, "Life of the one-time set-up token.", low=60)


@dataclass(frozen=True)
class Predictions:
    replicas: int = option(1, "Predictor processes that this machine holds at the most.", low=1, high=64)
    deadline_seconds: int = option(30, "A prediction that takes longer is stopped.", low=1, high=600)
    max_inputs: int = option(10_000, "Inputs in one prediction request.", low=1)


@dataclass(frozen=True)
class Telemetry:
    level: str = option("info", "Log level: debug, info, warning or error.")
    format: str = option("auto", "Log format: json, console, or auto (console on a terminal).")


@dataclass(frozen=True)
class Settings:
    """Everything an operator decides, and the data directory it is about."""

    data_dir: Path
    server: Server = Server()
    database: Database = Database()
    queue: Queue = Queue()
    jobs: Jobs = Jobs()
    datasets: Datasets = Datasets()
    limits: Limits = Limits()
    auth: Auth = Auth()
    predictions: Predictions = Predictions()
    telemetry: Telemetry = Telemetry()
    #: `[backends.<name>]` as written; each plugin reads its own.
    backends: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    #: `[dataset_digests.<name>]`: file name → digest, over the built-in table for mnist and fashion_mnist.
    dataset_digests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def database_file(self) -> Path:
        return self.data_dir / "qstore.sqlite3"

    @property
    def queue_file(self) -> Path:
        return self.data_dir / "queue.sqlite3"

    @property
    def blob_dir(self) -> Path:
        return self.data_dir / "blobs"

    @property
    def dataset_dir(self) -> Path:
        return Path(self.datasets.folder) if self.datasets.folder else self.data_dir / "datasets"

    @property
    def secret_file(self) -> Path:
        return self.data_dir / "secret.key"

    @property
    def lock_file(self) -> Path:
        return self.data_dir / "lock"

    @property
    def control_socket(self) -> Path:
        return self.data_dir / "control.sock"

    @property
    def is_postgres(self) -> bool:
        return self.database.url.startswith(("postgres://", "postgresql://"))

    @property
    def address(self) -> str:
        """The address that people open."""
        if self.server.public_url:
            return self.server.public_url.rstrip("/")
        scheme = "https" if self.server.tls_certificate else "http"
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        return f"{scheme}://{host}:{self.server.port}"

    @property
    def is_loopback(self) -> bool:
        return self.server.host in {"127.0.0.1", "::1", "localhost"}


SECTIONS: dict[str, type] = {
    f.name: f.default.__class__  # type: ignore[misc]
    for f in dataclasses.fields(Settings)
    if dataclasses.is_dataclass(f.default) and not isinstance(f.default, type)
}


def load(
    data_dir: Path,
    config_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """
    Read every source and check the whole.

    Args:
        data_dir: The data directory; it is not created here.
        config_file: A file that must exist, or None for `DIR/qstore.toml`, then `./qstore.toml`, where they exist.
        environment: Usually `os.environ`.
        flags: `{"server.port": 8001}`; None values are ignored.

    Raises:
        ConfigurationInvalid: Naming the file, the line and the key, or the variable or flag.
    """
    data_dir = data_dir.expanduser().absolute()
    path = _config_path(data_dir, config_file)
    values: dict[str, dict[str, Any]] = {}
    backends: dict[str, dict[str, object]] = {}
    digests: dict[str, dict[str, str]] = {}
    if path is not None:
        text, document = _read(path)
        for section, table in document.items():
            if section in {"backends", "dataset_digests"}:
                if not isinstance(table, dict) or not all(isinstance(v, dict) for v in table.values()):
                    raise _at(path, text, section, None, f"write [{section}.<name>]")
                target: dict[str, Any] = backends if section == "backends" else digests
                target.update(_secrets_of(path, text, section, table))
                continue
            if section not in SECTIONS or not isinstance(table, dict):
                raise _at(path, text, section, None, f"unknown section; there are {', '.join([*SECTIONS, 'backends'])}")
            for key, value in table.items():
                name, resolved = _resolve(section, key, value, lambda m, s=section, k=key: _at(path, text, s, k, m))
                values.setdefault(section, {})[name] = resolved
    for variable, raw in sorted((environment or {}).items()):
        match = re.fullmatch(r"QSTORE_([A-Z]+)__([A-Z_]+)", variable)
        if match is None:
            continue
        section, key = match[1].lower(), match[2].lower()

        def wrong(message: str, variable: str = variable) -> ConfigurationInvalid:
            return ConfigurationInvalid(f"environment variable {variable}: {message}")

        if section not in SECTIONS:
            raise wrong(f"unknown section; there are {', '.join(SECTIONS)}")
        name, resolved = _resolve(section, key, _from_text(section, key, raw, wrong), wrong)
        values.setdefault(section, {})[name] = resolved
    for dotted, value in (flags or {}).items():
        if value is None:
            continue
        section, key = dotted.split(".")
        flag = f"--{key.replace('_', '-')}"
        name, resolved = _resolve(section, key, value, lambda m, flag=flag: ConfigurationInvalid(f"{flag}: {m}"))
        values.setdefault(section, {})[name] = resolved
    sections = {name: kind(**values.get(name, {})) for name, kind in SECTIONS.items()}
    settings = Settings(data_dir=data_dir, backends=backends, dataset_digests=digests, **sections)
    _validate(settings)
    return settings


def _config_path(data_dir: Path, config_file: Path | None) -> Path | None:
    if config_file is not None:
        if not config_file.is_file():
            raise ConfigurationInvalid(f"{config_file}: no such file")
        return config_file
    return next((p for p in (data_dir / "qstore.toml", Path("qstore.toml")) if p.is_file()), None)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid(f"{path}: {_with_key(text, str(error))}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(f"{path}: cannot be read ({error})") from error


def _with_key(text: str, message: str) -> str:
    """Add the key that stands on the broken line to the parser's message."""
    match = re.search(r"line (\d+)", message)
    lines = text.splitlines()
    if match is None or not 0 < int(match[1]) <= len(lines):
        return message
    line = lines[int(match[1]) - 1]
    key = line.split("=", 1)[0].strip() if "=" in line else line.strip()
    return f"line {match[1]}, key {key!r}: {message}"


def _at(path: Path, text: str, section: str, key: str | None, message: str) -> ConfigurationInvalid:
    inside, number = False, 0
    for index, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if bare.startswith("["):
            inside = bare.strip("[] ").split(".")[0] == section
            if inside and key is None:
                number = index
                break
        elif (inside and key is not None and re.match(rf"{re.escape(key)}\s*=", bare)) or (
            key is None and re.match(rf"{re.escape(section)}\s*=", bare)
        ):
            number = index
            break
    where = f"line {number}, " if number else ""
    return ConfigurationInvalid(f"{path}: {where}key {section}{'.' + key if key else ''}: {message}")


def _resolve(section: str, key: str, value: Any, wrong: Any) -> tuple[str, Any]:
    """Check one value against its option; `<key>_file` reads the secret that the file holds."""
    options = {f.name: f for f in dataclasses.fields(SECTIONS[section])}
    if key not in options and key.endswith("_file") and key[:-5] in options and options[key[:-5]].metadata["secret"]:
        try:
            return key[:-5], read_secret(Path(str(value)))
        except ConfigurationInvalid as error:
            raise wrong(error.message) from error
    if key not in options:
        raise wrong(f"unknown key; [{section}] has {', '.join(options)}")
    chosen = options[key]
    expected = typing.get_type_hints(SECTIONS[section])[key]
    if isinstance(expected, types.GenericAlias):
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
            raise wrong("expects a list of strings")
        return key, tuple(value)
    if type(value) is not expected:
        raise wrong(f"expects {_spoken(expected)}, not {value!r}")
    low, high = chosen.metadata["low"], chosen.metadata["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        between = f"at least {low}" if high is None else f"between {low} and {high}"
        raise wrong(f"must be {between}, not {value}")
    return key, value


def _spoken(kind: type) -> str:
    return {int: "a whole number", str: "a string", bool: "true or false"}[kind]


def _from_text(section: str, key: str, raw: str, wrong: Any) -> Any:
    hints = typing.get_type_hints(SECTIONS[section])
    kind = hints.get(key, str)
    if kind is int:
        if not re.fullmatch(r"-?\d{1,18}", raw):
            raise wrong(f"expects a whole number, not {raw!r}")
        return int(raw)
    if kind is bool:
        if raw.lower() not in {"true", "false", "1", "0"}:
            raise wrong(f"expects true or false, not {raw!r}")
        return raw.lower() in {"true", "1"}
    if isinstance(kind, types.GenericAlias):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    return raw


def _secrets_of(path: Path, text: str, section: str, table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Plugins get their secrets resolved: `api_key_file = "…"` becomes `api_key`."""
    resolved: dict[str, dict[str, Any]] = {}
    for name, options in table.items():
        resolved[name] = {}
        for key, value in options.items():
            if key.endswith("_file") and isinstance(value, str) and section == "backends":
                try:
                    resolved[name][key[:-5]] = read_secret(Path(value))
                except ConfigurationInvalid as error:
                    raise _at(path, text, section, key, error.message) from error
            else:
                resolved[name][key] = value
    return resolved


def read_secret(path: Path) -> str:
    """
    Read a secret from a file that only its owner can read.

    Raises:
        ConfigurationInvalid: It is missing, or others on this machine can read it.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise ConfigurationInvalid(f"{path} can be read by others; run: chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationInvalid(f"{path}: cannot be read ({error.strerror})") from error


def _validate(settings: Settings) -> None:
    url = settings.database.url
    if url and not settings.is_postgres:
        raise ConfigurationInvalid("database.url: leave it empty for SQLite, or write postgres://…")
    if settings.queue.url and not settings.queue.url.startswith(("redis://", "rediss://", "unix://")):
        raise ConfigurationInvalid("queue.url: leave it empty for the queue file, or write redis://…")
    if bool(settings.server.tls_certificate) != bool(settings.server.tls_key):
        raise ConfigurationInvalid("server.tls_certificate and server.tls_key go together")
    if not settings.is_loopback and not settings.server.tls_certificate and not settings.server.insecure_http:
        raise ConfigurationInvalid(
            f"server.host: {settings.server.host} is not loopback; give tls_certificate and tls_key, "
            "or allow plain HTTP with server.insecure_http = true"
        )
    if settings.telemetry.level not in {"debug", "info", "warning", "error"}:
        raise ConfigurationInvalid("telemetry.level: write debug, info, warning or error")
    if settings.telemetry.format not in {"auto", "json", "console"}:
        raise ConfigurationInvalid("telemetry.format: write json, console or auto")


def template() -> str:
    """`qstore.toml` with every key present, commented, at its default."""
    lines = [
        "# Q-Store Appliance. Every key is here at its default; take the # away to change one.",
        '# Environment: QSTORE_SECTION__KEY. Secrets may be given as <key>_file = "path" (mode 0600).',
    ]
    for section, kind in SECTIONS.items():
        lines += ["", f"[{section}]"]
        for f in dataclasses.fields(kind):
            lines += [f"# {f.metadata['help']}", f"# {f.name} = {_toml(f.default)}"]
    lines += [
        "",
        "# Options of one backend plugin, for example its prices in US dollars:",
        "# [backends.native]",
        "# per_circuit = 0.0",
        "",
        "# Digests of the original idx files, where yours differ from the published ones:",
        "# [dataset_digests.mnist]",
        '# "train-images-idx3-ubyte" = "md5:…"',
        "",
    ]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{v}"' for v in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def default_data_dir(environment: Mapping[str, str] | None = None) -> Path:
    return Path((environment or os.environ).get("QSTORE_DATA_DIR") or "qstore-data").absolute()
