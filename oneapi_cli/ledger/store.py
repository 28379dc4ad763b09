"""The ledger's file: opening it, and the one way to write to it.

The only module that opens the database. Invariant: whoever writes holds SQLite's write lock and got it in turn.
SQLite's own waiting is a lottery (a busy process that commits and begins again beats one that sleeps), so writers
queue for a lock file first and keep it only until BEGIN IMMEDIATE has succeeded: one waits for the database, the
others for the turn, and a process that has just committed goes to the back. Waits are bounded; the kernel frees the
locks of the dead.

Every connection is in autocommit mode; transactions are explicit, here.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from .faults import LedgerError, LedgerUnavailable
from .migrations import APPLICATION_ID, LATEST, migrate, version_of

__all__ = [
    "Connection",
    "LedgerError",
    "LedgerUnavailable",
    "Sync",
    "begin",
    "open_ledger",
    "snapshot",
    "transaction",
    "why",
]

Sync = Literal["full", "normal"]

WAIT_SECONDS = 10.0
BUSY_MILLISECONDS = 5_000
JOURNAL_BYTES = 64 * 1024 * 1024
CACHED_STATEMENTS = 256
_FIRST_NAP_SECONDS = 0.0001
_LONGEST_NAP_SECONDS = 0.002


class Connection(sqlite3.Connection):
    """A connection that knows its file and carries a descriptor of the turn lock. Close it as any other."""

    path: Path
    turn: int | None = None

    def close(self) -> None:
        turn, self.turn = self.turn, None
        if turn is not None:
            os.close(turn)
        super().close()


def open_ledger(
    path: str | os.PathLike[str],
    *,
    create: bool = False,
    sync: Sync = "full",
    read_only: bool = False,
    now: float | None = None,
) -> Connection:
    """A connection to the ledger at `path`, its tables up to date; with `create`, made (0600) if there is none.

    May be used from any one thread at a time. sync `full` reaches the disk with every commit; `normal` may lose the
    last moments at a power cut, never at a crash of the process. `now` stamps the first rows of a new ledger. Raises
    LedgerError: missing, not a ledger, from a newer version, not writable; LedgerUnavailable: locked for too long.
    """
    # Every name of one file must lead to the same lock files beside it.
    file = Path(path).resolve()
    if sqlite3.sqlite_version_info < (3, 37):
        raise LedgerError(
            f"SQLite {sqlite3.sqlite_version} is too old for the ledger; Python needs one of 3.37 or later."
        )
    if file.is_dir():
        raise LedgerError(f"{file} is a directory, not a ledger; name a file.")
    if not file.exists():
        if not create or read_only:
            raise LedgerError(f"There is no ledger at {file}; `oneapi init` makes one, or name another with --config.")
        _create_empty(file)
    try:
        db = _connect(file, read_only)
    except sqlite3.Error as error:
        raise LedgerError(f"The ledger {file} cannot be opened: {why(error)}.") from error
    try:
        _prepare(db, sync, read_only, time.time() if now is None else now)  # noqa: TID251 - stamps a new file
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[sqlite3.Connection]:
    """One write transaction, in turn; inside another one, a savepoint of it.

    Any exception rolls back. Raises LedgerUnavailable when the lock does not come or the commit fails: nothing was
    written.
    """
    if db.in_transaction:
        with _savepoint(db):
            yield db
        return
    begin(db, wait_seconds)
    try:
        yield db
        db.execute("COMMIT")
    except sqlite3.OperationalError as error:
        roll_back(db)
        raise LedgerUnavailable(f"The ledger cannot be written: {why(error)}.") from error
    except BaseException:
        roll_back(db)
        raise


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Several reads that see one moment. Keep it short: an open snapshot holds back checkpoints."""
    if db.in_transaction:
        yield db
        return
    try:
        db.execute("BEGIN")
        yield db
    except sqlite3.OperationalError as error:
        raise LedgerUnavailable(f"The ledger cannot be read: {why(error)}.") from error
    finally:
        roll_back(db)


def begin(db: sqlite3.Connection, wait_seconds: float = WAIT_SECONDS) -> None:
    """BEGIN IMMEDIATE, in turn. Raises LedgerUnavailable after `wait_seconds`, or when the file cannot be written."""
    deadline = time.monotonic() + wait_seconds
    turn = db.turn if isinstance(db, Connection) else None
    if turn is not None:
        _take_turn(turn, deadline)
    try:
        _begin_immediate(db, deadline)
    finally:
        if turn is not None:
            fcntl.flock(turn, fcntl.LOCK_UN)


def roll_back(db: sqlite3.Connection) -> None:
    """ROLLBACK if anything is open. SQLite may have done it already (full disk, I/O error)."""
    if db.in_transaction:
        db.execute("ROLLBACK")


