"""A38, A40, A51, A52: using somebody's browser against the appliance, and answers that browsers misread."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.origins import EXPOSED
from tests.acceptance.processes import Served, serving
from tests.attacks.conftest import CIRCUIT, Fortress, furnished

PASSWORD = "correct horse battery"
LISTED = "https://lab.example.org"


@pytest.fixture(scope="module")
def cookie(fortress: Fortress) -> str:
    return fortress.cookie()


FOREIGN: dict[str, dict[str, str]] = {
    "no origin": {},
    "another": {"Origin": "http://evil.example"},
    "null": {"Origin": "null"},
    "empty": {"Origin": ""},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "another scheme": {"Origin": "https://127.0.0.1:{port}"},
    "ours as a prefix": {"Origin": "http://127.0.0.1:{port}.evil.example"},
    "ours as a path": {"Origin": "http://evil.example/http://127.0.0.1:{port}"},
    "ours as a user": {"Origin": "http://127.0.0.1:{port}@evil.example"},
    "ours with a slash": {"Origin": "http://127.0.0.1:{port}/"},
    "the referer alone": {"Referer": "http://127.0.0.1:{port}/app"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
    "none": {"Sec-Fetch-Site": "none"},
    "both, contradicting": {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
    "an extension": {"Origin": "moz-extension://1"},
    "a sandbox": {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
}
WRITES = [e for e in endpoints() if e.method != "GET" and e.permission != "public"]


@pytest.mark.attack("A38")
@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_a_cookie_from_elsewhere(
    fortress: Fortress, anonymous: httpx.Client, cookie: str, headers: dict[str, str]
) -> None:
    """A cookie changes nothing on any route unless the request says, to the letter, that it comes from our own page."""
    sent = {name: value.replace("{port}", str(fortress.port)) for name, value in headers.items()} | {"Cookie": cookie}
    for endpoint in WRITES:
        answer = anonymous.request(
            endpoint.method, endpoint.path.replace("{", "").replace("}", ""), headers=sent, json={}
        )

        assert answer.status_code == 403, (endpoint.method, endpoint.path)


@pytest.mark.attack("A38")
@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_signing_somebody_in_from_elsewhere(
    fortress: Fortress, anonymous: httpx.Client, headers: dict[str, str]
) -> None:
    """A foreign page cannot sign a browser in as somebody else, nor out."""
    sent = {name: value.replace("{port}", str(fortress.port)) for name, value in headers.items()}
    for path in ("/app/sign-in", "/app/sign-out", "/app/setup"):
        answer = anonymous.post(path, json={"email": "owner@example.org", "password": PASSWORD}, headers=sent)

        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers


@pytest.mark.attack("A38")
@pytest.mark.parametrize(
    "media", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
def test_forms_and_beacons(fortress: Fortress, anonymous: httpx.Client, cookie: str, media: str) -> None:
    """What a page can send without asking is not JSON, and is not read."""
    headers = {"Cookie": cookie, "Content-Type": media, "Origin": fortress.url}
    answer = anonymous.post("/v1/circuits", content=b'{"name": "c"}', headers=headers)

    assert answer.status_code == 415


INJECTIONS = (
    "a\r\nX-Injected: 1",
    "a\nX-Injected: 1",
    "a\r\n\r\n<script>",
    "a%0d%0aX-Injected:1",
    "a\u2028X",
    "a\u0000",
    "é" * 40,
)


@pytest.mark.attack("A40")
@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize(
    "place", ["X-Request-ID", "Origin", "Idempotency-Key", "path", "name", "filename", "User-Agent"]
)
def test_header_injection(fortress: Fortress, owner: httpx.Client, place: str, text: str) -> None:
    """Nothing that is sent becomes a header of an answer."""
    if place == "name":
        answer = owner.post("/v1/circuits", json=CIRCUIT | {"name": text})
    elif place == "filename":
        answer = owner.post("/v1/datasets", files={"file": (f"{text}.csv", b"a,b\n1,x\n2,y\n3,x\n4,y\n")})
    else:
        line = f"/v1/circuits/{text}" if place == "path" else "/v1/circuits"
        header = "" if place == "path" else f"{place}: {text}\r\n"
        token = fortress.tokens["owner"]
        sent = f"GET {line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{header}Connection: close\r\n\r\n"
        head = fortress.speak(sent.encode()).partition(b"\r\n\r\n")[0].lower()
        assert b"x-injected" not in head
        assert b"<script>" not in head
        return
    assert answer.status_code < 500
    assert "x-injected" not in answer.headers


TARGETS = (
    *(
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "/app/../../evil",
        "javascript:x",
    ),
    *(
        "/app/jobs\r\nX: y",
        "/app/%0d%0aX:y",
        "/app@evil.example",
        "///evil.example",
        "\\\\evil.example",
        "/app/..;/x",
        "\t//x",
    ),
    *(
        "data:text/html,x",
        "/app/jobs?next=//evil",
        "http:///evil.example",
        "/app\u2044\u2044evil",
        "/ app",
        "app/jobs",
        "/appx",
    ),
)


@pytest.mark.attack("A51")
@pytest.mark.parametrize("target", TARGETS)
def test_links_that_lead_away(anonymous: httpx.Client, fortress: Fortress, cookie: str, target: str) -> None:
    """After the door one is on a page of ours, whatever the link said."""
    page = anonymous.get("/app/sign-in", params={"next": target})
    inside = anonymous.get("/app/sign-in", params={"next": target}, headers={"Cookie": cookie})

    assert page.status_code == 200
    assert "evil" not in page.text
    assert inside.status_code == 302
    assert inside.headers["Location"] == "/app/jobs"


PLACES = (
    "/health",
    "/v1/circuits",
    "/v1/nothing",
    "/v1/users/me",
    "/openapi.json",
    "/app",
    "/app/sign-in",
    "/app/nothing",
    "/",
    "/v1/ws",
    "/v1/audit?format=csv",
)
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


@pytest.mark.attack("A52")
@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("role", ["owner", None], ids=["owner", "nobody"])
def test_headers_of_every_answer(fortress: Fortress, path: str, role: str | None) -> None:
    """Not framed, not sniffed, not kept, nothing told to the next site; scripts only from files of ours, none inline."""
    with fortress.client(role) as client:
        headers = client.get(path).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))

    assert {name: headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    assert policy["frame-ancestors"] == "'none'"
    assert policy["default-src"] == "'none'"
    assert policy.get("script-src", "'self'") == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert not {"server", "x-powered-by", "via", "access-control-allow-origin"} & set(headers)


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """A server that lists one page elsewhere, and a token of its owner."""
    folder = tmp_path_factory.mktemp("sharing") / "data"
    token = furnished(folder)["owner"]
    with serving(folder, QSTORE_SERVER__CORS_ORIGINS=LISTED) as server:
        yield server, token


OTHERS = (
    *(
        "https://lab.example.org.evil.example",
        "https://evil.lab.example.org",
        "http://lab.example.org",
        "null",
        "",
        "*",
    ),
    *("https://lab.example.org:443", "https://lab.example.org/", "HTTPS://LAB.EXAMPLE.ORG", "https://lab-example.org"),
    *("https://lab.example.org, https://evil.example", "https://lab.example.org\t", "https://labxexample.org"),
)


@pytest.mark.attack("A52")
@pytest.mark.parametrize("origin", OTHERS)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_pages_that_are_not_listed(sharing: tuple[Served, str], origin: str, method: str) -> None:
    """An origin that is not listed letter by letter is told nothing, and its questions before a request are refused."""
    server, token = sharing
    headers = {"Authorization": f"Bearer {token}", "Origin": origin.strip(), "Access-Control-Request-Method": "PUT"}
    if origin.endswith("\t"):
        headers["Origin"] = origin.strip() + "x"
    answer = httpx.request(method, f"{server.address}/v1/circuits", headers=headers, trust_env=False)

    assert answer.status_code == (200 if method == "GET" else 405)
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["Vary"] == "Origin"


def test_the_listed_page(sharing: tuple[Served, str]) -> None:
    """The listed origin is answered with its own name, the headers that it may read, and never with credentials."""
    server, token = sharing
    asked = httpx.options(
        f"{server.address}/v1/circuits/x",
        headers={"Origin": LISTED, "Access-Control-Request-Method": "DELETE"},
        trust_env=False,
    )
    answer = httpx.get(
        f"{server.address}/v1/circuits", headers={"Origin": LISTED, "Authorization": f"Bearer {token}"}, trust_env=False
    )

    assert asked.status_code == 204
    assert {"DELETE", "PATCH"} <= set(asked.headers["Access-Control-Allow-Methods"].split(", "))
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    for one in (asked, answer):
        assert one.headers["Access-Control-Allow-Origin"] == LISTED
        assert "Access-Control-Allow-Credentials" not in one.headers
    assert answer.headers["Access-Control-Expose-Headers"] == EXPOSED
    assert {"X-Request-ID", "X-RateLimit-Remaining"} <= set(EXPOSED.split(", "))


@pytest.mark.attack("A52")
@pytest.mark.parametrize("path", ["/app/sign-in", "/app", "/app/jobs"])
def test_pages_are_shared_with_nobody(sharing: tuple[Served, str], path: str) -> None:
    """The dashboard is for its own origin, also where the API is shared."""
    answer = httpx.get(f"{sharing[0].address}{path}", headers={"Origin": LISTED}, trust_env=False)

    assert "Access-Control-Allow-Origin" not in answer.headers
