"""What the dead left open: holds of processes that are gone, and charges without evidence.

A request that was open when its process died had been sent, as far as anybody can know. By default it is charged at
its hold (`keep`); the policy `input` charges its input bound, `release` nothing. Whatever is charged so is an
*orphan* until somebody resolves it by an adjustment that names it: released by hand, or settled with what the
vendor's own page says.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Literal

from msgspec import Struct

from ..values.holds import BillLine, Closing
from ..values.money import PICOS_PER_NANO, format_usd
from ..values.usage import Usage
from .closing import adjust, close
from .faults import LedgerError
from .owners import Ownership, dead_owners, file_of, mark_ended
from .store import snapshot, transaction

AfterCrash = Literal["keep", "input", "release"]

_REASONS = {
    "keep": "its process died before it was settled; charged at its hold",
    "input": "its process died before it was settled; charged at its input bound",
    "release": "its process died before it was settled; released",
}
BY_HAND = "released by hand"
SETTLED_BY_HAND = "settled by hand"
# A request whose process died has no answer, so no status of its own: what its client saw at best.
DIED_STATUS = 502


class Recovered(Struct, frozen=True):
    """How many holds of dead processes a start resolved, what they held together, and what was charged for them."""

    count: int = 0
    nanos: int = 0
    charged_nanos: int = 0


class Orphan(Struct, frozen=True, kw_only=True):
    """A request charged (`kept`) or still held without evidence.

    nanos: what it costs or holds now; fixed_nanos: its input bound.
    """

    request_id: str
    state: Literal["held", "kept"]
    token: str
    user: str
    model: str
    channel: str
    created: float
    nanos: int
    fixed_nanos: int
    reason: str


def recover(db: sqlite3.Connection, ledger: Path, own: Ownership, policy: AfterCrash, now: float) -> Recovered:
    """Register this process and resolve what dead ones left open: one transaction, so that two starts at once agree."""
    with transaction(db):
        own.register(db, now)
        dead = dead_owners(db, ledger)
        total = Recovered()
        for id, _ in dead:
            total = _resolve(db, id, policy, total, now)
            mark_ended(db, id, now)
    for _, name in dead:
        file_of(ledger, name).unlink(missing_ok=True)
    return total


def orphans(db: sqlite3.Connection) -> list[Orphan]:
    """Kept rows that no adjustment has resolved, and open holds of dead processes; oldest first."""
    with snapshot(db):
        dead = {id for id, _ in dead_owners(db, ledger_of(db))}
        rows = db.execute(_ORPHANS).fetchall()
    return [
        Orphan(
            request_id=request_id,
            state=state,
            token=token,
            user=user,
            model=model,
            channel=channel,
            created=created,
            nanos=hold if state == "held" else cost,
            fixed_nanos=fixed,
            reason=reason or "its process is gone",
        )
        for owner, request_id, state, token, user, model, channel, created, hold, cost, fixed, reason in rows
        if state == "kept" or owner in dead
    ]


def release_orphan(db: sqlite3.Connection, request_id: str, *, now: float, actor: str = "cli") -> int:
    """Charge nothing for an orphan after all. Returns the nanos given back. Raises LedgerError if it is none."""
    with transaction(db):
        orphan = _find(db, request_id)
        _release(db, orphan, actor, now)
        return orphan.nanos


def release_all(db: sqlite3.Connection, *, now: float, actor: str = "cli") -> tuple[int, int]:
    """Release every orphan at once: (how many, nanos given back)."""
    with transaction(db):
        found = orphans(db)
        for orphan in found:
            _release(db, orphan, actor, now)
        return len(found), sum(orphan.nanos for orphan in found)


def settle_orphan(
    db: sqlite3.Connection, request_id: str, cost_nanos: int, usage: Usage | None, *, now: float, actor: str = "cli"
) -> int:
    """Charge what an orphan really cost.

    Returns the change in nanos against what was charged or held. Raises LedgerError if it is none.
    """
    if cost_nanos < 0:
        raise LedgerError(f"A request cannot cost {format_usd(cost_nanos)}.")
    with transaction(db):
        orphan = _find(db, request_id)
        if orphan.state == "held":
            line = _line("request", cost_nanos, SETTLED_BY_HAND)
            closing = Closing(
                state="settled",
                cost_nanos=cost_nanos,
                status=DIED_STATUS,
                usage=usage,
                lines=line,
                reason=SETTLED_BY_HAND,
            )
            close(db, request_id, closing, now)
        else:
            adjust(db, request_id, cost_nanos - orphan.nanos, reason=SETTLED_BY_HAND, actor=actor, now=now, usage=usage)
        return cost_nanos - orphan.nanos


def ledger_of(db: sqlite3.Connection) -> Path:
    """The file behind a connection."""
    return Path(os.fsdecode(db.execute("PRAGMA database_list").fetchone()[2]))


_ORPHANS = """
SELECT r.owner_id, r.request_id, r.state, t.name, u.name, CASE r.model_sent WHEN '' THEN r.model_asked ELSE
r.model_sent END,
       r.channel, r.created, r.hold_nanos, r.cost_nanos, r.fixed_nanos, r.reason
