"""Every change of a balance by hand or by rule: one row with a reason, and the column beside it, in one transaction.

`kind` says what sort of edit it was: `budget` (a first or changed budget), `add`, `set` (remain was set outright),
`reset` (a recurring budget rolled over; with a `request`, what a request of an earlier period cost is given back).
"""

from __future__ import annotations

import sqlite3
from typing import Literal

from ..values.money import MAX_NANOS, format_usd
from .faults import LedgerError
from .rows import TABLES, AccountKey, AccountKind, storable
from .store import transaction

GrantKind = Literal["budget", "add", "set", "reset"]


def grant(
    db: sqlite3.Connection,
    account: AccountKind,
    id: int,
    delta_nanos: int,
    *,
    reason: str,
    actor: str,
    now: float,
    kind: GrantKind = "add",
) -> int:
    """Move what an account was granted by `delta_nanos`. Returns what remains, holds not deducted.

    Raises LedgerError for an unknown or removed account, and where taking away would leave less than nothing.
    """
    with transaction(db):
        remain = remain_of(db, account, id)
        if delta_nanos < 0 and remain + delta_nanos < 0:
            raise LedgerError(
                f"Only {format_usd(max(0, remain))} remain; {format_usd(-delta_nanos)} cannot be taken away."
            )
        if abs(delta_nanos) > MAX_NANOS or remain + delta_nanos > MAX_NANOS:
            raise LedgerError(f"A balance cannot be more than {format_usd(MAX_NANOS)}.")
        book(db, (account, id), delta_nanos, kind=kind, reason=reason, actor=actor, now=now)
        return remain + delta_nanos


def set_remain(
    db: sqlite3.Connection,
    account: AccountKind,
    id: int,
    nanos: int,
    *,
    reason: str,
    actor: str,
    now: float,
    kind: GrantKind = "set",
) -> None:
    """Leave exactly `nanos` (≥ 0) remaining, whatever was used before.

    Nothing to change still leaves a row: it was said.
    """
    if not 0 <= nanos <= MAX_NANOS:
        raise LedgerError(f"What remains must be between $0 and {format_usd(MAX_NANOS)}; {format_usd(nanos)} is not.")
    with transaction(db):
        delta = nanos - remain_of(db, account, id)
        book(db, (account, id), delta, kind=kind, reason=reason, actor=actor, now=now)


def remain_of(db: sqlite3.Connection, account: AccountKind, id: int) -> int:
    """granted − used, in nanos. Raises LedgerError for an account that is not there."""
    row = db.execute(f"SELECT granted - used FROM {TABLES[account]} WHERE id = ? AND removed IS NULL", (id,)).fetchone()  # noqa: S608 - names are ours
    if row is None:
        raise LedgerError(f"There is no {account} #{id}; `oneapi {account} list` shows those there are.")
    return int(row[0])


def book(
    db: sqlite3.Connection,
    key: AccountKey,
    delta: int,
    *,
    kind: GrantKind,
    reason: str,
    actor: str,
    now: float,
    request: int | None = None,
) -> None:
    """The row and the column, nothing tested. request: the row that a `reset` grant makes good for."""
    account, id = key
    db.execute(
        f"INSERT INTO grants ({account}_id, delta_nanos, kind, reason, actor, created, request)"  # noqa: S608 - names are ours
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (id, delta, kind, storable(reason), storable(actor), now, request),
    )
    db.execute(f"UPDATE {TABLES[account]} SET granted = granted + ?, updated = ? WHERE id = ?", (delta, now, id))  # noqa: S608 - names are ours
