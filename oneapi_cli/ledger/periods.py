"""When a recurring budget rolls over: days at midnight, weeks on Monday, months on the first, in the operator's zone.

Pure. A boundary is the first instant of a local date, so a day of a time change is as long as the clocks there say: a
midnight that the clocks skip is the moment they skip it, one that comes twice counts the first time.
Invariant: period_start(now) <= now < next_reset(now), and each boundary is the start of the period that follows it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from .account_values import Period
from .faults import LedgerError


@lru_cache(maxsize=16)
def zone_of(name: str) -> tzinfo:
    """The time zone of an IANA name. Raises LedgerError for one that this machine does not know."""
    if name == "UTC":
        return UTC
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise LedgerError(
            f"{name!r} is not a time zone of this machine; write an IANA name such as UTC or Europe/Berlin."
        ) from None


def period_start(period: Period, now: float, zone: tzinfo) -> float:
    """The boundary at or before `now`, in unix seconds."""
    return _first_instant(_first_day(period, _local_date(now, zone)), zone)


def next_reset(period: Period, now: float, zone: tzinfo) -> float:
    """The first boundary after `now`, in unix seconds."""
    day = _first_day(period, _local_date(now, zone))
    while True:
        day = _following(period, day)
        # More than one step only where a zone skipped a whole date (Samoa, 2011-12-30).
        if (boundary := _first_instant(day, zone)) > now:
            return boundary


def is_astray(period: Period, reset: float, now: float, zone: tzinfo) -> bool:
    """Whether a reset lies further ahead than any clock that is right could have put it: past the end of the next
    period.

    One period ahead of its place is no error: it was reached early, by a clock that has been set back since, and must
    not be reached a second time.
    """
    return reset > next_reset(period, next_reset(period, now, zone), zone)


def local_day(moment: float, zone: tzinfo) -> str:
    """The local date of a moment as `2026-11-22`."""
    return _local_date(moment, zone).isoformat()


def _local_date(moment: float, zone: tzinfo) -> date:
    return datetime.fromtimestamp(moment, zone).date()


def _first_day(period: Period, day: date) -> date:
    if period == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if period == "week" else day


def _following(period: Period, first: date) -> date:
    if period == "month":
        return (
            first.replace(year=first.year + 1, month=1) if first.month == 12 else first.replace(month=first.month + 1)
        )
    return first + timedelta(days=7 if period == "week" else 1)


def _first_instant(day: date, zone: tzinfo) -> float:
    # fold=0: the first of two midnights; of one that does not exist, the offset before the change, which is the change.
    return datetime.combine(day, time(), zone).timestamp()
