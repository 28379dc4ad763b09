"""The event loop's side of the writer: post a job, hear of its commit, lose nothing when somebody stops listening.

A caller may be cancelled while its job is queued, while it runs, or between its commit and the next step of the
caller's task. In each case `unheard` is told of the finished job exactly once, in the loop's thread, so that what it
did can be undone or kept.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from .store import Connection, open_ledger
from .writer import Checkpoints, Job, Jobs, Writer

T = TypeVar("T")


class Desk:
    """Belongs to one loop, from `start` to `stop`; results are delivered there, a batch at a time."""

    def __init__(self, db: Connection) -> None:
        self._checkpoints = Checkpoints(open_ledger(db.path))
        self._writer = Writer(db, self._deliver, checkpoints=self._checkpoints)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the book is not started")
        return self._loop

    @property
    def started(self) -> bool:
        return self._loop is not None

    @property
    def commits(self) -> int:
        """Transactions of this writer so far."""
        return self._writer.commits

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._checkpoints.start()
        self._writer.start()

    def stop(self) -> None:
        """Blocks until the queue is written and both threads have ended."""
        self._writer.stop()
        self._checkpoints.stop()

    def post(self, work: Callable[[sqlite3.Connection], T], done: Callable[[Job[T]], None]) -> Job[T]:
        """Queue work; `done` hears of the finished job in the loop.

        Raises LedgerUnavailable once the writer is stopping.
        """
        job = Job(work, done)
        self._writer.submit(job)
        return job

    async def run(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        unheard: Callable[[Job[T]], None] | None = None,
        skippable: bool = False,
    ) -> T:
        """Queue work and await its commit. Raises what the work raised, or LedgerUnavailable.

        skippable: need not run at all when the caller is gone before its turn.
        """
        future: asyncio.Future[T] = self.loop.create_future()

        def done(job: Job[T]) -> None:
            if future.cancelled():
                if unheard is not None:
                    unheard(job)
            elif job.error is not None:
                future.set_exception(job.error)
            else:
                future.set_result(job.result())

        job = self.post(work, done)
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                job.dropped = skippable
            else:
                # Done in the very moment of the cancellation: delivered, and yet heard by nobody.
                future.exception()
                if unheard is not None:
                    unheard(job)
            raise

    def _deliver(self, jobs: Jobs) -> None:
        """In the writer's thread: one wake-up of the loop for a whole batch."""
        self.loop.call_soon_threadsafe(_finish, jobs)


def _finish(jobs: list[Job[Any]]) -> None:
    for job in jobs:
        job.done(job)
