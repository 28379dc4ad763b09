"""Rates without rounding, sheets whose parts are disjoint, and the choice of a sheet by time and context."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.ledger.price_card import Base, Card, Condition, Rate, Variant, make_rate, make_sheet

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("usd", "nanos", "per"),
    [
        ("2.5", 2_500_000_000, MILLION),
        ("0.0000001", 100, MILLION),
        ("0.08333333333333334", 8_333_333_333_333_334, MILLION * 10**8),
        ("0.18000000000000002", 18_000_000_000_000_002, MILLION * 10**8),
        ("0", 0, MILLION),
        ("3E+1", 30_000_000_000, MILLION),
        ("1.000000000000", 1_000_000_000, MILLION),
    ],
)
def test_a_rate_is_an_integer_that_rounds_nothing(usd: str, nanos: int, per: int) -> None:
    rate = make_rate("input_tokens", MILLION, [Decimal(usd)])
    assert (rate.nanos, rate.per) == (nanos, per)


@given(st.lists(st.decimals(0, 1000, places=14), min_size=1, max_size=4))
def test_tiers_share_one_scale_and_stay_exact(prices: list[Decimal]) -> None:
    starts = [1000 * (i + 1) for i in range(len(prices) - 1)]
    rate = make_rate("input_tokens", MILLION, prices, starts)
    for price, nanos in zip(prices, (rate.nanos, *(n for _, n in rate.tiers)), strict=True):
        assert Fraction(nanos, rate.per) == Fraction(price) * 10**9 / MILLION


def test_a_tier_is_a_cliff_just_above_its_start() -> None:
    rate = make_rate("input_tokens", MILLION, [Decimal(1), Decimal(2), Decimal("1.5")], [200, 500])
    assert [rate.at(n)[0] // 10**9 for n in (0, 200)] == [1, 1]
    assert (rate.at(201), rate.at(500), rate.at(501)) == (
        (2_000_000_000, 200),
        (2_000_000_000, 200),
        (1_500_000_000, 500),
    )
    assert [rate.dearest(n) for n in (200, 201, 999)] == [10**9, 2 * 10**9, 2 * 10**9]


def test_what_is_both_cached_and_audio_gets_the_dearer_rate() -> None:
    sheet = make_sheet(
        [
            Rate("input_tokens", MILLION, 2),
            Rate("cache_read_tokens", MILLION, 1, rule="cached"),
            Rate("input_audio_tokens", MILLION, 30, rule="audio"),
        ]
    )
    added = next(rate for rate in sheet.rates if rate.unit == "cache_audio_read_tokens")
    assert added.nanos == 30
    assert added.rule == "audio; has no rate of its own and is charged as input_audio_tokens"


def test_overlaps_of_every_kind_are_priced_so_that_no_amount_is_charged_twice() -> None:
    names = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "input_image", "input_text")
    sheet = make_sheet([Rate(f"{name}_tokens", MILLION, 1) for name in names])
    units = {rate.unit for rate in sheet.rates}
    kinds, suffixes = ("audio", "image", "text"), ("read", "write", "write_1h")
    joints = {f"cache_{kind}_{suffix}_tokens" for kind in kinds for suffix in suffixes}
    assert units == {f"{name}_tokens" for name in names} | joints
    again = make_sheet(sheet.rates)
    assert {rate.unit for rate in again.rates} == units


def test_parts_come_before_their_totals() -> None:
    sheet = make_sheet([Rate(f"{name}_tokens", MILLION, 1) for name in ("input", "cache_write", "cache_write_1h")])
    assert [step.rate.unit for step in sheet.steps] == ["cache_write_1h_tokens", "cache_write_tokens", "input_tokens"]
    assert [step.parts for step in sheet.steps] == [(), (0,), (0, 1)]


def test_covered_by_a_total_or_not_at_all() -> None:
    sheet = make_sheet([Rate("input_tokens", MILLION, 1), Rate("audio_seconds", 60, 1)])
    assert sheet.covers("input_audio_tokens") and sheet.covers("input_audio_seconds")
    assert sheet.lacks(("input_tokens", "output_tokens", "images", "no_such_unit")) == (
        "output_tokens",
        "images",
        "no_such_unit",
    )
    assert make_sheet([], free=True).lacks(("output_tokens", "images")) == ()


@dataclass(frozen=True)
class When:
    condition: Condition
    at: datetime
    active: bool


NIGHT = Condition(window=(time(16, 30), time(0, 30)))
DAY = Condition(window=(time(1), time(4)))
SINCE = Condition(start=date(2026, 8, 1))


@pytest.mark.parametrize(
    "case",
    [
        When(SINCE, datetime(2026, 7, 31, 23, 59, 59, tzinfo=UTC), False),
        When(SINCE, datetime(2026, 8, 1, tzinfo=UTC), True),
        When(SINCE, datetime(2026, 7, 31, 23, tzinfo=timezone(timedelta(hours=-2))), True),
        When(DAY, datetime(2026, 1, 1, 1, tzinfo=UTC), True),
        When(DAY, datetime(2026, 1, 1, 4, tzinfo=UTC), False),
        When(DAY, datetime(2026, 1, 1, 3, 59, 59, 999_999, tzinfo=UTC), True),
        When(NIGHT, datetime(2026, 1, 1, 0, 29, tzinfo=UTC), True),
        When(NIGHT, datetime(2026, 1, 1, 12, tzinfo=UTC), False),
        When(NIGHT, datetime(2026, 1, 1, 16, 30, tzinfo=UTC), True),
        When(NIGHT, datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=8))), True),
        When(Condition(), datetime(2026, 1, 1), True),  # noqa: DTZ001 - without a zone is UTC
    ],
)
def test_a_condition(case: When) -> None:
    assert case.condition.active(case.at) is case.active


def _card() -> Card:
    def rates(*nanos: int) -> tuple[Rate, ...]:
        return tuple(Rate(u, MILLION, n) for u, n in zip(("input_tokens", "output_tokens"), nanos, strict=False))

    return Card(
        model="m",
        origin="test",
        bases=(Base(rates(10, 20)), Base(rates(5, 10), DAY), Base(rates(7, 14), SINCE)),
        variants=(
            Variant({"service_tier": "flex"}, rates(1), SINCE),
            Variant({"service_tier": "flex"}, rates(2, 3)),
            Variant({"service_tier": "priority", "speed": "fast"}, rates(100, 200)),
        ),
    )


@pytest.mark.parametrize(
    ("at", "context", "nanos"),
    [
        (datetime(2026, 1, 1, 12, tzinfo=UTC), {}, [10, 20]),
        (datetime(2026, 1, 1, 2, tzinfo=UTC), {}, [5, 10]),
        (datetime(2026, 9, 1, 2, tzinfo=UTC), {}, [7, 14]),
        (datetime(2026, 1, 1, 2, tzinfo=UTC), {"service_tier": "flex"}, [2, 3]),
        (datetime(2026, 9, 1, 2, tzinfo=UTC), {"service_tier": "flex"}, [1, 3]),
        (datetime(2026, 9, 1, 2, tzinfo=UTC), {"service_tier": "Flex"}, [7, 14]),
        (datetime(2026, 9, 1, 2, tzinfo=UTC), {"service_tier": "priority"}, [7, 14]),
        (datetime(2026, 9, 1, 2, tzinfo=UTC), {"service_tier": "priority", "speed": "fast", "x": "y"}, [100, 200]),
    ],
)
def test_the_sheet_of_a_moment_and_a_context(at: datetime, context: dict[str, str], nanos: list[int]) -> None:
    card = _card()
    assert [rate.nanos for rate in card.sheet(at, context).rates] == nanos
    assert card.sheet(at, context) is card.sheet(at, dict(context))


def test_a_card_says_which_contexts_it_knows() -> None:
    card = _card()
    assert card.known("service_tier") == ("flex", "priority")
    assert card.knows("service_tier", "flex") and not card.knows("service_tier", "scale")
