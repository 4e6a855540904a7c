"""A41: bodies that are too large, never end, cannot be read, or are two requests at once."""

from __future__ import annotations

import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.attacks.conftest import CIRCUIT, Fortress, code, status

pytestmark = pytest.mark.attack("A41")

JSON = {"Content-Type": "application/json"}


def circuit_with(metadata: str) -> bytes:
    """A good circuit whose metadata holds exactly this text."""
    return json.dumps(CIRCUIT | {"metadata": {"a": "@"}}).replace('"@"', metadata).encode()


BODIES: dict[str, tuple[bytes, set[int]]] = {
    "nothing": (b"", {400}),
    "blank": (b" ", {400}),
    "half": (b'{"name": "c", ', {400}),
    "two documents": (b"{}{}", {400}),
    "a comment": (b"/* */ {}", {400}),
    "single quotes": (b"{'name': 1}", {400}),
    "trailing comma": (b'{"name": 1,}', {400}),
    "null": (b"null", {422}),
    "a number": (b"1", {422}),
    "text": (b'"x"', {422}),
    "a list": (b"[]", {422}),
    "100,000 levels of lists": (b"[" * 100_000, {400}),
    "100,000 levels of objects": (b'{"a":' * 100_000, {400}),
    "100,000 closed levels": (b"[" * 100_000 + b"]" * 100_000, {400}),
    "65 levels": (circuit_with("[" * 70 + "]" * 70), {400}),
    "a million keys": (b"{" + b",".join(b'"%d":0' % i for i in range(1_000_000)) + b"}", {413}),
    "a million lists": (b"[" + b"[]," * 1_000_000 + b"[]]", {413}),
    "key twice": (b'{"name": "a", "name": "b"}', {400}),
    "key twice, escaped": (b'{"name": "a", "\\u006eame": "b"}', {400}),
    "NaN": (circuit_with("NaN"), {422}),
    "Infinity": (circuit_with("Infinity"), {422}),
    "-Infinity": (circuit_with("-Infinity"), {422}),
    "1e400": (circuit_with("1e400"), {422}),
    "-1e400": (circuit_with("-1e400"), {422}),
    "5,000 digits": (circuit_with("9" * 5_000), {422}),
    "500,000 digits": (circuit_with("9" * 500_000), {422}),
    "2^63": (circuit_with(str(2**63)), {422}),
    "half a surrogate pair": (circuit_with('"\\ud800"'), {400}),
    "the other half": (circuit_with('"\\udc00"'), {400}),
    "NUL": (circuit_with('"\\u0000"'), {422}),
    "NUL in a key": (b'{"\\u0000": 1}', {422}),
    "raw NUL": (circuit_with('"\x00"'), {400}),
    "raw line break": (circuit_with('"\n"'), {400}),
    "UTF-16": (json.dumps(CIRCUIT).encode("utf-16"), {400}),
    "UTF-32": (json.dumps(CIRCUIT).encode("utf-32"), {400}),
    "UTF-7": (b"+AHs-+AH0-", {400}),
    "latin-1": ('{"name": "é"}'.encode("latin-1"), {400}),
    "overlong UTF-8": (b'{"name": "\xc0\xaf"}', {400}),
    "byte order mark": (b"\xef\xbb\xbf{}", {400}),
    "gzip": (gzip.compress(json.dumps(CIRCUIT).encode()), {400, 415}),
    "zip bomb as JSON": (gzip.compress(b"0" * 50_000_000), {400, 415}),
    "a pickle": (b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94.", {400}),
    "XML": (b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>', {400}),
    "YAML": (b"!!python/object/apply:os.system ['true']", {400}),
}


@pytest.mark.parametrize(("content", "expected"), BODIES.values(), ids=BODIES)
def test_bodies_that_cannot_be_read(owner: httpx.Client, content: bytes, expected: set[int]) -> None:
    """What is no clean JSON of the right shape is refused in the envelope, and never 500."""
    answer = owner.post("/v1/circuits", content=content, headers=JSON)

    assert answer.status_code in expected
    assert answer.json()["success"] is False


TYPES = (
    *("text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "*/*"),
    *("application/json; charset=utf-16", "application/json; charset=latin-1", "application/jsonp", "application"),
    *("application/vnd.api+json", "text/plain; application/json", "application/json, text/plain", "x/y"),
)


@pytest.mark.parametrize("media", TYPES)
def test_other_types(owner: httpx.Client, media: str) -> None:
    """Only application/json in UTF-8 is read, so that no form of a foreign page can speak to us."""
    answer = owner.post("/v1/circuits", json=CIRCUIT, headers={"Content-Type": media})

    assert (answer.status_code, code(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
def test_encoded_bodies_are_not_unpacked(owner: httpx.Client, encoding: str) -> None:
    """Nothing is decompressed on the way in, so no small body becomes a large one."""
    content = gzip.compress(json.dumps(CIRCUIT).encode())
    answer = owner.post("/v1/circuits", content=content, headers=JSON | {"Content-Encoding": encoding})

    assert answer.status_code in (400, 415)


HEAD = "POST /v1/circuits HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
FRAMES: dict[str, str] = {
    "length and chunks": HEAD
    + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\n",
    "chunks and length": HEAD + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + "Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}{}",
    "two equal lengths": HEAD + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "lengths in one": HEAD + "Content-Length: 2, 2\r\n\r\n{}",
    "negative length": HEAD + "Content-Length: -1\r\n\r\n",
    "signed length": HEAD + "Content-Length: +2\r\n\r\n{}",
    "hexadecimal length": HEAD + "Content-Length: 0x2\r\n\r\n{}",
    "length with a blank": HEAD + "Content-Length: 1 2\r\n\r\n{}",
    "length in other digits": HEAD + "Content-Length: ２\r\n\r\n{}",
    "length of 30 digits": HEAD + "Content-Length: " + "9" * 30 + "\r\n\r\n{}",
    "unknown coding": HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding twice": HEAD + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunk of a bad size": HEAD + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunk of a negative size": HEAD + "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "chunk of a huge size": HEAD + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "blank before the colon": HEAD + "Content-Length : 2\r\n\r\n{}",
    "folded header": HEAD + "X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}",
    "bare line feeds": HEAD.replace("\r\n", "\n") + "Content-Length: 2\n\n{}",
    "NUL in a header": HEAD + "X-A: \x00\r\nContent-Length: 2\r\n\r\n{}",
    "no version": "GET /v1/circuits\r\n\r\n",
    "version 0.9": "GET /v1/circuits HTTP/0.9\r\nHost: localhost\r\n\r\n",
    "version 2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\r\n\r\n",
    "no method": " /v1/circuits HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "whole address": "GET http://evil.example/v1/circuits HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "asterisk": "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tunnel": "CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no host": "GET /v1/circuits HTTP/1.1\r\n\r\n",
    "two hosts": "GET /v1/circuits HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "20 KB of header": HEAD + "X-A: " + "x" * 20_000 + "\r\nContent-Length: 2\r\n\r\n{}",
    "5,000 headers": HEAD + "".join(f"X-{i}: y\r\n" for i in range(5_000)) + "Content-Length: 2\r\n\r\n{}",
    "address of 20 KB": f"GET /v1/{'x' * 20_000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("content", FRAMES.values(), ids=FRAMES)
def test_frames_that_two_readers_read_differently(fortress: Fortress, content: str) -> None:
    """One answer of refusal, or none, and the connection ends: nothing behind it is taken for a second request."""
    sent = content.replace("{token}", fortress.tokens["owner"])
    answer = fortress.speak(sent.encode("utf-8"), end=True)

    assert status(answer) in (0, 400, 404, 405, 411, 413, 414, 415, 417, 421, 422, 431, 501, 505)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b'"success":true' not in answer


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
@pytest.mark.parametrize(
    ("path", "limit"),
    [("/v1/api-keys", 1_000_000), ("/v1/jobs", 1_000_000), ("/v1/circuits", 32_000_000), ("/v1/auth/token", 20_000)],
)
def test_bodies_above_the_limit(owner: httpx.Client, path: str, limit: int, announced: bool) -> None:
    """Each address has its limit, whether the length is told or not; what is larger is 413 before it is read."""
    content = b" " * (limit + 1)
    sent = content if announced else (content[i : i + 65_536] for i in range(0, len(content), 65_536))

    answer = owner.post(path, content=sent, headers=JSON)

    assert (answer.status_code, code(answer)) == (413, "TOO_LARGE")


def test_a_hundred_megabytes_are_not_awaited(fortress: Fortress) -> None:
    """Who announces more than is taken is refused by the head alone."""
    head = (
        HEAD.replace("{token}", fortress.tokens["owner"]) + "Content-Length: 101000000\r\nExpect: 100-continue\r\n\r\n"
    )

    assert status(fortress.speak(head.encode())) == 413


def test_slow_heads_leave_room_for_others(fortress: Fortress, owner: httpx.Client) -> None:
    """Two hundred clients that never finish their head hold up nobody, and are cut off."""
    slow = [socket.create_connection(("127.0.0.1", fortress.port)) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        began = time.monotonic()
        answers = [owner.get("/v1/circuits").status_code for _ in range(10)]

        assert answers == [200] * 10
        assert time.monotonic() - began < 20
        slow[0].settimeout(60)
        assert status(slow[0].recv(4096)) in (0, 400, 408, 503)
    finally:
        for connection in slow:
            connection.close()


def test_fifty_hostile_bodies_at_once(fortress: Fortress, owner: httpx.Client) -> None:
    """Fifty deep, wide and large bodies in parallel are all refused, and a friendly request between them is answered."""
    hostile = [
        BODIES[name][0] for name in ("100,000 levels of lists", "a million keys", "5,000 digits", "a million lists")
    ]

    def attack(number: int) -> int:
        with fortress.client("developer") as client:
            return client.post("/v1/circuits", content=hostile[number % 4], headers=JSON).status_code

    with ThreadPoolExecutor(50) as pool:
        attacks = [pool.submit(attack, number) for number in range(50)]
        friendly = owner.get("/v1/circuits").status_code

    assert friendly == 200
    assert {attack.result() for attack in attacks} <= {400, 413, 422}
