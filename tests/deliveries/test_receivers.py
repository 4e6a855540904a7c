"""The guard in front of webhooks: what may be called, however it is written, and whatever a name resolves to."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Sequence

import pytest

from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.deliveries import receivers as module
from qstore_appliance.deliveries.receivers import Receivers, is_public
from qstore_appliance.errors import ConfigurationInvalid, WebhookForbidden
from qstore_appliance.settings import Webhooks
from qstore_appliance.settings.allowances import allowance

PUBLIC = "93.184.215.14"


class Names:
    """A resolver of the test's own: each name with the answers that it gives, one after another; the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(lists) for name, lists in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        lists = self.answers.get(host, [[]])
        return lists.pop(0) if len(lists) > 1 else lists[0]


def guard(*allow: str, names: Names | None = None) -> Receivers:
    return Receivers(Webhooks(allow=allow), names or Names())


FORBIDDEN_ADDRESSES = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
    *("198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2001:10::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "100::1", "3fff::1", "5f00::1"),
)


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
async def test_addresses_that_only_this_machine_reaches(address: str) -> None:
    """Private, local, special and transitional addresses are refused as they are and behind a name, on saving and on delivery."""
    assert not is_public(ipaddress.ip_address(address))
    literal = f"https://[{address}]/x" if ":" in address else f"https://{address}/x"
    for url in (literal, "https://name.example/x"):
        receivers = guard(names=Names(name_example=[[address]]))
        with pytest.raises(WebhookForbidden):
            await receivers.check(url)
        with pytest.raises(WebhookForbidden):
            await receivers.target(url)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"])
async def test_public_addresses(address: str) -> None:
    """What anybody on the internet could call may be called."""
    url = f"https://[{address}]/x" if ":" in address else f"https://{address}/x"

    assert await guard().check(url)
    assert (await guard().target(url)).addresses == (ipaddress.ip_address(address),)


SPELLINGS = {
    "short": "https://127.1/",
    "shorter": "https://0/",
    "hexadecimal": "https://0x7f000001/",
    "hexadecimal parts": "https://0x7f.0.0.1/",
    "hexadecimal end": "https://127.0.0.0x1/",
    "whole number": "https://2130706433/",
    "octal": "https://0177.0.0.1/",
    "leading zeros": "https://010.0.0.1/",
    "five parts": "https://1.2.3.4.5/",
    "trailing dot": "https://127.0.0.1./",
    "localhost": "https://localhost/",
    "localhost with a dot": "https://localhost./",
    "below localhost": "https://a.localhost/",
    "capitals": "https://LOCALHOST/",
    "two dots": "https://example.com../",
    "empty label": "https://example..com/",
    "full-width digits": "https://１２７.０.０.１/",
    "circled digits": "https://①②⑦.⓪.⓪.①/",
    "ideographic dots": "https://127。0。0。1/",
    "international": "https://bücher.example/",
    "percent": "https://%31%32%37.0.0.1/",
    "user": "https://hooks.example@127.0.0.1/",
    "user and password": "https://a:b@hooks.example/",
    "backslash": "https://hooks.example\\@127.0.0.1/",
    "tab": "https://127.0.0\t.1/",
    "line break": "https://hooks.example/\r\nHost: internal",
    "blank": "https://hooks.example /",
    "blank in front": " https://hooks.example/",
    "NUL": "https://hooks.example\x00/",
    "zone": "https://[fe80::1%25eth0]/",
    "IPv6 broken": "https://[::1/",
    "IPv6 long": "https://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "IPv6 mapped in hexadecimal": "https://[::ffff:7f00:1]/",
    "IPv4 in brackets": "https://[127.0.0.1]/",
    "after the bracket": "https://[2606:4700::1111]evil/",
    "http": "http://hooks.example/",
    "ssh's port": "https://hooks.example:22/",
    "smtp's port": "https://hooks.example:25/",
    "redis's port": "https://hooks.example:6379/",
    "port zero": "https://hooks.example:0/",
    "port too large": "https://hooks.example:65536/",
    "port no number": "https://hooks.example:x/",
    "gopher": "gopher://hooks.example/_FLUSHALL",
    "file": "file:///etc/passwd",
    "ftp": "ftp://hooks.example/",
    "data": "data:text/plain,x",
    "unix": "unix:///var/run/docker.sock",
    "javascript": "javascript:alert(1)",
    "no scheme": "hooks.example/x",
    "relative": "//hooks.example/x",
    "no host": "https:///x",
    "nothing": "",
    "underscore at most": "https://-hooks.example/",
    "too long": "https://hooks.example/" + "x" * 2_000,
}


@pytest.mark.parametrize("url", SPELLINGS.values(), ids=SPELLINGS)
async def test_spellings(url: str) -> None:
    """However an address is written: what one library would read as another address is refused by the first look."""
    names = Names(hooks_example=[[PUBLIC]], localhost=[["127.0.0.1"]])

    with pytest.raises(WebhookForbidden):
        await guard(names=names).check(url)
    with pytest.raises(WebhookForbidden):
        await guard(names=names).target(url)


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://hooks.example/a/b?c=d", "hooks.example", "/a/b?c=d"),
        ("HTTPS://Hooks.Example", "hooks.example", "/"),
        ("https://hooks.example.:8443/", "hooks.example:8443", "/"),
        ("https://hooks.example:443/x", "hooks.example", "/x"),
    ],
)
async def test_ordinary_addresses(url: str, authority: str, path: str) -> None:
    """An ordinary address is called at what its name resolves to, with the name in the Host header."""
    target = await guard(names=Names(hooks_example=[[PUBLIC]])).target(url)

    assert (target.authority, target.path) == (authority, path)
    assert [str(address) for address in target.addresses] == [PUBLIC]


