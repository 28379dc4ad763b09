"""Where a key is read from, and what stands against its bearer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from oneapi_cli.gateway.authenticate import exhausted, in_subnets, read_key, refusal
from oneapi_cli.values.accounts import Account, Principal
from oneapi_cli.values.errors import Forbidden, Unauthenticated

NOW = 1000.0
TOKEN, USER = Account(id=2, name="laptop", version=1), Account(id=1, name="root", version=1, unlimited=True)
WHO = Principal(token=TOKEN, user=USER, token_remain=5)


@pytest.mark.parametrize(
    ("headers", "query", "path", "key"),
    [
        ({}, {}, "/v1/models", ""),
        ({"authorization": "Bearer sk-a"}, {}, "", "sk-a"),
        ({"authorization": "bearer   sk-a "}, {}, "", "sk-a"),
        ({"authorization": "sk-a"}, {}, "", "sk-a"),
        ({"authorization": "Bearer"}, {}, "", ""),
        ({"authorization": "Bearer ", "x-api-key": "b"}, {}, "", "b"),
        ({"x-api-key": "a", "api-key": "b"}, {}, "", "a"),
        ({"api-key": "b", "x-goog-api-key": "c"}, {}, "", "b"),
        ({"x-goog-api-key": "c"}, {}, "", "c"),
        ({}, {"key": "q"}, "/v1beta/models/gemini-pro:generateContent", "q"),
        ({}, {"key": "q"}, "/v1/chat/completions", ""),
        ({"sec-websocket-protocol": "realtime, openai-insecure-api-key.sk-w, x"}, {}, "/v1/realtime", "sk-w"),
        ({"authorization": "Bearer sk-a", "x-api-key": "b"}, {"key": "q"}, "/v1beta/models", "sk-a"),
    ],
)
def test_read_key(headers: dict[str, str], query: dict[str, str], path: str, key: str) -> None:
    assert read_key(headers, query, path) == key


@pytest.mark.parametrize(
    ("who", "fault"),
    [
        (WHO, None),
        (replace(WHO, token=replace(TOKEN, status=2)), Unauthenticated),
        (replace(WHO, token=replace(TOKEN, expires=NOW)), Unauthenticated),
        (replace(WHO, token=replace(TOKEN, expires=NOW + 1)), None),
        (replace(WHO, token=replace(TOKEN, subnets=("10.0.0.0/8",))), None),
        (replace(WHO, token=replace(TOKEN, subnets=("11.0.0.0/8",))), Forbidden),
        (replace(WHO, user=replace(USER, subnets=("11.0.0.0/8",))), Forbidden),
        (replace(WHO, user=replace(USER, status=2)), Forbidden),
        (replace(WHO, user=replace(USER, expires=NOW)), Forbidden),
    ],
)
def test_refusal(who: Principal, fault: type[Exception] | None) -> None:
    assert type(refusal(who, "10.1.2.3", NOW)) is (fault or type(None))


def test_exhausted_is_about_limited_tokens_only() -> None:
    assert exhausted(WHO) is None
    assert exhausted(replace(WHO, token_remain=0)) is not None
    assert exhausted(replace(WHO, token_remain=-3, token=replace(TOKEN, unlimited=True))) is None


@pytest.mark.parametrize(
    ("peer", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_in_subnets(peer: str, inside: bool) -> None:
    assert in_subnets(peer, ("10.0.0.7/8", "2001:db8::/32")) is inside
