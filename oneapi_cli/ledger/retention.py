"""Old rows folded away, and copies of the whole file.

`prune` takes requests that closed before a moment, and grants made before it, into one `carried` row per account: what
was granted and used stays exactly what it was, only its explanation goes. It works in batches of a few milliseconds,
each a transaction of its own that leaves the ledger balanced, so a server goes on beside it and an interruption loses
nothing. Never folded: open holds; charges without evidence that nobody has resolved (`kept`, no adjustment); what the
rates of the last minute still count; the newest row, so that SQLite gives no row's number to another one.

The file does not shrink: SQLite uses the freed pages for what comes next, and giving them back page by page would cost
every writer more than the disk is worth. A backup is a copy by SQLite's own online backup, of one moment, while others
write.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from .faults import LedgerError, LedgerUnavailable
from .limits import WINDOW_SECONDS
from .rows import AccountKind
from .store import open_ledger, snapshot, transaction, why

BATCH = 500
"""Rows in one transaction: about 10 ms, which is what a hold behind it waits."""
BACKUP_PAGES = 2_048


class Pruned(Struct, frozen=True):
    """What was folded. nanos: what those requests had cost together; more: there may be more of them."""

    requests: int = 0
    grants: int = 0
    nanos: int = 0
    more: bool = False

    def plus(self, other: Pruned) -> Pruned:
        return Pruned(self.requests + other.requests, self.grants + other.grants, self.nanos + other.nanos, other.more)


def prune(
    db: sqlite3.Connection, older_than: float, now: float, *, progress: Callable[[Pruned], None] | None = None
) -> Pruned:
    """Fold everything older than a moment, batch by batch. progress: told the sum so far. Raises LedgerError."""
    total = Pruned(more=True)
    while total.more:
        total = total.plus(prune_batch(db, older_than, now))
        if progress is not None:
            progress(total)
    return total


def prune_batch(db: sqlite3.Connection, older_than: float, now: float) -> Pruned:
    """Fold at most BATCH requests and as many grants, in one transaction."""
    before = min(older_than, now - WINDOW_SECONDS)
    with transaction(db):
        requests = [id for (id,) in db.execute(_OLD_REQUESTS, (before, before, BATCH))]
        grants = [id for (id,) in db.execute(_OLD_GRANTS, (before, BATCH))]
        nanos = _carry(db, "token", requests, grants, before)
        _carry(db, "user", requests, grants, before)
        these = marks(requests)
        db.execute(f"DELETE FROM grants WHERE id IN ({marks(grants)})", grants)  # noqa: S608 - question marks
        db.execute(f"DELETE FROM grants WHERE request IN ({these})", requests)  # noqa: S608 - question marks
        db.execute(f"DELETE FROM requests WHERE id IN ({these})", requests)  # noqa: S608 - question marks
    return Pruned(len(requests), len(grants), nanos, more=BATCH in (len(requests), len(grants)))


# The index of one token's requests by time serves for all of them: tokens are few.
_OLD_REQUESTS = """
SELECT id FROM requests WHERE token_id IN (SELECT id FROM tokens) AND created < ? AND closed < ?
  AND id < (SELECT max(id) FROM requests)
  AND (state IN ('settled', 'released', 'refused')
       OR state = 'kept' AND EXISTS (SELECT 1 FROM adjustments WHERE request = requests.id))
LIMIT ?
"""
_OLD_GRANTS = "SELECT id FROM grants WHERE request IS NULL AND created < ? LIMIT ?"


def _carry(db: sqlite3.Connection, kind: AccountKind, requests: list[int], grants: list[int], through: float) -> int:
    """Add what goes to the account's carried row. Returns what those requests had cost together."""
    these, those, account = marks(requests), marks(grants), f"{kind}_id"
    sums: dict[int, list[int]] = {}
    queries = (
        (0, f"SELECT {account}, sum(delta_nanos), 0 FROM grants WHERE id IN ({those}) GROUP BY 1", grants),  # noqa: S608
        (0, f"SELECT {account}, sum(delta_nanos), 0 FROM grants WHERE request IN ({these}) GROUP BY 1", requests),  # noqa: S608
        (1, f"SELECT {account}, sum(cost_nanos), count(*) FROM requests WHERE id IN ({these}) GROUP BY 1", requests),  # noqa: S608
        (
            1,
            f"SELECT r.{account}, sum(a.delta_nanos), 0 FROM adjustments a JOIN requests r ON r.id = a.request"  # noqa: S608
            f" WHERE a.request IN ({these}) GROUP BY 1",
            requests,
        ),
    )
    for place, sql, ids in queries:
        for id, nanos, count in db.execute(sql, ids):
            if id is not None:  # a grant belongs to a token or to a user
                entry = sums.setdefault(id, [0, 0, 0])
                entry[place] += nanos
                entry[2] += count
    for id, (granted, used, count) in sums.items():
        db.execute(
            f"INSERT INTO carried ({account}, granted, used, requests, through) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
            f" ON CONFLICT ({account}) WHERE {account} IS NOT NULL DO UPDATE SET granted = granted + excluded.granted,"
            " used = used + excluded.used, requests = requests + excluded.requests,"
            " through = max(through, excluded.through)",
            (id, granted, used, count, through),
        )
    return sum(used for _, used, _ in sums.values())


def marks(values: list[int]) -> str:
    """As many question marks as there are values."""
    return ", ".join("?" * len(values))


# --- copies ---------------------------------------------------------------------------------------------------------


def backup(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Copy the ledger at `path`, as it is at one moment, to the new file `target` (0600). Returns its bytes.

    progress: told (pages done, pages in all). Raises LedgerError: no such ledger, the target exists or cannot be
    written; LedgerUnavailable: the ledger is locked for too long.
    """
    source = open_ledger(path, read_only=True)
    try:
        with new_file(target) as partial:
            copy = sqlite3.connect(partial, isolation_level=None)
            try:
                # The snapshot keeps the copy from starting over whenever somebody writes.
                with snapshot(source):
                    source.execute("SELECT 1 FROM users").fetchone()
                    _copy(source, copy, Path(target), _told(progress))
            finally:
                copy.close()
            size = partial.stat().st_size
    finally:
        source.close()
    return size


def _copy(
    source: sqlite3.Connection,
    copy: sqlite3.Connection,
    target: Path,
    progress: Callable[[int, int, int], None] | None,
) -> None:
    try:
        source.backup(copy, pages=BACKUP_PAGES, progress=progress, sleep=0)
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"The ledger cannot be copied to {target}: {why(error)}.") from error


@contextmanager
def new_file(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A file (0600) to be filled under another name; it takes the name `target` whole, and only if that is free.

    Raises LedgerError where it exists or cannot be made. Nothing is left when the block raises.
    """
    file = Path(target).absolute()
    if os.path.lexists(file):
        raise _exists(file)
    partial = file.with_name(f".{file.name[:200]}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            yield partial
            _into_place(partial, file)
        finally:
            partial.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _exists(file) from error
    except OSError as error:
        raise LedgerError(f"The file {file} cannot be written: {error.strerror}.") from error


def _into_place(partial: Path, file: Path) -> None:
    _sync(partial)
    try:
        # A link, unlike a rename, does not replace what somebody has put there meanwhile.
        os.link(partial, file)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links.
        if file.exists():
            raise FileExistsError from None
        partial.rename(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exists(file: Path) -> LedgerError:
    return LedgerError(f"{file} exists already and is never written over; name a new file.")


def _told(progress: Callable[[int, int], None] | None) -> Callable[[int, int, int], None] | None:
    if progress is None:
        return None
    return lambda status, remaining, total: progress(total - remaining, total)
