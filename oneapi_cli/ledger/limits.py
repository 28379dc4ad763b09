"""Rates: requests and tokens of the last minute, and holds open at once, per account.

Counted from the admitted rows themselves, inside the admission transaction, so that no worker has a count of its own.
A request counts the tokens that it can use at most, and from its settlement on those that it used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from msgspec import Struct

from ..values.errors import Throttled
from ..values.holds import Allowance, RateLimits
from .rows import AccountKey, AccountKind

WINDOW_SECONDS = 60.0
CONCURRENT_RETRY_SECONDS = 1.0
"""Nobody knows when an open request ends; a second is polite."""


class Rates(Struct, frozen=True, kw_only=True):
    """What an account allows (None: anything) and how many of its holds are open."""

    key: AccountKey
    name: str
    open_holds: int
    rpm: int | None
    tpm: int | None
    concurrent: int | None


def check(db: sqlite3.Connection, rates: Rates, tokens: int, now: float, *, of: Sequence[Rates] = ()) -> None:
    """Whether one more request of at most `tokens` tokens is within the rates.

    Raises Throttled, with Retry-After and how all the rates `of` the caller stand.
    """
    try:
        _check(db, rates, tokens, now)
    except Throttled as refused:
        refused.rates = standing(db, of, now)
        raise


def standing(db: sqlite3.Connection, of: Sequence[Rates], now: float) -> RateLimits | None:
    """How the caller's rates stand now, each by the tighter of its accounts; None where none has rpm or tpm."""
    requests: list[Allowance] = []
    tokens: list[Allowance] = []
    for rates in of:
        if rates.rpm is None and rates.tpm is None:
            continue
        count, used, oldest = db.execute(_WINDOW[rates.key[0]], (rates.key[1], now - WINDOW_SECONDS)).fetchone()
        reset = 0.0 if oldest is None else _until(oldest, now)
        if rates.rpm is not None:
            requests.append(Allowance(limit=rates.rpm, remaining=max(0, rates.rpm - count), reset_seconds=reset))
        if rates.tpm is not None:
            tokens.append(Allowance(limit=rates.tpm, remaining=max(0, rates.tpm - used), reset_seconds=reset))
    if not requests and not tokens:
        return None
    return RateLimits(requests=min(requests, key=_slack, default=None), tokens=min(tokens, key=_slack, default=None))


def _slack(allowance: Allowance) -> tuple[int, float]:
    return allowance.remaining, -allowance.reset_seconds


# Absurd counts are cut off, so that no sum goes beyond 64 bits.
_WINDOW: Mapping[AccountKind, str] = {
    "token": "SELECT count(*), coalesce(sum(min(tokens, 1000000000000)), 0), min(admitted) FROM requests"
    " WHERE token_id = ? AND admitted > ?",
    "user": "SELECT count(*), coalesce(sum(min(tokens, 1000000000000)), 0), min(admitted) FROM requests"
    " WHERE user_id = ? AND admitted > ?",
}


def _check(db: sqlite3.Connection, rates: Rates, tokens: int, now: float) -> None:
    who = f"{rates.key[0]} {rates.name}"
    if rates.concurrent is not None and rates.open_holds >= rates.concurrent:
        raise Throttled(
            f"{who} has {rates.open_holds} requests open and may have {rates.concurrent}; wait for one to finish.",
            retry_after_seconds=CONCURRENT_RETRY_SECONDS,
        )
    if rates.rpm is not None and (oldest := _nth_latest(db, rates.key, rates.rpm, now)) is not None:
        raise Throttled(
            f"{who} has reached its limit of {rates.rpm} requests per minute; try again later.",
            retry_after_seconds=_until(oldest, now),
        )
    if rates.tpm is not None:
        _check_tokens(db, rates, tokens, now)


def _check_tokens(db: sqlite3.Connection, rates: Rates, tokens: int, now: float) -> None:
    kind, id = rates.key
    if rates.tpm is None:
        return
    if tokens > rates.tpm:
        raise Throttled(
            f"This request can use {tokens} tokens and {kind} {rates.name} may use {rates.tpm} per minute;"
            " ask for a smaller output limit."
        )
    since = now - WINDOW_SECONDS
    excess = db.execute(_WINDOW[kind], (id, since)).fetchone()[1] + tokens - rates.tpm
    if excess <= 0:
        return
    # The window frees the oldest first: the wait ends with the one that brings the sum low enough.
    freed, ends = 0, now
    oldest_first = db.execute(
        f"SELECT admitted, tokens FROM requests WHERE {kind}_id = ? AND admitted > ? ORDER BY admitted",  # noqa: S608
        (id, since),
    )
    for admitted, counted in oldest_first:
        freed, ends = freed + counted, admitted
        if freed >= excess:
            break
    raise Throttled(
        f"{kind} {rates.name} has reached its limit of {rates.tpm} tokens per minute; try again later.",
        retry_after_seconds=_until(ends, now),
    )


def _nth_latest(db: sqlite3.Connection, key: AccountKey, n: int, now: float) -> float | None:
    """When the n-th latest request of the last minute was admitted: once that one is out, there is room again."""
    kind, id = key
    row = db.execute(
        f"SELECT admitted FROM requests WHERE {kind}_id = ? AND admitted > ? ORDER BY admitted DESC LIMIT 1 OFFSET ?",  # noqa: S608 - names are ours
        (id, now - WINDOW_SECONDS, n - 1),
    ).fetchone()
    return None if row is None else float(row[0])


def _until(admitted: float, now: float) -> float:
    return max(0.001, admitted + WINDOW_SECONDS - now)
