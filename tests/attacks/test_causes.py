"""What brought others down, tried here; `docs/security-causes.md` lists each by its number and names its test."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import re
from pathlib import Path

import httpx
import pytest
from sanic import Sanic

from qstore_appliance.api.app import create_app
from qstore_appliance.settings import Settings
from tests.acceptance.processes import data
from tests.attacks.conftest import CIRCUIT, Fortress, status
from tests.servers import Redis

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security-causes.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d{4}-\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)


def present() -> set[str]:
    """Every test of the repository as `file.py::name`."""
    found = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            found.add(f"{file.name}::{name}")
    return found


def test_every_cause_is_tried_or_cannot_occur() -> None:
    """Each of the 69 stands there once, with tests that exist, or with why it cannot occur here."""
    numbers = [number for number, *_ in ROWS]
    there = present()

    assert len(numbers) == len(set(numbers)) == 69
    for number, _, _, tried in ROWS:
        named = re.findall(r"`([\w.]+::\w+)`", tried)
        assert named or tried.startswith("not applicable: "), number
        assert set(named) <= there, (number, set(named) - there)


# Paths and sources -------------------------------------------------------------------------------------------------

CLIMBS = (
    "..%2f..%2fblobs",
    "%2e%2e%2fblobs",
    "..%252fblobs",
    "%252e%252e%252fblobs",
    "..%5cblobs",
    "%2fetc",
    ".",
    "..",
    "*",
    "%00",
)


@pytest.mark.attack("A44")
@pytest.mark.parametrize("climb", CLIMBS)
def test_deleting_by_paths(fortress: Fortress, climb: str) -> None:
    """DELETE takes an id: decoded once, twice or not, what climbs deletes nothing."""
    before = {path for path in fortress.server.data_dir.rglob("*") if path.suffix == ".bin"}
    for noun in ("circuits", "datasets", "models", "deployments", "api-keys", "sessions"):
        head = f"DELETE /v1/{noun}/{climb} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        answer = fortress.speak(f"{head}Authorization: Bearer {fortress.tokens['stranger']}\r\n\r\n".encode())

        assert status(answer) in (400, 404, 405, 422), noun
    assert before <= {path for path in fortress.server.data_dir.rglob("*") if path.suffix == ".bin"}


SOURCES = (
    *(
        "file:///etc/passwd",
        "file:/etc/passwd",
        "file:etc/passwd",
        "FILE:///etc/passwd",
        "//etc/passwd",
        ":///etc/passwd",
        "",
    ),
    *(
        "s3://bucket/key",
        "gs://bucket/key",
        "http://127.0.0.1:1/",
        "dbfs:/x",
        "models:/x/1",
        "runs:/x",
        "hdfs://x",
        "./iris",
        "/etc/passwd",
    ),
)


@pytest.mark.attack("A44")
@pytest.mark.parametrize("source", SOURCES)
def test_sources_are_not_addresses(owner: httpx.Client, source: str) -> None:
    """Nothing that names data or a model is read as an address or a path: it is a name that is there, or is not."""
    circuit = data(owner.post("/v1/circuits", json=CIRCUIT))["id"]
    answers = [
        owner.post("/v1/jobs", json={"circuit_id": circuit, "config": {"dataset": {"type": source}}}),
        owner.post("/v1/circuits/import", json={"name": "x", "format": "qasm3", "source": source}),
        owner.get(f"/v1/datasets/x{source.encode().hex()}"),
        owner.post("/v1/models/model_x/deploy", json={"artifact_url": source}),
    ]

    for answer in answers:
        assert answer.status_code in (400, 404, 422), answer.text
        assert "root:" not in answer.text
        assert "Errno" not in answer.text


@pytest.mark.attack("A44")
@pytest.mark.parametrize(
    "name",
    [
        "../downloads-secret/plain.whl",
        "..%2fdownloads-secret%2fplain.whl",
        "-secret/plain.whl",
        ".plain.whl",
        "%2eplain.whl",
    ],
)
def test_a_folder_of_a_longer_name(fortress: Fortress, name: str) -> None:
    """Files of a folder whose name only begins like ours, and hidden ones, are not served."""
    ours, theirs = (fortress.server.data_dir / folder for folder in ("downloads", "downloads-secret"))
    for folder in (ours, theirs):
        folder.mkdir(exist_ok=True)
    (theirs / "plain.whl").write_bytes(b"a secret")
    (ours / ".plain.whl").write_bytes(b"a secret")
    try:
        answer = fortress.speak(
            f"GET /downloads/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
    finally:
        for path in (theirs / "plain.whl", ours / ".plain.whl"):
            path.unlink()
        theirs.rmdir()

    assert status(answer) in (400, 401, 404)
    assert b"a secret" not in answer


# Code ----------------------------------------------------------------------------------------------------------------

#: What runs what it reads.
RUNNERS = {
    *(
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
        "cPickle.loads",
        "dill.load",
        "dill.loads",
        "cloudpickle.load",
    ),
    *(
        "joblib.load",
        "torch.load",
        "marshal.load",
        "marshal.loads",
        "shelve.open",
        "yaml.load",
        "yaml.unsafe_load",
        "eval",
    ),
    *("exec", "os.system", "os.popen", "builtins.eval", "runpy.run_path", "imp.load_source", "pandas.read_pickle"),
}
#: In the order to a child, which the server has written itself; and the reader of what a child says, which names no class
#: that is not listed there (`tests/work/test_wire.py`).
MAY = {("work/targets.py", "pickle.loads"), ("work/wire.py", "pickle.Unpickler")}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


@pytest.mark.attack("A42")
@pytest.mark.parametrize("folder", ["qstore_appliance", "plugins/backends", "clients/python/qstore_client"])
def test_nothing_is_unpickled(folder: str) -> None:
    """No reader in the whole product runs what it reads: there is no switch that one of them could miss."""
    found, files = set(), 0
    for file in (ROOT / folder).rglob("*.py"):
        if "node_modules" in file.parts or "build" in file.parts:
            continue
        files += 1
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            place = str(file.relative_to(ROOT / folder))
            if isinstance(node, ast.Call):
                name = dotted(node.func)
                if name in RUNNERS:
                    found.add((place, name))
                if any(
                    word.arg == "allow_pickle"
                    and not (isinstance(word.value, ast.Constant) and word.value.value is False)
                    for word in node.keywords
                ):
                    found.add((place, "allow_pickle"))
                if any(word.arg == "shell" for word in node.keywords):
                    found.add((place, "shell"))
            if isinstance(node, ast.ClassDef):
                found |= {(place, dotted(base)) for base in node.bases if dotted(base) in RUNNERS}

    assert files > 3
    assert found <= MAY


# Guards --------------------------------------------------------------------------------------------------------------

#: For whoever has an invitation's link; nobody's cookie counts there.
BY_LINK = ("/v1/invitations/accept", "/v1/invitations/offer")


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Method and address of everything that the server's router has, whoever registered it."""
    Sanic.test_mode = True
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("routes") / "data"))
    return {(method, "/" + route.path.lstrip("/")) for route in app.router.routes for method in route.methods}


