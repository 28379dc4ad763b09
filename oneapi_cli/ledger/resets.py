"""Recurring budgets: what an account has is set anew at each boundary, and what is old stays with its own period.

At a rollover one `reset` row sets what remains to the budget exactly, however many periods were missed. Holds that are
open then belong to the past: they weigh neither on what is free now (`held_past`) nor, when they close, on what
remains: a `reset` grant that names the request gives back what it cost, up to what was held when its period ended.
(More than that was never held against the old budget, so the present one pays for it.) An adjustment follows its
request: for one admitted before the account's last rollover it is given back whole, in either direction.

Whether a rollover is due does not depend on the time zone, only where the next one lies: so an edit that knows no zone
may still roll over, and leaves the next boundary to be set by whoever has one. Money moves only through admission and
edits, and both come by here first, so nothing is ever spent between a boundary and its rollover.

A clock that is set back does not repeat a rollover (`periods.is_astray`). Whoever calls has a transaction open.
"""

from __future__ import annotations

import sqlite3
from datetime import tzinfo

from .account_values import Period
from .grants import book, set_remain
from .periods import is_astray, next_reset
from .rows import TABLES, AccountKey, AccountKind

ACTOR = "budget"
_LONGER_THAN_ONE = {"day": 26 * 3600.0, "week": 8 * 86400.0, "month": 32 * 86400.0}
"""Seconds that no period lasts: a reset nearer than that is not astray, which spares the calendar on the hot path."""


def wants_look(period: Period, reset: float | None, now: float) -> bool:
    """Whether `renew` may have something to do: due, not set yet, or suspiciously far."""
    return reset is None or not now < reset <= now + _LONGER_THAN_ONE[period]


def renew(db: sqlite3.Connection, key: AccountKey, now: float, zone: tzinfo | None) -> bool:
    """Roll an account's budget over if that is due, and keep its next reset in order. True if it rolled over.

    zone None: the next reset is left open.
    """
    kind, id = key
    row = db.execute(
        f"SELECT budget, budget_period, budget_reset FROM {TABLES[kind]}"  # noqa: S608 - names are ours
        " WHERE id = ? AND removed IS NULL AND budget IS NOT NULL AND budget_period IS NOT NULL",
        (id,),
    ).fetchone()
    if row is None or not wants_look(row[1], row[2], now):
        return False
    budget, period, reset = row
    due = reset is not None and reset <= now
    if due:
        _roll_over(db, key, budget, period, now)
    elif zone is None or (reset is not None and not is_astray(period, reset, now, zone)):
        return False
    following = None if zone is None else next_reset(period, now, zone)
    db.execute(f"UPDATE {TABLES[kind]} SET budget_reset = ? WHERE id = ?", (following, id))  # noqa: S608 - names are ours
    return due


def renew_all(db: sqlite3.Connection, now: float, zone: tzinfo) -> int:
    """Every account that needs it. Returns how many rolled over."""
    return sum(renew(db, key, now, zone) for key in in_need(db, now))


def in_need(db: sqlite3.Connection, now: float) -> list[AccountKey]:
    """The accounts that `renew` would look at. Cheap: accounts are few, and most budgets do not recur."""
    found: list[AccountKey] = []
    kinds: tuple[AccountKind, ...] = ("token", "user")
    for kind in kinds:
        rows = db.execute(
            f"SELECT id, budget_period, budget_reset FROM {TABLES[kind]}"  # noqa: S608 - names are ours
            " WHERE budget_period IS NOT NULL AND budget IS NOT NULL AND removed IS NULL"
        )
        found += [(kind, id) for id, period, reset in rows if wants_look(period, reset, now)]
    return found


def give_back(db: sqlite3.Connection, key: AccountKey, request: int, nanos: int, now: float) -> None:
    """Undo on what remains now what a request of an earlier period has cost. request: the row's id."""
    if nanos:
        book(db, key, nanos, kind="reset", reason="belongs to an earlier period", actor=ACTOR, now=now, request=request)


def _roll_over(db: sqlite3.Connection, key: AccountKey, budget: int, period: Period, now: float) -> None:
    kind, id = key
    set_remain(db, kind, id, budget, reason=f"a new {period}", actor=ACTOR, now=now, kind="reset")
    db.execute(f"UPDATE {TABLES[kind]} SET held_past = held, last_reset = ? WHERE id = ?", (now, id))  # noqa: S608 - names are ours
    # Left to itself SQLite walks all that the account ever asked for, with everybody waiting.
    open_ones = "requests INDEXED BY open_holds"
    db.execute(f"UPDATE {open_ones} SET {kind}_past = hold_nanos WHERE state = 'held' AND {kind}_id = ?", (id,))  # noqa: S608 - names are ours
