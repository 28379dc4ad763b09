"""An exchange is stopped at every one of its awaits and at every yield, by the client or by the server: the hold is
closed once, nothing stays open, and what it costs follows from what had left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.gateway.gate import Policy
from oneapi_cli.gateway.meter import Meter
from oneapi_cli.gateway.watch import ClientLeft
from oneapi_cli.ledger.receipts import Receipt
from oneapi_cli.server.connection import ClientPresence
from oneapi_cli.values.errors import Refused

from .kit import FULL, INPUT, Heard, Script, Stage, listen, refusing, run_stepped, stage, stream, whole, word

MOST_STEPS = 60


@dataclass(frozen=True)
class Story:
    """What the vendor does, and how the client asks."""

    name: str
    scripts: tuple[Callable[[], Script], ...]
    streams: bool
    on_disconnect: Any = "cancel"
    seen_limit: int | None = None


STORIES = [
    Story("a stream", (stream,), True),
    Story("a stream that is drained", (stream,), True, "drain"),
    Story("a stream without usage", (lambda: stream(*[word(f" w{i}") for i in range(6)]),), True, seen_limit=150),
    Story("a whole reply", (whole,), False),
    Story("a refusal, then a reply", (lambda: refusing(500), whole), False),
    Story("a refusal", (lambda: refusing(400),), False),
]


def leave(presence: ClientPresence, _task: asyncio.Task[Any]) -> None:
    presence.left()


def stop(_presence: ClientPresence, task: asyncio.Task[Any]) -> None:
    task.cancel()


def both(presence: ClientPresence, task: asyncio.Task[Any]) -> None:
    presence.left()
    task.cancel()


@pytest.mark.parametrize("late", [False, True], ids=["at once", "in the last moment"])
@pytest.mark.parametrize("act", [leave, stop, both])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_every_await(
    story: Story, act: Callable[..., None], late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if story.seen_limit is not None:
        monkeypatch.setattr(Meter, "SEEN_LIMIT", story.seen_limit)
    policy = Policy(hold_wait=0.2, on_disconnect=story.on_disconnect)
    async with stage(tmp_path, *story.scripts, policy=policy, budget=None) as scene:
        scripts = list(scene.transport.scripts)
        for at in range(1, MOST_STEPS):
            scene.transport.scripts[:] = scripts
            scene.transport.calls.clear()
            scene.transport.replies.clear()
            presence, heard = ClientPresence(), Heard()
            ask = scene.ask(presence, stream=story.streams)

            async def work(ask: Any = ask, heard: Heard = heard) -> None:
                with suppress(ClientLeft, Refused):
                    await listen(scene, ask, heard)

            steps = await run_stepped(work(), at, partial(act, presence), late=late)
            await scene.quiet()
            await check(scene, ask, heard, presence)
            if steps < at:
                break
        else:
            raise AssertionError("the story is longer than the test")
        assert at >= 5, "the story was hardly told"


async def check(scene: Stage, ask: Any, heard: Heard, presence: ClientPresence) -> None:
    """Whatever happened: closed, balanced against what had left, and nothing left open behind it."""
    assert presence._call is None
    assert all(reply.aborted or reply.released for reply in scene.transport.replies)
    receipt = await scene.receipt(ask)
    if receipt is None or receipt.state in ("released", "refused"):
        assert receipt is None or receipt.cost_nanos == 0
        assert all(reply.status >= 400 for reply in scene.transport.replies)
        assert len(scene.transport.calls) == len(scene.transport.replies)
        return
    assert receipt.state in ("settled", "kept")
    assert scene.transport.calls, "nothing had left, and yet it costs"
    if b"[DONE]" in heard.body:
        assert receipt.cost_nanos == FULL
    assert 0 < receipt.cost_nanos <= max(receipt.hold_nanos, FULL)
    assert sum(line.picos for line in receipt.lines) == receipt.cost_nanos * 1000


@pytest.mark.parametrize("items", range(1, 8))
@pytest.mark.parametrize("on_disconnect", ["cancel", "drain"])
async def test_a_client_that_stops_reading_at_every_yield(items: int, on_disconnect: Any, tmp_path: Path) -> None:
    policy = Policy(on_disconnect=on_disconnect)
    async with stage(tmp_path, stream, policy=policy) as scene:
        ask = scene.ask(stream=True)
        heard = await listen(scene, ask, stop_after=items)
        receipt = await settled(scene, ask)
        reply = scene.transport.replies[0]
        assert reply.aborted or reply.released
        if on_disconnect == "drain" or b"[DONE]" in heard.body:
            assert receipt.cost_nanos == FULL
            assert receipt.usage is not None and not receipt.usage.estimated
            assert reply.released
        elif receipt.usage is not None and receipt.usage.estimated:
            words = heard.body.count(b'"content"')
            # The first words are read before the head goes out.
            assert receipt.usage.counts.get("output_tokens", 0) == max(words, 1)
            assert (receipt.status, receipt.reason) == (499, "client_left")


async def settled(scene: Stage, ask: Any) -> Receipt:
    await scene.quiet()
    receipt = await scene.receipt(ask)
    assert receipt is not None and receipt.state == "settled"
    return receipt


async def test_what_was_taken_to_be_counted_is_not_lost_when_the_count_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Meter, "SEEN_LIMIT", 500)
    words = [word(f" w{i}") for i in range(30)]
    for at in range(8, 60):
        async with stage(tmp_path / str(at), lambda: stream(*words), budget=None) as scene:
            presence, heard = ClientPresence(), Heard()
            ask = scene.ask(presence, stream=True)
            await run_stepped(listen(scene, ask, heard), at, partial(leave, presence), late=False)
            await scene.quiet()
            receipt = await scene.receipt(ask)
            if receipt is not None and receipt.usage is not None:
                seen = receipt.usage.counts.get("output_tokens", 0)
                assert seen >= heard.body.count(b'"content"')


async def test_nothing_is_sent_for_a_client_that_left_before_its_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path, whole) as scene:
        presence = ClientPresence()
        ask = scene.ask(presence)
        original = scene.till.book.reserve

        async def reserve(wanted: Any) -> Any:
            hold = await original(wanted)
            presence.gone = True  # noticed only after the hold was here
            return hold

        monkeypatch.setattr(scene.till.book, "reserve", reserve)
        with pytest.raises(ClientLeft):
            await listen(scene, ask)
        receipt = await scene.receipt(ask)
        assert scene.transport.calls == []
        assert receipt is not None
        assert (receipt.state, receipt.cost_nanos, receipt.status) == ("released", 0, 499)


async def test_a_client_that_left_gets_no_second_attempt(tmp_path: Path) -> None:
    presence = ClientPresence()

    def refuse_and_leave() -> Script:
        presence.left()
        return refusing(500)

    async with stage(tmp_path, refuse_and_leave, whole) as scene:
        ask = scene.ask(presence)
        with pytest.raises(ClientLeft):
            await listen(scene, ask)
        receipt = await scene.receipt(ask)
        assert len(scene.transport.calls) == 1
        assert receipt is not None and (receipt.state, receipt.cost_nanos) == ("released", 0)


async def test_a_server_that_stops_says_so_in_the_receipt(tmp_path: Path) -> None:
    never = asyncio.Event()
    async with stage(tmp_path, lambda: stream(word("one"), word(" two"), never)) as scene:
        ask = scene.ask(stream=True)
        task = asyncio.get_running_loop().create_task(listen(scene, ask))
        await asyncio.sleep(0.1)
        assert scene.transport.replies
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        receipt = await settled(scene, ask)
        assert (receipt.status, receipt.reason) == (503, "server_stopping")
        assert receipt.usage is not None and receipt.usage.counts["output_tokens"] == 2
        assert receipt.cost_nanos > 2 * INPUT
