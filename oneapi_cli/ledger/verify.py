"""Does the ledger balance? Everything that can be derived is derived again from the rows and compared, in one
snapshot.

Per account: granted, used, held, what of it is past, and open holds. Per request: a legal state, lines that sum to the
cost, extensions within the hold, and what was given back because it belongs to an earlier period. For the file:
SQLite's own check and every foreign key. An empty list is the proof; a difference is
never mended here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from ..values.money import PICOS_PER_NANO
from .rows import TABLES, AccountKind, lines_of
from .store import snapshot, why

MOST_SHOWN = 1_000
"""Differences reported at most: a broken file would otherwise list every row."""


class Difference(Struct, frozen=True, kw_only=True):
    """One thing that does not agree:

    what it is about ("token laptop (#3)"), which figure, and the two values as text.
    """

    subject: str
    figure: str
    recorded: str
    derived: str

    @property
    def sentence(self) -> str:
        return f"{self.subject}: {self.figure} is {self.recorded}, its rows say {self.derived}"


def verify(db: sqlite3.Connection) -> list[Difference]:
    """Every difference between what the ledger says and what its rows prove, MOST_SHOWN at most; [] if it balances."""
    with snapshot(db):
        found: list[Difference] = []
        for check in (_file, _tokens, _users, _states, _lines, _extensions, _given_back, _externals):
            try:
                for difference in check(db):
                    found.append(difference)
                    if len(found) >= MOST_SHOWN:
                        return found
            except sqlite3.DatabaseError as error:
                # Damage that even reading stumbles over is a finding, not a crash.
                found.append(Difference(subject="the file", figure="its content", recorded=why(error), derived="whole"))
    return found


def _file(db: sqlite3.Connection) -> Iterator[Difference]:
    for (text,) in db.execute("PRAGMA quick_check"):
        if text != "ok":
            yield Difference(subject="the file", figure="SQLite's quick_check", recorded=str(text), derived="ok")
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield Difference(subject=f"{table} row {row}", figure="its parent", recorded=f"in {parent}", derived="missing")


def _tokens(db: sqlite3.Connection) -> Iterator[Difference]:
    return _accounts(db, "token")


def _users(db: sqlite3.Connection) -> Iterator[Difference]:
    return _accounts(db, "user")


def _accounts(db: sqlite3.Connection, kind: AccountKind) -> Iterator[Difference]:
    """Balances against rows. Sums are per account and grouped, so that a large ledger is walked once."""
    sums: dict[str, dict[int, int]] = {
        name: dict(db.execute(sql.format(account=f"{kind}_id"))) for name, sql in _SUMS.items()
    }
    past = dict(db.execute(f"SELECT {kind}_id, sum({kind}_past) FROM requests WHERE state = 'held' GROUP BY 1"))  # noqa: S608 - names are ours
    rows = db.execute(f"SELECT id, name, granted, used, held, held_past, open_holds FROM {TABLES[kind]} ORDER BY id")  # noqa: S608 - names are ours
    for id, name, granted, used, held, held_past, open_holds in rows:
        figures = (
            ("granted", granted, sums["granted"].get(id, 0) + sums["carried_granted"].get(id, 0)),
            ("used", used, sum(sums[part].get(id, 0) for part in ("costs", "adjusted", "carried_used"))),
            ("held", held, sums["held"].get(id, 0)),
            ("held of earlier periods", held_past, past.get(id, 0)),
            ("open holds", open_holds, sums["open"].get(id, 0)),
        )
        for figure, recorded, derived in figures:
            if recorded != derived:
                yield Difference(
                    subject=f"{kind} {name} (#{id})", figure=figure, recorded=str(recorded), derived=str(derived)
                )


# `account` is token_id or user_id.
_SUMS = {
    "granted": "SELECT {account}, sum(delta_nanos) FROM grants WHERE {account} IS NOT NULL GROUP BY 1",
    "carried_granted": "SELECT {account}, sum(granted) FROM carried WHERE {account} IS NOT NULL GROUP BY 1",
    "carried_used": "SELECT {account}, sum(used) FROM carried WHERE {account} IS NOT NULL GROUP BY 1",
    "costs": "SELECT {account}, sum(cost_nanos) FROM requests GROUP BY 1",
    "adjusted": "SELECT r.{account}, sum(a.delta_nanos) FROM adjustments a JOIN requests r ON r.id = a.request"
    " GROUP BY 1",
    "held": "SELECT {account}, sum(hold_nanos) FROM requests WHERE state = 'held' GROUP BY 1",
    "open": "SELECT {account}, count(*) FROM requests WHERE state = 'held' AND owner_id IS NOT NULL GROUP BY 1",
}


def _states(db: sqlite3.Connection) -> Iterator[Difference]:
    """What the table's own CHECKs and triggers forbid, looked for again: a file may have been edited without them."""
    for request_id, state, problem in db.execute(_ILLEGAL):
        yield Difference(subject=f"request {request_id}", figure="state", recorded=state, derived=problem)