@pytest.mark.attack("A01")
def test_every_route_of_the_router_is_guarded(routes: set[tuple[str, str]], anonymous: httpx.Client) -> None:
    """Of all that the router itself knows, nothing below /v1 but signing in and invited in answers a stranger."""
    answered = {}
    for method, path in sorted(routes):
        address = re.sub(r"<[^>]+>", "x", path)
        answer = anonymous.request(method, address, json={} if method in ("POST", "PUT", "PATCH") else None)
        if answer.status_code not in (401, 403, 404, 405):
            answered[f"{method} {path}"] = answer.status_code
    # A socket asks who one is once it is open, as `test_live.py` tries; without a handshake there is nothing to open.
    guarded = {name for name in answered if "/v1/" in name} - {"GET /v1/ws"}

    assert len(routes) > 60
    assert answered.get("GET /v1/ws", 426) in (400, 426)
    assert guarded <= {
        f"{method} /v1/auth/{rest}"
        for method in ("GET", "POST", "OPTIONS")
        for rest in ("token", "password-reset", "password-reset/confirm", "provider", "reset", "forgotten")
    } | {f"POST {path}" for path in BY_LINK}, guarded


@pytest.mark.attack("A38")
@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}], ids=str
)
def test_every_method_is_guarded_from_other_pages(
    routes: set[tuple[str, str]], fortress: Fortress, headers: dict[str, str]
) -> None:
    """The guard against other pages names what is harmless, GET and HEAD, and is there for every other method."""
    with fortress.client(None) as browser:
        cookie = fortress.cookie()
        changing = sorted(
            {
                (m, re.sub(r"<[^>]+>", "x", p))
                for m, p in routes
                if m not in ("GET", "HEAD", "OPTIONS")
                and "/v1/" in p
                and "/v1/auth/password" not in p
                and not p.endswith("/v1/auth/token")
                and p not in BY_LINK
            }
        )
        for method, path in changing:
            answer = browser.request(method, path, json={}, headers={"Cookie": cookie} | headers)

            assert answer.status_code in (401, 403), (method, path)

        assert {method for method, _ in changing} >= {"POST", "PUT", "PATCH", "DELETE"}
        assert browser.get("/v1/users/me", headers={"Cookie": cookie}).status_code == 200


