"""Things that take a while to ask for and hold for a while: asked for once, in a thread, for all who wait.

A value that will soon be old is handed out while its successor is being asked for; one that is old is not. A failure
goes to everybody who waited, and stands for a moment, so that a crowd of requests does not ask one after another.
Whoever leaves while waiting takes nothing with it: what was being asked for is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from msgspec import Struct

from ..gateway.tasks import keep

V = TypeVar("V")

FAILED_SECONDS = 2.0
"""How long a failure stands."""


class Lease(Struct, Generic[V], frozen=True):
    """A value, for how many seconds it needs no successor, and for how many it may be used at all."""

    value: V
    fresh_seconds: float
    good_seconds: float


class _Kept(Struct, Generic[V], frozen=True):
    value: V | None
    failure: Exception | None
    fresh_until: float
    good_until: float


class Once(Generic[V]):
    """clock: seconds that only go forward."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[Hashable, _Kept[V]] = {}
        self._asking: dict[Hashable, asyncio.Task[_Kept[V]]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Lease[V]]) -> V:
        """What `ask` gives, which blocks and is called in a thread. Raises what it raises."""
        now = self._clock()
        kept = self._kept.get(key)
        if kept is None or now >= kept.fresh_until:
            task = self._asking.get(key)
            if task is None:
                task = self._asking[key] = keep(self._ask(key, ask), "credentials")
            if kept is None or now >= kept.good_until:
                kept = await asyncio.shield(task)
        if kept.value is None:
            assert kept.failure is not None, "there is a value or a failure"
            raise kept.failure.with_traceback(None)
        return kept.value

    async def _ask(self, key: Hashable, ask: Callable[[], Lease[V]]) -> _Kept[V]:
        try:
            lease = await asyncio.to_thread(ask)
        except Exception as failure:
            until = self._clock() + FAILED_SECONDS
            before = self._kept.get(key)
            if before is not None and before.value is not None and self._clock() < before.good_until:
                found = _Kept(before.value, None, min(until, before.good_until), before.good_until)
            else:
                found = _Kept(None, failure, until, until)
        else:
            now = self._clock()
            found = _Kept(lease.value, None, now + lease.fresh_seconds, now + lease.good_seconds)
        finally:
            self._asking.pop(key, None)
        self._kept[key] = found
        return found
