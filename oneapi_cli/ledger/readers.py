"""Reads off the event loop: two threads, each with a connection of its own, each read one short snapshot.

Writers do not wait for readers nor readers for writers (WAL); a snapshot that stays open only holds back checkpoints.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .store import Connection, open_ledger, snapshot

T = TypeVar("T")
THREADS = 2


class Readers:
    """Threads start with the first read. `close` ends them and their connections."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ledger-reader")
        self._own = threading.local()
        self._opened: list[Connection] = []

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns over one snapshot.

        Raises what it raises; LedgerUnavailable where the file cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, work)

    def close(self) -> None:
        """Blocks until running reads have ended."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        while self._opened:
            self._opened.pop().close()

    def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        db: Connection | None = getattr(self._own, "db", None)
        if db is None:
            db = self._own.db = open_ledger(self._path, read_only=True)
            self._opened.append(db)
        with snapshot(db):
            return work(db)
