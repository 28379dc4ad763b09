"""The words of a config and of the commands' flags → values: durations, sizes, budgets, dates, addresses.

Every reader takes text and raises `WordError` with what is wrong and what to write instead. Pure; "now" is an argument.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from oneapi_cli.values.money import format_usd, parse_money

from .problems import WordError, show

Period = Literal["", "day", "week", "month"]

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d|w)\Z")
_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = re.compile(r"(\d{1,12})\s*(B|KB|MB|GB|KiB|MiB|GiB)?\Z")
_WHOLE = re.compile(r"[+-]?\d[\d_]{0,17}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_LONGEST_SECONDS = 366 * 86400.0


class Budget(Struct, frozen=True):
    """Nano-dollars, and how often they are granted anew; "" for once."""

    nanos: int
    period: Period = ""

    def __str__(self) -> str:
        return format_usd(self.nanos) + (f"/{self.period}" if self.period else "")


class Address(Struct, frozen=True):
    """Where to listen. port 0: any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than localhost may resolve to anything: no."""
        return self.host == "localhost" or self.host == "::1" or bool(re.match(r"127(\.\d{1,3}){3}\Z", self.host))


def parse_duration(text: str) -> float:
    """`250ms`, `10s`, `2m`, `1h`, `30d` → seconds, above zero and at most a year."""
    found = _DURATION.match(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not found or not 0 < seconds <= _LONGEST_SECONDS:
        raise WordError(
            f"{show(text)} is not a duration",
            "write a number above 0 and its unit, such as 10s, 2m or 30d; at most 366d",
        )
    return seconds


def parse_size(text: str) -> int:
    """`32MiB`, `64KB`, `1048576` → bytes, at least one and at most 1 TiB."""
    found = _SIZE.match(text.strip())
    size = int(found[1]) * _BYTES[found[2] or ""] if found else 0
    if not 0 < size <= 1 << 40:
        raise WordError(f"{show(text)} is not a size", "write bytes or a number with its unit, such as 32MiB or 64KB")
    return size


def parse_retention(text: str) -> float | None:
    """`keep` → None (rows stay), `90d` → seconds."""
    if text.strip() == "keep":
        return None
    try:
        return parse_duration(text)
    except WordError:
        raise WordError(f"{show(text)} is not a retention", "write keep, or an age such as 90d") from None


def parse_budget(text: str) -> Budget:
    """`$20`, `5.00`, `2500000q`, `$20/month` → a budget of at least zero."""
    amount, slash, period = text.strip().partition("/")
    if slash and period not in ("day", "week", "month"):
        raise WordError(f"{show(text)} does not recur in a way we know", "write /day, /week or /month, or no period")
    try:
        nanos = parse_money(amount)
    except ValueError as error:
        raise WordError(*str(error).split("; ", 1)) from None
    if nanos < 0:
        raise WordError(f"{show(text)} is below zero", "a budget is an amount such as $20 or $20/month")
    return Budget(nanos, period)  # type: ignore[arg-type]  # one of the three was just checked


def parse_moment(text: str) -> float | None:
    """`2027-01-01` (its first second, UTC), `2027-01-01T08:00:00+02:00`, `never` → unix seconds; None for never."""
    if text.strip() == "never":
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise WordError(f"{show(text)} is not a date", "write a date such as 2027-01-01, or never") from None


def parse_expiry(text: str, now: float) -> float | None:
    """What `--expires` takes: an age from now (`30d`), or what `parse_moment` takes."""
    if _DURATION.match(text.strip()):
        return now + parse_duration(text)
    try:
        return parse_moment(text)
    except WordError:
        raise WordError(f"{show(text)} is not a time", "write 30d, a date such as 2027-01-01, or never") from None


def parse_address(text: str) -> Address:
    """`127.0.0.1:3000`, `[::1]:3000`, `localhost:0`, `:3000` (every interface) → host and port."""
    host, colon, port = text.strip().rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or (":" in bare and bare == host):
        raise WordError(f"{show(text)} is not an address", "write host:port, such as 127.0.0.1:3000 or [::1]:3000")
    if re.search(r"[\s/@\[\]]", bare):
        raise WordError(f"{show(text)} is not an address", "write host:port without a scheme or a path")
    return Address(bare or "0.0.0.0", int(port))  # noqa: S104 - `:3000` says every interface, and earns a warning


def parse_url(text: str) -> str:
    """An http(s) URL with a host and no query, as it was written but for a trailing slash."""
    try:
        parts = urlsplit(text.strip())
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or re.search(r"[\x00-\x20\x7f]", text.strip()):
        raise WordError("this is not a usable URL", "write http:// or https://, a host and a path, without a query")
    return text.strip().rstrip("/")


def parse_origin(text: str) -> str:
    """`https://chat.example`, `http://localhost:5173`, `*` → an origin as browsers send it: no path, no usual port."""
    origin = text.strip().lower().removesuffix("/")
    found = re.fullmatch(r"([a-z][a-z0-9+.-]*)://([^\s/?#@,\x00-\x1f]+)", origin)
    if origin != "*" and not found:
        raise WordError(
            f"{show(text)} is not an origin", "write scheme and host without a path, such as https://chat.example, or *"
        )
    for scheme, port in (("http", ":80"), ("https", ":443")):
        if origin.startswith(f"{scheme}://"):
            origin = origin.removesuffix(port)
    return origin


def parse_subnet(text: str) -> str:
    """`10.0.0.0/8`, `192.168.1.7`, `fd00::/8` → the network in its usual spelling. Host bits are masked, as routers
    do."""
    import ipaddress

    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise WordError(f"{show(text)} is not a subnet", "write an address or a CIDR, such as 10.0.0.0/8") from None


def parse_zone(text: str) -> str:
    """A time zone by its IANA name."""
    if text == "UTC":
        return text
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(text).key
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise WordError(f"{show(text)} is not a time zone", "write an IANA name such as UTC or Europe/Berlin") from None


def parse_name(text: str) -> str:
    """A channel's or token's name: it stands in URLs, key suffixes and commands."""
    if not _NAME.match(text):
        raise WordError(f"{show(text)} cannot be a name", "use 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first")
    return text


def parse_secret(text: str) -> str:
    """A credential: it travels in a header, so printable ASCII without spaces. The message never repeats it."""
    stripped = text.strip()
    if not all("!" <= letter <= "~" for letter in stripped):
        raise WordError("this key has spaces, line ends or characters that no header can carry", "check how it was set")
    return stripped


def parse_flag(text: str) -> bool:
    """`true` or `false`, in YAML 1.2's spellings."""
    if text not in ("true", "True", "TRUE", "false", "False", "FALSE"):
        raise WordError(f"{show(text)} is neither true nor false", "write true or false")
    return text.lower() == "true"


class Whole(Struct, frozen=True):
    """A reader of whole numbers within both bounds."""

    least: int
    most: int

    def __call__(self, text: str) -> int:
        number = int(text) if _WHOLE.match(text.strip()) else None
        if number is None or not self.least <= number <= self.most:
            raise WordError(
                f"{show(text)} is not a whole number from {self.least} to {self.most}", "write it without a unit"
            )
        return number


def whole(least: int, most: int) -> Whole:
    """A reader of whole numbers within both bounds."""
    return Whole(least, most)


def parse_title(text: str) -> str:
    """A token's or user's name: any printable text up to 64 characters that does not start or end with a space."""
    if not text or len(text) > 64 or text != text.strip() or not text.isprintable():
        raise WordError(f"{show(text)} cannot be a name", "use 1 to 64 printable characters, no space at either end")
    return text


def parse_digest(text: str) -> str:
    """A SHA-256 in hexadecimal, lower-case in the result."""
    if not re.match(r"[0-9a-fA-F]{64}\Z", text):
        raise WordError("this is not a SHA-256", "write its 64 hexadecimal digits")
    return text.lower()
