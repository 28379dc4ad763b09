"""Who cancels an exchange, when, and who finds out."""

from __future__ import annotations

import asyncio

import pytest

from oneapi_cli.gateway.watch import Watch
from oneapi_cli.server.connection import ClientPresence


async def wait_under(watch: Watch, seconds: float, wait: float = 5.0) -> str:
    watch.leave_after(seconds)
    try:
        await asyncio.sleep(wait)
    except asyncio.CancelledError:
        if not watch.absorb():
            raise
        await asyncio.sleep(0)  # a task whose cancellation was taken back goes on
        return "left"
    finally:
        watch.off()
    return "done"


async def started(presence: ClientPresence, seconds: float, wait: float = 5.0) -> asyncio.Task[str]:
    task = asyncio.get_running_loop().create_task(wait_under(Watch(presence), seconds, wait))
    await asyncio.sleep(0.01)
    return task


async def test_a_client_that_leaves_ends_it_at_once() -> None:
    presence = ClientPresence()
    task = await started(presence, 0)
    presence.left()
    assert await asyncio.wait_for(task, 1) == "left"


async def test_a_client_that_had_left_already_ends_it_too() -> None:
    presence = ClientPresence()
    presence.left()
    assert await asyncio.wait_for(await started(presence, 0), 1) == "left"


async def test_patience_is_given_before_it_ends() -> None:
    presence = ClientPresence()
    task = await started(presence, 0.05, wait=0.02)
    presence.left()
    assert await asyncio.wait_for(task, 1) == "done", "what ends within the patience is not cancelled"
    slow = await started(presence, 0.05)
    assert await asyncio.wait_for(slow, 1) == "left"


async def test_nobody_is_cancelled_afterwards() -> None:
    presence, watch = ClientPresence(), None
    watch = Watch(presence)
    watch.leave_after(0.01)
    presence.left()
    watch.off()
    await asyncio.sleep(0.05)
    assert not watch.fired
    current = asyncio.current_task()
    assert current is not None and current.cancelling() == 0


async def test_the_servers_own_cancellation_is_not_taken_for_the_clients() -> None:
    task = await started(ClientPresence(), 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_when_both_cancel_the_servers_stands() -> None:
    presence = ClientPresence()
    task = await started(presence, 0)
    presence.left()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_latest_phase_counts() -> None:
    presence = ClientPresence()
    watch = Watch(presence)
    watch.leave_after(0)
    watch.leave_after(60)
    presence.left()
    await asyncio.sleep(0)
    assert not watch.fired and watch.gone
    watch.off()
