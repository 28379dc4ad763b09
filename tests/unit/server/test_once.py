"""What takes a while to ask for: once for all who wait, renewed before it is old, failures shared."""

from __future__ import annotations

import asyncio
import threading

import pytest

from oneapi_cli.server.once import FAILED_SECONDS, Lease, Once


class Source:
    """Counts how often it is asked; answers when `go` is set. fails: raise instead."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = threading.Event()
        self.go.set()
        self.fails = False

    def __call__(self) -> Lease[int]:
        self.asked += 1
        number = self.asked
        assert self.go.wait(10)
        if self.fails:
            raise LookupError("no")
        return Lease(number, fresh_seconds=10, good_seconds=20)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def _settle(source: Source, asked: int) -> None:
    async with asyncio.timeout(5):
        while source.asked < asked:  # noqa: ASYNC110 - a thread counts
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)


async def test_a_crowd_asks_once() -> None:
    source, once = Source(), Once[int](Clock())
    source.go.clear()
    waiting = [asyncio.create_task(once.get("k", source)) for _ in range(20)]
    await _settle(source, 1)
    source.go.set()
    assert await asyncio.gather(*waiting) == [1] * 20
    assert await once.get("k", source) == 1
    assert source.asked == 1
    assert await once.get("other", source) == 2


async def test_it_is_renewed_beside_its_use_and_not_used_when_old() -> None:
    clock, source = Clock(), Source()
    once = Once[int](clock)
    assert await once.get("k", source) == 1
    clock.now += 11
    source.go.clear()
    assert await once.get("k", source) == 1  # at once, though its successor is not there yet
    await _settle(source, 2)
    source.go.set()
    async with asyncio.timeout(5):
        while await once.get("k", source) == 1:  # noqa: ASYNC110 - a thread answers
            await asyncio.sleep(0.005)
    assert source.asked == 2
    clock.now += 21
    assert await once.get("k", source) == 3


async def test_whoever_leaves_takes_nothing_with_it() -> None:
    source, once = Source(), Once[int](Clock())
    source.go.clear()
    first = asyncio.create_task(once.get("k", source))
    await _settle(source, 1)
    first.cancel()
    second = asyncio.create_task(once.get("k", source))
    await asyncio.sleep(0)
    source.go.set()
    assert await second == 1
    assert first.cancelled()


async def test_a_failure_is_shared_and_stands_for_a_moment() -> None:
    clock, source = Clock(), Source()
    once = Once[int](clock)
    source.fails = True
    found = await asyncio.gather(*(once.get("k", source) for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in found] == [LookupError] * 5
    with pytest.raises(LookupError):
        await once.get("k", source)
    assert source.asked == 1
    clock.now += FAILED_SECONDS
    source.fails = False
    assert await once.get("k", source) == 2


async def test_a_value_outlives_a_renewal_that_fails() -> None:
    clock, source = Clock(), Source()
    once = Once[int](clock)
    assert await once.get("k", source) == 1
    source.fails = True
    clock.now += 11
    assert await once.get("k", source) == 1
    await _settle(source, 2)
    assert await once.get("k", source) == 1
    clock.now += 10
    with pytest.raises(LookupError):
        await once.get("k", source)
