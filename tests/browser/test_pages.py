"""Pages and static files as HTTP answers: policies, caching, addresses that lead nowhere. No browser is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.browser.serving import EMAIL, PASSWORD, Lab

pytestmark = pytest.mark.xdist_group("browser")

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "font-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


@pytest.fixture
def stranger(lab: Lab) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab.address, trust_env=False) as client:
        yield client


@pytest.fixture
def stylesheet(stranger: httpx.Client) -> str:
    """The address of one static file, taken from a page."""
    return re.search(r'href="(/app/static/[^"]+tokens\.css)"', stranger.get("/app/sign-in").text)[1]


def test_a_page_allows_files_of_ours_and_nothing_else(stranger: httpx.Client):
    """The policy of a page names no other source, and no page is kept in a cache or shown in a frame."""
    headers = stranger.get("/app/sign-in").headers
    policy = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))

    assert policy == POLICY
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_a_static_file_may_be_kept_for_ever(stranger: httpx.Client, stylesheet: str):
    """The address carries a digest, so the answer never changes; it travels compressed where the client can read that."""
    packed = stranger.get(stylesheet)
    plain = stranger.get(stylesheet, headers={"Accept-Encoding": "identity"})

    assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert packed.headers["content-type"] == "text/css; charset=utf-8"
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text


def test_every_static_file_that_a_page_names_is_there(stranger: httpx.Client):
    """No link of a page leads nowhere."""
    addresses = set(re.findall(r'(?:href|src)="(/app/static/[^"]+)"', stranger.get("/app/sign-in").text))

    assert len(addresses) > 5
    assert {stranger.get(address).status_code for address in addresses} == {200}


@pytest.mark.parametrize(
    "name",
    [
        "../templates/shell.html",
        "..%2f..%2fsetup.cfg",
        "%2e%2e/%2e%2e/pyproject.toml",
        "css/..%5c..%5ctemplates%5cshell.html",
        "/etc/passwd",
        "css/tokens.css%00.js",
        "css",
        "",
        "vendor/MANIFEST.json",
    ],
)
def test_only_known_files_are_served(stranger: httpx.Client, stylesheet: str, name: str):
    """A path that climbs, is absolute, or names something that is no asset is answered as absent."""
    prefix = stylesheet.removesuffix("css/tokens.css")
    request = stranger.build_request("GET", "/")
    # Written as it is, without the tidying that clients do.
    request.url = httpx.URL(str(stranger.base_url), raw_path=(prefix + name).encode())

    assert stranger.send(request).status_code == 404


def test_an_old_digest_is_not_answered_with_new_files(stranger: httpx.Client):
    """A page from before an update does not mix two versions of its files."""
    assert stranger.get("/app/static/0123456789abcdef/css/tokens.css").status_code == 404


@pytest.mark.parametrize(
    "path", ["/app", "/app/jobs", "/app/models", "/app/jobs/job_00000000000000000000000000", "/app/x"]
)
def test_strangers_are_led_to_the_door(stranger: httpx.Client, path: str):
    """A page without a session redirects to sign-in; nothing of it is shown."""
    answer = stranger.get(path)

    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/app/sign-in")
    assert answer.text == ""


@pytest.mark.parametrize("path", ["/app/sign-in", "/app/sign-out", "/app/setup"])
@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1.evil.example"])
def test_forms_are_taken_from_our_own_pages_only(stranger: httpx.Client, path: str, origin: str | None):
    """A foreign page can neither sign a browser in nor out."""
    headers = {} if origin is None else {"Origin": origin}
    answer = stranger.post(path, json={"email": EMAIL, "password": PASSWORD}, headers=headers)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_set_up_is_closed_for_ever(lab: Lab, stranger: httpx.Client):
    """With an owner there, neither the page nor the form of set-up is available, whatever token is sent."""
    draft = {"token": "x", "email": "eve@lab.example", "password": PASSWORD, "organization": "Eve"}

    assert stranger.get("/app/setup").status_code == 410
    answer = stranger.post("/app/setup", json=draft, headers={"Origin": lab.address})
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "GONE")


def test_a_form_with_a_wrong_field_is_refused_by_name(lab: Lab, stranger: httpx.Client):
    """Unknown and wrong fields of a form are named, as everywhere in the API."""
    answer = stranger.post("/app/sign-in", json={"email": 5, "role": "owner"}, headers={"Origin": lab.address})

    assert answer.status_code == 422
    fields = {row["field"] for row in answer.json()["error"]["details"]["errors"]}
    assert fields == {"email", "password", "role"}
