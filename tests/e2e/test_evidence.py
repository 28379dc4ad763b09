"""DESIGN's evidence table, row by row: what each outcome of an attempt costs, and whether it is tried again.

Every case asserts what left for the vendor, what the client got, what the ledger booked, and that the ledger balances.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.gateway import Gateway, running
from tests.support.upstream import Received, Script, Upstream, Writer, answering, events, reply, streaming

CONFIG = """
    ledger: ledger.db
    retries: {retries}
    retry_unknown: {retry_unknown}
    on_disconnect: {on_disconnect}
    timeouts: {{connect: 1s, first_byte: 600ms, idle: 600ms, drain: 2s}}
    channels:
      - name: one
        type: openai-compatible
        base_url: {url}
        api_key: sk-vendor-one
        models: [gpt-4o-mini]
        priced_as: openai
        priority: 2
      - name: two
        type: openai-compatible
        base_url: {url}
        api_key: sk-vendor-two
        models: [gpt-4o-mini]
        priced_as: openai
        priority: 1
"""
ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello"}], "max_tokens": 100}
BAD = {"error": {"message": "vendor says no", "type": "server_error", "param": None, "code": "oops"}}
INPUT_RATE, OUTPUT_RATE = (
    150,
    600,
)  # nano-dollars a token: gpt-4o-mini, $0.15 and $0.60 per million (openai.com/api/pricing, 2026-11)


async def hang(_: Received, writer: Writer) -> None:
    await asyncio.sleep(3)


async def reset(_: Received, writer: Writer) -> None:
    writer.reset()


async def reset_after_head(_: Received, writer: Writer) -> None:
    await writer.head(200, {"Content-Type": "application/json", "Content-Length": "500"})
    await writer.raw(b'{"id": "x"')
    writer.reset()


async def short(_: Received, writer: Writer) -> None:
    await writer.head(200, {"Content-Type": "application/json", "Content-Length": "5000"})
    await writer.raw(json.dumps(reply()).encode())
    writer.reset()


async def zipped(_: Received, writer: Writer) -> None:
    await writer.answer(
        200,
        gzip.compress(json.dumps(reply()).encode()),
        {"Content-Encoding": "gzip", "Content-Type": "application/json"},
    )


OK = answering(200, reply())
FULL_COST = 10 * INPUT_RATE + 5 * OUTPUT_RATE


@dataclass(frozen=True)
class Case:
    """scripts: what the vendor does, request by request. cost "bound": the input bound, something between the text
    and the body.
    """

    name: str
    scripts: Sequence[Script]
    status: int
    state: str
    cost: int | str
    sent: int
    code: str | None = None
    retries: int = 2
    retry_unknown: bool = False
    stream: bool = False


CASES = [
    Case("served", [OK], 200, "settled", FULL_COST, 1),
    Case(
        "cached input is cheaper",
        [answering(200, reply(prompt=2000, prompt_tokens_details={"cached_tokens": 1000}))],
        200,
        "settled",
        1000 * INPUT_RATE + 1000 * 75 + 5 * OUTPUT_RATE,
        1,
    ),
    Case("400 is the client's", [answering(400, BAD)], 400, "released", 0, 1, "oops"),
    Case("404 is the client's", [answering(404, BAD)], 404, "released", 0, 1, "oops"),
    Case("400 in plain text", [answering(400, b"no")], 400, "released", 0, 1),
    Case("429 goes elsewhere", [answering(429, BAD), OK], 200, "settled", FULL_COST, 2),
    Case("500 with an error body goes elsewhere", [answering(500, BAD), OK], 200, "settled", FULL_COST, 2),
    Case("503 with an error body goes elsewhere", [answering(503, BAD), OK], 200, "settled", FULL_COST, 2),
    Case("529 with an error body goes elsewhere", [answering(529, BAD), OK], 200, "settled", FULL_COST, 2),
    Case("401 of the channel goes elsewhere", [answering(401, BAD), OK], 200, "settled", FULL_COST, 2),
    Case("401 everywhere is ours", [answering(401, BAD)], 502, "released", 0, 2, "upstream_auth"),
    Case("403 everywhere is ours", [answering(403, BAD)], 502, "released", 0, 2, "upstream_auth"),
    Case("429 everywhere", [answering(429, BAD, {"Retry-After": "60"})], 429, "released", 0, 2, "oops"),
    Case("no retries wanted", [answering(500, BAD), OK], 500, "released", 0, 1, "oops", retries=0),
    Case("three attempts, no more", [answering(500, BAD)], 500, "released", 0, 3, "oops"),
    Case("502 in HTML is unknown", [answering(502, b"<html>bad gateway</html>"), OK], 502, "kept", "bound", 1),
    Case("504 is unknown", [answering(504, BAD), OK], 504, "kept", "bound", 1),
    Case("524 is unknown", [answering(524, BAD), OK], 504, "kept", "bound", 1),
    Case("silence is unknown", [hang, OK], 504, "kept", "bound", 1),
    Case("a reset after sending is unknown", [reset, OK], 502, "kept", "bound", 1),
    Case("a reset after sending, retried when told", [reset, OK], 200, "settled", "bound+full", 2, retry_unknown=True),
    Case("a body that breaks off is unknown", [reset_after_head, OK], 502, "kept", "bound", 1),
    Case("a wrong Content-Length is unknown", [short, OK], 502, "kept", "bound", 1),
    Case("HTML with 200 is unknown", [answering(200, b"<html>hi</html>"), OK], 502, "kept", "bound", 1),
    Case("an error object with 200 is a refusal", [answering(200, BAD), OK], 200, "settled", FULL_COST, 2),
    Case("gzip though nobody asked", [zipped], 200, "settled", FULL_COST, 1),
    Case(
        "a redirect is not followed", [answering(302, b"", {"Location": "http://127.0.0.1:1/"})], 502, "released", 0, 3
    ),
    Case(
        "a stream's first event is an error",
        [streaming([b'data: {"error":{"message":"busy","code":"oops"}}\n\n']), OK],
        200,
        "settled",
        FULL_COST,
        2,
        stream=True,
    ),
    Case("a stream that never begins", [streaming([], done=False)], 502, "kept", "bound", 1, stream=True),
]


def config(upstream: Upstream, case: Case | None = None, on_disconnect: str = "cancel") -> str:
    return CONFIG.format(
        url=upstream.url,
        retries=case.retries if case else 2,
        retry_unknown=str(case.retry_unknown if case else False).lower(),
        on_disconnect=on_disconnect,
    )


async def post(gateway: Gateway, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.base}/chat/completions", json=body) as answer,
    ):
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read()


async def bill(gateway: Gateway, request_id: str) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.get(f"{gateway.url}/api/cost/request/{request_id}?explain=1") as answer,
    ):
        return dict(await answer.json())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_outcome(case: Case, tmp_path: Path) -> None:
    async with Upstream(list(case.scripts)) as upstream, running(tmp_path, config(upstream, case)) as gateway:
        status, headers, body = await post(gateway, {**ASK, "stream": case.stream})
        assert status == case.status, body
        receipt = await bill(gateway, headers["x-oneapi-request-id"])
        assert len(upstream.received) == case.sent
        assert receipt["state"] == case.state
        bound = receipt["attempts"][0]["charged_nanos"]
        if case.cost == "bound":
            assert len("Say hello") * INPUT_RATE < receipt["cost_nanos"] < 400 * INPUT_RATE
        elif case.cost == "bound+full":
            assert receipt["cost_nanos"] == bound + FULL_COST
            assert bound > 0
        else:
            assert receipt["cost_nanos"] == case.cost
        assert len(receipt["attempts"]) == case.sent
        if case.status >= 400:
            error = json.loads(body)["error"]
            assert headers["x-oneapi-request-id"] in error["message"]
            if case.code:
                assert error["code"] == case.code
        assert gateway.differences() == []


async def test_an_unreachable_channel_costs_nothing_and_the_next_one_serves(tmp_path: Path) -> None:
    async with Upstream([OK]) as upstream:
        text = config(upstream).replace(upstream.url, "http://127.0.0.1:9/v1", 1)
        async with running(tmp_path, text) as gateway:
            status, headers, _ = await post(gateway, ASK)
            receipt = await bill(gateway, headers["x-oneapi-request-id"])
            assert status == 200
            assert [a["outcome"] for a in receipt["attempts"]] == ["unreachable", "served"]
            assert receipt["cost_nanos"] == FULL_COST
            # The second request knows better than to ask the dead channel first.
            _, headers, _ = await post(gateway, ASK)
            receipt = await bill(gateway, headers["x-oneapi-request-id"])
            assert [a["channel"] for a in receipt["attempts"]] == ["two"]


async def test_the_usage_event_we_asked_for_is_taken_out_again(tmp_path: Path) -> None:
    parts = events(["Hel", "lo"], usage=reply()["usage"])
    async with Upstream([streaming(parts)]) as upstream, running(tmp_path, config(upstream)) as gateway:
        status, headers, body = await post(gateway, {**ASK, "stream": True})
        assert status == 200
        assert body == b"".join(parts[:-1]) + b"data: [DONE]\n\n"
        assert upstream.received[0].json["stream_options"] == {"include_usage": True}
        receipt = await bill(gateway, headers["x-oneapi-request-id"])
        assert (receipt["state"], receipt["cost_nanos"], receipt["usage"]["estimated"]) == ("settled", FULL_COST, False)


async def test_a_client_that_asks_for_usage_gets_every_byte(tmp_path: Path) -> None:
    parts = events(["Hel", "lo"], usage=reply()["usage"])
    async with Upstream([streaming(parts)]) as upstream, running(tmp_path, config(upstream)) as gateway:
        _, _, body = await post(gateway, {**ASK, "stream": True, "stream_options": {"include_usage": True}})
        assert body == b"".join(parts) + b"data: [DONE]\n\n"


async def test_a_stream_without_usage_is_counted_and_marked(tmp_path: Path) -> None:
    async with (
        Upstream([streaming(events(["Hello", " there", " friend"]))]) as upstream,
        running(tmp_path, config(upstream)) as gateway,
    ):
        status, headers, body = await post(gateway, {**ASK, "stream": True})
        receipt = await bill(gateway, headers["x-oneapi-request-id"])
        assert status == 200 and body.endswith(b"data: [DONE]\n\n")
        assert receipt["usage"]["estimated"] is True
        assert receipt["usage"]["counts"]["output_tokens"] == 3
        assert 2 <= receipt["usage"]["counts"]["input_tokens"] <= 20
        assert gateway.differences() == []


async def test_an_upstream_that_dies_mid_stream_ends_in_an_error_event_and_no_done(tmp_path: Path) -> None:
    async def die(_: Received, writer: Writer) -> None:
        await writer.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        for event in events(["One", " two"], finish=False):
            await writer.chunk(event)
        await asyncio.sleep(0.05)
        writer.reset()

    async with Upstream([die]) as upstream, running(tmp_path, config(upstream)) as gateway:
        status, headers, body = await post(gateway, {**ASK, "stream": True})
        assert status == 200
        assert b"[DONE]" not in body
        last = json.loads(body.rstrip().rsplit(b"data: ", 1)[1])
        assert last["error"]["message"]
        receipt = await bill(gateway, headers["x-oneapi-request-id"])
        assert receipt["state"] == "settled" and receipt["usage"]["estimated"] is True
        assert receipt["usage"]["counts"]["output_tokens"] == 2
        assert receipt["attempts"][0]["outcome"] == "died"
        assert len(upstream.received) == 1
        assert gateway.differences() == []


@pytest.mark.parametrize(
    "tail", [b"data: {not json}\n\n", b'data: {"error":{"message":"overloaded"}}\n\n'], ids=["malformed", "error event"]
)
async def test_a_stream_that_goes_wrong_is_charged_for_what_was_seen(tail: bytes, tmp_path: Path) -> None:
    parts = [*events(["One", " two"], finish=False), tail]
    async with Upstream([streaming(parts, done=False)]) as upstream, running(tmp_path, config(upstream)) as gateway:
        _, headers, body = await post(gateway, {**ASK, "stream": True})
        assert b"[DONE]" not in body and b'"error"' in body
        receipt = await bill(gateway, headers["x-oneapi-request-id"])
        assert receipt["usage"]["estimated"] is True and receipt["usage"]["counts"]["output_tokens"] == 2
        assert gateway.differences() == []


async def leave_after(gateway: Gateway, body: dict[str, Any], chunks: int, seconds: float = 5.0) -> str:
    """Send, read some of the reply, and break the connection; the request's id."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rsplit(":", 1)[1]))
    data = json.dumps(body).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + f"Authorization: Bearer {gateway.key}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        + data
    )
    await writer.drain()
    request_id = ""
    if chunks:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), seconds)
        request_id = next(
            line.split(b": ")[1].decode()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"x-oneapi-request-id")
        )
        for _ in range(chunks):
            await asyncio.wait_for(reader.readuntil(b"\n\n"), seconds)
    else:
        await asyncio.sleep(0.2)
    writer.transport.abort()
    return request_id