FROM requests r JOIN tokens t ON t.id = r.token_id JOIN users u ON u.id = r.user_id
WHERE r.id IN (SELECT id FROM requests WHERE state = 'held' AND owner_id IS NOT NULL
               UNION ALL SELECT id FROM requests WHERE state = 'kept')
  AND NOT EXISTS (SELECT 1 FROM adjustments a WHERE a.request = r.id AND r.state = 'kept')
ORDER BY r.id
"""


def _find(db: sqlite3.Connection, request_id: str) -> Orphan:
    for orphan in orphans(db):
        if orphan.request_id == request_id:
            return orphan
    row = db.execute("SELECT state FROM requests WHERE request_id = ?", (request_id,)).fetchone()
    if row is None:
        raise LedgerError(
            f"There is no request {request_id}; `oneapi ledger orphans` lists what is open without evidence."
        )
    if row[0] == "held":
        raise LedgerError(f"Request {request_id} is still running; it settles by itself.")
    if row[0] == "kept":
        raise LedgerError(f"Request {request_id} has been resolved already; `oneapi cost {request_id}` shows how.")
    raise LedgerError(f"Request {request_id} is {row[0]}; there is nothing to resolve.")


def _release(db: sqlite3.Connection, orphan: Orphan, actor: str, now: float) -> None:
    if orphan.state == "held":
        closing = Closing(state="released", cost_nanos=0, status=DIED_STATUS, reason=BY_HAND)
        close(db, orphan.request_id, closing, now)
    else:
        adjust(db, orphan.request_id, -orphan.nanos, reason=BY_HAND, actor=actor, now=now)


def _resolve(db: sqlite3.Connection, owner: int, policy: AfterCrash, total: Recovered, now: float) -> Recovered:
    rows = db.execute(
        "SELECT request_id, hold_nanos, fixed_nanos FROM requests WHERE state = 'held' AND owner_id = ?", (owner,)
    ).fetchall()
    for request_id, hold, fixed in rows:
        cost = {"keep": hold, "input": min(fixed, hold), "release": 0}[policy]
        closing = Closing(
            state="released" if policy == "release" else "kept",
            cost_nanos=cost,
            status=DIED_STATUS,
            lines=_line("hold" if policy == "keep" else "input_bound", cost, _REASONS[policy]),
            reason=_REASONS[policy],
        )
        close(db, request_id, closing, now)
        total = Recovered(total.count + 1, total.nanos + hold, total.charged_nanos + cost)
    return total


def _line(unit: str, nanos: int, rule: str) -> tuple[BillLine, ...]:
    """A bill of one line, for money that no rate explains."""
    if nanos == 0:
        return ()
    return (BillLine(unit=unit, amount="1", rate_nanos=nanos, per=1, rule=rule, picos=nanos * PICOS_PER_NANO),)
