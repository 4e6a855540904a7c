"""A54: reading along, old protocols, and listening to the network without protection."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import ssl
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidMessage
from websockets.sync.client import connect

from tests.acceptance.processes import Served, free_port, only_line, qstore, serving

pytestmark = [pytest.mark.attack("A54"), pytest.mark.xdist_group("tls")]

GIVEN = Path(__file__).parents[1] / "acceptance" / "tls"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server on every address of this machine, with a certificate of its own making."""
    data_dir = tmp_path_factory.mktemp("tls") / "data"
    with serving(data_dir, "--host", "0.0.0.0", "--tls-self-signed") as server:
        yield server


def fingerprint(server: Served) -> str:
    return server.wait_for(r"fingerprint \(SHA-256\): ([0-9A-F:]{95})")[1]


def pinned(server: Served) -> ssl.SSLContext:
    """A client that knows this one certificate and nothing else."""
    return ssl.create_default_context(cafile=str(server.data_dir / "tls" / "certificate.pem"))


def test_the_fingerprint_is_the_certificates(own: Served) -> None:
    """What the operator reads on the console is what a client sees on the wire."""
    presented = ssl.get_server_certificate(("127.0.0.1", own.port))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(presented)).hexdigest().upper()

    assert fingerprint(own).replace(":", "") == digest


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_client_that_knows_the_certificate(own: Served, name: str) -> None:
    """Whoever has compared it connects with full verification, name included; answers ask for TLS from then on."""
    answer = httpx.get(f"https://{name}:{own.port}/ready", verify=pinned(own), trust_env=False)

    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


@pytest.mark.parametrize(
    "path", ["/ready", "/app/setup", "/v1/circuits", "/v1/nothing", "/nothing", "/v1/ws", "/static/x", "/graphql"]
)
def test_every_answer_asks_for_tls(own: Served, path: str) -> None:
    """Answers and refusals alike: for a year, and for names below ours."""
    answer = httpx.get(f"https://localhost:{own.port}{path}", verify=pinned(own), trust_env=False)

    age, *more = [part.strip() for part in answer.headers["Strict-Transport-Security"].split(";")]
    assert int(age.removeprefix("max-age=")) >= 365 * 24 * 3_600
    assert "includeSubDomains" in more


def test_sockets_are_behind_tls(own: Served) -> None:
    """A WebSocket is opened with the certificate verified, and not at all in the clear."""
    place = f"localhost:{own.port}/v1/ws"
    with connect(f"wss://{place}", ssl=pinned(own), proxy=None) as socket:
        socket.send('{"type": "auth", "token": "none"}')
        assert json.loads(socket.recv(30))["error"]["code"] == "UNAUTHENTICATED"
    with pytest.raises((InvalidMessage, OSError, EOFError)):
        connect(f"ws://{place}", proxy=None, open_timeout=30)


def test_a_client_that_does_not_know_it(own: Served) -> None:
    """It is nobody's certificate but ours: others refuse it."""
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://127.0.0.1:{own.port}/ready", verify=ssl.create_default_context(), trust_env=False)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
def test_old_protocols(own: Served, version: ssl.TLSVersion) -> None:
    """Nothing before TLS 1.2."""
    context = pinned(own)
    context.minimum_version = version
    context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection(("127.0.0.1", own.port)) as plain:
            context.wrap_socket(plain, server_hostname="localhost").close()


@pytest.mark.parametrize("suite", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA", "ADH-AES128-SHA256"])
def test_weak_suites(own: Served, suite: str) -> None:
    """Without forward secrecy or authenticated encryption there is no connection."""
    context = pinned(own)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection(("127.0.0.1", own.port)) as plain:
            context.wrap_socket(plain, server_hostname="localhost").close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_new_protocols(own: Served, version: ssl.TLSVersion) -> None:
    """Those of today work."""
    context = pinned(own)
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", own.port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            assert connection.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


def test_plain_http_gets_nothing(own: Served) -> None:
    """Who forgets the s is not answered in the clear."""
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{own.port}/ready", trust_env=False)


def test_the_key_is_for_nobody_else(own: Served) -> None:
    """Key and certificate lie in a folder of their own that only we can enter."""
    folder = own.data_dir / "tls"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}

    assert modes == {"tls": 0o700, "certificate.pem": 0o600, "key.pem": 0o600}


def test_cookies_are_for_tls(own: Served) -> None:
    """The dashboard's cookie has the name and the marks that keep it off plain connections and other sites."""
    qstore(
        "init", "--data-dir", own.data_dir, "--email", "ada@example.org", "--organization", "Lab", "--password-file", "-",
        stdin="a lab of ones own 7",
    )  # fmt: skip
    address = f"https://localhost:{own.port}"
    body = {"email": "ada@example.org", "password": "a lab of ones own 7"}
    answer = httpx.post(
        f"{address}/app/sign-in", json=body, headers={"Origin": address}, verify=pinned(own), trust_env=False
    )

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-qstore=")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}


def test_the_certificate_stays(tmp_path: Path) -> None:
    """The next start has the same fingerprint, so that nobody has to compare it again."""
    folder = tmp_path / "data"
    found = []
    for _ in range(2):
        with serving(folder, "--tls-self-signed") as server:
            found.append(fingerprint(server))

    assert found[0] == found[1]


REFUSED: dict[str, tuple[list[str], str]] = {
    "every address": (["--host", "0.0.0.0"], "--tls-self-signed"),
    "every IPv6 address": (["--host", "::"], "--insecure-http"),
    "an address of the network": (["--host", "192.0.2.1"], "--tls-cert"),
    "a certificate without its key": (["--tls-cert", "x.pem"], "go together"),
    "a key without its certificate": (["--tls-key", "x.pem"], "go together"),
    "two certificates": (["--tls-self-signed", "--tls-cert", "x.pem", "--tls-key", "x.pem"], "choose one"),
    "files that are not there": (["--tls-cert", "no.pem", "--tls-key", "no.pem"], "tls_certificate"),
}


@pytest.mark.parametrize(("flags", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_before_the_start(tmp_path: Path, flags: list[str], words: str) -> None:
    """Listening to a network unprotected needs to be asked for by name; half a certificate is none."""
    done = qstore("serve", "--data-dir", tmp_path / "data", "--port", free_port(), *flags)

    assert done.returncode == 78
    assert words in only_line(done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="not on this operating system: modes of files")
def test_a_key_that_everybody_can_read(tmp_path: Path) -> None:
    """A private key with mode 0644 is refused with the command that mends it, and taken with 0600."""
    shutil.copytree(GIVEN, tmp_path / "tls")
    key = tmp_path / "tls" / "key.pem"
    flags = ("--tls-cert", tmp_path / "tls" / "certificate.pem", "--tls-key", key)
    key.chmod(0o644)

    done = qstore("serve", "--data-dir", tmp_path / "data", "--port", free_port(), *flags)

    assert done.returncode == 78
    assert re.search(r"chmod 600 \S*key\.pem", done.stderr)
    key.chmod(0o600)
    with serving(tmp_path / "data", *flags) as server:
        assert f"https://127.0.0.1:{server.port}" in server.output.read_text()
