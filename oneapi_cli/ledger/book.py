"""`Book`: the ledger as the gateway sees it. Async outside, one writer thread inside, exact in between.

`reserve` returns when the hold is on disk, `close` when the settlement is. Between them nothing is lost: a hold whose
asker was cancelled is released by the writer, a settlement that cannot be written stays in memory and is tried again,
and what a dead process left open is resolved by the next one to start. Principals may be cached because admission
tests their versions in its transaction.

Belongs to one event loop, from `start` to `stop`. Fork before `open`, never after it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import partial
from typing import TypeVar

import msgspec

from ..values.accounts import Principal
from ..values.errors import Overloaded
from ..values.holds import Closing, Hold, HoldAsk, Refusal, Settlement, TooTight
from . import closing as endings
from . import grants, holding
from .admission import Wait
from .closing import Adjusted
from .desk import Desk
from .faults import AccountChanged, LedgerError, LedgerUnavailable
from .holding import Moment
from .owners import Ownership, mark_ended, take_ownership
from .readers import Readers
from .receipts import Receipt, read_receipt
from .recovery import AfterCrash, Recovered, recover
from .retention import Pruned, prune_batch
from .rows import AccountKind, find_principal
from .settling import Settling
from .store import Connection, Sync, open_ledger, transaction
from .upkeep import Touched, touch
from .waiting import Tried, WaitingRoom, attempt, overloaded
from .writer import Job

__all__ = ["AccountChanged", "Adjusted", "Book", "LedgerError", "LedgerUnavailable", "Recovered"]

T = TypeVar("T")
Clock = Callable[[], float]
log = logging.getLogger(__name__)

MOST_PRINCIPALS = 4_096
RETRY_SECONDS = 1.0
# nginx's number for a client that left, here before anything was sent.
LEFT_STATUS = 499
LEFT = Closing(state="released", cost_nanos=0, status=LEFT_STATUS, reason="the client left before anything was sent")


class Book:
    """Made by `open`, used between `start` and `stop`. `recovered` says what the dead had left open."""

    def __init__(
        self, db: Connection, own: Ownership, recovered: Recovered, clocks: tuple[Clock, Clock], zone: tzinfo
    ) -> None:
        clock, ticks = clocks
        self.path = db.path
        self.recovered = recovered
        self.zone = zone
        self._db = db
        self._own = own
        self._clock = clock
        self._ticks = ticks
        self._principals: dict[bytes, Principal] = {}
        self._desk = Desk(db)
        self._readers = Readers(db.path)
        self._room = WaitingRoom(self._desk, self._moment, ticks, self._give_back)
        self._settling = Settling(self._desk, clock, self._room.stir)
        self._stopped = False

    # --- opening and closing ----------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        sync: Sync = "full",
        after_crash: AfterCrash = "keep",
        create: bool = True,
        clock: Clock = time.time,  # noqa: TID251 - the edge; tests give another
        ticks: Clock = time.monotonic,
        zone: tzinfo = UTC,
    ) -> Book:
        """Open (or make) the ledger, become an owner of holds, resolve those of the dead. Blocks.

        clock: unix seconds, for rows; ticks: monotonic seconds, for waiting; zone: where recurring budgets roll over.
        Raises LedgerError.
        """
        db = open_ledger(path, create=create, sync=sync, now=clock())
        try:
            own = take_ownership(db.path)
        except BaseException:
            db.close()
            raise
        try:
            recovered = recover(db, db.path, own, after_crash, clock())
            return cls(db, own, recovered, (clock, ticks), zone)
        except BaseException:
            own.release(unlink=True)
            db.close()
            raise

    async def start(self) -> None:
        """Bind to the running loop and start the writer."""
        self._desk.start()

    async def stop(self) -> None:
        """Refuse waiters, write what is queued, try pending settlements a last time, let go of the file.

        Holds that are open stay so: the next start resolves them as a dead process's. A second call does nothing.
        """
        if self._stopped:
            return
        self._stopped = True
        self._room.dismiss(Overloaded("This server is stopping; try again.", retry_after_seconds=RETRY_SECONDS))
        self._settling.stop()
        if self._desk.started:
            await self._drain()
        await asyncio.to_thread(self._shut)
        for request_id in self._settling.unwritten():
            log.error("the settlement of request %s could not be written; the next start charges its hold", request_id)

    async def _drain(self) -> None:
        try:
            # What is under way is delivered before this is; what that gives back is then queued before the end.
            await self._desk.run(lambda db: None)
        except LedgerUnavailable as error:
            log.warning("the ledger cannot be written while stopping: %s", error.sentence)

    def _shut(self) -> None:
        self._desk.stop()
        self._readers.close()
        ended = False
        try:
            with transaction(self._db):
                mine = "SELECT 1 FROM requests WHERE state = 'held' AND owner_id = ? LIMIT 1"
                if nothing_open := self._db.execute(mine, (self._own.id,)).fetchone() is None:
                    mark_ended(self._db, self._own.id, self._clock())
            ended = nothing_open
        except LedgerUnavailable as error:
            log.warning("this process could not sign off from the ledger: %s", error.sentence)
        finally:
            self._own.release(unlink=ended)
            self._db.close()

    # --- who is asking ----------------------------------------------------------------------------------------------

    async def find(self, key_sha256: bytes, fresh: bool = False) -> Principal | None:
        """Whoever owns this key; None for an unknown one. From the cache unless `fresh`.

        A cached one is good for reserving, which tests its versions. Refusals, and answers that no admission stands
        behind, must be decided on a fresh one. Raises Overloaded when the file cannot be read.
        """
        if not fresh and (known := self._principals.get(key_sha256)) is not None:
            return known
        found = await self.read(partial(find_principal, key_sha256=key_sha256))
        self._principals.pop(key_sha256, None)
        if found is not None:
            while len(self._principals) >= MOST_PRINCIPALS:
                del self._principals[next(iter(self._principals))]
            self._principals[key_sha256] = found
        return found

    def forget(self, key_sha256: bytes) -> None:
        """Drop a cached principal; the next `find` reads it."""
        self._principals.pop(key_sha256, None)

    # --- holds ------------------------------------------------------------------------------------------------------

    async def reserve(self, ask: HoldAsk) -> Hold | TooTight:
        """A hold, committed to disk; TooTight for an ask that is not final. Waits as the ladder says
        (`admission.py`).

        Raises OutOfCredit, Throttled (rates, `balance_held`), Unauthenticated (disabled or expired meanwhile),
        BadRequest, AccountChanged (read the principal again), Overloaded (the ledger cannot be written). Cancelled at
        any moment, it leaves nothing held.
        """
        since = self._ticks()
        closed = self._room.closed(ask.principal)

        def work(db: sqlite3.Connection) -> Tried:
            return attempt(db, ask, msgspec.structs.replace(self._moment(), closed=closed))

        try:
            found = await self._desk.run(work, unheard=self._unheard, skippable=True)
        except LedgerUnavailable as error:
            raise overloaded(error) from error
        if isinstance(found, Wait):
            return await self._room.wait(ask, since, found.tight)
        if isinstance(found, Exception):
            raise found
        assert found is not None, "only a waiter that left has no answer"
        return found

    async def extend(self, request_id: str, nanos: int) -> int | None:
        """More hold for an open request, committed: what it holds then. None where a limited budget has not that much
        free.

        Raises LedgerError for a request that is not open, Overloaded.
        """
        return await self._run(lambda db: holding.extend(db, request_id, nanos, self._clock(), self.zone))

    async def close(self, request_id: str, closing: Closing) -> Settlement:
        """Settle, release or keep; the same id again returns the first result.

        A ledger that cannot be written makes it `pending`: kept in memory and tried until it lands. Cancelled, it
        still lands. An id that was never held can only be released, which does nothing. Raises LedgerError otherwise.
        """
        return await self._settling.close(request_id, closing)

    async def adjust(self, request_id: str, delta_nanos: int, reason: str, actor: str) -> Adjusted:
        """Correct a closed request by a row that names it. Raises LedgerError (open, unknown, below 0), Overloaded."""
        return await self.write(
            lambda db: endings.adjust(db, request_id, delta_nanos, reason=reason, actor=actor, now=self._clock())
        )

    async def grant(self, account: AccountKind, id: int, delta_nanos: int, reason: str, actor: str) -> int:
        """Move what an account was granted; what remains then. Raises LedgerError (unknown, below 0), Overloaded."""
        return await self.write(
            lambda db: grants.grant(db, account, id, delta_nanos, reason=reason, actor=actor, now=self._clock())
        )

    async def refuse(self, refusal: Refusal) -> None:
        """Write a refusal's row.

        The client gets its error in any case: a ledger that cannot be written is only logged.
        """
        try:
            await self._desk.run(lambda db: endings.refuse(db, refusal, self._clock()))
        except LedgerUnavailable as error:
            log.warning("the refusal of request %s was not recorded: %s", refusal.request_id, error.sentence)

    async def receipt(self, request_id: str) -> Receipt | None:
        """One request whole; None for an unknown id. Raises Overloaded."""
        return await self.read(partial(read_receipt, request_id=request_id))

    # --- any other work over the connection -------------------------------------------------------------------------

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """A short read in a reader's thread, one snapshot. Raises Overloaded when the file cannot be read."""
        try:
            return await self._readers.run(work)
        except LedgerUnavailable as error:
            raise overloaded(error) from error

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """A short write by the writer, in a savepoint of its transaction (the functions of `accounts` and `external`
        fit). The ledger is touched first; waiters are woken after.
        """

        def touched(db: sqlite3.Connection) -> T:
            touch(db, self.zone, self._clock())
            return work(db)

        found = await self._run(touched)
        self._room.stir()
        return found

    async def touch(self) -> Touched:
        """What time alone changes (`upkeep.py`): before balances are read, and once a minute. Raises Overloaded."""
        found = await self._run(lambda db: touch(db, self.zone, self._clock()))
        if found.resets:
            self._room.stir()
        return found

    async def prune(self, older_than: float) -> Pruned:
        """Fold what closed before `older_than`, a batch at a time, so that requests go on between them. Raises
        Overloaded.
        """
        total = Pruned(more=True)
        while total.more:
            total = total.plus(await self._run(lambda db: prune_batch(db, older_than, self._clock())))
        return total

    @property
    def waiting(self) -> int:
        """Requests in line for held money."""
        return len(self._room)

    @property
    def commits(self) -> int:
        """Transactions that this process has committed."""
        return self._desk.commits

    @property
    def pending(self) -> int:
        """Settlements that could not be written yet."""
        return len(self._settling)

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._desk.run(work)
        except LedgerUnavailable as error:
            raise overloaded(error) from error

    def _moment(self) -> Moment:
        return Moment(owner=self._own.id, now=self._clock(), zone=self.zone)

    def _unheard(self, job: Job[Tried]) -> None:
        if job.ran and isinstance(job.outcome, Hold):
            self._give_back(job.outcome)

    def _give_back(self, hold: Hold) -> None:
        """Nobody heard of this hold, so nothing was sent for it."""
        self._settling.land(hold.request_id, LEFT)
