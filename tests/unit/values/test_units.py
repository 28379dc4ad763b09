"""The unit table, and the prices that people write by its names."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest
from genai_prices.data_units import unit_data

from oneapi_cli.values.units import (
    RATE_NAMES,
    UNITS,
    nearest_rate_names,
    parse_line,
    price_line_faults,
    usd_text,
)


def test_every_unit_of_the_catalogue_is_here_with_its_dimensions() -> None:
    theirs = {key: unit["dimensions"] for key, unit in unit_data.items()}
    ours = {key: dict(unit.dimensions) for key, unit in UNITS.items()}
    assert {key: ours.get(key) for key in theirs} == theirs
    assert set(ours) - set(theirs) == {"images"}


def test_every_unit_can_be_priced_by_name() -> None:
    assert {rate.unit for rate in RATE_NAMES.values()} == set(UNITS)


def test_inclusion_and_overlap() -> None:
    cached, audio, both = UNITS["cache_read_tokens"], UNITS["input_audio_tokens"], UNITS["cache_audio_read_tokens"]
    assert UNITS["input_tokens"].includes(cached) and not cached.includes(UNITS["input_tokens"])
    assert cached.overlaps(audio) and cached.includes(both) and audio.includes(both)
    assert not UNITS["input_audio_tokens"].overlaps(UNITS["output_audio_tokens"])


@dataclass(frozen=True)
class Good:
    line: dict[str, object]
    rates: dict[str, str]
    free: bool = False


@pytest.mark.parametrize(
    "case",
    [
        Good(
            {"input": 3.00, "cache_read": 1.5, "output": 12.00}, {"input": "3.0", "cache_read": "1.5", "output": "12.0"}
        ),
        Good({"audio_minute": 0.006}, {"audio_minute": "0.006"}),
        Good({"image": "$0.04"}, {"image": "0.04"}),
        Good({"input": 1e-07}, {"input": "0.0000001"}),
        Good({"input": 0, "output": 1}, {"input": "0", "output": "1"}),
        Good({"free": True}, {}, free=True),
        Good({"request": Decimal("0.01"), "free": False}, {"request": "0.01"}),
    ],
)
def test_a_good_line(case: Good) -> None:
    line = parse_line("m", case.line)
    assert dict(line.rates) == case.rates
    assert line.free is case.free


@dataclass(frozen=True)
class Bad:
    line: dict[str, object]
    key: str
    says: str


@pytest.mark.parametrize(
    "case",
    [
        Bad({"inptu": 3, "output": 1}, "inptu", "did you mean input"),
        Bad({"prompt": 3}, "prompt", "did you mean input?"),
        Bad({"input_mtok": 3}, "input_mtok", "did you mean input?"),
        Bad({"zzzzzz": 3}, "zzzzzz", "known are input"),
        Bad({"input": "cheap"}, "input", "write dollars"),
        Bad({"input": True}, "input", "not a price"),
        Bad({"input": None}, "input", "not a price"),
        Bad({"input": -1}, "input", "0 or more"),
        Bad({"input": float("nan")}, "input", "0 or more"),
        Bad({"input": 2_000_000}, "input", "prices are in dollars"),
        Bad({"input": "0.0000000000000000001"}, "input", "decimals"),
        Bad({}, "", "`free: true`"),
        Bad({"free": False}, "", "`free: true`"),
        Bad({"free": "yes"}, "free", "true or false"),
        Bad({"free": True, "input": 1}, "free", "contradict"),
        Bad({"input": 0, "output": 0}, "", "say `free: true`"),
        Bad({"output": 2}, "output", "`input` has no price"),
        Bad({"cache_read": 2}, "cache_read", "give `input` too"),
        Bad({"input": 1, "reasoning": 2}, "reasoning", "give `output` too"),
        Bad({"audio_minute": 1, "audio_second": 2}, "audio_second", "`audio_minute` prices the same thing"),
    ],
)
def test_a_bad_line_says_where_and_what_to_do(case: Bad) -> None:
    faults = price_line_faults(case.line)
    assert [fault for fault in faults if fault[0] == case.key and case.says in fault[1]], faults
    with pytest.raises(ValueError, match=r"^my-model"):
        parse_line("my-model", case.line)


def test_every_fault_is_reported_at_once() -> None:
    assert [key for key, _ in price_line_faults({"inptu": 1, "output": "x", "free": 3})] == ["inptu", "output", "free"]


@pytest.mark.parametrize("name", sorted(RATE_NAMES))
def test_a_slip_of_the_pen_finds_the_name(name: str) -> None:
    assert name in nearest_rate_names(name[:-1] + name[-1] * 2)


def test_text_keeps_every_digit() -> None:
    assert usd_text("0.08333333333333334") == "0.08333333333333334"
    assert usd_text(0.1) == "0.1"