async def test_one_bad_address_is_enough() -> None:
    """A name with a public and a private address is refused: the next look may find the other one first."""
    for answer in ([PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "::1"]):
        with pytest.raises(WebhookForbidden):
            await guard(names=Names(mixed_example=[answer])).target("https://mixed.example/")


async def test_rebinding() -> None:
    """A name that was public when it was saved and is loopback at the delivery is refused there; one look decides each time."""
    names = Names(rebinding_example=[[PUBLIC], ["127.0.0.1"], [PUBLIC]])
    receivers = guard(names=names)

    assert await receivers.check("https://rebinding.example/")
    with pytest.raises(WebhookForbidden):
        await receivers.target("https://rebinding.example/")
    target = await receivers.target("https://rebinding.example/")

    assert [str(address) for address in target.addresses] == [PUBLIC]
    assert names.asked == ["rebinding.example"] * 3


async def test_names_that_do_not_resolve() -> None:
    """A name without an address is saved as unverified and never called; where nothing could ever be right it is refused."""
    receivers = guard("10.0.0.0/8:9000")

    assert not await receivers.check("https://later.example/")
    assert not await receivers.check("http://later.example:9000/")
    with pytest.raises(WebhookForbidden):
        await receivers.check("http://later.example:9001/")
    with pytest.raises(NotDelivered, match="no address"):
        await receivers.target("https://later.example/")


async def test_a_resolver_that_fails_refuses() -> None:
    """An error of DNS is no permission."""

    async def failing(host: str) -> Sequence[str]:
        raise OSError("no DNS")

    with pytest.raises(NotDelivered):
        await Receivers(Webhooks(), failing).target("https://hooks.example/")


@pytest.mark.parametrize(
    ("allow", "url", "answer"),
    [
        ("hooks.lab.internal:8080", "http://hooks.lab.internal:8080/x", ["10.1.2.3"]),
        ("Hooks.Lab.Internal.:8080", "http://HOOKS.lab.internal:8080/x", ["10.1.2.3"]),
        ("10.1.0.0/16:8080", "http://10.1.2.3:8080/x", []),
        ("10.1.0.0/16:8080", "https://any.example:8080/x", ["10.1.2.3"]),
        ("10.1.2.3:443", "https://10.1.2.3/x", []),
        ("[fd00::]/8:9000", "http://[fd00::1]:9000/", []),
        ("fd00::/8:9000", "http://[fd00::1]:9000/", []),
        ("localhost:9000", "http://localhost:9000/", []),
    ],
)
async def test_what_the_operator_opens(allow: str, url: str, answer: list[str]) -> None:
    """A receiver that the operator opens may be internal, plain HTTP and on any port."""
    host = url.split("/")[2].rpartition(":")[0].lower()
    names = Names()
    names.answers[host] = [answer]

    assert await guard(allow, names=names).check(url)


@pytest.mark.parametrize(
    ("allow", "url", "answer"),
    [
        ("hooks.lab.internal:8080", "http://hooks.lab.internal:8081/", ["10.1.2.3"]),
        ("hooks.lab.internal:8080", "http://evil.hooks.lab.internal:8080/", ["10.1.2.3"]),
        ("hooks.lab.internal:8080", "http://hooks.lab.internal.evil.example:8080/", ["10.1.2.3"]),
        ("hooks.lab.internal:8080", "http://10.1.2.3:8080/", []),
        ("10.1.0.0/16:8080", "http://10.2.0.1:8080/", []),
        ("10.1.0.0/16:8080", "http://[::ffff:10.1.2.3]:8080/", []),
        ("10.1.0.0/16:8080", "http://mixed.example:8080/", ["10.1.2.3", PUBLIC]),
        ("10.1.0.0/16:8080", "http://mixed.example:8080/", ["10.1.2.3", "127.0.0.1"]),
        ("10.1.0.0/16:8080", "http://user@10.1.2.3:8080/", []),
    ],
)
async def test_what_the_operator_does_not_open(allow: str, url: str, answer: list[str]) -> None:
    """What is opened is that host or network at that port, and nothing beside it."""
    names = Names()
    names.answers[url.split("/")[2].rpartition(":")[0]] = [answer]

    with pytest.raises(WebhookForbidden):
        await guard(allow, names=names).check(url)


@pytest.mark.parametrize(
    "text",
    ["hooks.example", "hooks.example:", "hooks.example:0", "hooks.example:70000", ":443", "10.0.0.1/8:443", "*:443",
     "10.0.0:443", "http://hooks.example:443", "fd00::/8", "a b:443"],
)  # fmt: skip
def test_allowances_that_are_none(text: str) -> None:
    """An entry of `webhooks.allow` that is not exactly a host or a network with a port stops the start."""
    with pytest.raises(ConfigurationInvalid, match=r"webhooks\.allow"):
        allowance(text)


async def test_the_systems_own_resolver() -> None:
    """Without a resolver of the test's own the system is asked: a name below .invalid has no address."""
    assert not await Receivers(Webhooks()).check("https://nothing.invalid/")


async def test_name_servers_that_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names whose servers do not answer are given up, take four threads at the most, and end no process later."""
    monkeypatch.setattr(module, "RESOLVE_SECONDS", 0.1)
    silent, asked = threading.Event(), []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
        asked.append(threading.current_thread())
        silent.wait(60)
        return []

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    receivers = Receivers(Webhooks())
    found = await asyncio.gather(*(receivers.check(f"https://n{number}.example/") for number in range(10)))

    assert found == [False] * 10
    assert len(asked) == 4
    assert all(thread.daemon for thread in asked)
    silent.set()
    async with asyncio.timeout(5):
        while any(thread.is_alive() for thread in asked):
            await asyncio.sleep(0.01)