@contextmanager
def _savepoint(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("SAVEPOINT inner")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK TO inner")
            db.execute("RELEASE inner")
        raise
    db.execute("RELEASE inner")


def _take_turn(turn: int, deadline: float) -> None:
    nap = _FIRST_NAP_SECONDS
    while True:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            nap = _nap(nap, deadline)


def _begin_immediate(db: sqlite3.Connection, deadline: float) -> None:
    # SQLite's own busy handler naps up to 100 ms at a time; whoever has the turn looks more often than that.
    db.execute("PRAGMA busy_timeout = 0")
    nap = _FIRST_NAP_SECONDS
    try:
        while True:
            try:
                db.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not _is_busy(error):
                    raise LedgerUnavailable(f"The ledger cannot be written: {why(error)}.") from error
                nap = _nap(nap, deadline)
    finally:
        db.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")


def _nap(seconds: float, deadline: float) -> float:
    if time.monotonic() >= deadline:
        raise LedgerUnavailable("The ledger is locked: another process has been writing to it for too long; try again.")
    time.sleep(seconds)
    return min(seconds * 2, _LONGEST_NAP_SECONDS)


def _create_empty(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise LedgerError(f"The ledger {file} cannot be made: {error.strerror}.") from error


def _connect(file: Path, read_only: bool) -> Connection:
    writable = not read_only and os.access(file, os.W_OK)
    if not read_only and not writable:
        raise LedgerError(f"The ledger {file} cannot be written by this user; mend its permissions or its owner.")
    db = sqlite3.connect(
        f"{file.as_uri()}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        timeout=BUSY_MILLISECONDS / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
        factory=Connection,
    )
    db.path = file
    if not read_only:
        try:
            db.turn = os.open(f"{file}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            db.close()
            raise LedgerError(f"The ledger's lock file {file}.lock cannot be opened: {error.strerror}.") from error
    return db


def _prepare(db: Connection, sync: Sync, read_only: bool, now: float) -> None:
    try:
        _check_identity(db, read_only)
        db.execute("PRAGMA foreign_keys = ON")
        if read_only:
            return
        db.execute(f"PRAGMA synchronous = {'FULL' if sync == 'full' else 'NORMAL'}")
        db.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
        if sys.platform == "darwin":
            db.execute("PRAGMA fullfsync = ON")
            db.execute("PRAGMA checkpoint_fullfsync = ON")
        if db.turn is not None and version_of(db) < LATEST:
            _bring_up_to_date(db, db.turn, now)
    except sqlite3.OperationalError as error:
        kind = LedgerUnavailable if _is_busy(error) else LedgerError
        raise kind(f"The ledger {db.path} cannot be opened: {why(error)}.") from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{db.path} is not a ledger: {why(error)}. Name another file with `ledger:`.") from error


def _check_identity(db: Connection, read_only: bool) -> None:
    """A file of ours, or an empty one that may become it."""
    # At one moment: another process may be writing the first tables between two of these reads.
    with snapshot(db):
        version = version_of(db)
        stamp = int(db.execute("PRAGMA application_id").fetchone()[0])
        empty = version == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if stamp != APPLICATION_ID and not empty:
        raise LedgerError(f"{db.path} is a SQLite file, but not a ledger; name another file with `ledger:`.")
    if version > LATEST:
        raise LedgerError(
            f"The ledger {db.path} was written by a newer oneapi (format {version}; this one knows"
            f" {LATEST}); upgrade oneapi."
        )
    if read_only and version < LATEST:
        raise LedgerError(
            f"The ledger {db.path} is of an older format; start `oneapi serve` or edit a token once to upgrade it."
        )


def _bring_up_to_date(db: Connection, turn: int, now: float) -> None:
    """Tables and journal mode, once, whoever comes first: the others wait for the turn and find it done."""
    _take_turn(turn, time.monotonic() + WAIT_SECONDS)
    try:
        if version_of(db) < LATEST:
            db.execute("PRAGMA journal_mode = WAL")
            _begin_immediate(db, time.monotonic() + WAIT_SECONDS)
            try:
                migrate(db, now)
                db.execute("COMMIT")
            except BaseException:
                roll_back(db)
                raise
    finally:
        fcntl.flock(turn, fcntl.LOCK_UN)


def _is_busy(error: sqlite3.OperationalError) -> bool:
    # The low byte is the primary code; extended ones (BUSY_RECOVERY, BUSY_SNAPSHOT) carry more above it.
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


_REASONS = {
    sqlite3.SQLITE_BUSY: "another process is writing to it",
    sqlite3.SQLITE_LOCKED: "another connection is writing to it",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the file or its directory is read-only",
    sqlite3.SQLITE_CANTOPEN: "the file or its directory cannot be opened",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite file",
    sqlite3.SQLITE_PERM: "permission denied",
}


def why(error: Exception) -> str:
    """Our words for SQLite's code: its own text may quote SQL."""
    code = getattr(error, "sqlite_errorcode", None)
    return _REASONS.get((code or 0) & 0xFF, f"SQLite error {code}" if code else "an SQLite error")
