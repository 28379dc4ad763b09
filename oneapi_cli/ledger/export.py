"""The ledger's requests as CSV: a row per request, for spreadsheets and for other programs.

Rows go out in pages by id, so memory stays flat and no snapshot stays open for long: what closes while the export runs
is written as it was when its page was read. A spreadsheet must not take a client's text for a formula: cells that
begin like one get an apostrophe before them.
"""

from __future__ import annotations

import csv
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TextIO

from ..values.money import format_usd
from .faults import LedgerError
from .retention import new_file
from .store import snapshot

PAGE = 1_000
# The wide ones are formulas to spreadsheets set to Japanese or Chinese (https://owasp.org/www-community/attacks/CSV_Injection,
# 2026-11).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

COLUMNS = (
    "request_id",
    "time",
    "state",
    "token",
    "user",
    "door",
    "model_asked",
    "model_sent",
    "channel",
    "stream",
    "status",
    "code",
    "input_tokens",
    "output_tokens",
    "hold_nanos",
    "cost_nanos",
    "cost_usd",
    "bounded",
    "closed",
    "reason",
)


def export_csv(
    db: sqlite3.Connection,
    target: TextIO | str | os.PathLike[str],
    since: float | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write every request made at or after `since`, oldest first, with a line of names before them.

    target: an open text file, or the name of a new one (0600, never written over). cost_nanos has the adjustments in
    it; times are UTC. progress: told the rows so far. Returns the rows. Raises LedgerError, LedgerUnavailable.
    """
    if not isinstance(target, str | os.PathLike):
        return _write(db, target, since, progress)
    with new_file(target) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        count = _write(db, file, since, progress)
    return count


def formula_safe(cell: object) -> object:
    """Text that a spreadsheet would run gets an apostrophe; everything else is left as it is."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _write(db: sqlite3.Connection, file: TextIO, since: float | None, progress: Callable[[int], None] | None) -> int:
    out = csv.writer(file)
    count = 0
    try:
        out.writerow(COLUMNS)
        for page in _pages(db, since):
            out.writerows([formula_safe(cell) for cell in row] for row in page)
            count += len(page)
            if progress is not None:
                progress(count)
    except OSError as error:
        raise LedgerError(f"The export cannot be written: {error.strerror}.") from error
    return count


def _pages(db: sqlite3.Connection, since: float | None) -> Iterator[list[tuple[object, ...]]]:
    start = 0.0 if since is None else since
    last = _before(db, start) if since is not None else 0
    while True:
        with snapshot(db):
            rows = db.execute(_PAGE, (last, start, PAGE)).fetchall()
        if not rows:
            return
        last = rows[-1][0]
        yield [_cells(row) for row in rows]


def _before(db: sqlite3.Connection, since: float) -> int:
    """An id below the first request since then; ids follow time but for clocks that were set back."""
    with snapshot(db):
        row = db.execute(
            "SELECT min(id) FROM requests WHERE token_id IN (SELECT id FROM tokens) AND created >= ?", (since,)
        ).fetchone()
    return 0 if row[0] is None else int(row[0]) - 1


_PAGE = """
SELECT r.id, r.request_id, r.created, r.state, t.name, u.name, r.door, r.model_asked, r.model_sent, r.channel, r.stream,
       r.status, r.code, r.input_tokens, r.output_tokens, r.hold_nanos, r.bounded, r.closed, r.reason,
       r.cost_nanos + (SELECT coalesce(sum(delta_nanos), 0) FROM adjustments WHERE request = r.id)
FROM requests r JOIN tokens t ON t.id = r.token_id JOIN users u ON u.id = r.user_id
WHERE r.id > ? AND r.created >= ? ORDER BY r.id LIMIT ?
"""


def _cells(row: tuple[object, ...]) -> tuple[object, ...]:
    """Columns of `_PAGE` in the order of COLUMNS."""
    _, request_id, created, *middle, hold, bounded, closed, reason, cost = row
    usd = format_usd(int(str(cost)), places=2).removeprefix("$").replace(",", "")
    return (request_id, _utc(created), *middle, hold, cost, usd, bounded, _utc(closed), reason)


def _utc(moment: object) -> str:
    if not isinstance(moment, float):
        return ""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
