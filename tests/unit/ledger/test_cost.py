"""Exact costs, lines that sum to them, and the bounds that holds are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.ledger.cost import Cost, Mode, cost_of, dearest, exact_of, fee_nanos
from oneapi_cli.ledger.price_card import Base, Card, Rate, Sheet, Variant, make_rate
from oneapi_cli.ledger.price_catalogue import catalogue_card
from oneapi_cli.ledger.prices import line_card
from oneapi_cli.values.units import UNITS, parse_line
from oneapi_cli.values.usage import Count, Usage

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANTHROPIC = {"input": "3", "cache_read": "0.3", "cache_write": "3.75", "cache_write_1h": "6", "output": "15"}


def sheet_of(line: Mapping[str, object]) -> Sheet:
    return line_card("m", parse_line("m", line), "config prices").sheet(NOW, {})


def listed(provider: str, model: str) -> Sheet:
    card = catalogue_card(provider, model)
    assert card is not None
    return card.sheet(NOW, {})


def bill(cost: Cost) -> dict[str, str]:
    return {line.unit: line.amount for line in cost.lines}


@dataclass(frozen=True)
class Case:
    """A usage as the readers give it, and what it must cost. ledger: amount by unit in the bill."""

    name: str
    counts: dict[str, Count]
    nanos: int
    line: dict[str, object] = field(default_factory=dict)
    vendor: tuple[str, str] = ("", "")
    ledger: dict[str, str] = field(default_factory=dict)


# The wrong bills of other gateways (section C of what their users complain of), each with the right one.
PAINS = [
    Case(
        "gemini cache hits are charged once",
        {"input_tokens": 2_000_000, "cache_read_tokens": 1_900_000, "output_tokens": 1000},
        100_000 * 300 + 1_900_000 * 30 + 1000 * 2500,
        vendor=("google", "gemini-2.5-flash"),
        ledger={"input_tokens": "100000", "cache_read_tokens": "1900000", "output_tokens": "1000"},
    ),
    Case(
        "openai cached tokens get their discount",
        {"input_tokens": 10_000, "cache_read_tokens": 8_000, "output_tokens": 100},
        2_000 * 2500 + 8_000 * 1250 + 100 * 10_000,
        vendor=("openai", "gpt-4o"),
    ),
    Case(
        "anthropic writes of five minutes and of an hour, and reads, are three prices",
        {
            "input_tokens": 1000,
            "cache_read_tokens": 200,
            "cache_write_tokens": 500,
            "cache_write_5m_tokens": 100,
            "cache_write_1h_tokens": 400,
            "output_tokens": 10,
        },
        300 * 3000 + 200 * 300 + 100 * 3750 + 400 * 6000 + 10 * 15_000,
        line=dict(ANTHROPIC),
        ledger={
            "input_tokens": "300",
            "cache_read_tokens": "200",
            "cache_write_tokens": "100",
            "cache_write_1h_tokens": "400",
            "output_tokens": "10",
        },
    ),
    Case(
        "anthropic streams do not count cache reads and writes twice",
        {"input_tokens": 21_010, "cache_read_tokens": 20_000, "cache_write_tokens": 1000, "output_tokens": 50},
        10 * 3000 + 20_000 * 300 + 1000 * 3750 + 50 * 15_000,
        vendor=("anthropic", "claude-sonnet-4-5"),
    ),
    Case(
        "more cached tokens than prompt never make a negative input",
        {"input_tokens": 100, "cache_read_tokens": 150, "output_tokens": 1},
        150 * 300 + 15_000,
        line=dict(ANTHROPIC),
        ledger={"cache_read_tokens": "150", "output_tokens": "1"},
    ),
    Case(
        "cache prices of the config have an effect",
        {"input_tokens": 1000, "cache_read_tokens": 1000},
        1000 * 1500,
        line={"input": "3", "cache_read": "1.5", "output": "12"},
        ledger={"cache_read_tokens": "1000"},
    ),
    Case(
        "without a cache price, cached tokens cost what input does",
        {"input_tokens": 1000, "cache_read_tokens": 400, "output_tokens": 1},
        1000 * 3000 + 12_000,
        line={"input": "3", "output": "12"},
        ledger={"input_tokens": "1000", "output_tokens": "1"},
    ),
    Case(
        "audio tokens are not charged as text, nor text as audio",
        {"input_tokens": 120, "input_audio_tokens": 100, "output_tokens": 60, "output_audio_tokens": 50},
        20 * 2500 + 100 * 32_000 + 10 * 10_000 + 50 * 64_000,
        vendor=("openai", "gpt-audio"),
    ),
    Case(
        "reasoning is output, once",
        {"input_tokens": 10, "output_tokens": 1000, "output_reasoning_tokens": 900},
        10 * 3000 + 1000 * 15_000,
        line=dict(ANTHROPIC),
        ledger={"input_tokens": "10", "output_tokens": "1000"},
    ),
]

OTHERS = [
    Case("nothing used", {}, 0, line=dict(ANTHROPIC)),
    Case(
        "a fraction of a nano is rounded up once",
        {"input_tokens": 1, "output_tokens": 1},
        1,
        line={"input": "0.0001", "output": "0.0002"},
    ),
    Case("by the image", {"images": 3}, 120_000_000, line={"image": "0.04"}, ledger={"images": "3"}),
    Case("by the request", {"input_tokens": 5}, 10_000_000, line={"request": "0.01"}, ledger={"requests": "1"}),
    Case(
        "by the minute",
        {"audio_seconds": Decimal("90.5")},
        9_050_000,
        line={"audio_minute": "0.006"},
        ledger={"audio_seconds": "90.5"},
    ),
    Case("by a third of an hour's price", {"audio_seconds": Decimal("0.1")}, 10_000, line={"audio_hour": "0.36"}),
    Case("parts alone, without their total", {"input_audio_seconds": 60}, 6_000_000, line={"audio_minute": "0.006"}),
    Case(
        "a total that was not reported",
        {"cache_read_tokens": 7, "input_audio_tokens": 3},
        7 * 300 + 3 * 3000,
        line=dict(ANTHROPIC),
    ),
    Case(
        "parts of parts are not added twice",
        {"cache_write_tokens": 9, "cache_write_1h_tokens": 9},
        9 * 6000,
        line=dict(ANTHROPIC),
    ),
    Case("negative amounts count as nothing", {"input_tokens": -5, "output_tokens": 2}, 30_000, line=dict(ANTHROPIC)),
    Case(
        "above a tier, everything is dearer",
        {"input_tokens": 200_001, "output_tokens": 1},
        200_001 * 2500 + 15_000,
        vendor=("google", "gemini-2.5-pro"),
    ),
    Case(
        "at a tier, nothing is",
        {"input_tokens": 200_000, "output_tokens": 1},
        200_000 * 1250 + 10_000,
        vendor=("google", "gemini-2.5-pro"),
    ),
    Case("free", {"input_tokens": 10, "images": 3}, 0, line={"free": True}, ledger={"input_tokens": "10"}),
]


@pytest.mark.parametrize("case", [*PAINS, *OTHERS], ids=lambda case: case.name)
def test_a_bill(case: Case) -> None:
    sheet = sheet_of(case.line) if case.line else listed(*case.vendor)
    cost = cost_of(Usage(counts=case.counts), sheet)
    assert cost.nanos == case.nanos
    assert cost.lines[-1].unit == "rounding"
    assert sum(line.picos for line in cost.lines) == case.nanos * 1000
    assert not case.ledger or bill(cost) == case.ledger | {"rounding": "1"}
    assert all(Decimal(line.amount) > 0 for line in cost.lines)


def test_a_contradiction_is_said_on_the_line_of_the_part() -> None:
    cost = cost_of(Usage(counts={"input_tokens": 100, "cache_read_tokens": 150}), sheet_of(ANTHROPIC))
    assert cost.lines[0].rule == (
        "config prices: m, cache_read; with the other parts 150 of 100 input_tokens: the rest counts as 0"
    )


def test_a_line_says_its_rate_and_the_rule_that_chose_it() -> None:
    cost = cost_of(Usage(counts={"input_tokens": 200_001}), listed("google", "gemini-2.5-pro"))
    line = cost.lines[0]
    assert (line.unit, line.amount, line.rate_nanos, line.per) == ("input_tokens", "200001", 2_500_000_000, 1_000_000)
    assert line.rule.endswith("google/gemini-2.5-pro, input_mtok, tier > 200000 input tokens")
    assert line.picos == 200_001 * 2_500_000


def test_reasoning_that_has_its_own_price_is_charged_at_it() -> None:
    usage = Usage(counts={"input_tokens": 0, "output_tokens": 100}, reasoning_tokens=60)
    cost = cost_of(usage, sheet_of({"input": 1, "output": 2, "reasoning": 3}))
    assert cost.nanos == 40 * 2000 + 60 * 3000
    assert bill(cost) == {"output_reasoning_tokens": "60", "output_tokens": "40", "rounding": "1"}


@pytest.mark.parametrize(
    ("multiplier", "nanos", "said"),
    [("1.2", 144_000, "1.2"), ("0.5", 60_000, "0.5"), ("0", 0, "0"), ("1.00000001", 120_001, "1.00000001")],
)
def test_a_multiplier_applies_before_rounding(multiplier: str, nanos: int, said: str) -> None:
    cost = cost_of(Usage(counts={"output_tokens": 8}), sheet_of(ANTHROPIC), Decimal(multiplier))
    assert cost.nanos == nanos
    assert [line.unit for line in cost.lines] == ["output_tokens", "multiplier", "rounding"]
    assert cost.lines[1].amount == said
    assert sum(line.picos for line in cost.lines) == nanos * 1000


def test_a_multiplier_of_one_has_no_line() -> None:
    cost = cost_of(Usage(counts={"output_tokens": 8}), sheet_of(ANTHROPIC), Decimal("1.0"))
    assert [line.unit for line in cost.lines] == ["output_tokens", "rounding"]


def test_what_nothing_prices_is_named() -> None:
    usage = Usage(
        counts={"input_tokens": 5, "output_tokens": 7, "web_searches": 2, "cache_read_tokens": 1, "images": 0}
    )
    assert cost_of(usage, sheet_of({"input": 1})).uncovered == ("output_tokens", "web_searches")
    assert cost_of(usage, sheet_of({"free": True})).uncovered == ()
    spoken = Usage(counts={"audio_seconds": 60, "input_audio_seconds": 60})
    assert cost_of(spoken, sheet_of({"input_audio_minute": 1})).uncovered == ()


COUNTS = st.dictionaries(
    st.sampled_from(sorted(UNITS)),
    st.one_of(st.integers(-5, 10**7), st.decimals(0, 10**6, places=5)),
    max_size=10,
)
MULTIPLIERS = st.decimals(0, 100, places=7)
LINES = st.dictionaries(
    st.sampled_from(["cache_read", "cache_write", "cache_write_1h", "input_audio", "reasoning", "image", "audio_hour"]),
    st.decimals(0, 200, places=9).map(str),
)


@given(COUNTS, LINES, MULTIPLIERS)
def test_whatever_a_vendor_reports_the_lines_sum_and_nothing_is_negative(
    counts: dict[str, Count], line: dict[str, str], multiplier: Decimal
) -> None:
    sheet = sheet_of({**line, "input": "1.1", "output": "3"})
    usage = Usage(counts=counts)
    cost, exact = cost_of(usage, sheet, multiplier), exact_of(usage, sheet) * Fraction(multiplier)
    assert cost.nanos - 1 < exact <= cost.nanos
    assert sum(line.picos for line in cost.lines) == cost.nanos * 1000
    assert all(line.picos >= 0 for line in cost.lines if line.unit not in ("multiplier", "rounding"))


def test_the_common_case_is_integers_throughout() -> None:
    leaf = exact_of(Usage(counts={"input_tokens": 10, "output_tokens": 3}), listed("openai", "gpt-4o-mini"))
    assert leaf == 10 * 150 + 3 * 600


def test_amounts_longer_than_a_decimal_context_are_exact() -> None:
    amount = Decimal("123456789012345678901234567890.123456789012345678901234567891")
    cost = cost_of(Usage(counts={"audio_seconds": amount}), sheet_of({"audio_second": "1"}))
    assert cost.nanos == 123456789012345678901234567890123456790
    assert cost.lines[0].amount == str(amount)


# -- bounds -----------------------------------------------------------------------------------------------------------


def _tiered() -> Card:
    def rate(unit: str, *usd: str) -> Rate:
        return make_rate(unit, 1_000_000, [Decimal(text) for text in usd], [1000, 2000][: len(usd) - 1])

    standard = (
        rate("input_tokens", "2", "4", "3"),
        rate("cache_write_tokens", "5"),
        rate("cache_write_1h_tokens", "8"),
        rate("input_audio_tokens", "40"),
        rate("output_tokens", "10", "15"),
        rate("output_reasoning_tokens", "11"),
        rate("output_image_tokens", "60"),
        rate("output_audio_tokens", "80"),
    )
    priority = (rate("input_tokens", "7"), rate("output_tokens", "20"))
    flex = (rate("input_tokens", "1"), rate("output_tokens", "5"))
    return Card(
        model="m",
        origin="test",
        bases=(Base(standard),),
        variants=(Variant({"service_tier": "priority"}, priority), Variant({"service_tier": "flex"}, flex)),
    )


@dataclass(frozen=True)
class Bound:
    tokens_in: int
    usd: tuple[int, int]
    context: dict[str, str] = field(default_factory=dict)
    modes: frozenset[Mode] = frozenset()


@pytest.mark.parametrize(
    "case",
    [
        Bound(1000, (2, 11)),
        Bound(1001, (4, 15)),
        Bound(99_999, (4, 15)),
        Bound(10, (5, 11), modes=frozenset({"cache_write"})),
        Bound(10, (8, 11), modes=frozenset({"cache_write_1h"})),
        Bound(10, (40, 11), modes=frozenset({"audio_in"})),
        Bound(10, (2, 60), modes=frozenset({"image_out"})),
        Bound(10, (2, 80), modes=frozenset({"audio_out", "image_out"})),
        Bound(10, (2, 11), context={"service_tier": "flex"}),
        Bound(10, (7, 20), context={"service_tier": "priority"}),
        Bound(10, (7, 20), context={"service_tier": "auto"}),
        Bound(10, (2, 11), context={"service_tier": "unheard of"}),
    ],
)
def test_the_dearest_rates_that_a_request_can_reach(case: Bound) -> None:
    rates = dearest(_tiered(), NOW, tokens_in=case.tokens_in, context=case.context, modes=case.modes)
    assert rates == (case.usd[0] * 10**9, case.usd[1] * 10**9)


def test_a_rate_finer_than_a_nano_is_rounded_up_in_a_bound() -> None:
    card = Card(
        model="m", origin="t", bases=(Base((make_rate("input_tokens", 10**6, [Decimal("0.08333333333333334")]),)),)
    )
    assert dearest(card, NOW, tokens_in=1) == (83_333_334, 0)


def test_fees_are_the_most_that_a_count_can_cost() -> None:
    card = line_card("m", parse_line("m", {"request": "0.001", "audio_minute": "0.006", "image": "0.04"}), "config")
    assert fee_nanos(card, NOW, "requests", 1) == 1_000_000
    assert fee_nanos(card, NOW, "audio_seconds", Decimal("0.0001")) == 10
    assert fee_nanos(card, NOW, "audio_seconds", Decimal("0.00001")) == 1
    assert fee_nanos(card, NOW, "input_audio_seconds", 60) == 6_000_000
    assert fee_nanos(card, NOW, "images", 2) == 80_000_000
    assert fee_nanos(card, NOW, "web_searches", 5) == 0


def test_a_fee_looks_at_the_context_and_at_the_standard_price() -> None:
    card = Card(
        model="m",
        origin="t",
        bases=(Base((make_rate("images", 1, [Decimal("0.04")]),)),),
        variants=(
            Variant({"quality": "hd"}, (make_rate("images", 1, [Decimal("0.08")]),)),
            Variant({"size": "small"}, (make_rate("images", 1, [Decimal("0.01")]),)),
        ),
    )
    asked: tuple[dict[str, str], ...] = ({}, {"quality": "hd"}, {"size": "small"})
    assert [fee_nanos(card, NOW, "images", 1, context=context) // 10**6 for context in asked] == [40, 80, 40]


def test_a_fee_of_short_audio_is_that_of_the_shortest_billed() -> None:
    card = catalogue_card("groq", "whisper-large-v3-turbo")
    assert card is not None
    assert fee_nanos(card, NOW, "audio_seconds", 1) == fee_nanos(card, NOW, "audio_seconds", 10) > 0
    assert fee_nanos(card, NOW, "audio_seconds", 0) == 0
