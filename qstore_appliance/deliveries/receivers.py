"""
The guard in front of every webhook: which addresses may be called, and the very address that is called.

A name is resolved once, all of its addresses are checked, and the connection goes to one that was checked; nothing
resolves the name a second time. What may be called is what is public, not what Python calls `is_global`, which has NAT64,
6to4 and the metadata service of Azure among it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.deliveries.threads import Threads
from qstore_appliance.errors import WebhookForbidden
from qstore_appliance.settings import Webhooks
from qstore_appliance.settings.allowances import Address, allowance

#: Addresses of a name; none where it has none. The only door to DNS.
Resolve = Callable[[str], Awaitable[Sequence[str]]]

LONGEST_URL = 2_000
RESOLVE_SECONDS = 3.0
#: Where public receivers listen; other ports are those of mail servers, databases and shells.
PORTS = frozenset({443, 8443})

#: IANA's special-purpose registry (RFC 6890 and what was added since), and the metadata service of Azure.
_DENIED_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
#: What is handed out to networks of this internet. Loopback, mapped and compatible IPv4, NAT64, private, link-local and
#: multicast addresses all lie elsewhere.
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
#: And of that: protocol assignments with Teredo, documentation, 6to4.
_DENIED_6 = tuple(
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)

_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]*)?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class Target(NamedTuple):
    """
    What was checked, and is called.

    Attributes:
        path: With its query.
        addresses: In the order in which they are tried; every one of them was checked.
    """

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[Address, ...]

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == (443 if self.scheme == "https" else 80)
        return host if usual else f"{host}:{self.port}"


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could call this address as well."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _DENIED_4)
    return address in _UNICAST_6 and not any(address in network for network in _DENIED_6)


class Receivers:
    """
    Args:
        settings: With the receivers that the operator has opened.
        resolve: The system's resolver, unless a test brings its own.
    """

    def __init__(self, settings: Webhooks, resolve: Resolve | None = None) -> None:
        self._opened = tuple(allowance(text) for text in settings.allow)
        self._resolve = resolve or self._of_the_system
        # Of their own, so that names whose servers are silent keep nothing else waiting.
        self._threads = Threads(4, "resolve")

    async def check(self, url: str) -> bool:
        """
        When an address is saved.

        Returns: False where the name has no address now; each delivery looks again.

        Raises:
            WebhookForbidden: It may not be called.
        """
        target = self._read(url)
        if not target.addresses:
            target = target._replace(addresses=await self._addresses(target.host))
        if target.addresses:
            self._permit(target)
            return True
        if not self._is_usual(target) and all(one.port != target.port for one in self._opened):
            raise WebhookForbidden(_unusual(target))
        return False

    async def target(self, url: str) -> Target:
        """
        When a message is delivered: the addresses that may be called now.

        Raises:
            WebhookForbidden: It may not be called (any more).
            NotDelivered: The name has no address.
        """
        target = self._read(url)
        if not target.addresses:
            target = target._replace(addresses=await self._addresses(target.host))
        if not target.addresses:
            raise NotDelivered(f"{target.host} has no address.")
        self._permit(target)
        return target

    def _permit(self, target: Target) -> None:
        """All addresses, since nobody knows which of them a resolver names first the next time."""
        opened = [
            any(one.covers(target.host, address, target.port) for one in self._opened) for address in target.addresses
        ]
        if not all(mine or is_public(address) for mine, address in zip(opened, target.addresses, strict=True)):
            raise WebhookForbidden(f"{target.host} is not a public address.")
        if not all(opened) and not self._is_usual(target):
            raise WebhookForbidden(_unusual(target))

    def _is_usual(self, target: Target) -> bool:
        return target.scheme == "https" and target.port in PORTS

    def _read(self, url: str) -> Target:
        """An address as it is written; `addresses` only where it is one itself."""
        # Before anything is parsed: urlsplit drops tabs and line breaks, and others read a backslash as a slash.
        # A fragment goes to no receiver, and some read what stands before it as a user.
        if len(url) > LONGEST_URL or not re.fullmatch(r"[\x21-\x7e]+", url) or "\\" in url or "#" in url:
            raise WebhookForbidden(
                "Write the address in ASCII, without blanks, backslashes or a fragment, international names as xn--…."
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise WebhookForbidden("This is no address.") from error
        if parts.scheme not in {"https", "http"}:
            raise WebhookForbidden("Only https:// addresses are called.")
        if not _PLACE.fullmatch(parts.netloc):
            raise WebhookForbidden("Write a plain host, perhaps with a port, without a user, a zone or percent signs.")
        port = port if port is not None else {"https": 443, "http": 80}[parts.scheme]
        host, literal = _host(parts.netloc, parts.hostname or "")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, port, path, () if literal is None else (literal,))

    async def _addresses(self, host: str) -> tuple[Address, ...]:
        if host == "localhost" or host.endswith(".localhost"):
            # Some resolvers do not know what RFC 6761 says of these.
            return (ipaddress.IPv4Address("127.0.0.1"),)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await self._resolve(host)
        except (OSError, UnicodeError):
            # TimeoutError is one of these. A name that cannot be checked is not called.
            return ()
        return tuple(dict.fromkeys(ipaddress.ip_address(address) for address in found))

    async def _of_the_system(self, host: str) -> Sequence[str]:
        found = await self._threads.call(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        return [str(entry[4][0]) for entry in found]


def _host(netloc: str, written: str) -> tuple[str, Address | None]:
    """The host in one spelling, and the address that it is, if it is one."""
    host = written.removesuffix(".")
    if netloc.startswith("["):
        try:
            found = ipaddress.IPv6Address(written)
        except ValueError as error:
            raise WebhookForbidden("This is no IPv6 address.") from error
        return str(found), found
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise WebhookForbidden("This is no host name.")
    # Everything that some library or other reads as a number: 127.1, 0x7f000001, 2130706433, 0177.0.0.1.
    if labels[-1].isdecimal() or re.fullmatch(r"0x[0-9a-f]*", labels[-1]):
        try:
            address = ipaddress.IPv4Address(host)
        except ValueError as error:
            raise WebhookForbidden("Write an IPv4 address as four decimal numbers.") from error
        return host, address
    return host, None


def _unusual(target: Target) -> str:
    return f"{target.host}: webhooks go to https:// on port 443 or 8443."