_ILLEGAL = """
SELECT request_id, state, CASE
  WHEN state NOT IN ('held', 'settled', 'released', 'kept', 'refused') THEN 'no such state'
  WHEN (state = 'held') <> (closed IS NULL) THEN 'open without being held, or held without being open'
  WHEN state IN ('held', 'released', 'refused') AND cost_nanos <> 0 THEN 'a cost, which this state cannot have'
  WHEN state = 'refused' AND (hold_nanos <> 0 OR admitted IS NOT NULL) THEN 'a hold, which this state cannot have'
  WHEN cost_nanos < 0 OR hold_nanos < 0 THEN 'an amount below 0'
  WHEN token_past NOT BETWEEN 0 AND hold_nanos OR user_past NOT BETWEEN 0 AND hold_nanos
  THEN 'more held in an earlier period than at all'
  WHEN EXISTS (SELECT 1 FROM adjustments a WHERE a.request = requests.id) THEN
    CASE WHEN state IN ('held', 'refused') THEN 'an adjustment, which this state cannot have'
         WHEN cost_nanos + (SELECT sum(delta_nanos) FROM adjustments a WHERE a.request = requests.id) < 0
         THEN 'adjusted to less than 0' END
  END AS problem FROM requests WHERE problem IS NOT NULL
"""


def _lines(db: sqlite3.Connection) -> Iterator[Difference]:
    """sum(lines) == cost × 1000 picos. Summed here and not by SQLite: picos of a large bill go beyond 64 bits."""
    for request_id, cost, text in db.execute(
        "SELECT request_id, cost_nanos, lines FROM requests WHERE cost_nanos <> 0 OR lines <> '[]'"
    ):
        try:
            picos = sum(line.picos for line in lines_of(text))
        except msgspec.DecodeError:
            yield Difference(subject=f"request {request_id}", figure="its bill", recorded="unreadable", derived="lines")
            continue
        if picos != cost * PICOS_PER_NANO:
            yield Difference(
                subject=f"request {request_id}",
                figure="cost in picos",
                recorded=str(cost * PICOS_PER_NANO),
                derived=str(picos),
            )


def _extensions(db: sqlite3.Connection) -> Iterator[Difference]:
    rows = db.execute(
        "SELECT r.request_id, r.hold_nanos, sum(e.nanos) AS more FROM extensions e JOIN requests r ON r.id = e.request"
        " GROUP BY e.request HAVING more > r.hold_nanos"
    )
    for request_id, hold, more in rows:
        yield Difference(subject=f"request {request_id}", figure="hold", recorded=str(hold), derived=f"at least {more}")


def _given_back(db: sqlite3.Connection) -> Iterator[Difference]:
    """What an earlier period paid for is given back to the present one, to the nano-dollar and to the right account."""
    given = {(id, account): nanos for id, account, nanos in db.execute(_GIVEN)}
    owed = {(id, account): nanos for id, account, nanos in db.execute(_OWED)}
    for id, account in sorted(given.keys() | owed.keys()):
        recorded, derived = given.get((id, account), 0), owed.get((id, account), 0)
        if recorded != derived:
            name = db.execute("SELECT request_id FROM requests WHERE id = ?", (id,)).fetchone()
            yield Difference(
                subject=f"request {name[0] if name else f'#{id}'}",
                figure=f"given back to {account}",
                recorded=str(recorded),
                derived=str(derived),
            )


_GIVEN = """
SELECT request, CASE WHEN token_id IS NULL THEN 'user #' || user_id ELSE 'token #' || token_id END, sum(delta_nanos)
FROM grants WHERE request IS NOT NULL GROUP BY 1, 2
"""
_OWED = """
SELECT id, account, sum(nanos) FROM (
  SELECT id, 'token #' || token_id AS account, min(cost_nanos, token_past) AS nanos FROM requests WHERE token_past > 0
  UNION ALL SELECT id, 'user #' || user_id, min(cost_nanos, user_past) FROM requests WHERE user_past > 0
  UNION ALL SELECT r.id, 'token #' || r.token_id, a.token_past FROM adjustments a JOIN requests r ON r.id = a.request
  UNION ALL SELECT r.id, 'user #' || r.user_id, a.user_past FROM adjustments a JOIN requests r ON r.id = a.request
) GROUP BY 1, 2 HAVING sum(nanos) <> 0
"""


def _externals(db: sqlite3.Connection) -> Iterator[Difference]:
    """A transaction of a program outside is a hold of nobody's, by the token that asked, closed as its state says."""
    rows = db.execute(
        "SELECT e.transaction_id, r.state, r.owner_id IS NOT NULL, e.token_id <> r.token_id, e.auto_confirmed"
        " FROM externals e JOIN requests r ON r.id = e.request"
        " WHERE r.state NOT IN ('held', 'settled', 'released') OR r.owner_id IS NOT NULL OR e.token_id <> r.token_id"
        " OR (e.auto_confirmed = 1 AND r.state <> 'settled')"
    )
    for transaction_id, state, owned, foreign, auto in rows:
        found = "a hold of a process" if owned else "another token's" if foreign else f"{state}, confirmed {auto}"
        yield Difference(
            subject=f"transaction {transaction_id}", figure="its request", recorded=found, derived="one of its own"
        )
