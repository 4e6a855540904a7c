"""A53: secrets that are planted and then looked for in everything that the server writes and says."""

from __future__ import annotations

import re
import signal
import stat
from pathlib import Path

import httpx
import pytest

from qstore_appliance.api.app import endpoints
from tests.acceptance.processes import Served, data, free_port, only_line, qstore
from tests.attacks.conftest import WIDE, furnished

pytestmark = pytest.mark.attack("A53")

PLANTED = {"smtp": "canary-smtp-7d1f0a", "ionq": "canary-ionq-91bc3e", "password": "canary password 5e2a"}


def planted(folder: Path) -> Path:
    """A configuration whose secrets lie in files of their own."""
    for name in ("smtp", "ionq"):
        file = folder / f"{name}.secret"
        file.write_text(PLANTED[name])
        file.chmod(0o600)
    config = folder / "qstore.toml"
    config.write_text(
        f"[smtp]\nhost = 'localhost'\nport = {free_port()}\ntls = 'none'\nuser = 'u'\nsender = 'a@b.example'\n"
        f"password_file = '{folder}/smtp.secret'\n[backends.ionq_simulator]\napi_key_file = '{folder}/ionq.secret'\n"
        "[telemetry]\nlevel = 'debug'\nformat = 'json'\n"
    )
    return config


def provoke(client: httpx.Client, secrets: list[str]) -> list[str]:
    """Ask everything, with secrets where they do not belong; what was answered."""
    answers = []
    for endpoint in endpoints():
        if endpoint.path in ("/v1/auth/logout", "/v1/webhooks/secret", "/v1/webhooks/secret/renew"):
            continue
        if endpoint.method == "GET" and "events" in endpoint.path:
            continue
        path = re.sub(r"{\w+}", "x", endpoint.path)
        answers.append(client.request(endpoint.method, path, json={}).text)
    for secret in secrets:
        # What a client sends to the wrong place comes back at the most to that client, never into a file.
        client.get("/v1/users/me", headers={"Authorization": f"Bearer {secret}x"})
        client.post("/v1/auth/token", json={"grant_type": "password", "email": "owner@example.org", "password": secret})
    return answers


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, signal.SIGABRT], ids=["stopped", "killed", "crashed"])
def test_nothing_is_told_or_left(tmp_path: Path, end: signal.Signals) -> None:
    """No secret is in a log, an answer, a console or a file of the data directory, however the server ends."""
    folder = tmp_path / "data"
    tokens = furnished(folder)
    server = Served(folder, "--config", planted(tmp_path), **WIDE)
    try:
        headers = {"Authorization": f"Bearer {tokens['owner']}"}
        with httpx.Client(base_url=server.address, headers=headers, timeout=120, trust_env=False) as client:
            key = data(client.post("/v1/api-keys", json={"name": "k", "scopes": ["jobs:read"]}))["key"]
            grant = {"grant_type": "password", "email": "viewer@example.org", "password": "correct horse battery"}
            pair = data(client.post("/v1/auth/token", json=grant))
            body = {"email": "viewer@example.org", "password": "correct horse battery"}
            cookie = client.post("/app/sign-in", json=body, headers={"Origin": server.address}).headers["Set-Cookie"]
            value = cookie.partition("=")[2].partition(";")[0]
            secrets = [*PLANTED.values(), key, pair["refresh_token"], pair["access_token"], value, tokens["owner"]]
            answers = provoke(client, secrets)
            listed = [qstore(*words, "--data-dir", folder).stdout for words in (("key", "list"), ("audit", "list"))]
        signing = (folder / "secret.key").read_bytes()
    finally:
        server.process.send_signal(end)
        server.process.wait(60)

    written = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "secret.key"}
    written |= {path: path.read_bytes() for path in (server.log, server.output)}
    assert server.log in written
    for secret in [*secrets, "correct horse battery"]:
        for path, content in written.items():
            assert secret.encode() not in content, (path, secret[:12])
        assert not [answer for answer in [*answers, *listed] if secret in answer], secret[:12]
    assert not [path for path, content in written.items() if signing in content or signing.hex().encode() in content]
    for path in folder.rglob("*"):
        if path.is_file():
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


OPEN = {
    "a password in the open": (
        "[smtp]\nhost = 'localhost'\ntls = 'none'\nuser = 'u'\nsender = 'a@b.example'\npassword = 'x'\n",
        0o644,
    ),
    "a database's password": ("[database]\nurl = 'postgres://u:secret@localhost/x'\n", 0o644),
    "a queue's password": ("[queue]\nurl = 'redis://:secret@localhost/0'\n", 0o644),
    "a provider's key": ("[backends.ionq_simulator]\napi_key = 'x'\n", 0o644),
}


@pytest.mark.parametrize(("text", "mode"), OPEN.values(), ids=OPEN)
def test_secrets_that_everybody_can_read(tmp_path: Path, text: str, mode: int) -> None:
    """The start is refused with exit code 78 and the command that mends it; the secret is not in the message."""
    config = tmp_path / "qstore.toml"
    config.write_text(text)
    config.chmod(mode)
    done = qstore("serve", "--data-dir", tmp_path / "data", "--config", config, "--port", free_port())

    assert done.returncode == 78
    line = only_line(done.stderr)
    assert "chmod 600" in line
    assert "secret@" not in line
    assert not (tmp_path / "data").exists()
