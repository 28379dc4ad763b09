"""`oneapi price` and `oneapi model`: what models cost, and where that is from."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.cli.fetching import is_fetchable
from oneapi_cli.cli.prices_view import rate_text, usd
from oneapi_cli.ledger.price_card import Rate
from oneapi_cli.ledger.price_catalogue import use_catalogue

from .conftest import Place

CONFIG = """\
channels:
- {name: openai, type: openai, api_key: '${OPENAI_API_KEY:-}', optional: true, models: [gpt-4o, gpt-5.5, whisper-1]}
- {name: local, type: openai-compatible, base_url: 'http://127.0.0.1:9', models: {own: up, none: none},
   prices: {own: {input: 1, output: '2.000000001'}}}
"""


def catalogue(usd_in: float, **more: Any) -> list[dict[str, Any]]:
    """A published list with one model in it."""
    model = {"id": "gpt-4o", "match": {"equals": "gpt-4o"}, "prices": {"input_mtok": usd_in, "output_mtok": 12}, **more}
    return [{"id": "openai", "name": "OpenAI", "api_pattern": r"https://api\.openai\.com", "models": [model]}]


class Moved:
    """Where the publishing server sends on to."""

    to = ""


@contextmanager
def published(body: bytes, status: int = 200) -> Iterator[str]:
    """A server on loopback that publishes `body`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if Moved.to:
                self.send_header("Location", Moved.to)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/data.json"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def shop(place: Place) -> Iterator[Place]:
    """A place with a config of channels that have prices, and the installed catalogue again afterwards."""
    (place.folder / "config.yaml").write_text(CONFIG)
    yield place
    use_catalogue(None)


def test_model_list(shop: Place) -> None:
    done = shop.run("model", "list")
    assert done.code == 0 and "none" in done.err and "prices:" in done.err
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()}
    assert rows["gpt-4o"] == ["openai", "$2.50/M", "$10.00/M", "genai-prices"]
    assert rows["own"] == ["local", "$1.00/M", "$2.000000001/M", "channel"]
    assert rows["whisper-1"][1] == "$0.006/min"
    assert rows["none"][:3] == ["local", "none", "none"]
    assert max(map(len, done.out.splitlines())) <= 80
    found = {one["model"]: one for one in shop.run("model", "list", "--json").json}
    assert found["own"]["model_sent"] == "up" and found["none"]["price"] is None
    assert found["own"]["price"]["prices"][0]["rates"][1]["nanos"] == 2_000_000_001
    assert [one["model"] for one in shop.run("model", "list", "--channel", "local", "--json").json] == ["none", "own"]


def test_price_shows_tiers_and_variants(shop: Place) -> None:
    out = shop.run("price", "gpt-5.5").out
    assert out == shop.run("price", "show", "gpt-5.5").out
    assert "over 272,000 input tokens" in out and "where service_tier flex" in out
    assert max(map(len, out.splitlines())) <= 80
    card = shop.run("price", "--json", "gpt-5.5").json[0]
    assert card["channel"] == "openai" and card["prices"][0]["rates"][0]["tiers"]


def test_a_model_that_nobody_serves_is_looked_up_in_the_lists(shop: Place) -> None:
    out = shop.run("price", "claude-sonnet-4-5").out
    assert "which no channel serves" in out and "/M" in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("price", "none"), 1, "no known price"),
        (("price", "moon-shot-9"), 1, "No channel"),
        (("price", "a\x1b[2J"), 1, "model list"),
        (("price", "own", "--channel", "nope"), 1, "There is no usable channel nope"),
        (("price", "gpt-4o", "--channel", "local"), 1, "does not serve"),
        (("price", "show"), 2, "MODEL"),
        (("model", "list", "--channel", "nope"), 1, "There is no usable channel nope"),
    ],
)
def test_refused(words: tuple[str, ...], code: int, said: str, shop: Place) -> None:
    done = shop.run(*words)
    assert (done.code, done.out) == (code, "")
    assert said in " ".join(done.err.split()) and "\x1b" not in done.err


