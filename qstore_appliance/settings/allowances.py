"""Receivers inside the network that the operator opens for webhooks: `host:port`, or `network:port` such as `10.0.0.0/8:8443`."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from qstore_appliance.errors import ConfigurationInvalid

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")


class Allowance(NamedTuple):
    """
    One receiver, or one network of them, at one port.

    Attributes:
        name: A host, in lower case without a dot at its end; whatever it resolves to is allowed. None for a network.
        network: None for a host.
    """

    name: str | None
    network: Network | None
    port: int

    def covers(self, host: str, address: Address, port: int) -> bool:
        if port != self.port:
            return False
        return host == self.name if self.network is None else address in self.network


def allowance(text: str) -> Allowance:
    """
    Raises:
        ConfigurationInvalid: Not a host or a network with a port.
    """
    place, _, digits = text.strip().rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise ConfigurationInvalid(f"webhooks.allow: {text!r} does not end with a port, as in hooks.lab.internal:8443")
    host = place.lower().rstrip(".")
    try:
        # A network with bits of a host in it is a mistake that would open something else than was meant.
        return Allowance(None, ipaddress.ip_network(host.replace("[", "").replace("]", "")), int(digits))
    except ValueError as error:
        if "/" in host or ":" in host or not _NAME.fullmatch(host) or host.rpartition(".")[2].isdecimal():
            raise ConfigurationInvalid(f"webhooks.allow: {text!r} is neither a host nor a network ({error})") from error
    return Allowance(host, None, int(digits))
