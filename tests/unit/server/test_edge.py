"""Host, header sizes and the client's address."""

from __future__ import annotations

import pytest

from oneapi_cli.server.edge import Edge, check_headers, check_host, client_address, is_loopback
from oneapi_cli.values.errors import HeadersTooLarge, Misdirected

LOOPBACK = Edge(loopback=True, hosts=frozenset({"gateway.lan"}))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.4", False),
        ("example.org", False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "host",
    ["", "localhost", "LOCALHOST:3000", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:3000", "gateway.lan:3000"],
)
def test_hosts_that_a_loopback_listener_answers_for(host: str) -> None:
    check_host(host, LOOPBACK)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[::2]:3000",
        "[::1].evil.example",
        "[::1].evil.example]",
        "localhost:80:evil",
        "gateway.lan.evil",
        "127.0.0.2",
        "localhost@evil",
    ],
)
def test_hosts_of_somebody_elses_page(host: str) -> None:
    with pytest.raises(Misdirected):
        check_host(host, LOOPBACK)
    check_host(host, Edge(loopback=False))


def test_header_sizes() -> None:
    edge = Edge(loopback=True, headers_limit=20)
    check_headers([(b"abcd", b"0123456789ab")], edge)
    with pytest.raises(HeadersTooLarge, match="20 bytes"):
        check_headers([(b"abcd", b"0123456789abc")], edge)
    with pytest.raises(HeadersTooLarge):
        check_headers([(b"a", b"b")] * 4, edge)


TRUSTED = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("1.2.3.4", "9.9.9.9", "1.2.3.4"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "8.8.8.8, 9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "8.8.8.8, 9.9.9.9, 10.0.0.2", "9.9.9.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", " , 9.9.9.9 ,", "9.9.9.9"),
        ("10.0.0.1", "9.9.9.9:4711", "9.9.9.9"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("fd00::1", "9.9.9.9, ::ffff:10.0.0.9", "9.9.9.9"),
        ("10.0.0.1", "10.0.0.7, unknown", "unknown"),
        ("10.0.0.1", "x" * 500, "x" * 64),
        ("", "9.9.9.9", ""),
    ],
)
def test_the_clients_address(peer: str, forwarded: str, expected: str) -> None:
    assert client_address(peer, {"x-forwarded-for": forwarded}, TRUSTED) == expected
    assert client_address(peer, {"x-forwarded-for": forwarded}, ()) == peer
