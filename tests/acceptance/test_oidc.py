"""Sign-in through the real `oidc-provider` of npm, over a served dashboard."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.processes import serving
from tests.servers import free_port

VERSION = "9.13.3"
SCRIPT = Path(__file__).parent / "oidc" / "provider.mjs"
#: Hang guards.
INSTALL_SECONDS, START_SECONDS = 300, 60


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds the provider."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node with npm on this machine")
    folder = tmp_path_factory.mktemp("oidc")
    shutil.copy(SCRIPT, folder)
    (folder / "package.json").write_text('{"private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"oidc-provider@{VERSION}"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    if ended.returncode != 0:
        pytest.skip(f"npm cannot install oidc-provider here: {ended.stderr.strip()[-300:]}")
    return folder


class Browser:
    """Follows redirects over two sites and keeps each one's cookies, Secure ones on loopback too, as browsers do."""

    def __init__(self) -> None:
        self.client = httpx.Client(trust_env=False, timeout=30)
        self.cookies: dict[str, dict[str, str]] = {}
        self.url = httpx.URL("about:blank")

    def go(self, method: str, address: str, **more: object) -> httpx.Response:
        while True:
            self.url = self.url.join(address)
            jar = self.cookies.setdefault(str(self.url.netloc), {})
            header = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
            answer = self.client.request(method, self.url, headers=header, **more)  # type: ignore[arg-type]
            for line in answer.headers.get_list("set-cookie"):
                name, _, value = line.partition(";")[0].partition("=")
                jar[name] = value.strip('"')
                if not jar[name] or "expires=Thu, 01 Jan 1970" in line:
                    del jar[name]
            if answer.status_code not in {302, 303}:
                return answer
            method, address, more = "GET", answer.headers["location"], {}

    def send(self, answer: httpx.Response, **fields: str) -> httpx.Response:
        """Fill in the form of a page and send it."""
        address = html.unescape(re.search(r'<form[^>]*action="([^"]+)"', answer.text)[1])  # type: ignore[index]
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.text))
        return self.go("POST", address, data={**hidden, **fields})


@pytest.fixture
def lab(packages: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a served dashboard whose people sign in at the provider; ada@example.org has an account."""
    port = free_port()
    home = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QSTORE_")}
    with subprocess.Popen(
        ["node", "provider.mjs", f"{home}/app/provider/callback"],
        cwd=packages,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as provider:
        try:
            assert provider.stdout is not None
            issuer = provider.stdout.readline().strip()
            assert issuer.startswith("http://127.0.0.1:")
            settings = {"ISSUER": issuer, "CLIENT_ID": "qstore", "CLIENT_SECRET": "s3cret-of-the-client"}
            variables = {f"QSTORE_OIDC__{name}": value for name, value in settings.items()}
            with serving(tmp_path / "data", port=port, **variables) as server:
                # Makes the owner.
                server.client().close()
                yield home
        finally:
            provider.terminate()


def test_signing_in_at_oidc_provider(lab: str) -> None:
    """Code flow with PKCE, state, nonce and `iss`: log-in and consent there, and a session here; strangers stay out."""
    browser = Browser()
    login = browser.go("GET", f"{lab}/app/provider?next=/app/models")
    assert browser.url.path.startswith("/interaction/")
    consent = browser.send(login, login="ada", password="anything")
    arrived = browser.send(consent)

    assert str(browser.url).startswith(f"{lab}/app/provider/callback?")
    assert arrived.status_code == 200, arrived.text
    assert 'href="/app/models" data-part="onward"' in arrived.text
    me = browser.go("GET", f"{lab}/v1/users/me").json()["data"]
    assert me["email"] == "ada@example.org"

    for name in ("nobody", "unsure"):
        stranger = Browser()
        refused = stranger.send(
            stranger.send(stranger.go("GET", f"{lab}/app/provider"), login=name, password="anything")
        )
        assert (refused.status_code, "no account here" in refused.text) == (403, True)
        assert stranger.go("GET", f"{lab}/v1/users/me").status_code == 401


def test_turning_back(lab: str) -> None:
    """Who turns back at the provider reads so here, and is not signed in."""
    browser = Browser()
    login = browser.go("GET", f"{lab}/app/provider")
    abort = html.unescape(re.search(r'href="([^"]+/abort)"', login.text)[1])  # type: ignore[index]

    refused = browser.go("GET", abort)

    assert refused.status_code == 403
    assert "turned back" in refused.text