async def settled(gateway: Gateway, seconds: float = 6.0) -> dict[str, Any]:
    """The only request of this ledger once it is not held any more."""
    db = gateway.db()
    try:
        for _ in range(int(seconds / 0.05)):
            row = db.execute("SELECT request_id, state FROM requests").fetchone()
            if row is not None and row[1] != "held":
                return await bill(gateway, row[0])
            await asyncio.sleep(0.05)
    finally:
        db.close()
    raise AssertionError(f"still held, or never there: {row}")


async def slow_stream(_: Received, writer: Writer) -> None:
    await writer.stream(events([f" word{i}" for i in range(20)], usage=reply(output=40)["usage"]), pause=0.05)


async def test_a_client_that_leaves_a_visible_stream_stops_it_and_pays_for_what_was_seen(tmp_path: Path) -> None:
    async with Upstream([slow_stream]) as upstream, running(tmp_path, config(upstream)) as gateway:
        await leave_after(gateway, {**ASK, "stream": True}, 3)
        receipt = await settled(gateway)
        assert receipt["state"] == "settled" and receipt["usage"]["estimated"] is True
        assert 6 <= receipt["usage"]["counts"]["output_tokens"] < 40
        assert receipt["attempts"][0]["outcome"] == "left"
        for _ in range(40):
            if upstream.open_connections == 0:
                break
            await asyncio.sleep(0.05)
        assert upstream.open_connections == 0, "the vendor's stream was not closed"
        assert gateway.differences() == []


