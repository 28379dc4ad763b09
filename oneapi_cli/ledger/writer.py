"""The one thread of a process that writes: it drains a queue of jobs into one transaction, so that a commit is
shared.

A job is a function over the connection. Each runs in a savepoint: one that fails is undone alone. If the transaction
cannot begin or commit, every job in it failed with LedgerUnavailable, whatever it returned. Invariant: a result is
handed out after its commit.

The writer knows no event loop: `deliver` is called in its thread, once per batch, with the finished jobs. When
nothing is to do it sleeps in the queue. Checkpoints, which copy megabytes, happen in a second thread on a connection
of their own.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from .faults import LedgerUnavailable
from .store import Connection, begin, roll_back, why

T = TypeVar("T")
log = logging.getLogger(__name__)

BATCH = 256
"""Jobs in one transaction at most: 256 pairs take about 5 ms, which is what a close behind them waits."""

LOCK_SECONDS = 5.0
"""How long a batch waits for another process: behind it stand replies whose settlements then become `pending`."""

CHECKPOINT_PAGES = 1_000
TRUNCATE_PAGES = 16_384
_PAGES_PER_COMMIT = 6


class Job(Generic[T]):
    """Work for the writer. `dropped`, set by whoever asked, skips a job that has not run; `ran` says whether it was
    committed.

    After delivery exactly one of these holds: `error` is set, `ran` is true and `outcome` is what the work returned,
    or it was dropped.
    """

    __slots__ = ("done", "dropped", "error", "outcome", "ran", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], T], done: Callable[[Job[T]], None]) -> None:
        self.work = work
        self.done = done
        self.dropped = False
        self.ran = False
        self.outcome: T | None = None
        self.error: Exception | None = None

    def result(self) -> T:
        """What the work returned; raises what it raised. Only for a job that was delivered and not dropped."""
        if self.error is not None:
            raise self.error
        return self.outcome  # type: ignore[return-value]  # T may itself be None

    def fail(self, error: Exception) -> None:
        self.ran, self.outcome, self.error = False, None, error


Jobs = list["Job[Any]"]


class Writer:
    """Owns `db` from `start` to `stop`. `deliver` must not raise and must be safe to call from a foreign thread."""

    def __init__(
        self, db: Connection, deliver: Callable[[Jobs], None], *, checkpoints: Checkpoints | None = None
    ) -> None:
        self._db = db
        self._deliver = deliver
        self._checkpoints = checkpoints
        if checkpoints is not None:
            db.execute("PRAGMA wal_autocheckpoint = 0")
        self._queue: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._lock = threading.Lock()
        self._stopping = False
        self.wait_seconds = LOCK_SECONDS
        self.commits = 0

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job[Any]) -> None:
        """Queue a job. Raises LedgerUnavailable once the writer is stopping: nobody would run it."""
        with self._lock:
            if self._stopping:
                raise LedgerUnavailable("The ledger is closing; try again when the server is up.")
            self._queue.put(job)

    def stop(self) -> None:
        """Run what is queued, deliver it, end the thread. Blocks until then; a second call does nothing more."""
        with self._lock:
            first, self._stopping = not self._stopping, True
            if first:
                self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            batch, last = self._take()
            if batch:
                self._commit(batch)
                self._deliver(batch)

    def _take(self) -> tuple[list[Job[Any]], bool]:
        """The next jobs, at least one; and whether the end of the queue was reached."""
        batch: list[Job[Any]] = []
        job = self._queue.get()
        while job is not None:
            batch.append(job)
            if len(batch) >= BATCH:
                return batch, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[Job[Any]]) -> None:
        todo = [job for job in batch if not job.dropped]
        if not todo:
            return
        try:
            begin(self._db, self.wait_seconds)
            for job in todo:
                self._run_one(job)
            self._db.execute("COMMIT")
            self.commits += 1
        except (sqlite3.Error, LedgerUnavailable) as error:
            self._undo(batch, error)
        else:
            if self._checkpoints is not None:
                self._checkpoints.wrote(_PAGES_PER_COMMIT + len(todo) // 2)

    def _run_one(self, job: Job[Any]) -> None:
        """One job in its savepoint. Raises sqlite3.Error only when the whole transaction is gone."""
        if job.dropped:
            return
        db = self._db
        db.execute("SAVEPOINT job")
        try:
            job.outcome = job.work(db)
            job.ran = True
        except Exception as error:
            if not db.in_transaction:  # a full disk or an I/O error takes the whole transaction with it
                job.fail(error)
                raise LedgerUnavailable(f"The ledger cannot be written: {why(error)}.") from error
            db.execute("ROLLBACK TO job")
            job.fail(_public(error))
        db.execute("RELEASE job")

    def _undo(self, batch: list[Job[Any]], error: Exception) -> None:
        sentence = (
            error.sentence if isinstance(error, LedgerUnavailable) else f"The ledger cannot be written: {why(error)}."
        )
        try:
            roll_back(self._db)
        except sqlite3.Error as worse:
            log.error("the ledger's transaction cannot be rolled back: %s", why(worse))
        for job in batch:
            # Refused by its own work before the transaction failed: that answer stands, it wrote nothing.
            if not job.dropped and (job.error is None or isinstance(job.error, sqlite3.Error)):
                job.fail(LedgerUnavailable(sentence))


class Checkpoints:
    """Copies the write-ahead log back into the file, away from the commit path.

    Passive as a rule, which disturbs nobody. Under a load that never pauses the log is never used up to its end and
    so never starts over: beyond 64 MiB a checkpoint that makes writers wait (a fifth of a second at most) empties it.
    """

    def __init__(self, db: Connection) -> None:
        self._db = db
        db.execute("PRAGMA busy_timeout = 200")
        self._pages = 0
        self._queue: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-checkpoints", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wrote(self, pages: int) -> None:
        """Told by the writer after each commit; about every thousand pages that is worth a checkpoint."""
        self._pages += pages
        if self._pages >= CHECKPOINT_PAGES:
            self._pages = 0
            self._queue.put(True)

    def stop(self) -> None:
        self._queue.put(False)
        if self._thread.ident is not None:
            self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while self._queue.get():
            try:
                self._checkpoint()
            except (sqlite3.Error, LedgerUnavailable) as error:
                # The log merely stays long; the next thousand pages ask again.
                log.warning("the ledger's log was not copied back: %s", why(error))

    def _checkpoint(self) -> None:
        _, pages, _ = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > TRUNCATE_PAGES:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _public(error: Exception) -> Exception:
    """What the asker is told: SQLite's own text may quote SQL, so the database's failures become a sentence of ours."""
    if isinstance(error, sqlite3.OperationalError):
        sentence = LedgerUnavailable(f"The ledger cannot be written: {why(error)}.")
        sentence.__cause__ = error
        return sentence
    return error
