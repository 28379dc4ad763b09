"""Who waits for held money, in which order, and how they are tried again.

A waiter stands in the queue of every account that is too tight for it, in order of arrival. Whoever fits may be
admitted past the others until the first in a queue has waited PATIENCE_SECONDS; from then on nobody passes it.
Waiters hold nothing: each try is an ordinary reserve in the writer's transaction, and one that goes away leaves
nothing behind.

They are tried when something closed or was granted here, and every TICK_SECONDS besides: other processes and the CLI
do not tell us.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from ..values.accounts import Principal
from ..values.errors import GatewayError, Overloaded
from ..values.holds import Hold, HoldAsk, TooTight
from .admission import PATIENCE_SECONDS, Wait
from .desk import Desk
from .faults import AccountChanged, LedgerError, LedgerUnavailable
from .holding import NOBODY, Moment, reserve
from .rows import AccountKey
from .writer import Job

TICK_SECONDS = 0.1
SHORTEST_PAUSE_SECONDS = 0.001
ROUND = 64
"""Waiters tried in one round at most: a thousand of them must not make every close wait for a thousand reads."""

Tried = Hold | TooTight | Wait | Exception | None


class Waiter:
    """One ask in the queues.

    tight: the accounts that it waits for; since: monotonic seconds; dropped: its client is gone.
    """

    __slots__ = ("ask", "dropped", "future", "since", "tight")

    def __init__(self, ask: HoldAsk, since: float, tight: tuple[AccountKey, ...], future: asyncio.Future[Hold]) -> None:
        self.ask = ask
        self.since = since
        self.tight = tight
        self.future = future
        self.dropped = False

    def remaining(self, now: float) -> float:
        """Seconds until its wait is over."""
        return self.since + self.ask.wait_seconds - now


class WaitingRoom:
    """The waiters of this process. One round of tries is under way at a time; what happens meanwhile makes for
    another.

    moment: a fresh `Moment` (owner and wall clock); ticks: monotonic seconds; release: give back a hold whose asker
    is gone.
    """

    def __init__(
        self,
        desk: Desk,
        moment: Callable[[], Moment],
        ticks: Callable[[], float],
        release: Callable[[Hold], None],
    ) -> None:
        self._desk = desk
        self._moment = moment
        self._ticks = ticks
        self._release = release
        self._waiters: dict[Waiter, None] = {}
        self._next: asyncio.Handle | None = None
        self._trying = False
        self._stirred = False

    def __len__(self) -> int:
        return len(self._waiters)

    def closed(self, principal: Principal) -> frozenset[AccountKey]:
        """Those of a caller's limited accounts whose first waiter must not be overtaken any more."""
        if not self._waiters:
            return NOBODY
        keys, now = limited_keys(principal), self._ticks()
        impatient = (waiter for waiter in self._waiters if now - waiter.since >= PATIENCE_SECONDS)
        return frozenset(key for waiter in impatient for key in waiter.tight if key in keys)

    async def wait(self, ask: HoldAsk, since: float, tight: tuple[AccountKey, ...]) -> Hold:
        """Stand in line until held, refused or cancelled. Raises what `reserve` raises."""
        waiter = Waiter(ask, since, tight, self._desk.loop.create_future())
        self._waiters[waiter] = None
        self.stir()  # something may have closed between the try that sent us here and now
        try:
            return await waiter.future
        except asyncio.CancelledError:
            waiter.dropped = True
            if not waiter.future.cancelled() and waiter.future.exception() is None:
                self._release(waiter.future.result())
            raise
        finally:
            self._waiters.pop(waiter, None)

    def stir(self) -> None:
        """Money may have come free: try the waiters soon."""
        if not self._waiters:
            return
        if self._trying:
            self._stirred = True
        else:
            self._schedule(0.0)

    def dismiss(self, error: Exception) -> None:
        """Answer everybody with `error`; no more rounds."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        for waiter in list(self._waiters):
            self._answer(waiter, error)

    def _schedule(self, seconds: float) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = self._desk.loop.call_later(seconds, self._round)

    def _round(self) -> None:
        self._next = None
        now = self._ticks()
        waiters = list(self._waiters)
        # Those whose wait is over get their answer now, however far behind they stand.
        chosen = waiters[:ROUND] + [waiter for waiter in waiters[ROUND:] if waiter.remaining(now) <= 0]
        if not chosen:
            return
        self._trying, self._stirred = True, False
        try:
            self._desk.post(lambda db: try_round(db, chosen, self._moment(), now), lambda job: self._tried(chosen, job))
        except LedgerUnavailable as error:
            self._trying = False
            self.dismiss(error)

    def _tried(self, waiters: Sequence[Waiter], job: Job[list[Tried]]) -> None:
        self._trying = False
        results = job.result() if job.error is None else [job.error] * len(waiters)
        for waiter, found in zip(waiters, results, strict=True):
            if isinstance(found, Wait):
                waiter.tight = found.tight
            elif found is not None:
                self._answer(waiter, found)
        if self._waiters:
            self._schedule(0.0 if self._stirred else self._pause())

    def _pause(self) -> float:
        now = self._ticks()
        soonest = min(waiter.remaining(now) for waiter in self._waiters)
        return min(TICK_SECONDS, max(SHORTEST_PAUSE_SECONDS, soonest))

    def _answer(self, waiter: Waiter, found: Hold | TooTight | Exception) -> None:
        self._waiters.pop(waiter, None)
        if waiter.future.done():
            if isinstance(found, Hold):
                self._release(found)
        elif isinstance(found, Hold):
            waiter.future.set_result(found)
        elif isinstance(found, LedgerUnavailable):
            waiter.future.set_exception(overloaded(found))
        elif isinstance(found, Exception):
            waiter.future.set_exception(found)


def overloaded(error: LedgerUnavailable) -> Overloaded:
    """What a client is told when the ledger cannot be used: try again."""
    return Overloaded(error.sentence, retry_after_seconds=1.0, cause=str(error.__cause__ or ""))


def limited_keys(principal: Principal) -> frozenset[AccountKey]:
    """The accounts above a caller whose budgets can run out."""
    keys: list[AccountKey] = []
    if not principal.token.unlimited:
        keys.append(("token", principal.token.id))
    if not principal.user.unlimited:
        keys.append(("user", principal.user.id))
    return frozenset(keys)


def try_round(db: sqlite3.Connection, waiters: Sequence[Waiter], moment: Moment, ticks: float) -> list[Tried]:
    """Try each in order, inside the caller's transaction; None for one that is gone. What one takes, the next does
    not see.

    A waiter that has lost its patience and still does not fit closes its accounts to those behind it.
    """
    results: list[Tried] = []
    closed = NOBODY
    for waiter in waiters:
        if waiter.dropped:
            results.append(None)
            continue
        waited = max(0.0, ticks - waiter.since)
        found = attempt(db, waiter.ask, msgspec.structs.replace(moment, waited=waited, closed=closed))
        if isinstance(found, Wait) and waited >= PATIENCE_SECONDS:
            closed |= frozenset(found.tight)
        results.append(found)
    return results


def attempt(db: sqlite3.Connection, ask: HoldAsk, moment: Moment) -> Tried:
    """Reserve, a refusal returned and not raised: what rolled over on the way is then committed all the same."""
    try:
        return reserve(db, ask, moment)
    except (GatewayError, AccountChanged, LedgerError) as refusal:
        # One asker's answer, not the transaction's: reserve refuses before it holds anything.
        return refusal
