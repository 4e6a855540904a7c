"""A37: a name elsewhere that points at us, and other ways to say whom one means."""

from __future__ import annotations

import pytest

from tests.attacks.conftest import Fortress, status

pytestmark = pytest.mark.attack("A37")

HOSTS = (
    *(
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "evil.example.localhost.",
        "127.0.0.1.nip.io",
        "10.0.0.1",
    ),
    *(
        "192.168.0.1:8000",
        "169.254.169.254",
        "[2001:db8::1]",
        "2130706433",
        "0x7f000001",
        "0",
        "0.0.0.0",
        "[::]",
        "127.1",
    ),
    *(
        "localhost@evil.example",
        "evil.example@localhost",
        "evil.example#localhost",
        "evil.example/localhost",
        "localhost\\x",
    ),
    *("localhost, evil.example", "localhost evil.example", "", " ", ":", "[", "[::1", "xn--lcalhost-g4a", "lоcalhost"),
    *("localhost.", "localhost\tx", "*", "%6cocalhost", "a" * 300, "127.0.0.1:evil", "_", "null", "file://"),
)


@pytest.mark.parametrize("host", HOSTS)
def test_names_that_are_not_ours(fortress: Fortress, host: str) -> None:
    """Another name is 421, or no request at all; what a proxy may say of the original name is not believed."""
    head = (
        f"GET /v1/users/me HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\n"
        f"Authorization: Bearer {fortress.tokens['owner']}\r\nConnection: close\r\n\r\n"
    )
    answer = fortress.speak(head.encode("utf-8"))

    assert status(answer) in (400, 421)
    assert b"owner@example.org" not in answer


@pytest.mark.parametrize(
    "path", ["/", "/app", "/app/sign-in", "/health", "/ready", "/openapi.json", "/v1/ws", "/nothing"]
)
def test_no_address_answers_to_another_name(fortress: Fortress, path: str) -> None:
    """Pages, probes and documents are as particular about their name as the API is."""
    answer = fortress.speak(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())

    assert status(answer) == 421


@pytest.mark.parametrize(
    "line",
    [
        "GET http://evil.example/health HTTP/1.1",
        "GET http://localhost/health HTTP/1.1",
        "GET //evil.example/health HTTP/1.1",
        "GET https:evil.example HTTP/1.1",
        "GET evil.example:443 HTTP/1.1",
    ],
)
def test_request_lines_that_name_a_host(fortress: Fortress, line: str) -> None:
    """The request line holds a path; a host in it is not used for anything."""
    answer = fortress.speak(f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())

    assert status(answer) in (0, 400, 404)
    assert b"evil.example" not in answer.partition(b"\r\n\r\n")[0]
