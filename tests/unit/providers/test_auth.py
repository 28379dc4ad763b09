"""Headers that carry the key."""

from __future__ import annotations

import pytest

from oneapi_cli.providers.auth import headers_for
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.values.vendor import Auth, Channel, Vendor

KEY = "sk-canary"


def channel(
    scheme: Auth, own: dict[str, str] | None = None, extra: dict[str, str] | None = None, **options: str
) -> Channel:
    row = Vendor(name="x", base="https://h", speaks={"openai_chat": "/c"}, auth=scheme, headers=extra or {})
    return Channel(name="c", vendor=row, base="https://h", keys=(KEY,), models={}, headers=own or {}, options=options)


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ("bearer", {"authorization": f"Bearer {KEY}"}),
        ("api_key", {"api-key": KEY}),
        ("azure", {"api-key": KEY}),
        ("x_api_key", {"x-api-key": KEY}),
        ("x_goog_api_key", {"x-goog-api-key": KEY}),
        ("none", {}),
        ("demo", {}),
    ],
)
def test_schemes(auth: Auth, expected: dict[str, str]) -> None:
    assert headers_for(channel(auth), KEY) == expected


def test_azure_by_entra_token() -> None:
    assert headers_for(channel("azure", auth="Entra"), "ey.x") == {"authorization": "Bearer ey.x"}


def test_without_a_key_nothing_is_claimed() -> None:
    assert headers_for(channel("bearer"), "") == {}


@pytest.mark.parametrize("auth", ["sigv4", "google"])
def test_signed_schemes_are_refused_here(auth: Auth) -> None:
    with pytest.raises(ValueError, match="signed") as refused:
        headers_for(channel(auth), KEY)
    assert KEY not in str(refused.value)


def test_the_channel_overrides_whatever_the_capitals() -> None:
    own = {"AUTHORIZATION": "Token {key}", "X-Title": "mine"}
    found = headers_for(channel("bearer", own, {"X-Title": "oneapi", "X-More": "1"}), KEY)
    assert found == {"authorization": f"Token {KEY}", "x-title": "mine", "x-more": "1"}


def test_openrouter_is_told_who_calls() -> None:
    row = VENDORS["openrouter"]
    found = headers_for(Channel(name="o", vendor=row, base=row.base, keys=(KEY,), models={}), KEY)
    assert found == {"authorization": f"Bearer {KEY}", "x-openrouter-title": "oneapi"}
