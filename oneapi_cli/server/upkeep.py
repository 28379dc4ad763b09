"""What a serving process does by the clock: where it stands every second, the ledger's own dates every minute.

Every worker does it; each step finds nothing to do where another has been before.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable

from ..ledger.book import Book
from ..values.errors import GatewayError, Overloaded
from .metrics import Levels, Metrics

log = logging.getLogger("oneapi.server")

LEVELS_SECONDS = 1.0
TOUCH_SECONDS = 60.0
PRUNE_SECONDS = 3600.0


class Upkeep:
    """levels: where this worker stands; retention: seconds that rows are kept, None for ever; now: unix seconds."""

    def __init__(
        self, book: Book, metrics: Metrics, levels: Callable[[], Levels], retention: Callable[[], float | None]
    ) -> None:
        self._book, self._metrics, self._levels, self._retention = book, metrics, levels, retention

    async def watch_levels(self) -> None:
        """Until cancelled."""
        while True:
            self._metrics.note_levels(self._levels())
            await asyncio.sleep(LEVELS_SECONDS)

    async def keep_dates(self, now: Callable[[], float]) -> None:
        """Budgets that roll over, external holds that expire, rows that are old; until cancelled.

        At the start there is nothing to do: the first write of a process brings the ledger up to date.
        """
        loop = asyncio.get_running_loop()
        pruned = loop.time() - PRUNE_SECONDS
        while True:
            await asyncio.sleep(TOUCH_SECONDS)
            try:
                await self._book.touch()
                retention = self._retention()
                if retention is not None and loop.time() - pruned >= PRUNE_SECONDS:
                    folded = await self._book.prune(now() - retention)
                    pruned = loop.time()
                    if folded.requests:
                        log.info("%d requests older than `retention` were folded", folded.requests)
            except GatewayError as error:
                # A ledger that cannot be written just now: admission says so to whoever asks; the next minute may do.
                log.warning("the ledger was not brought up to date: %s", error.message)
            except Exception:
                # Whatever this is, requests go on, and so must the minutes.
                log.exception("the ledger was not brought up to date")


async def brought_up(book: Book) -> None:
    """Before balances are shown. A ledger that can only be read is shown as of its last touch."""
    try:
        await book.touch()
    except Overloaded as error:
        log.warning("balances are shown as they were last written: %s", error.message)


def holds_open(db: sqlite3.Connection) -> int:
    """Open holds of the whole ledger, external ones included."""
    return int(db.execute("SELECT count(*) FROM requests WHERE state = 'held'").fetchone()[0])
