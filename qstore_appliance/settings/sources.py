"""
Where settings come from, the later over the earlier: defaults, `qstore.toml`, environment (`QSTORE_SECTION__KEY`), flags.

A secret may be given as `<key>_file`, the path of a file that only its owner can read. Nothing here opens a database or
a socket.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import stat
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qstore_appliance.errors import ConfigurationInvalid
from qstore_appliance.settings.allowances import allowance
from qstore_appliance.settings.sections import SECTIONS, Settings, Smtp


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
                if name == key and _is_secret(section, key, resolved):
                    _refuse_open(path, lambda m, s=section, k=key: _at(path, text, s, k, m))
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
    settings = _with_certificate(Settings(data_dir=data_dir, backends=backends, dataset_digests=digests, **sections))
    _validate(settings)
    return settings


def _with_certificate(settings: Settings) -> Settings:
    """
    Raises:
        ConfigurationInvalid: Our own certificate, and another.
    """
    if not settings.server.tls_self_signed:
        return settings
    if settings.server.tls_certificate or settings.server.tls_key:
        raise ConfigurationInvalid("server.tls_self_signed: there is a tls_certificate or tls_key already; choose one")
    certificate, key = str(settings.tls_dir / "certificate.pem"), str(settings.tls_dir / "key.pem")
    server = dataclasses.replace(settings.server, tls_certificate=certificate, tls_key=key)
    return dataclasses.replace(settings, server=server)


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
            header = bare.strip("[] ")
            inside = header == section or (key is None and header.startswith(section + "."))
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
                    raise _at(path, text, f"{section}.{name}", key, error.message) from error
            else:
                if section == "backends" and isinstance(value, str) and value and _SECRET.search(key):
                    _refuse_open(path, lambda m, n=name, k=key: _at(path, text, f"{section}.{n}", k, m))
                resolved[name][key] = value
    return resolved


#: Keys of plugins that hold secrets, by their names.
_SECRET = re.compile(r"(^|_)(key|token|password|secret)$")


def _is_secret(section: str, key: str, value: Any) -> bool:
    """Whether somebody could do something with it: an address of a database is one where it has a password."""
    options = {f.name: f for f in dataclasses.fields(SECTIONS[section])}
    if not options[key].metadata["secret"] or not value:
        return False
    return key != "url" or ("@" in str(value) and ":" in str(value).partition("://")[2].rpartition("@")[0])


def _refuse_open(path: Path, wrong: Any) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o004:
        raise wrong(f"is a secret in a file that everybody here can read; run: chmod 600 {path}")


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
            f"server.host: {settings.server.host} is not loopback; give --tls-cert and --tls-key, have --tls-self-signed "
            "make a certificate, or allow plain HTTP with --insecure-http (server.insecure_http = true)"
        )
    if settings.telemetry.level not in {"debug", "info", "warning", "error"}:
        raise ConfigurationInvalid("telemetry.level: write debug, info, warning or error")
    if settings.telemetry.format not in {"auto", "json", "console"}:
        raise ConfigurationInvalid("telemetry.format: write json, console or auto")
    for text in settings.server.trusted_proxies:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise ConfigurationInvalid(
                f"server.trusted_proxies: {text!r} is no address or network ({error})"
            ) from error
    for text in settings.server.cors_origins:
        if not re.fullmatch(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", text):
            raise ConfigurationInvalid(
                f"server.cors_origins: {text!r} is no origin; write https://lab.example.org, in small letters and "
                "without a path. There are no wildcards."
            )
    for text in settings.webhooks.allow:
        allowance(text)
    authorities = {name: getattr(settings, name).authority for name in ("webhooks", "smtp", "oidc")}
    for key, file in ((f"{name}.authority", authority) for name, authority in authorities.items()):
        if file and not Path(file).is_file():
            raise ConfigurationInvalid(f"{key}: {file}: no such file")
    _validate_smtp(settings.smtp)
    _validate_oidc(settings)


def _validate_smtp(smtp: Smtp) -> None:
    if smtp.tls not in {"starttls", "implicit", "none"}:
        raise ConfigurationInvalid("smtp.tls: write starttls, implicit or none")
    if not smtp.host:
        return
    if smtp.tls == "none" and smtp.host not in {"localhost", "127.0.0.1", "::1"}:
        raise ConfigurationInvalid(f"smtp.tls: mail to {smtp.host} is not sent without TLS; write starttls or implicit")
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+", smtp.sender):
        raise ConfigurationInvalid("smtp.sender: write the address that mail comes from, such as lab@example.org")
    if smtp.password and not smtp.user:
        raise ConfigurationInvalid("smtp.password: there is no smtp.user that it belongs to")


def _validate_oidc(settings: Settings) -> None:
    oidc = settings.oidc
    if not oidc.issuer:
        return
    parts = urlsplit(oidc.issuer)
    if parts.query or parts.fragment or not parts.hostname or oidc.issuer != oidc.issuer.strip():
        raise ConfigurationInvalid("oidc.issuer: write the provider's address, such as https://id.example.org")
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in {"localhost", "127.0.0.1", "::1"}):
        raise ConfigurationInvalid("oidc.issuer: must begin with https://")
    if not oidc.client_id:
        raise ConfigurationInvalid("oidc.client_id: the provider's name for this installation is missing")
    if not settings.server.host.strip("0.:") and not settings.server.public_url:
        raise ConfigurationInvalid(
            "server.public_url: the provider sends browsers back there; write the address that people open"
        )


def default_data_dir(environment: Mapping[str, str] | None = None) -> Path:
    return Path((environment or os.environ).get("QSTORE_DATA_DIR") or "qstore-data").absolute()
