"""What an exchange costs where something goes wrong, told apart by who was asked and what is known of it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.gateway import attempts
from oneapi_cli.gateway.exchange import exchange
from oneapi_cli.gateway.gate import Policy
from oneapi_cli.ledger import accounts
from oneapi_cli.values.errors import BadRequest, Broken, Overloaded, Refused, Unreachable
from tests.ledger.test_book import write_until_full

from .kit import DONE, FULL, INPUT, Script, Stage, channel, listen, refusing, stage, stream, whole, word


def reset() -> Script:
    return Broken("The upstream broke the connection before it answered")


async def bill(scene: Stage, ask: Any) -> Any:
    await scene.quiet()
    receipt = await scene.receipt(ask)
    assert receipt is not None
    return receipt


async def test_an_unknown_outcome_costs_what_that_channel_would_charge_and_not_the_dearest(tmp_path: Path) -> None:
    free, dear = channel("free", priority=2, free=True), channel("dear", priority=1)
    async with stage(tmp_path, reset, channels=(free, dear)) as scene:
        ask = scene.ask()
        with pytest.raises(Broken):
            await listen(scene, ask)
        receipt = await bill(scene, ask)
        assert receipt.attempts[0].outcome == "unknown"
        assert (receipt.state, receipt.cost_nanos) == ("released", 0)


async def test_an_unknown_outcome_that_is_tried_again_is_charged_once_each_and_held_before(tmp_path: Path) -> None:
    async with stage(tmp_path, reset, whole, policy=Policy(retry_unknown=True)) as scene:
        ask = scene.ask()
        await listen(scene, ask)
        receipt = await bill(scene, ask)
        bound = receipt.attempts[0].charged_nanos
        assert bound > 10 * INPUT
        assert receipt.cost_nanos == bound + FULL
        assert [extension.nanos for extension in receipt.extensions] == [bound]
        assert receipt.attempts[1].charged_nanos == FULL


async def test_no_money_for_a_second_attempt_is_no_second_attempt(tmp_path: Path) -> None:
    async with stage(tmp_path, reset, whole, policy=Policy(retry_unknown=True), budget=100_000_000) as scene:
        hold = await _hold_of(scene, scene.ask(max_tokens=220))
        row = accounts.get_token(scene.till.db, "test")
        await scene.till.book.grant("token", row.id, hold - row.remain, "just enough", "test")
        scene.transport.calls.clear()
        ask = scene.ask(max_tokens=220)
        scene.transport.scripts[:] = [reset, whole]
        with pytest.raises(Broken):
            await listen(scene, ask)
        receipt = await bill(scene, ask)
        assert len(scene.transport.calls) == 1
        assert receipt.state == "kept"
        assert receipt.cost_nanos == receipt.attempts[0].charged_nanos


async def _hold_of(scene: Stage, ask: Any) -> int:
    """What this request holds, found out by making it once for nothing."""
    scene.transport.scripts[:] = [lambda: refusing(400)]
    with pytest.raises(Refused):
        await listen(scene, ask)
    return int((await bill(scene, ask)).hold_nanos)


async def test_a_bug_after_sending_is_an_unknown_outcome_and_not_a_gift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(attempts, "_client_headers", broken)
    async with stage(tmp_path, whole) as scene:
        ask = scene.ask()
        with pytest.raises(ZeroDivisionError):
            await listen(scene, ask)
        receipt = await bill(scene, ask)
        assert (receipt.state, receipt.status, receipt.reason) == ("kept", 500, "internal_error")
        assert receipt.cost_nanos == receipt.attempts[0].charged_nanos > 0
        assert scene.transport.replies[0].aborted


async def test_a_bug_before_sending_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(attempts, "encode_call", broken)
    async with stage(tmp_path, whole) as scene:
        ask = scene.ask()
        with pytest.raises(ZeroDivisionError):
            await listen(scene, ask)
        receipt = await bill(scene, ask)
        assert (receipt.state, receipt.cost_nanos, receipt.attempts) == ("released", 0, ())


async def test_the_row_says_what_the_client_was_told(tmp_path: Path) -> None:
    async with stage(tmp_path, lambda: refusing(401)) as scene:
        ask = scene.ask()
        with pytest.raises(Refused):
            await listen(scene, ask)
        receipt = await bill(scene, ask)
        assert (receipt.status, receipt.reason) == (502, "upstream_auth")
        assert [attempt.status for attempt in receipt.attempts] == [401, 401]


@pytest.mark.parametrize("streams", [False, True])
async def test_a_vendor_that_quotes_its_key_is_not_quoted(streams: bool, tmp_path: Path) -> None:
    key = "sk-vendor-only"
    said = b'{"error":{"message":"bad key ' + key.encode() + b'","type":"t","code":"' + key.encode() + b'"}}'

    def script() -> Script:
        if streams:
            return stream(b"data: " + said + b"\n\n")
        reply = refusing(400)
        reply.pieces = [said]
        return reply

    async with stage(tmp_path, script, channels=(channel("only"),), policy=Policy(retries=0)) as scene:
        ask = scene.ask(stream=streams)
        with pytest.raises(Refused) as refused:
            await listen(scene, ask)
        assert key not in f"{refused.value.message} {refused.value.code} {refused.value.type}"
        assert key not in repr(await bill(scene, ask))
        assert key not in repr(scene.accounts)


async def test_each_channel_rests_as_long_as_it_asked_before_it_is_asked_again(tmp_path: Path) -> None:
    patient, failing = {"retry-after": "60"}, 500
    async with stage(tmp_path, lambda: refusing(429, patient), lambda: refusing(failing), whole) as scene:
        await listen(scene, scene.ask())
        hosts = [call.url.split("/")[2] for call in scene.transport.calls]
        assert hosts == ["one.invalid", "two.invalid", "two.invalid"], "the one that asked for a minute was pressed"
        assert scene.naps == [0.5]


async def test_a_channel_that_asked_for_a_minute_does_not_stop_the_other_from_being_asked_again(tmp_path: Path) -> None:
    async with stage(tmp_path, lambda: refusing(500), lambda: refusing(429, {"retry-after": "60"}), whole) as scene:
        await listen(scene, scene.ask())
        assert [call.url.split("/")[2] for call in scene.transport.calls] == [
            "one.invalid",
            "two.invalid",
            "one.invalid",
        ]


async def test_short_patience_is_waited_for(tmp_path: Path) -> None:
    only = (channel("one"),)
    async with stage(tmp_path, lambda: refusing(429, {"retry-after": "3"}), whole, channels=only) as scene:
        await listen(scene, scene.ask())
        assert scene.naps == [3.0]


async def test_nothing_sent_is_nothing_owed(tmp_path: Path) -> None:
    async with stage(tmp_path, lambda: Unreachable("Could not connect to the upstream")) as scene:
        ask = scene.ask()
        with pytest.raises(Unreachable):
            await listen(scene, ask)
        receipt = await bill(scene, ask)
        assert (receipt.state, receipt.cost_nanos) == ("released", 0)
        assert {attempt.outcome for attempt in receipt.attempts} == {"unreachable"}


async def test_the_multiplier_is_in_every_bound(tmp_path: Path) -> None:
    async with stage(tmp_path, reset) as scene:
        first = scene.ask()
        with pytest.raises(Broken):
            await listen(scene, first)
        scene.till.db.execute("UPDATE users SET multiplier = '2.5', version = version + 1")
        second = scene.ask()
        with pytest.raises(Broken):
            await listen(scene, second)
        plain, dear = await bill(scene, first), await bill(scene, second)
        assert dear.cost_nanos == plain.cost_nanos * 5 // 2
        assert dear.hold_nanos == plain.hold_nanos * 5 // 2


async def test_a_ledger_that_cannot_be_written_refuses_before_anything_is_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(tmp_path, whole) as scene:
        await write_until_full(scene.till)
        asks = [scene.ask() for _ in range(80)]
        refused = 0
        for ask in asks:
            try:
                await _hear(scene, ask)
            except Overloaded as error:
                refused += 1
                assert error.status == 503 and error.retry_after_seconds
        assert refused > 0, "the disk was not full enough"
        assert len(scene.transport.calls) == len(asks) - refused
        scene.till.book._db.execute("PRAGMA max_page_count = 1000000")
        await _until_written(scene)


async def test_a_settlement_that_cannot_be_written_still_lets_the_reply_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    gate_opens = asyncio.Event()
    words = [word(f" w{i}") for i in range(3)]
    async with stage(tmp_path, lambda: stream(words[0], gate_opens, *words[1:], DONE)) as scene:
        ask = scene.ask(stream=True)
        task = asyncio.get_running_loop().create_task(_hear(scene, ask))
        await asyncio.sleep(0.05)
        scene.till.book._db.execute("PRAGMA query_only = 1")
        gate_opens.set()
        body = await task
        assert body.endswith(DONE)
        assert scene.till.book.pending == 1
        assert scene.accounts[-1].state == "pending"
        held = await scene.receipt(ask)
        assert held is not None and held.state == "held"
        scene.till.book._db.execute("PRAGMA query_only = 0")
        await _until_written(scene)
        receipt = await bill(scene, ask)
        assert receipt.state == "settled" and receipt.cost_nanos > 3 * INPUT


async def _hear(scene: Stage, ask: Any) -> bytes:
    """As `listen`, but without looking whether it is settled."""
    return b"".join([item async for item in exchange(ask, scene.gate) if isinstance(item, bytes)])


async def _until_written(scene: Stage) -> None:
    for _ in range(300):
        if scene.till.book.pending == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the settlement never landed")


async def test_a_key_that_has_become_unlimited_may_do_at_once_what_a_budget_forbade(tmp_path: Path) -> None:
    async with stage(tmp_path, whole) as scene:
        with pytest.raises(BadRequest):
            await listen(scene, scene.ask(web_search_options={}))
        row = accounts.get_token(scene.till.db, "test")
        scene.till.db.execute("UPDATE tokens SET unlimited = 1, version = version + 1 WHERE id = ?", (row.id,))
        await listen(scene, scene.ask(web_search_options={}))
        assert len(scene.transport.calls) == 1
