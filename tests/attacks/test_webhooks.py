"""A31 to A36: having the appliance call what only it can reach."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence

import httpx
import pytest

from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.deliveries.receivers import Receivers
from qstore_appliance.errors import WebhookForbidden
from qstore_appliance.settings import Webhooks
from tests.attacks.conftest import Fortress, code

PUBLIC = "93.184.215.14"


class Canary:
    """A listener on loopback that counts who comes by."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.hits = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.hits += 1
            connection.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    found = Canary()
    yield found
    assert found.hits == 0
    found.listener.close()


HOSTS = (
    *(
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "0",
        "127.1",
        "127.0.1",
        "0x7f000001",
        "0x7f.1",
    ),
    *(
        "2130706433",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "0.0.0.0",
        "127.9.9.9",
    ),
    *(
        "169.254.169.254",
        "[fd00:ec2::254]",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "10.0.0.1",
        "172.16.0.1",
    ),
    *("192.168.1.1", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1"),
)
SPELLINGS = (
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]"),
    *(
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[fc00::1]",
        "[ff02::1]",
        "[::1",
        "[127.0.0.1]",
        "127。0。0。1",
        "１２７.０.０.１",
    ),
    *("①②⑦.⓪.⓪.①", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "a@127.0.0.1", "a:b@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1\\@example.com"),
    *(
        "example.com\\.127.0.0.1",
        "127.0.0.1%2f@example.com",
        "%31%32%37.0.0.1",
        "127.0.0.1\t",
        "127.0.0.1 ",
        "exa mple.com",
    ),
    *(
        "example.com..",
        ".example.com",
        "-example.com",
        "example.com:22",
        "example.com:25",
        "example.com:6379",
        "example.com:0",
    ),
    *(
        "example.com:99999",
        "example.com:443:80",
        "example.com:+443",
        "example.com:４４３",
        "",
        ":443",
        "@",
        "example.com#@x",
    ),
)
SCHEMES = (
    *("http://example.com/", "gopher://127.0.0.1:6379/_FLUSHALL", "file:///etc/passwd", "ftp://127.0.0.1/", "data:,x"),
    *(
        "dict://127.0.0.1:11211/",
        "ldap://127.0.0.1/",
        "unix:///var/run/docker.sock",
        "http+unix://%2frun%2fx/",
        "jar:x!/y",
    ),
    *("javascript:alert(1)", "//127.0.0.1/", "https:127.0.0.1", "https:/127.0.0.1", "https:///127.0.0.1/", "HTTPS//x"),
    *(
        "tftp://127.0.0.1/",
        "ssh://127.0.0.1",
        "netdoc:///etc/passwd",
        "https://example.com/\r\nX: y",
        "about:blank",
        "",
    ),
)
ROWS = [
    *[pytest.param(f"https://{host}/", id=f"A31 {host}", marks=pytest.mark.attack("A31")) for host in HOSTS],
    *[pytest.param("https://127.0.0.1:{own}/", id="A31 own port", marks=pytest.mark.attack("A31"))],
    *[pytest.param("https://127.0.0.1:{canary}/", id="A31 canary", marks=pytest.mark.attack("A31"))],
    *[pytest.param(f"https://{host}/", id=f"A32 {number}", marks=pytest.mark.attack("A32")) for number, host in enumerate(SPELLINGS)],
    *[pytest.param(url, id=f"A36 {number}", marks=pytest.mark.attack("A36")) for number, url in enumerate(SCHEMES)],
]  # fmt: skip


@pytest.mark.parametrize("url", ROWS)
@pytest.mark.parametrize("action", ["webhook", "slack"])
def test_addresses_that_are_not_saved(
    fortress: Fortress, owner: httpx.Client, canary: Canary, url: str, action: str
) -> None:
    """An address that is not a public HTTPS one is refused when it is saved, and nothing is called."""
    url = url.replace("{own}", str(fortress.port)).replace("{canary}", str(canary.port))
    alert = {"threshold": 80, "action": action, "webhook": url}
    answer = owner.put("/v1/budget", json={"monthly_limit": 10, "alerts": [alert]})

    assert answer.status_code == 422
    assert code(answer) in ("WEBHOOK_FORBIDDEN", "VALIDATION_ERROR")
    assert canary.hits == 0


class Names:
    """A resolver that answers each time with the next list; the last one stays."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str) -> Sequence[str]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


REBINDING: dict[str, tuple[list[Sequence[str] | OSError], type[Exception]]] = {
    "public, then loopback": ([[PUBLIC], ["127.0.0.1"]], WebhookForbidden),
    "public, then metadata": ([[PUBLIC], ["169.254.169.254"]], WebhookForbidden),
    "public, then IPv6 loopback": ([[PUBLIC], ["::1"]], WebhookForbidden),
    "public, then both": ([[PUBLIC], [PUBLIC, "127.0.0.1"]], WebhookForbidden),
    "public, then mapped": ([[PUBLIC], ["::ffff:127.0.0.1"]], WebhookForbidden),
    "public, then nothing": ([[PUBLIC], []], NotDelivered),
    "public, then an error": ([[PUBLIC], OSError("SERVFAIL")], NotDelivered),
    "an error, then loopback": ([OSError("SERVFAIL"), ["127.0.0.1"]], WebhookForbidden),
    "an error, then an error": ([OSError("SERVFAIL"), OSError("SERVFAIL")], NotDelivered),
    "nothing, then loopback": ([[], ["127.0.0.1"]], WebhookForbidden),
}


@pytest.mark.attack("A34")
@pytest.mark.parametrize(("answers", "raised"), REBINDING.values(), ids=REBINDING)
async def test_names_that_change(answers: list[Sequence[str] | OSError], raised: type[Exception]) -> None:
    """What was checked when it was saved is checked again at each delivery, and no answer of DNS means no call."""
    receivers = Receivers(Webhooks(), Names(*answers))
    await receivers.check("https://hooks.example/x")

    with pytest.raises(raised):
        await receivers.target("https://hooks.example/x")


@pytest.mark.attack("A34")
@pytest.mark.parametrize("bad", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1"])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_one_bad_address_of_several(bad: str, place: int) -> None:
    """All addresses of a name are checked, wherever the bad one stands."""
    addresses = [PUBLIC, "2606:4700::1111"]
    addresses.insert(place, bad)

    with pytest.raises(WebhookForbidden):
        await Receivers(Webhooks(), Names(addresses)).check("https://hooks.example/x")