def test_update_shows_the_difference_and_is_then_used(shop: Place) -> None:
    file = shop.folder / "oneapi.db.prices.json"
    with published(json.dumps(catalogue(3)).encode()) as url:
        tried = shop.run("price", "update", "--dry-run", "--url", url)
        assert tried.code == 0 and not file.exists() and "Nothing was kept" in tried.err
        assert "$2.50/M → " in shop.run("price", "update", "--dry-run", "--url", url, "--json").out or tried.out
        kept = shop.run("price", "update", "--url", url, "--json")
    assert kept.code == 0 and file.stat().st_mode & 0o777 == 0o600
    ours = next(c for c in kept.json["changes"] if (c["provider"], c["model"]) == ("openai", "gpt-4o"))
    assert ours["kind"] == "changed" and ours["after"][0]["nanos"] == 3 * 10**9
    assert "$3.00/M" in shop.run("price", "gpt-4o").out and "genai-prices of 20" in shop.run("price", "gpt-4o").out
    with published(json.dumps(catalogue(3)).encode()) as url:
        assert "Nothing differs" in shop.run("price", "update", "--url", url).err
    file.unlink()
    assert "$2.50/M" in shop.run("price", "gpt-4o").out


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"<html>", 200, "not a price list"),
        (b"[]", 200, "empty"),
        (b'{"a": 1}', 200, "not a price list"),
        (b'[{"id": 5}]', 200, "does not understand"),
        (json.dumps(catalogue(-1)).encode(), 200, "does not understand"),
        (json.dumps(catalogue(1, prices={"moonbeams_mtok": 1})).encode(), 200, "does not understand"),
        (b"[" * 100_000, 200, "not a price list"),
        (b"gone", 404, "status 404"),
    ],
)
def test_a_bad_list_changes_nothing(body: bytes, status: int, said: str, shop: Place) -> None:
    with published(body, status) as url:
        done = shop.run("price", "update", "--url", url)
    assert (done.code, done.out) == (1, "") and said in done.err, done.err
    assert not list(Path(shop.folder).glob("*.prices.json"))


def test_a_redirect_to_plain_http_is_not_followed(shop: Place) -> None:
    with published(b"", 302) as url:
        Moved.to = "http://example.com/data.json"
        done = shop.run("price", "update", "--url", url)
        Moved.to = ""
    assert done.code == 1 and "moved to an address that is not https" in done.err


def test_offline_is_a_sentence_that_repeats_no_address(shop: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEAPI_PRICES_URL", "http://user:canary@127.0.0.1:9/data.json")
    done = shop.run("price", "update")
    assert done.code == 1 and "online" in done.err and "canary" not in done.err
    monkeypatch.setenv("ONEAPI_PRICES_URL", "http://canary.example/data.json")
    done = shop.run("price", "update")
    assert done.code == 1 and "not https" in done.err and "canary" not in done.err


def test_a_spoilt_update_is_not_used(shop: Place) -> None:
    (shop.folder / "oneapi.db.prices.json").write_text('{"fetched": "x"')
    assert "$2.50/M" in shop.run("price", "gpt-4o").out


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://example.com/x", True),
        ("http://127.0.0.1:1/x", True),
        ("http://localhost/x", True),
        ("http://example.com/x", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("https://[::1", False),
        ("ftp://example.com", False),
    ],
)
def test_what_may_be_fetched(url: str, fine: bool) -> None:
    assert is_fetchable(url) is fine


def test_amounts_are_exact() -> None:
    assert usd(2_000_000_001, 1_000_000, 1_000_000) == "$2.000000001"
    assert usd(1, 10**9, 10**6) == "$0.000000000001"
    assert usd(1_234_567 * 10**9, 1, 1) == "$1,234,567.00"
    assert rate_text(Rate("images", 1, 40_000_000)) == "$0.04 each"
    assert rate_text(Rate("audio_seconds", 1, 100_000)) == "$0.006/min"
