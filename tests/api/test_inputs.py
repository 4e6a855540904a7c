"""What comes in is read strictly: whatever is sent, the answer is 400, 413, 415 or 422, never 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qstore_appliance.api import inputs
from qstore_appliance.api.app import endpoints
from qstore_appliance.domain.jobs import JobDraft
from qstore_appliance.errors import Malformed, TooLarge, ValidationFailed
from tests.api.conftest import Client, Served
from tests.factories import make_circuit_draft

#: Query parameters that are lists: each time one more.
SEVERAL = {("/v1/circuits", "tags"), ("/v1/jobs", "status"), ("/v1/outbox", "status")}
GOOD = make_circuit_draft().model_dump(exclude_none=True)


def raw(metadata: str) -> bytes:
    """A good circuit whose metadata is the given text."""
    return json.dumps(GOOD | {"metadata": "@"}).replace('"@"', metadata).encode()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "MALFORMED"),
        (b"{", 400, "MALFORMED"),
        (b"null", 422, "VALIDATION_ERROR"),
        (b"[]", 422, "VALIDATION_ERROR"),
        (b"\xff\xfe{", 400, "MALFORMED"),
        ("{}".encode("utf-16"), 400, "MALFORMED"),
        (b"\xef\xbb\xbf{}", 400, "MALFORMED"),
        (b"[" * 100_000, 400, "MALFORMED"),
        (raw("[" * 70 + "]" * 70), 400, "MALFORMED"),
        (raw('{"a": 1, "a": 2}'), 400, "MALFORMED"),
        (raw('{"a": "\\ud800"}'), 400, "MALFORMED"),
        (raw('{"a": "\\u0000"}'), 422, "VALIDATION_ERROR"),
        (raw('{"a": NaN}'), 422, "VALIDATION_ERROR"),
        (raw('{"a": -Infinity}'), 422, "VALIDATION_ERROR"),
        (raw('{"a": 1e400}'), 422, "VALIDATION_ERROR"),
        (raw('{"a": ' + "9" * 5000 + "}"), 422, "VALIDATION_ERROR"),
        (raw('{"a": 18446744073709551616}'), 422, "VALIDATION_ERROR"),
        (raw('{"a": "' + "x" * 20_000 + '"}'), 422, "VALIDATION_ERROR"),
    ],
    ids=[
        "empty", "half", "null", "list", "not utf-8", "utf-16", "byte order mark", "deep", "deeper than 64", "key twice",
        "half a surrogate pair", "NUL", "NaN", "infinity", "1e400", "5000 digits", "65 bits", "large metadata",
    ],
)  # fmt: skip
async def test_unreadable_bodies(owner: httpx.AsyncClient, content: bytes, status: int, code: str) -> None:
    """What is not clean JSON of the right shape is refused with its reason."""
    answer = await owner.post("/v1/circuits", content=content, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_body_at_the_limit_of_depth_passes(owner: httpx.AsyncClient) -> None:
    """62 levels inside metadata make 64 in all, which is allowed."""
    answer = await owner.post(
        "/v1/circuits", content=raw('{"a": ' + "[" * 61 + "]" * 61 + "}"), headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 201


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin-1"]
)
async def test_other_content_types(owner: httpx.AsyncClient, media: str) -> None:
    """Only application/json in UTF-8 is taken: a foreign page's form cannot speak to us."""
    answer = await owner.post("/v1/circuits", content=json.dumps(GOOD), headers={"Content-Type": media})

    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_every_fault_has_its_place(owner: httpx.AsyncClient) -> None:
    """All faults come at once, each with its field; fields that are not ours are named, never ignored."""
    body = GOOD | {"n_qubits": "4", "organization_id": "org_x", "gates": [GOOD["gates"][0], 7]}
    del body["name"]

    error = (await owner.post("/v1/circuits", json=body)).json()["error"]

    assert {row["field"] for row in error["details"]["errors"]} == {"name", "n_qubits", "organization_id", "gates[1]"}


def test_paths_leave_out_the_branches_of_unions() -> None:
    """A fault inside a union is placed where it stands in the document."""
    body = {
        "circuit_id": "circuit_x",
        "config": {
            "dataset": {"type": "digits", "classes": [0, 1.5]},
            "readout": {"observables": ["Z0", 3]},
            "epochs": 0,
        },
    }

    with pytest.raises(ValidationFailed) as caught:
        inputs.validated(JobDraft, body)

    fields = {row["field"] for row in caught.value.details["errors"]}
    assert {"config.dataset.classes[1]", "config.readout.observables[1]", "config.epochs"} <= fields
    assert not any("literal" in field or "list[" in field for field in fields)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
        max_leaves=20,
    )
)
def test_any_json_is_taken_or_refused(value: Any) -> None:
    """Whatever a document holds, reading it ends in a value that can be written again, or in an error of ours."""
    content = json.dumps(value).encode()
    try:
        read = inputs.parsed(content)
    except (Malformed, ValidationFailed):
        return

    assert read == value
    json.dumps(read, ensure_ascii=False, allow_nan=False).encode("utf-8")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=", "limit"),
        ("offset=-1", "offset"),
        ("offset=99999999999999999999", "offset"),
        ("sort=password_hash", "sort"),
        ("sort=--name", "sort"),
        ("tags=" + "x" * 3000, "tags"),
    ],
)
async def test_pages_out_of_range(owner: httpx.AsyncClient, query: str, field: str) -> None:
    """A list's parameters are judged like a body, with the field that is wrong."""
    answer = await owner.get(f"/v1/circuits?{query}")

    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["errors"][0]["field"] == field


