"""What translated requests and exchanges of several steps cost, and what they leave open."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from oneapi_cli.dialects import SPEAKERS
from oneapi_cli.framing.sse import Frame
from oneapi_cli.gateway.watch import ClientLeft
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.server.connection import ClientPresence
from oneapi_cli.values.errors import BadRequest, Broken, GatewayError, Unreachable
from oneapi_cli.values.vendor import Channel, Quirks, Timeouts
from tests.gateway.kit import (
    FULL,
    MODEL,
    Piece,
    ScriptedReply,
    channel,
    listen,
    refusing,
    stage,
    whole,
)

JSON = {"content-type": "application/json"}


def replicate(**more: Any) -> Channel:
    own = {
        "speaks": {"replicate": "/predictions"},
        "vendor": VENDORS["replicate"],
        "models": {MODEL: "meta/llama"},
    }
    return channel("r", **{**own, **more})


def prediction(status: str, *rest: Piece, code: int = 200, **more: Any) -> ScriptedReply:
    body = {"id": "abc", "status": status, "output": None, "error": None, "urls": {}, **more}
    return ScriptedReply([json.dumps(body).encode(), *rest], code, JSON)


async def test_a_look_that_is_refused_lets_its_connection_go(tmp_path: Path) -> None:
    scripts = (lambda: prediction("processing", code=201), lambda: refusing(400))
    async with stage(tmp_path, *scripts, channels=[replicate()]) as scene:
        with pytest.raises(GatewayError):
            await listen(scene, scene.ask())
        await scene.quiet()
        assert len(scene.transport.replies) > 1
        assert all(each.aborted or each.released for each in scene.transport.replies)


async def test_a_look_that_breaks_lets_its_connection_go(tmp_path: Path) -> None:
    scripts = (lambda: prediction("processing", code=201), lambda: prediction("processing", Broken("cut")))
    async with stage(tmp_path, *scripts, channels=[replicate()]) as scene:
        with pytest.raises(GatewayError):
            await listen(scene, scene.ask())
        await scene.quiet()
        assert len(scene.transport.replies) > 1
        assert all(each.aborted or each.released for each in scene.transport.replies)


async def test_credentials_that_are_missing_leave_no_hold(tmp_path: Path) -> None:
    """An attempt that cannot be signed was not sent: the next channel serves, and only that is paid for."""
    async with stage(tmp_path, whole) as scene:
        sign = scene.gate.sign
        asked: list[str] = []

        async def lacking(where: Channel, key: str, call: Any) -> Any:
            asked.append(where.name)
            if len(asked) == 1:
                raise Unreachable("no credentials", code="no_credentials")
            return await sign(where, key, call)

        scene.gate = replace(scene.gate, sign=lacking)
        ask = scene.ask()
        await listen(scene, ask)
        receipt = await scene.receipt(ask)
        assert receipt is not None
        assert receipt.cost_nanos == FULL
        assert asked == ["one", "two"]


async def test_an_address_that_cannot_be_made_gives_the_hold_back(tmp_path: Path) -> None:
    async with stage(tmp_path, whole) as scene:

        def nowhere(*_: Any) -> str:
            raise BadRequest("no such name")

        scene.gate = replace(scene.gate, url=nowhere)
        with pytest.raises(BadRequest):
            await listen(scene, scene.ask())
        assert scene.till.states() == {"released": 1}


async def test_who_leaves_a_whole_reply_pays_for_what_it_used_though_a_later_channel_could_be_called_off(
    tmp_path: Path,
) -> None:
    """The hold is what nobody knows costs; a reply that is nearly here says it."""
    hang = asyncio.Event()
    halves = whole().pieces
    slow = ScriptedReply([halves[0], hang, halves[1]], 200, JSON)
    channels = [channel("one", priority=1, timeouts=Timeouts(drain=5.0)), replicate(priority=0)]
    async with stage(tmp_path, lambda: slow, channels=channels) as scene:
        presence = ClientPresence()
        ask = scene.ask(presence)
        work = asyncio.create_task(listen(scene, ask))
        await asyncio.sleep(0.2)
        assert scene.transport.replies
        presence.left()
        await asyncio.sleep(0.05)
        hang.set()
        with suppress(ClientLeft):
            await work
        await scene.quiet()
        receipt = await scene.receipt(ask)
        assert receipt is not None
        assert receipt.cost_nanos == FULL


@pytest.mark.parametrize("index", [{}, [], None, 1.5, "0"])
def test_a_part_of_a_stream_in_no_place_is_no_bug(index: object) -> None:
    """What a vendor says wrongly ends as an error event at worst, never as a connection that is cut."""
    start = {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
    text = {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": "x"}}
    call = {"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": {"id": "c"}}}}
    for speaker, said in (("anthropic_messages", (start, text)), ("cohere_chat", (call,))):
        decoder = SPEAKERS[speaker].decode_stream(Quirks())
        for payload in said:
            decoder.feed(Frame(event=str(payload["type"]), data=json.dumps(payload).encode()))
