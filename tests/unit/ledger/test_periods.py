"""When budgets roll over: the calendar's known corners, then what holds for every moment and every zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.ledger.account_values import Period
from oneapi_cli.ledger.faults import LedgerError
from oneapi_cli.ledger.periods import is_astray, local_day, next_reset, period_start, zone_of

PERIODS: tuple[Period, ...] = ("day", "week", "month")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
         "Pacific/Auckland", "Pacific/Apia", "America/Sao_Paulo", "America/Havana", "Africa/Cairo", "Asia/Beirut",
         "Pacific/Kiritimati", "Etc/GMT+12", "Antarctica/Troll"]  # fmt: skip


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone_of(zone)).timestamp()


@dataclass(frozen=True)
class Case:
    says: str
    period: Period
    zone: str
    now: str
    start: str
    reset: str


CASES = [
    Case("a month", "month", "UTC", "2026-11-22T10:00", "2026-11-01", "2026-12-01"),
    Case("over the year", "month", "UTC", "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
    Case("a leap February", "month", "UTC", "2028-02-29T12:00", "2028-02-01", "2028-03-01"),
    Case("the first instant of it", "month", "UTC", "2026-11-01", "2026-11-01", "2026-12-01"),
    Case("a week begins on Monday", "week", "UTC", "2026-11-22T23:59", "2026-11-16", "2026-11-23"),
    Case("on Monday", "week", "UTC", "2026-11-23", "2026-11-23", "2026-11-30"),
    Case("a day", "day", "Asia/Kathmandu", "2026-11-22T00:10", "2026-11-22", "2026-11-23"),
    Case("a day of 23 hours", "day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-29", "2026-03-30"),
    Case("a day of 25 hours", "day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-25", "2026-10-26"),
    Case("a month with a change", "month", "America/New_York", "2026-11-15", "2026-11-01", "2026-12-01"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_boundaries(case: Case) -> None:
    zone, now = zone_of(case.zone), at(case.now, case.zone)
    assert period_start(case.period, now, zone) == at(case.start, case.zone)
    assert next_reset(case.period, now, zone) == at(case.reset, case.zone)


def test_days_are_as_long_as_the_clocks_say() -> None:
    zone = zone_of("Europe/Berlin")
    hours = [
        (next_reset("day", at(day, "Europe/Berlin"), zone) - at(day, "Europe/Berlin")) / 3600
        for day in ("2026-03-28", "2026-03-29", "2026-10-25")
    ]
    assert hours == [24, 23, 25]


def test_a_midnight_that_does_not_exist_is_the_moment_it_is_skipped() -> None:
    """Brazil's clocks went from 24:00 to 1:00 on 2018-11-04."""
    zone = zone_of("America/Sao_Paulo")
    skipped = at("2018-11-04T03:00")
    assert next_reset("day", skipped - 1, zone) == skipped
    assert period_start("day", skipped, zone) == skipped
    assert datetime.fromtimestamp(skipped, zone).strftime("%d %H:%M") == "04 01:00"


def test_a_midnight_that_comes_twice_counts_once() -> None:
    """Cuba's clocks went from 1:00 back to 0:00 on 2026-11-01."""
    zone = zone_of("America/Havana")
    first = at("2026-11-01T04:00")
    assert next_reset("day", first - 1, zone) == first
    second = first + 3600
    assert datetime.fromtimestamp(second, zone).strftime("%d %H:%M") == "01 00:00"
    assert period_start("day", second, zone) == first
    assert next_reset("day", first, zone) == next_reset("day", second, zone) == first + 25 * 3600


def test_a_date_that_was_left_out() -> None:
    """Samoa had no 30 December 2011."""
    zone = zone_of("Pacific/Apia")
    change = at("2011-12-30T10:00")
    assert next_reset("day", change - 1, zone) == change
    assert local_day(change - 1, zone) == "2011-12-29"
    assert local_day(change, zone) == "2011-12-31"
    assert next_reset("day", change, zone) == change + 86400


moments = st.floats(min_value=0, max_value=datetime(2100, 1, 1, tzinfo=UTC).timestamp(), allow_nan=False)
zones = st.sampled_from(ZONES).map(zone_of)


@given(period=st.sampled_from(PERIODS), now=moments, zone=zones)
def test_every_moment_lies_in_one_period(period: Period, now: float, zone: ZoneInfo) -> None:
    start, reset = period_start(period, now, zone), next_reset(period, now, zone)
    assert start <= now < reset
    assert next_reset(period, start, zone) == reset
    assert period_start(period, reset, zone) == reset
    assert next_reset(period, reset - 0.001, zone) == reset
    longest = {"day": 49, "week": 7 * 24 + 25, "month": 31 * 24 + 25}[period]
    assert reset - start <= longest * 3600


@given(period=st.sampled_from(PERIODS), now=moments, zone=zones)
def test_a_boundary_is_the_first_instant_of_a_local_date(period: Period, now: float, zone: ZoneInfo) -> None:
    reset = next_reset(period, now, zone)
    assert local_day(reset, zone) != local_day(reset - 0.001, zone)
    local = datetime.fromtimestamp(reset, zone)
    # Where a zone leaves out the date on which a period begins, the period begins with the date that follows it.
    assert period == "day" or local.date() - timedelta(days=1) <= _nominal(period, local) <= local.date()


def _nominal(period: Period, local: datetime) -> date:
    day = local.date()
    return day.replace(day=1) if period == "month" else day - timedelta(days=day.weekday())


@given(period=st.sampled_from(PERIODS), now=moments, zone=zones, back=st.floats(0, 1))
def test_a_clock_set_back_by_less_than_a_period_does_not_lead_a_reset_astray(
    period: Period, now: float, zone: ZoneInfo, back: float
) -> None:
    reset = next_reset(period, now, zone)
    shortest = {"day": 22.0, "week": 6.9 * 24, "month": 27.9 * 24}[period] * 3600
    assert not is_astray(period, reset, now - back * shortest, zone)


@pytest.mark.parametrize("period", PERIODS)
def test_a_reset_beyond_the_next_period_is_astray(period: Period) -> None:
    now, zone = at("2026-11-22T10:00"), zone_of("UTC")
    second = next_reset(period, next_reset(period, now, zone), zone)
    assert not is_astray(period, second, now, zone)
    assert is_astray(period, second + 1, now, zone)
    assert is_astray(period, now + 366 * 86400, now, zone)


def test_zones_by_name() -> None:
    assert zone_of("UTC") is UTC
    assert local_day(at("2026-11-22T23:30"), zone_of("Europe/Berlin")) == "2026-11-23"
    for wrong in ("", "Mars/Olympus", "../etc/passwd", "Europe", "x\0y"):
        with pytest.raises(LedgerError, match="is not a time zone"):
            zone_of(wrong)
