"""Who prices a model: the channel's lines, the global ones, the catalogue, our table, nobody."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from oneapi_cli.ledger import prices as module
from oneapi_cli.ledger.cost import cost_of
from oneapi_cli.ledger.prices import Prices, line_card, parse_line
from oneapi_cli.values.units import price_line_faults
from oneapi_cli.values.usage import Usage
from oneapi_cli.values.vendor import Channel, PriceLine, Vendor

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MILLION_IN = Usage(counts={"input_tokens": 1_000_000})


def channel(vendor: str = "openai", listed: str | None = None, **kwargs: object) -> Channel:
    row = Vendor(name=vendor, base="http://127.0.0.1:1/v1", speaks={}, prices=vendor if listed is None else listed)
    fields: dict[str, object] = {
        "name": f"my-{vendor}",
        "vendor": row,
        "base": row.base,
        "keys": ("sk-secret",),
        "models": {},
    }
    return Channel(**(fields | kwargs))  # type: ignore[arg-type]


def lines(**usd: str) -> Mapping[str, PriceLine]:
    return {
        name.replace("__", "*").replace("_", "-"): PriceLine(rates={"input": amount}) for name, amount in usd.items()
    }


@dataclass(frozen=True)
class Case:
    name: str
    usd: float
    origin: str
    asked: str = "gpt-4o"
    sent: str = "gpt-4o"
    own: Mapping[str, PriceLine] = field(default_factory=dict)
    shared: Mapping[str, PriceLine] = field(default_factory=dict)
    priced_as: str = ""
    vendor: str = "openai"
    listed: str | None = None


CASES = [
    Case("the catalogue, by the vendor and the name sent", 2.5, "openai/gpt-4o", asked="best"),
    Case("the catalogue, else by the name asked for", 2.5, "openai/gpt-4o", sent="my-deployment"),
    Case("the name sent before the name asked for", 0.15, "openai/gpt-4o-mini", sent="gpt-4o-mini"),
    Case(
        "a channel's line before all",
        1,
        "prices of channel my-openai: gpt-4o",
        own=lines(gpt_4o="1"),
        shared=lines(gpt_4o="2"),
    ),
    Case("a global line before the catalogue", 2, "config prices: gpt-4o", shared=lines(gpt_4o="2")),
    Case(
        "a line under the name asked for first",
        3,
        "config prices: best",
        asked="best",
        shared=lines(gpt_4o="2", best="3"),
    ),
    Case("a line under the name sent", 2, "config prices: gpt-4o", asked="best", shared=lines(gpt_4o="2")),
    Case("a name before a pattern", 2, "config prices: gpt-4o", shared=lines(gpt__="9", gpt_4o="2")),
    Case("the longest pattern", 4, "config prices: gpt-4*", shared=lines(__="8", gpt_4__="4", gpt__="9")),
    Case(
        "a channel's pattern before a global name",
        7,
        "prices of channel my-openai: *",
        own=lines(__="7"),
        shared=lines(gpt_4o="2"),
    ),
    Case("priced as another vendor", 2.5, "openai/gpt-4o", vendor="openai-compatible", listed="", priced_as="openai"),
    Case(
        "priced as a vendor of ours",
        0.6,
        "moonshotai/kimi-k2",
        sent="kimi-k2-0905-preview",
        vendor="other",
        listed="",
        priced_as="moonshot",
    ),
    Case("our own table", 0.15, "oneapi table", sent="demo-small", vendor="demo", listed=""),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_who_prices_it(case: Case) -> None:
    prices = Prices(case.shared, books={"moonshot": "moonshotai", "openai": "openai"})
    card = prices.card(
        channel(case.vendor, case.listed, prices=case.own, priced_as=case.priced_as), case.asked, case.sent
    )
    assert card is not None
    assert case.origin in card.origin
    assert cost_of(MILLION_IN, card.sheet(NOW, {})).nanos == round(case.usd * 10**9)


@pytest.mark.parametrize(
    ("vendor", "listed", "priced_as", "model"),
    [
        ("openai", None, "", "no-such-model"),
        ("openai-compatible", "", "", "gpt-4o"),
        ("openai", None, "anthropic", "gpt-4o"),
        ("openai", None, "no-such-vendor", "gpt-4o"),
        ("openrouter", None, "", "deepseek/deepseek-r1:free"),
        ("replicate", "", "", "somebody/some-model"),
        ("openai", None, "", "demo-small"),
    ],
)
def test_never_a_guess(vendor: str, listed: str | None, priced_as: str, model: str) -> None:
    assert Prices({}).card(channel(vendor, listed, priced_as=priced_as), model, model) is None


def test_free_is_free_in_every_unit() -> None:
    found = Prices({}).card(channel(prices={"*": PriceLine(free=True)}), "llama", "llama")
    assert found is not None and found.free
    cost = cost_of(Usage(counts={"input_tokens": 5, "images": 2}), found.sheet(NOW, {}))
    assert (cost.nanos, cost.uncovered) == (0, ())
    assert cost.lines[0].rule == "prices of channel my-openai: *, free"


def test_a_line_replaces_the_listing_whole() -> None:
    card = Prices(lines(gpt_4o="2")).card(channel(), "gpt-4o", "gpt-4o")
    assert card is not None
    assert [rate.unit for rate in card.sheet(NOW, {}).rates] == ["input_tokens"]
    assert card.sheet(NOW, {}).lacks(("input_tokens", "output_tokens")) == ("output_tokens",)


def test_every_rate_name_makes_the_rate_it_says() -> None:
    card = line_card(
        "m", parse_line("m", {"audio_minute": "0.006", "million_characters": 15, "page": "0.002"}), "config"
    )
    rates = {rate.unit: (rate.nanos, rate.per) for rate in card.sheet(NOW, {}).rates}
    assert rates == {
        "audio_seconds": (6_000_000, 60),
        "input_characters": (15_000_000_000, 1_000_000),
        "input_document_pages": (2_000_000, 1),
    }


def test_a_card_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = Prices({})
    first = prices.card(channel(), "gpt-4o", "gpt-4o")
    assert prices.card(channel(), "nothing", "nothing") is None
    monkeypatch.setattr(module, "catalogue_card", lambda *_: pytest.fail("resolved twice"))
    assert prices.card(channel(), "gpt-4o", "gpt-4o") is first
    assert prices.card(channel(), "nothing", "nothing") is None


def test_what_is_unpriced_is_known_before_anybody_asks() -> None:
    models = {"gpt-4o": "gpt-4o", "best": "gpt-5", "mine": "my-finetune", "*": "*"}
    prices = Prices({})
    assert prices.unpriced([channel(models=models), channel("local", "", models={"llama": "llama"})]) == [
        ("my-openai", "mine"),
        ("my-local", "llama"),
    ]


def test_the_cards_of_invented_models_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CARDS", 10)
    prices = Prices({})
    for number in range(95):
        assert prices.card(channel(), f"invented-{number}", f"invented-{number}") is None
    assert len(prices._cards) <= 10


@pytest.mark.parametrize(
    ("model", "starts"),
    [("my-model.v2", "my-model.v2: {input: "), ("org/model:free", '"org/model:free": {input: '), ('a"b', '"a\\"b": {')],
)
def test_the_line_that_would_price_it(model: str, starts: str) -> None:
    yaml = pytest.importorskip("yaml")
    line = Prices({}).unpriced_line(channel(), model)
    assert line.startswith(starts)
    written = yaml.safe_load(line.partition(" (")[0])
    assert list(written) == [model]
    # Pasted as it stands it is refused with a sentence, and with amounts in it it is a price.
    assert [key for key, _ in price_line_faults(written[model])] == ["input", "output"]
    assert price_line_faults(dict.fromkeys(written[model], 1.5)) == []


def test_the_catalogue_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys\n"
        "from oneapi_cli.ledger.prices import Prices, line_card\n"
        "from oneapi_cli.values.vendor import PriceLine\n"
        "line_card('m', PriceLine(rates={'input': '1'}), 'config')\n"
        "heavy = {'genai_prices', 'pydantic', 'tiktoken', 'aiohttp'} & set(sys.modules)\n"
        "raise SystemExit(f'imported {heavy}' if heavy else 0)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
