"""
The table of settings: one frozen section each, and `qstore.toml` written from it.

Every key has its default, the sentence that documents it, and its bounds in this one place.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


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
    tls_self_signed: bool = option(False, "Serve HTTPS with a certificate of our own, made in the data directory.")
    trusted_proxies: tuple[str, ...] = option(
        (), "Addresses or networks of proxies whose X-Forwarded-For is believed; nobody's unless given."
    )
    cors_origins: tuple[str, ...] = option(
        (), "Origins of pages elsewhere that may call the API with a token, such as https://lab.example.org."
    )


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
    organization_bytes: int = option(
        50_000_000_000, "Bytes of data sets, models and checkpoints that an organization may keep; 0: no limit.", low=0
    )
    sign_in_failures: int = option(10, "Failed sign-ins allowed per account and address in five minutes.", low=1)
    sign_in_failures_address: int = option(100, "The same per address, whatever the accounts.", low=1)
    sign_in_failures_account: int = option(
        100, "The same per account, from addresses where it has not signed in before.", low=1
    )


@dataclass(frozen=True)
class Auth:
    access_seconds: int = option(3_600, "Life of an access token.", low=60, high=86_400)
    refresh_seconds: int = option(30 * 86_400, "Life of a refresh token and of a dashboard session.", low=300)
    session_seconds: int = option(90 * 86_400, "Life of a session that is refreshed again and again.", low=300)
    idle_seconds: int = option(7 * 86_400, "A dashboard session ends when it is unused for so long.", low=300)
    reset_seconds: int = option(30 * 60, "Life of a link that is mailed to who forgot their password.", low=60)
    invitation_seconds: int = option(7 * 86_400, "Life of a link that invites somebody.", low=60)
    setup_seconds: int = option(15 * 60, "Life of the one-time set-up token.", low=60)


@dataclass(frozen=True)
class Oidc:
    issuer: str = option("", "Address of your OpenID Connect provider, such as https://id.example.org; empty: none.")
    client_id: str = option("", "What the provider knows this installation as.")
    client_secret: str = option("", "The secret that it gave out for that; empty: a public client.", secret=True)
    name: str = option("single sign-on", "What people know the provider as: the button says “Continue with …”.")
    authority: str = option("", "PEM file of the authority behind its certificate, where the system does not know it.")


@dataclass(frozen=True)
class Predictions:
    replicas: int = option(
        0, "Predictor processes that this machine holds at the most (0: one for each core).", low=0, high=64
    )
    deadline_seconds: int = option(30, "A prediction that takes longer is stopped.", low=1, high=600)
    max_inputs: int = option(10_000, "Inputs in one prediction request.", low=1)


@dataclass(frozen=True)
class Webhooks:
    allow: tuple[str, ...] = option(
        (), "Receivers of webhooks inside your network, as host:port or network:port; all others must be public HTTPS."
    )
    authority: str = option("", "PEM file of the authority behind certificates of such receivers, besides public ones.")


@dataclass(frozen=True)
class Smtp:
    host: str = option("", "Mail server that takes alerts and reset links; empty: no mail is sent.")
    port: int = option(587, "Its port; usually 587 for starttls, 465 for implicit.", low=1, high=65535)
    tls: str = option("starttls", "starttls, implicit, or none (only for a mail server on this machine).")
    user: str = option("", "Name to sign in with; empty: no sign-in.")
    password: str = option("", "Password to sign in with.", secret=True)
    sender: str = option("", "Address that mail comes from.")
    authority: str = option("", "PEM file of the authority behind its certificate, where the system does not know it.")


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
    oidc: Oidc = Oidc()
    predictions: Predictions = Predictions()
    webhooks: Webhooks = Webhooks()
    smtp: Smtp = Smtp()
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
    def signing_key_file(self) -> Path:
        return self.data_dir / "signing.key"

    @property
    def trusted_keys_dir(self) -> Path:
        return self.data_dir / "trusted-keys"

    @property
    def tls_dir(self) -> Path:
        return self.data_dir / "tls"

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
        try:
            return ipaddress.ip_address(self.server.host).is_loopback
        except ValueError:
            return self.server.host == "localhost"


SECTIONS: dict[str, type] = {
    f.name: f.default.__class__  # type: ignore[misc]
    for f in dataclasses.fields(Settings)
    if dataclasses.is_dataclass(f.default) and not isinstance(f.default, type)
}


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
        "# Options of one backend plugin, for example its prices in US dollars and its limits:",
        "# [backends.native]",
        "# per_circuit = 0.0",
        "# per_shot = 0.0",
        "# per_cpu_second = 0.0",
        "# per_gpu_second = 0.0",
        "# minimum_charge = 0.0",
        "# max_concurrent_jobs = 2",
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