ORIGINS = (
    "{ours}.evil.example",
    "http://evil.example/{ours}",
    "{ours}@evil.example",
    "x{ours}",
    "{ours}/",
    "{ours} http://evil.example",
    "{OURS}x",
)


@pytest.mark.attack("A38")
@pytest.mark.parametrize("origin", ORIGINS)
def test_origins_to_the_letter(fortress: Fortress, origin: str) -> None:
    """An origin that begins, ends or contains ours is another one."""
    sent = origin.replace("{ours}", fortress.url).replace("{OURS}", fortress.url.upper())
    with fortress.client(None) as browser:
        answer = browser.post(
            "/app/sign-in",
            json={"email": "owner@example.org", "password": "correct horse battery"},
            headers={"Origin": sent},
        )

    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.attack("A20")
@pytest.mark.parametrize("path", ["/v1/ws", "/graphql", "/socket.io/?EIO=4&transport=websocket"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "{ours}.evil.example"])
def test_every_socket_is_guarded(fortress: Fortress, path: str, origin: str) -> None:
    """Each of the doors for WebSockets refuses another page, cookie or not, at the handshake."""
    head = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{fortress.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
        f"Origin: {origin.replace('{ours}', fortress.url)}\r\n\r\n"
    )

    assert status(fortress.speak(head.encode())) == 403


@pytest.mark.attack("A31")
@pytest.mark.parametrize(
    "path", ["proxy/127.0.0.1:22", "proxy/absolute/80", "v1/proxy", "v1/fetch", "v1/import", "http://127.0.0.1:1/"]
)
@pytest.mark.parametrize("parameter", ["url", "uri", "target", "host", "next", "callback"])
def test_no_route_fetches(owner: httpx.Client, path: str, parameter: str) -> None:
    """No address passes a request on, and no parameter of one names whom to call."""
    answer = owner.get(f"/{path}", params={parameter: "http://127.0.0.1:1/"})

    assert answer.status_code in (400, 404, 405, 422)


@pytest.mark.attack("A17")
def test_writing_is_not_deleting_others(fortress: Fortress, owner: httpx.Client) -> None:
    """A developer, who may write, deletes nothing that is another's; a key to read changes nothing."""
    theirs = data(owner.post("/v1/circuits", json=CIRCUIT))["id"]
    made = data(owner.post("/v1/api-keys", json={"name": "k", "scopes": ["circuits:read"]}))
    with fortress.client("developer") as developer, fortress.client(None, **{"X-API-Key": made["key"]}) as reader:
        for client in (developer, reader):
            assert client.get(f"/v1/circuits/{theirs}").status_code == 200
            assert client.delete(f"/v1/circuits/{theirs}").status_code == 403
        # Circuits are the organization's: whoever may write changes them, with a new version, and nobody's is lost.
        assert reader.patch(f"/v1/circuits/{theirs}", json={"name": "x"}).status_code == 403
    owner.delete(f"/v1/api-keys/{made['id']}")

    assert data(owner.get(f"/v1/circuits/{theirs}"))["name"] == "c"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users",
        "/v1/auth/register",
        "/v1/auth/signup",
        "/v1/register",
        "/register",
        "/app/register",
        "/signup",
        "/api/collections/users/records",
        "/app/setup",
    ],
)
def test_nobody_registers(anonymous: httpx.Client, fortress: Fortress, path: str) -> None:
    """No stranger makes an account, for whose address ever."""
    draft = {"email": "owner2@example.org", "password": "a lab of ones own 7", "organization": "x", "token": "x"}
    answer = anonymous.post(path, json=draft, headers={"Origin": fortress.url})

    assert answer.status_code in (401, 403, 404, 405, 410, 422)
    grant = {"grant_type": "password", "email": draft["email"], "password": draft["password"]}
    assert anonymous.post("/v1/auth/token", json=grant).status_code == 401


# Answers and logs ----------------------------------------------------------------------------------------------------

PAGES = (
    "text/html",
    "text/html;<script>alert(1)</script>",
    "image/svg+xml",
    "<script>alert(1)</script>",
    "application/xhtml+xml",
)


