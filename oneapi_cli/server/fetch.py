"""What clients name by URL, fetched for vendors that take bytes alone.

A client's URL is a wish to have this machine connect somewhere, so: public addresses only, tested where they are
dialled (a name is resolved once, and what was tested is what is connected to); every redirect anew; http and https
alone; no credentials, cookies or proxy of ours; bounded in bytes, seconds and redirects. The type is what the bytes
say, not what the server says. Texts name the host, never the whole URL, which may hold a secret.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import SplitResult, urljoin, urlsplit

from aiohttp import (
    AddrInfoType,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from ..gateway.gate import Fetched
from ..values.errors import BadRequest

MOST_REDIRECTS = 3
SECONDS = 15.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NEVER = (
    ipaddress.ip_network("::/96"),  # IPv4-compatible, long withdrawn
    ipaddress.ip_network("::ffff:0:0:0/96"),  # IPv4-translated
    ipaddress.ip_network("64:ff9b:1::/48"),  # a site's own NAT64
    ipaddress.ip_network("fec0::/10"),  # site-local
    ipaddress.ip_network("192.0.0.0/24"),  # protocols' own
)
"""What no public server has, though not every Python says so."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, what is wrapped inside IPv6 included."""
    try:
        found: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            found = inner
    reserved = any(found in network for network in _NEVER if network.version == found.version)
    return found.is_global and not found.is_multicast and not reserved


class Fetcher:
    """One session for all that clients name. public: which addresses may be dialled."""

    def __init__(self, user_agent: str, public: Callable[[str], bool] = is_public) -> None:
        self._public = public
        self._agent = user_agent
        self._session: ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(self, url: str, most_bytes: int) -> Fetched:
        """What is there, whole. Raises BadRequest: not public, too large, too slow, unreachable, not found."""
        place = self._checked(url)
        host = place.hostname or ""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._follow(url, most_bytes)
        except TimeoutError:
            raise _refused(host, f"did not send it within {SECONDS:g} s") from None
        except _Private:
            raise _refused(host, "is not a public address") from None
        except (ClientError, OSError, ValueError):
            raise _refused(host, "could not be reached") from None

    async def _follow(self, url: str, most_bytes: int) -> Fetched:
        for _ in range(MOST_REDIRECTS + 1):
            place = self._checked(url)
            headers = {"User-Agent": self._agent, "Accept-Encoding": "identity"}
            async with self._open().get(url, headers=headers, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    return await _read(response, place.hostname or "", most_bytes)
                url = urljoin(url, response.headers.get("Location", ""))
        raise _refused(urlsplit(url).hostname or "", "redirects too often")

    def _checked(self, url: str) -> SplitResult:
        try:
            place = urlsplit(url)
            port = place.port
        except ValueError:
            raise BadRequest("A URL in this request is malformed", code="invalid_url") from None
        host = place.hostname or ""
        if place.scheme not in ("http", "https") or not host or port == 0:
            raise BadRequest("A URL in this request is neither http nor https", code="invalid_url")
        if place.username is not None or place.password is not None:
            raise _refused(host, "must be named without a user or password")
        if _is_literal(host) and not self._public(host):
            raise _refused(host, "is not a public address")
        return place

    def _socket(self, info: AddrInfoType) -> socket.socket:
        """For the address that is about to be dialled, the last word on it: some spellings of an address (in
        full-width digits) become one only behind our backs, and are resolved by nobody.
        """
        family, kind, protocol, _, where = info
        if not self._public(str(where[0])):
            raise _Private(where[0])
        return socket.socket(family, kind, protocol)

    def _open(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(
                    resolver=_Resolver(self._public), limit=32, use_dns_cache=False, socket_factory=self._socket
                ),
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=None, connect=SECONDS),
                trust_env=False,
            )
        return self._session


class _Private(OSError):
    """A name that leads inside."""


class _Resolver(AbstractResolver):
    """Hands on public addresses alone; they are what is dialled."""

    def __init__(self, public: Callable[[str], bool]) -> None:
        self._public = public
        self._inner: ThreadedResolver | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if self._inner is None:
            self._inner = ThreadedResolver()
        found = await self._inner.resolve(host, port, family)
        if not found or not all(self._public(each["host"]) for each in found):
            raise _Private(host)
        return found

    async def close(self) -> None:
        """It holds nothing."""


async def _read(response: ClientResponse, host: str, most_bytes: int) -> Fetched:
    if response.status != 200:
        raise _refused(host, f"answered with status {response.status}")
    declared = response.content_length or 0
    data = bytearray()
    if declared <= most_bytes:
        async for chunk in response.content.iter_any():
            data += chunk
            if len(data) > most_bytes:
                break
    if declared > most_bytes or len(data) > most_bytes:
        raise _refused(host, f"sends more than {most_bytes >> 20} MiB")
    if not data:
        raise _refused(host, "sent nothing")
    return Fetched(response.content_type.lower(), bytes(data))


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # `127.1`, `0x7f.1` and `2130706433` are addresses to some resolvers: the resolver's answer is tested as well.
        return False
    return True


def _refused(host: str, why: str) -> BadRequest:
    return BadRequest(
        f"What this request names by URL could not be fetched: {host[:100]} {why}. Send it inline as base64 instead",
        code="url_not_fetched",
    )