async def test_with_drain_a_stream_is_read_on_to_its_usage(tmp_path: Path) -> None:
    async with (
        Upstream([slow_stream]) as upstream,
        running(tmp_path, config(upstream, on_disconnect="drain")) as gateway,
    ):
        await leave_after(gateway, {**ASK, "stream": True}, 3)
        receipt = await settled(gateway)
        assert receipt["usage"]["estimated"] is False
        assert receipt["cost_nanos"] == 10 * INPUT_RATE + 40 * OUTPUT_RATE
        assert gateway.differences() == []


async def test_a_client_that_leaves_a_whole_reply_pays_what_the_vendor_reports(tmp_path: Path) -> None:
    async def late(_: Received, writer: Writer) -> None:
        await asyncio.sleep(0.4)
        await writer.answer(200, reply())

    async with Upstream([late]) as upstream, running(tmp_path, config(upstream)) as gateway:
        await leave_after(gateway, ASK, 0)
        receipt = await settled(gateway)
        assert (receipt["state"], receipt["cost_nanos"]) == ("settled", FULL_COST)
        assert gateway.differences() == []


async def test_a_client_that_leaves_a_whole_reply_that_never_comes_pays_the_hold(tmp_path: Path) -> None:
    async with Upstream([hang]) as upstream:
        text = config(upstream).replace("first_byte: 600ms", "first_byte: 10s").replace("drain: 2s", "drain: 300ms")
        async with running(tmp_path, text) as gateway:
            await leave_after(gateway, ASK, 0)
            receipt = await settled(gateway)
            assert receipt["state"] == "kept"
            assert receipt["cost_nanos"] == receipt["hold"]["nanos"] > 100 * OUTPUT_RATE
            assert gateway.differences() == []