@pytest.mark.attack("A40")
@pytest.mark.parametrize("media", PAGES)
@pytest.mark.parametrize(
    "path", ["/v1/circuits", "/v1/datasets", "/v1/auth/token", "/graphql", "/v1/<script>alert(1)</script>"]
)
def test_what_is_sent_is_not_a_page(owner: httpx.Client, path: str, media: str) -> None:
    """No answer of the API is a page, whatever type is sent or asked for, and what is sent comes back as text at the most."""
    for headers in ({"Content-Type": media}, {"Accept": media, "Content-Type": "application/json"}):
        answer = owner.post(path, content="<script>alert(1)</script>", headers=headers)

        assert answer.status_code in (400, 404, 406, 415, 422)
        assert answer.headers["Content-Type"].startswith("application/")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "<script>" not in answer.headers["Content-Type"]


@pytest.mark.attack("A38")
@pytest.mark.parametrize("path", ["/v1/users/me", "/v1/api-keys", "/v1/circuits", "/v1/budget", "/v1/audit"])
def test_json_is_no_script(owner: httpx.Client, path: str) -> None:
    """An answer is an object, never a list that a script of another page could read, and is not sniffed or shared."""
    answer = owner.get(path, params={}, headers={"Origin": "http://evil.example"})

    assert isinstance(answer.json(), dict)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in answer.headers
    callback = owner.get(path, params={"callback": "alert"})
    assert callback.status_code in (200, 422)
    assert not callback.text.startswith("alert")


@pytest.mark.attack("A53")
@pytest.mark.parametrize("broken", ["refused", "malformed", "unknown"])
def test_failures_log_no_credentials(fortress: Fortress, broken: str) -> None:
    """Whatever becomes of a request, the log has neither its token nor its cookie nor its key."""
    canary = f"canary{broken}{'7d1f' * 8}"
    headers = {"Authorization": f"Bearer {canary}a", "X-API-Key": f"{canary}b", "Cookie": f"__Host-qstore={canary}c"}
    with fortress.client(None) as client:
        for name, value in headers.items():
            sent = {name: value, "Content-Type": "application/json"}
            content = b"{" if broken == "malformed" else b"{}"
            answer = client.post(f"/v1/{'nothing' if broken == 'unknown' else 'jobs'}", content=content, headers=sent)
            assert answer.status_code >= 400
            assert canary not in answer.text

    assert canary not in fortress.log()


SEARCHES = (
    "%' OR '1'='1",
    "' UNION SELECT password_hash FROM users --",
    "\\",
    "\\%",
    "user%org",
    "%",
    "a' ESCAPE '",
    "'; DROP TABLE audit; --",
    "\x00",
)


@pytest.mark.attack("A48")
@pytest.mark.parametrize("text", SEARCHES)
@pytest.mark.parametrize("name", ["q", "action", "actor", "subject"])
def test_searching_is_not_sql(owner: httpx.Client, name: str, text: str) -> None:
    """What is searched for is letters: wildcards find themselves, and quotes end nothing."""
    everything = owner.get("/v1/audit").json()["meta"]["total"]

    answer = owner.get("/v1/audit", params={name: text})

    assert answer.status_code in (200, 422), answer.text
    assert "argon2" not in answer.text
    if answer.status_code == 200:
        assert answer.json()["meta"]["total"] < everything
    assert owner.get("/v1/audit").json()["meta"]["total"] >= everything


@pytest.mark.attack("A22")
async def test_cancelled_commands_keep_their_answers(redis_server: Redis) -> None:
    """Commands that are cancelled at any moment leave no answer behind for whoever comes next on the connection."""
    from redis.asyncio import Redis as Client

    redis_server.start()
    redis_server.flush()
    client = Client.from_url(redis_server.url(), max_connections=2)
    try:
        for number in range(50):
            await client.set(f"k{number}", f"v{number}")
        for round in range(200):
            asked = [asyncio.ensure_future(client.get(f"k{number}")) for number in range(2)]
            for _ in range(round % 5):
                await asyncio.sleep(0)
            for one in asked:
                one.cancel()
            for one in asked:
                with contextlib.suppress(asyncio.CancelledError):
                    await one
            number = round % 50
            assert await client.get(f"k{number}") == f"v{number}".encode()
            async with client.pipeline(transaction=round % 2 == 0) as pipeline:
                pipeline.get(f"k{number}")
                pipeline.get("k1")
                assert await pipeline.execute() == [f"v{number}".encode(), b"v1"]
    finally:
        await client.aclose()
