"""Requests to receivers that really listen: where they go, what counts as taken, and what badly behaved ones can do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qstore_appliance.deliveries import NotDelivered, posts
from qstore_appliance.deliveries.posts import Posts
from qstore_appliance.deliveries.receivers import Receivers
from qstore_appliance.settings import Webhooks
from tests.deliveries.receiving import AUTHORITY, HOOK_NAME, Receiver, receiving
from tests.deliveries.test_receivers import PUBLIC, Names


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def opened(receiver: Receiver, names: Names | None = None, authority: str = "") -> Posts:
    allow = (f"127.0.0.1:{receiver.port}",)
    return Posts(Receivers(Webhooks(allow=allow, authority=authority), names or Names()), authority)


async def test_a_request_arrives_as_it_was_sent(receiver: Receiver) -> None:
    """Body, headers and path arrive; the Host header is the name's, though the address was looked up before."""
    names = Names(hooks_lab=[["127.0.0.1"]])

    await opened(receiver, names).post(
        f"http://hooks.lab:{receiver.port}/in?a=b", b'{"a": 1}', {"X-QStore-Event": "e", "Content-Type": "text/x"}
    )

    (got,) = receiver.received
    assert (got.path, got.body) == ("/in?a=b", b'{"a": 1}')
    assert got.headers["Host"] == f"hooks.lab:{receiver.port}"
    assert (got.headers["X-QStore-Event"], got.headers["Content-Type"]) == ("e", "text/x")


async def test_tls_is_with_the_name(receiver: Receiver) -> None:
    """Over TLS the certificate has to be the name's, and the name stands in the hello, though an address is called."""
    names = Names(hooks_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    with receiving(tls=True) as secure:
        await opened(secure, names, AUTHORITY).post(f"https://{HOOK_NAME}:{secure.port}/", b"{}", {})
        with pytest.raises(NotDelivered, match="certificate"):
            await opened(secure, names, AUTHORITY).post(f"https://other.example:{secure.port}/", b"{}", {})
        with pytest.raises(NotDelivered, match="certificate"):
            await opened(secure, names).post(f"https://{HOOK_NAME}:{secure.port}/", b"{}", {})

        assert len(secure.received) == 1
        assert secure.names[0] == HOOK_NAME
    with pytest.raises(NotDelivered, match="TLS"):
        await opened(receiver, names).post(f"https://{HOOK_NAME}:{receiver.port}/", b"{}", {})


async def test_nobody_is_called_who_may_not_be(receiver: Receiver) -> None:
    """A name that has become loopback since it was saved, or a literal one, sees not one connection."""
    names = Names(rebinding_example=[["127.0.0.1"]])
    strict = Posts(Receivers(Webhooks(), names))
    for host in ("rebinding.example", "127.0.0.1", "localhost", "[::1]", "0x7f000001", "127.1"):
        for scheme in ("http", "https"):
            with pytest.raises(NotDelivered):
                await strict.post(f"{scheme}://{host}:{receiver.port}/", b"{}", {})

    assert receiver.connections == 0


async def test_the_checked_address_is_the_one_that_is_called(receiver: Receiver) -> None:
    """A name that changes its address after the check changes nothing: it is resolved once for a delivery."""
    names = Names(rebinding_example=[["127.0.0.1"], [PUBLIC]])

    await opened(receiver, names).post(f"http://rebinding.example:{receiver.port}/", b"{}", {})

    assert len(receiver.received) == 1
    assert names.asked == ["rebinding.example"]


@pytest.mark.attack("A33")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    """A redirect is a refusal, to the metadata service as to a receiver that is open."""
    with receiving() as internal:
        receiver.location = f"http://127.0.0.1:{internal.port}/"
        allow = (f"127.0.0.1:{receiver.port}", f"127.0.0.1:{internal.port}")
        with pytest.raises(NotDelivered, match="redirects are not followed"):
            await Posts(Receivers(Webhooks(allow=allow))).post(
                f"http://127.0.0.1:{receiver.port}/redirect/{status}", b"{}", {}
            )

        assert internal.connections == 0


@pytest.mark.attack("A35")
@pytest.mark.parametrize(
    ("path", "words", "final"),
    [
        ("/status/500", "answered 500", False),
        ("/status/404", "answered 404", False),
        ("/status/410", "answered 410", True),
        ("/close", "broke the connection off|not HTTP", False),
        ("/garbage", "not HTTP", False),
    ],
)
async def test_refusals(receiver: Receiver, path: str, words: str, final: bool) -> None:
    """Everything but 2xx is a refusal in words of ours: nothing that the receiver said is told."""
    with pytest.raises(NotDelivered, match=words) as caught:
        await opened(receiver).post(f"http://127.0.0.1:{receiver.port}{path}", b"{}", {})

    assert caught.value.final is final
    assert "secret" not in caught.value.reason
    assert "SSH" not in caught.value.reason


@pytest.mark.attack("A35")
async def test_a_receiver_that_is_silent(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes the request and says nothing is given up."""
    monkeypatch.setattr(posts, "TOTAL_SECONDS", 0.2)

    with pytest.raises(NotDelivered, match="did not answer within"):
        await opened(receiver).post(f"http://127.0.0.1:{receiver.port}/hang", b"{}", {})


async def test_nobody_listens(receiver: Receiver) -> None:
    """A port that nobody listens on is said to be just that."""
    receiver.close()

    with pytest.raises(NotDelivered, match="Nobody can be reached"):
        await opened(receiver).post(f"http://127.0.0.1:{receiver.port}/", b"{}", {})


async def test_the_next_address_is_tried(receiver: Receiver) -> None:
    """Of a name with several addresses the next is tried where nobody listens at the first."""
    names = Names(both_lab=[["127.0.0.2", "127.0.0.1"]])
    allow = (f"127.0.0.0/8:{receiver.port}",)

    await Posts(Receivers(Webhooks(allow=allow), names)).post(f"http://both.lab:{receiver.port}/", b"{}", {})

    assert len(receiver.received) == 1


@pytest.mark.attack("A35")
@pytest.mark.parametrize("path", ["/bomb", "/drip", "/gzip"])
async def test_long_answers(receiver: Receiver, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gigabyte, a drip or a bomb in the answer to a message that was taken is left where it is."""
    monkeypatch.setattr(posts, "LINGER_SECONDS", 0.2)

    await opened(receiver).post(f"http://127.0.0.1:{receiver.port}{path}", b"{}", {})

    # What the two sockets buffer is on top of what was read.
    assert receiver.taken < 50_000_000


async def test_proxies_of_the_environment(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names is not used: it would connect to whatever it likes."""
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        await opened(receiver).post(f"http://127.0.0.1:{receiver.port}/", b"{}", {})

        assert (len(receiver.received), proxy.connections) == (1, 0)
