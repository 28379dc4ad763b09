"""What is decided about a request before anybody is asked who it is: where it comes from and whether we answer for
its Host.

Pure functions over header values; `Edge` is the configuration that they need.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from ..values.errors import HeadersTooLarge, Misdirected

_LONGEST_ADDRESS = 64
_PORT = re.compile(r":\d*\Z")
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class Edge(Struct, frozen=True, kw_only=True):
    """loopback: the listener is one, so that a foreign Host means a page in somebody's browser (DNS rebinding)."""

    loopback: bool
    hosts: frozenset[str] = frozenset()
    trusted_proxies: tuple[str, ...] = ()
    headers_limit: int = 32 << 10


def is_loopback(host: str) -> bool:
    if host in ("localhost", ""):
        return host == "localhost"
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_host(host: str, edge: Edge) -> None:
    """Raises Misdirected (421) for a Host that a loopback listener does not answer for."""
    if not edge.loopback or not host:
        return
    name = _PORT.sub("", host.lower())
    if name not in _LOCAL_NAMES and name not in edge.hosts:
        raise Misdirected(f"This gateway does not answer for the host {name[:100]!r}; add it to `hosts` in config.yaml")


def check_headers(raw: Sequence[tuple[bytes, bytes]], edge: Edge) -> None:
    """Raises HeadersTooLarge (431) when names and values together exceed `limits.headers`."""
    if sum(len(name) + len(value) + 4 for name, value in raw) > edge.headers_limit:
        raise HeadersTooLarge(
            f"The request's headers are larger than the {edge.headers_limit} bytes that `limits.headers` allows"
        )


def client_address(peer: str, headers: Mapping[str, str], trusted: Sequence[str]) -> str:
    """The peer, or behind trusted proxies the right-most hop of X-Forwarded-For that is not one of them.

    headers: all lines of that header joined by commas, in their order. A hop that is no address is nobody's: it is
    returned as it is, shortened, and lies in no subnet.
    """
    if not trusted or not _among(peer, trusted):
        return peer
    for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
        address = _bare(hop.strip())
        if not address:
            continue
        if not _among(address, trusted):
            return address[:_LONGEST_ADDRESS]
        peer = address
    return peer


def _bare(hop: str) -> str:
    """A hop without the port that some proxies add: `10.0.0.1:80`, `[::1]:80`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _among(address: str, networks: Sequence[str]) -> bool:
    """Whether the address lies in one of the networks. A listener on `::` sees IPv4 clients as ::ffff:10.0.0.1."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in ipaddress.ip_network(network, strict=False) for network in networks)
