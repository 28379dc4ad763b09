"""Settlements, until they are on disk. One that cannot be written stays in memory and is tried again, in order, ever
more patiently.

What stays here when the process ends is not lost either: its hold is still open in the file, and the next start
charges that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from ..values.holds import Closing, Settlement
from . import closing as endings
from .desk import Desk
from .faults import LedgerUnavailable
from .writer import Job

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 5.0


class Settling:
    """Closes requests, each once. `closed` is called whenever one has landed: money may have come free."""

    def __init__(self, desk: Desk, clock: Callable[[], float], closed: Callable[[], None]) -> None:
        self._desk = desk
        self._clock = clock
        self._closed = closed
        self._pending: dict[str, Closing] = {}
        self._seconds = FIRST_RETRY_SECONDS
        self._next: asyncio.TimerHandle | None = None
        self._in_flight = 0
        self._stopped = False

    def __len__(self) -> int:
        return len(self._pending)

    async def close(self, request_id: str, closing: Closing) -> Settlement:
        """The committed settlement, or one that is `pending`. Cancelled, it lands all the same."""
        if (first := self._pending.get(request_id)) is not None:
            return Settlement(state=first.state, cost_nanos=first.cost_nanos, pending=True)
        try:
            settlement: Settlement = await self._desk.run(
                lambda db: endings.close(db, request_id, closing, self._clock()),
                unheard=partial(self._landed_unheard, request_id, closing),
            )
        except LedgerUnavailable as error:
            log.warning("the settlement of request %s is pending: %s", request_id, error.sentence)
            self._keep(request_id, closing)
            return Settlement(state=closing.state, cost_nanos=closing.cost_nanos, pending=True)
        self._closed()
        return settlement

    def land(self, request_id: str, closing: Closing) -> None:
        """Close a request that nobody waits for, now or as soon as the ledger can be written."""
        self._pending.setdefault(request_id, closing)
        self._post(request_id)

    def stop(self) -> None:
        """No more timers; one last attempt for everything that is pending is queued."""
        self._stopped = True
        if self._next is not None:
            self._next.cancel()
        for request_id in self._pending:
            self._post(request_id)

    def unwritten(self) -> list[str]:
        """Request ids whose settlement is in memory only."""
        return list(self._pending)

    def _landed_unheard(self, request_id: str, closing: Closing, job: Job[Settlement]) -> None:
        if isinstance(job.error, LedgerUnavailable):
            self._keep(request_id, closing)
        elif job.error is not None:
            log.error("request %s could not be closed: %s", request_id, job.error)
        else:
            self._closed()

    def _keep(self, request_id: str, closing: Closing) -> None:
        self._pending.setdefault(request_id, closing)
        self._retry_later()

    def _retry_later(self) -> None:
        if self._next is None and not self._in_flight and not self._stopped and self._pending:
            self._next = self._desk.loop.call_later(self._seconds, self._retry)
            self._seconds = min(self._seconds * 2, LONGEST_RETRY_SECONDS)

    def _retry(self) -> None:
        self._next = None
        for request_id in self._pending:
            self._post(request_id)

    def _post(self, request_id: str) -> None:
        closing = self._pending[request_id]
        try:
            self._desk.post(
                lambda db: endings.close(db, request_id, closing, self._clock()), partial(self._retried, request_id)
            )
        except LedgerUnavailable as error:
            log.warning("the settlement of request %s is pending: %s", request_id, error.sentence)
            return
        self._in_flight += 1

    def _retried(self, request_id: str, job: Job[Settlement]) -> None:
        self._in_flight -= 1
        if not isinstance(job.error, LedgerUnavailable):
            self._pending.pop(request_id, None)
            if job.error is not None:
                log.error("request %s could not be closed: %s", request_id, job.error)
            else:
                self._seconds = FIRST_RETRY_SECONDS
                self._closed()
        self._retry_later()
