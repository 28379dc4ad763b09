"""What time alone changes in a ledger: budgets roll over, external holds expire.

`touch` brings both up to the present. Whoever is about to show or edit a balance calls it first, and a server once a
minute; admission and external consumption do what concerns them by themselves. What expired belongs to the period that
ends, so it is confirmed before the rollover.
"""

from __future__ import annotations

import sqlite3
from datetime import tzinfo

from msgspec import Struct

from .external import due_externals, expire_due
from .resets import in_need, renew_all
from .store import Connection, snapshot, transaction


class Touched(Struct, frozen=True):
    """resets: budgets that rolled over; confirmed: external holds whose time was over."""

    resets: int = 0
    confirmed: int = 0


def touch(db: sqlite3.Connection, zone: tzinfo, now: float) -> Touched:
    """Roll over every due budget and confirm every expired external hold; a few reads where nothing is due.

    On a connection that may only read it does nothing: what is shown is then as of the last touch. Raises
    LedgerUnavailable.
    """
    if isinstance(db, Connection) and db.turn is None:
        return Touched()
    with snapshot(db):
        if not in_need(db, now) and not due_externals(db, now):
            return Touched()
    with transaction(db):
        confirmed = expire_due(db, now)
        return Touched(resets=renew_all(db, now, zone), confirmed=confirmed)
