"""Our cards against genai-prices' own calculator, over its whole catalogue."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from importlib.metadata import version

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider
from genai_prices.types import Usage as TheirUsage
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi_cli.ledger.cost import Mode, cost_of, dearest, exact_of
from oneapi_cli.ledger.price_card import Card
from oneapi_cli.ledger.price_catalogue import catalogue_card, catalogue_ids, listed_card
from oneapi_cli.values.units import UNITS
from oneapi_cli.values.usage import Count, Usage

# Their division has 100 digits here; only prices per hour or minute do not end before that.
DIGITS = 100
TOLERANCE = Fraction(1, 10**80)
REPORTED = sorted(set(UNITS) - {"images", "requests"})
EVERY_MODE: frozenset[Mode] = frozenset(
    {"cache_write", "cache_write_1h", "audio_in", "image_in", "video_in", "audio_out", "image_out", "video_out"}
)


@cache
def every_listing() -> list[tuple[Provider, ModelInfo, Card | None]]:
    return [
        (provider, model, listed_card(provider, provider, model))
        for provider in get_snapshot().providers
        for model in provider.models
    ]


def counts_of(cells: Mapping[str, Count]) -> dict[str, Count]:
    """Disjoint amounts → a whole report: every unit with all that lies in it, so no part exceeds its total."""
    counts: dict[str, Count] = dict.fromkeys(REPORTED, 0)
    for cell, amount in cells.items():
        for key in REPORTED:
            if UNITS[key].includes(UNITS[cell]):
                counts[key] += amount
    return counts


def their_nanos(
    provider: Provider, model: ModelInfo, counts: Mapping[str, Count], at: datetime, context: dict[str, str]
) -> Fraction:
    with localcontext(prec=DIGITS):
        usage = TheirUsage(**counts)
        found = model.calc_price(usage, provider, genai_request_timestamp=at, price_context=context)
        return Fraction(found.total_price) * 10**9


def agrees(
    card: Card | None, expected: Fraction, counts: Mapping[str, Count], at: datetime, context: dict[str, str]
) -> None:
    if card is None:
        assert expected == 0
        return
    usage, sheet = Usage(counts=counts), card.sheet(at, context)
    assert abs(exact_of(usage, sheet) - expected) <= TOLERANCE, (card.origin, counts, at, context)
    cost = cost_of(usage, sheet)
    assert expected - TOLERANCE <= cost.nanos < expected + 1
    assert sum(line.picos for line in cost.lines) == cost.nanos * 1000
    within_bound(card, counts, at, context)


def within_bound(card: Card, counts: Mapping[str, Count], at: datetime, context: dict[str, str]) -> None:
    """No token costs more than the dearest rate says."""
    tokens_in, tokens_out = int(counts.get("input_tokens", 0)), int(counts.get("output_tokens", 0))
    rate_in, rate_out = dearest(card, at, tokens_in=tokens_in, context=context, modes=EVERY_MODE)
    tokens = {key: count for key, count in counts.items() if key.endswith("_tokens")}
    cost = cost_of(Usage(counts=tokens), card.sheet(at, context))
    spent = sum(line.picos for line in cost.lines if line.unit.endswith("_tokens"))
    assert spent * 1000 <= tokens_in * rate_in + tokens_out * rate_out


def contexts_of(card: Card | None) -> list[dict[str, str]]:
    known = [dict(variant.when) for variant in card.variants] if card is not None else []
    return [{}, {"service_tier": "no-such"}, *known]


@pytest.mark.seconds(60)
def test_every_model_costs_what_their_calculator_says() -> None:
    """Each model in every context that it knows, with amounts in the units that it prices and in others."""
    dice = random.Random(7)
    compared = 0
    for provider, model, card in every_listing():
        priced = sorted({rate.unit for base in card.bases for rate in base.rates} - {"requests"}) if card else []
        for context in contexts_of(card):
            cells = set(dice.sample(REPORTED, 2)) | set(dice.sample(priced, min(len(priced), 4)))
            amounts = {cell: int(10 ** dice.uniform(0, 6.3)) for cell in sorted(cells)}
            at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=dice.randrange(4 * 365 * 86_400))
            counts = counts_of(amounts)
            agrees(card, their_nanos(provider, model, counts, at, context), counts, at, context)
            compared += 1
    assert compared > 4000


AMOUNTS = st.one_of(
    st.integers(0, 100), st.integers(0, 3_000_000), st.sampled_from([128_000, 200_000, 200_001, 272_001])
)
SECONDS = st.decimals(0, 100_000, places=6)
CELLS = st.dictionaries(st.sampled_from(REPORTED), AMOUNTS, max_size=8)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-11, minutes=-30))])
MOMENTS = st.datetimes(datetime(2023, 1, 1), datetime(2028, 1, 1), timezones=ZONES)  # noqa: DTZ001 - the zone is drawn


@pytest.mark.seconds(60)
@settings(max_examples=1000)
@given(pick=st.integers(0, 10**6), cells=CELLS, seconds=SECONDS, at=MOMENTS, which=st.integers(0, 10))
def test_any_usage_costs_what_their_calculator_says(
    pick: int, cells: dict[str, Count], seconds: Decimal, at: datetime, which: int
) -> None:
    provider, model, card = every_listing()[pick % len(every_listing())]
    context = contexts_of(card)[which % len(contexts_of(card))]
    spoken = {"input_audio_seconds": seconds, "audio_seconds": Decimal(0)} if which % 3 == 0 else {}
    counts = counts_of(cells | spoken)
    agrees(card, their_nanos(provider, model, counts, at, context), counts, at, context)


@pytest.mark.parametrize("context", [{}, {"service_tier": "priority"}])
@pytest.mark.parametrize("model", ["gpt-4o", "GPT-5-2025-08-07", "claude-sonnet-4-5", "grok-4", "tts-1", "phi-4"])
def test_a_provider_of_others_models_charges_what_the_catalogue_says(model: str, context: dict[str, str]) -> None:
    cells = {"input_text_tokens": 900, "cache_read_tokens": 300_000, "output_tokens": 77, "input_characters": 61}
    at, counts = datetime(2026, 11, 1, 9, tzinfo=UTC), counts_of(cells)
    with localcontext(prec=DIGITS):
        found = get_snapshot().calc(TheirUsage(**counts), model, "azure", None, at, context)
        expected = Fraction(found.total_price) * 10**9
    assert expected > 0
    agrees(catalogue_card("azure", model), expected, counts, at, context)


def test_the_origin_names_the_version_and_the_listing() -> None:
    own, others = catalogue_card("openai", "gpt-4o-2024-11-20"), catalogue_card("azure", "gpt-4o")
    assert own is not None and own.origin == f"genai-prices {version('genai-prices')}: openai/gpt-4o"
    assert others is not None and others.origin == f"{own.origin} (for azure)"
    rule = own.sheet(datetime(2026, 11, 1, tzinfo=UTC), {"service_tier": "priority"}).rates[0].rule
    assert rule.startswith(f"{own.origin}, cache_read_mtok, service_tier priority, from 2026-")


def test_a_listing_without_amounts_is_no_price() -> None:
    unpriced = [(provider.id, model) for provider, model, card in every_listing() if card is None]
    assert ("openrouter", "deepseek/deepseek-r1:free") in [(provider, model.id) for provider, model in unpriced]
    for _, model in unpriced:
        listed = [model.prices] if isinstance(model.prices, ModelPrice) else [price.prices for price in model.prices]
        assert not any(value is not None for price in listed for value in vars(price).values())


@pytest.mark.parametrize("provider", ["", "no-such", "openai-compatible", "OpenAI", "demo", "replicate"])
def test_a_provider_is_known_by_its_own_id_alone(provider: str) -> None:
    assert provider not in catalogue_ids()
    assert catalogue_card(provider, "gpt-4o") is None


def test_groq_bills_ten_seconds_at_least() -> None:
    card = catalogue_card("groq", "whisper-large-v3")
    assert card is not None and card.least_seconds == 10
    at = datetime(2026, 11, 1, tzinfo=UTC)
    lines = cost_of(Usage(counts={"audio_seconds": Decimal("2.5")}), card.sheet(at, {})).lines
    assert [(line.amount, line.unit) for line in lines[:-1]] == [("10", "input_audio_seconds")]
    assert lines[0].rule.endswith("at least 10 s")
    assert cost_of(Usage(counts={"audio_seconds": 0}), card.sheet(at, {})).nanos == 0
