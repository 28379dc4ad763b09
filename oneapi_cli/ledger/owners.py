"""Which process a hold belongs to, and whether that process lives.

Every process that opens holds keeps an flock on a file of its own beside the ledger, and a row that names the file.
The kernel drops the lock when the process dies, however it dies, so nothing depends on heartbeats or on process ids
that are used again. Whether somebody lives is asked with a shared lock, so that two who ask at once do not take each
other for the owner.

A lock is inherited over fork: open the ledger after forking, never before.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from pathlib import Path

from .faults import LedgerError


class Ownership:
    """This process's own lock. Invariant: `id` is a row of `owners` whose lock is held until `release` or death."""

    def __init__(self, ledger: Path, name: str, lock: int) -> None:
        self.name = name
        self.id = 0
        self._ledger = ledger
        self._lock: int | None = lock

    def register(self, db: sqlite3.Connection, now: float) -> None:
        """Make the row, inside the caller's transaction. The lock is held already: nobody sees a row without one."""
        made = db.execute("INSERT INTO owners (name, pid, started) VALUES (?, ?, ?)", (self.name, os.getpid(), now))
        self.id = int(made.lastrowid or 0)

    def release(self, *, unlink: bool) -> None:
        """Drop the lock; with `unlink` the file too, which is right once no hold is left in its name."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        if unlink:
            file_of(self._ledger, self.name).unlink(missing_ok=True)
        os.close(lock)


def take_ownership(ledger: Path) -> Ownership:
    """A new lock file beside the ledger, held. Raises LedgerError where the directory cannot be written."""
    name = secrets.token_hex(8)
    try:
        lock = os.open(file_of(ledger, name), os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerError(f"No lock file can be made beside the ledger {ledger}: {error.strerror}.") from error
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return Ownership(ledger, name, lock)


def dead_owners(db: sqlite3.Connection, ledger: Path) -> list[tuple[int, str]]:
    """(id, name) of every owner whose process is gone and whose holds nobody has resolved yet."""
    rows = db.execute("SELECT id, name FROM owners WHERE ended IS NULL ORDER BY id").fetchall()
    return [(id, name) for id, name in rows if not is_alive(ledger, name)]


def is_alive(ledger: Path, name: str) -> bool:
    """Whether a living process holds the lock of this name. A missing file is a process that left in order."""
    try:
        probe = os.open(file_of(ledger, name), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LedgerError(f"The lock file {file_of(ledger, name)} cannot be read: {error.strerror}.") from error
    try:
        fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(probe)
    return False


def mark_ended(db: sqlite3.Connection, id: int, now: float) -> None:
    """Inside the caller's transaction: nothing is open in this owner's name any more."""
    db.execute("UPDATE owners SET ended = ? WHERE id = ? AND ended IS NULL", (now, id))


def file_of(ledger: Path, name: str) -> Path:
    """The lock file of an owner, beside the ledger."""
    return ledger.with_name(f"{ledger.name}.owner-{name}")