async def test_a_body_above_the_limit(owner: httpx.AsyncClient) -> None:
    """One megabyte is the limit where nothing else is said, whether the length is announced or not."""

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"name": "'
        for _ in range(40):
            yield b"x" * 50_000

    announced = await owner.post("/v1/api-keys", content=b" " * 1_000_001, headers={"Content-Type": "application/json"})
    chunked = await owner.post("/v1/api-keys", content=endless(), headers={"Content-Type": "application/json"})

    for answer in (announced, chunked):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "TOO_LARGE")


async def test_circuits_may_be_larger(owner: httpx.AsyncClient) -> None:
    """Circuits take 32 MB: one of 10,000 gates in a body of two megabytes is stored."""
    gates = [{"type": "RY", "targets": [i % 4], "parameters": {"theta": 0.25}} for i in range(10_000)]
    content = json.dumps(GOOD | {"gates": gates}).encode() + b" " * 1_500_000

    answer = await owner.post("/v1/circuits", content=content, headers={"Content-Type": "application/json"})

    assert answer.status_code == 201
    assert answer.json()["data"]["gate_count"] == 10_000


async def test_strangers_bodies_are_not_read(client: Client) -> None:
    """Who may not write is told so before the body is looked at."""
    anonymous = await client(None).post("/v1/circuits", content=b"{", headers={"Content-Type": "application/json"})
    viewer = await client("viewer").post("/v1/circuits", content=b"{", headers={"Content-Type": "application/json"})

    assert (anonymous.status_code, viewer.status_code) == (401, 403)


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/circuits HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "POST /v1/circuits HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        "POST /v1/circuits HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n",
        "GET http://evil.example/v1/circuits HTTP/1.1\r\nHost: localhost\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
        "GET /health HTTP/9.9\r\nHost: localhost\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: " + "x" * 20_000 + "\r\n",
    ],
    ids=["length and chunked", "two lengths", "negative", "absolute", "two hosts", "HTTP/9.9", "20 KB header"],
)
async def test_ambiguous_requests(served: Served, head: str) -> None:
    """A request that two servers could read in two ways is refused in the envelope, and the connection survives or ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.settings.server.port)
    writer.write(head.encode() + b"Connection: close\r\n\r\n")
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()

    top, _, body = answer.partition(b"\r\n\r\n")
    assert int(top.split()[1]) in (400, 413)
    assert json.loads(body)["success"] is False


@pytest.mark.parametrize(
    "content",
    [
        b'{"inputs": [' + b",".join([b"[]"] * 600_000) + b"]}",
        b'{"inputs": [' + b",".join([b"1"] * 10_000_001) + b"]}",
        b"{" + b",".join(b'"%d":1' % number for number in range(100_001)) + b"}",
    ],
    ids=["lists", "numbers", "keys"],
)
def test_bodies_that_unfold_are_refused(content: bytes) -> None:
    """More values than an honest body holds are refused by their number: they would take gigabytes as Python values."""
    with pytest.raises(TooLarge):
        inputs.parsed(content)


async def test_a_large_body_leaves_the_loop_to_others(owner: httpx.AsyncClient) -> None:
    """While some 20 MB of JSON are judged, other requests are answered; the fault in it has its place all the same."""
    rows = b",".join([b"[" + b",".join([b"12"] * 784) + b"]"] * 8_000)
    body = b'{"inputs": [' + rows + b', [1, "x", "y"]]}'
    large = asyncio.create_task(
        owner.post("/v1/models/model_x/predict", content=body, headers={"Content-Type": "application/json"})
    )

    answered = 0
    while not large.done():
        assert (await owner.get("/v1/users/me")).status_code == 200
        answered += 1

    answer = await large
    assert answer.status_code == 422
    assert [row["field"] for row in answer.json()["error"]["details"]["errors"]] == ["inputs[8000][1]"]
    assert answered > 5


async def test_parameters_twice(owner: httpx.AsyncClient) -> None:
    """A query parameter that stands there twice is refused on every route that has it: nobody reads one, another the other."""
    for endpoint in endpoints():
        if endpoint.method != "GET" or not endpoint.path.startswith("/v1/") or "{" in endpoint.path:
            continue
        for parameter in endpoint.query:
            if (endpoint.path, parameter.name) in SEVERAL:
                continue
            schema = parameter.schema
            value = {"integer": "1", "boolean": "true"}.get(str(schema.get("type")), (schema.get("enum") or ["a"])[0])
            answer = await owner.get(endpoint.path, params=[(parameter.name, value), (parameter.name, value)])

            assert answer.status_code == 422, (endpoint.path, parameter.name)
            assert parameter.name in answer.text
