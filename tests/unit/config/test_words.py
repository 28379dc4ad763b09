"""Every word of a config: what it means, and what is said of a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from oneapi_cli.config import words
from oneapi_cli.config.problems import WordError
from oneapi_cli.config.words import Address, Budget


@dataclass(frozen=True)
class Good:
    read: Callable[[str], Any]
    text: str
    value: Any


@dataclass(frozen=True)
class Bad:
    read: Callable[[str], Any]
    text: str
    remedy: str


GOOD = (
    Good(words.parse_duration, "10s", 10.0),
    Good(words.parse_duration, "2m", 120.0),
    Good(words.parse_duration, "1h", 3600.0),
    Good(words.parse_duration, "250ms", 0.25),
    Good(words.parse_duration, "1.5s", 1.5),
    Good(words.parse_size, "32MiB", 32 * 1024 * 1024),
    Good(words.parse_size, "64 KB", 64_000),
    Good(words.parse_size, "1048576", 1048576),
    Good(words.parse_retention, "keep", None),
    Good(words.parse_retention, "90d", 90 * 86400.0),
    Good(words.parse_budget, "$20/month", Budget(20 * 10**9, "month")),
    Good(words.parse_budget, "5", Budget(5 * 10**9)),
    Good(words.parse_budget, "0", Budget(0)),
    Good(words.parse_budget, "2500000q/day", Budget(5 * 10**9, "day")),
    Good(words.parse_moment, "1970-01-02", 86400.0),
    Good(words.parse_moment, "1970-01-01T02:00:00+02:00", 0.0),
    Good(words.parse_moment, "never", None),
    Good(words.parse_address, "127.0.0.1:3000", Address("127.0.0.1", 3000)),
    Good(words.parse_address, "[::1]:0", Address("::1", 0)),
    Good(words.parse_address, ":80", Address("0.0.0.0", 80)),
    Good(words.parse_url, "http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1"),
    Good(words.parse_origin, "https://Chat.Example/", "https://chat.example"),
    Good(words.parse_origin, "https://h:443", "https://h"),
    Good(words.parse_origin, "http://localhost:5173", "http://localhost:5173"),
    Good(words.parse_origin, "app://obsidian.md", "app://obsidian.md"),
    Good(words.parse_origin, "*", "*"),
    Good(words.parse_subnet, "10.1.2.3/8", "10.0.0.0/8"),
    Good(words.parse_subnet, "::1", "::1/128"),
    Good(words.parse_zone, "UTC", "UTC"),
    Good(words.parse_title, "my laptop", "my laptop"),
    Good(words.parse_flag, "True", True),
    Good(words.whole(0, 9), "7", 7),
    Good(words.whole(-9, 9), "-7", -7),
    Good(words.whole(0, 1_000_000), "20_000", 20_000),
)

BAD = (
    Bad(words.parse_duration, "10", "10s"),
    Bad(words.parse_duration, "0s", "10s"),
    Bad(words.parse_duration, "-1s", "10s"),
    Bad(words.parse_duration, "9999w", "10s"),
    Bad(words.parse_size, "3 parsecs", "32MiB"),
    Bad(words.parse_size, "0", "32MiB"),
    Bad(words.parse_size, "99999GiB", "32MiB"),
    Bad(words.parse_retention, "forever", "keep"),
    Bad(words.parse_budget, "$20/fortnight", "/month"),
    Bad(words.parse_budget, "-1", "$20"),
    Bad(words.parse_budget, "1e3", "5.00"),
    Bad(words.parse_moment, "30d", "2027-01-01"),
    Bad(words.parse_moment, "2027-13-01", "2027-01-01"),
    Bad(words.parse_address, "3000", "host:port"),
    Bad(words.parse_address, "::1:3000", "host:port"),
    Bad(words.parse_address, "http://h:1", "host:port"),
    Bad(words.parse_address, "h:70000", "host:port"),
    Bad(words.parse_url, "ftp://h/", "http://"),
    Bad(words.parse_url, "http://", "http://"),
    Bad(words.parse_url, "http://h/?key=1", "query"),
    Bad(words.parse_url, "http://h\n/", "http://"),
    Bad(words.parse_origin, "chat.example", "https://chat.example"),
    Bad(words.parse_origin, "https://h/path", "without a path"),
    Bad(words.parse_origin, "https://user@h", "without a path"),
    Bad(words.parse_origin, "null", "without a path"),
    Bad(words.parse_origin, "https://*.h, https://i", "without a path"),
    Bad(words.parse_subnet, "10.0.0.0/99", "CIDR"),
    Bad(words.parse_zone, "Mars/Olympus", "IANA"),
    Bad(words.parse_zone, "../etc/passwd", "IANA"),
    Bad(words.parse_name, "a b", "A-Z"),
    Bad(words.parse_name, "", "A-Z"),
    Bad(words.parse_title, " x", "printable"),
    Bad(words.parse_title, "x\x1b[2J", "printable"),
    Bad(words.parse_flag, "yes", "true or false"),
    Bad(words.parse_digest, "abc", "64"),
    Bad(words.whole(1, 9), "10", "unit"),
    Bad(words.whole(1, 9), "3s", "unit"),
)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: f"{getattr(case.read, '__name__', 'whole')}-{case.text}")
def test_word_means(case: Good) -> None:
    assert case.read(case.text) == case.value


@pytest.mark.parametrize("case", BAD, ids=lambda case: f"{getattr(case.read, '__name__', 'whole')}-{case.text!r}")
def test_wrong_word_says_what_to_write(case: Bad) -> None:
    with pytest.raises(WordError) as caught:
        case.read(case.text)
    assert case.remedy in caught.value.remedy


def test_secrets_are_never_repeated() -> None:
    with pytest.raises(WordError) as caught:
        words.parse_secret("sk-canary 1\n2")
    assert "canary" not in str(caught.value)


def test_an_expiry_may_be_relative_to_now() -> None:
    assert words.parse_expiry("30d", 1000.0) == 1000.0 + 30 * 86400
    assert words.parse_expiry("never", 1000.0) is None
    assert words.parse_expiry("1970-01-02", 1000.0) == 86400.0


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("box", False)]
)
def test_loopback(host: str, local: bool) -> None:
    assert Address(host, 1).loopback is local


def test_addresses_and_budgets_print_as_they_are_written() -> None:
    assert str(Address("::1", 3000)) == "[::1]:3000"
    assert str(Budget(20 * 10**9, "month")) == "$20.00/month"
