"""The one way to start a task that nobody awaits: it is kept from the garbage collector, and shutdown waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")
_kept: set[asyncio.Task[object]] = set()


def keep(work: Coroutine[object, object, T], name: str) -> asyncio.Task[T]:
    """Start `work` and hold a reference until it ends. Its exception, if nobody awaits it, goes to the loop's
    handler.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    _kept.add(task)
    task.add_done_callback(_kept.discard)
    return task


async def finish(timeout_seconds: float) -> int:
    """Wait for what is still running on this loop; returns how many did not end in time (they are left running)."""
    loop = asyncio.get_running_loop()
    mine = {task for task in _kept if task.get_loop() is loop and task is not asyncio.current_task()}
    if not mine:
        return 0
    _, pending = await asyncio.wait(mine, timeout=timeout_seconds)
    return len(pending)
