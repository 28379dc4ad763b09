"""What translation costs: `python scripts/bench_translate.py`, a part of `make bench`.

A mock vendor in this process streams the same 50 words in OpenAI's and in Anthropic's format; `oneapi serve` runs
beside it with its ledger on. Prints the gateway's CPU per stream where it is relayed and where it is translated (chat
door to an Anthropic channel), as medians of rounds that take turns; how long one request of 1 MB holds up the event
loop, beside a small one; and what a stream of 100 MB adds to the gateway's memory. The figures to keep: 2.5 times,
15 ms, flat.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.bench.machine import cpu_seconds, memory_mib  # noqa: E402 - runs from a checkout

KEY = "sk-bench-translate-0000000000000"
WORDS = 50
ROUNDS, STREAMS, AT_ONCE = 7, 240, 16
LARGE_STREAM = 100 << 20
CONFIG = """\
listen: 127.0.0.1:0
ledger: bench.db
channels:
  - {{name: chat, type: openai-compatible, base_url: '{url}/v1', api_key: k, models: [relayed], speaks: [openai_chat],
     prices: {{'*': {{input: 1, output: 2}}}}}}
  - {{name: claude, type: anthropic, base_url: '{url}', api_key: k, models: [translated],
     prices: {{'*': {{input: 1, output: 2}}}}}}
tokens:
  - {{name: bench, key: {key}, unlimited: true}}
"""


def _chat_events(words: int, word: str) -> list[bytes]:
    def chunk(choices: list[Any], **more: Any) -> bytes:
        body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
        return b"data: " + json.dumps(body | more, separators=(",", ":")).encode() + b"\n\n"

    said = [chunk([{"index": 0, "delta": {"content": word}, "finish_reason": None}]) for _ in range(words)]
    finish = chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    usage = {"prompt_tokens": 10, "completion_tokens": words, "total_tokens": 10 + words}
    return [*said, finish, chunk([], usage=usage), b"data: [DONE]\n\n"]


def _anthropic_events(words: int, word: str) -> list[bytes]:
    def event(**members: Any) -> bytes:
        return (
            f"event: {members['type']}\ndata: ".encode() + json.dumps(members, separators=(",", ":")).encode() + b"\n\n"
        )

    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    delta = {"type": "text_delta", "text": word}
    return [
        event(type="message_start", message=message),
        event(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(event(type="content_block_delta", index=0, delta=delta) for _ in range(words)),
        event(type="content_block_stop", index=0),
        event(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": words}),
        event(type="message_stop"),
    ]


@asynccontextmanager
async def _vendor() -> AsyncIterator[str]:
    """A mock that speaks both formats; a model or prompt that says `large` gets a stream of 100 MB."""
    words = {True: "word " * 3200, False: " word"}

    async def answer(request: web.Request) -> web.StreamResponse:
        large = b"large" in (await request.read())[:4000]
        make = _anthropic_events if request.path.endswith("/messages") else _chat_events
        events = make(LARGE_STREAM // len(words[True]) if large else WORDS, words[large])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await response.write(event)
            if not large:
                await asyncio.sleep(0.001)
        await response.write_eof()
        return response

    app = web.Application(client_max_size=8 << 20)
    app.router.add_post("/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _gateway(folder: Path, upstream: str) -> AsyncIterator[tuple[str, int]]:
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(url=upstream, key=KEY), encoding="utf-8")
    config.chmod(0o600)
    words = [sys.executable, "-m", "oneapi_cli", "serve", "--config", str(config), "--port", "0"]
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE, stderr=log, cwd=ROOT)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            while "listening on http://" not in (line := (await process.stdout.readline()).decode()):
                if not line:
                    raise SystemExit(f"oneapi did not start:\n{(folder / 'log').read_text()}")
        yield line.rsplit("listening on ", 1)[1].strip(), process.pid
    finally:
        process.terminate()
        await process.wait()


def _body(model: str, text: str = "Say fifty words.") -> dict[str, Any]:
    return {"model": model, "stream": True, "max_tokens": 4096, "messages": [{"role": "user", "content": text}]}


async def _stream(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> int:
    size = 0
    async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {await answer.text()}")
        last = b""
        async for chunk in answer.content.iter_any():
            size += len(chunk)
            last = (last + chunk)[-64:]
        if b"[DONE]" not in last:
            raise SystemExit(f"a stream did not end: {last!r}")
    return size


async def _cpu_ms(session: aiohttp.ClientSession, url: str, pid: int, model: str) -> float:
    """Of the gateway, per stream."""
    before = cpu_seconds(pid)
    left = STREAMS

    async def client() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await _stream(session, url, _body(model))

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return 1000 * (cpu_seconds(pid) - before) / STREAMS


async def _compare(session: aiohttp.ClientSession, url: str, pid: int) -> float:
    figures: dict[str, list[float]] = {"relayed": [], "translated": []}
    for model in figures:
        await _cpu_ms(session, url, pid, model)  # warm
    for _ in range(ROUNDS):
        for model, found in figures.items():
            found.append(await _cpu_ms(session, url, pid, model))
    ratios = [there / here for here, there in zip(figures["relayed"], figures["translated"], strict=True)]
    ratio = statistics.median(ratios)
    middle = {model: statistics.median(found) for model, found in figures.items()}
    print(
        f"CPU per stream of {WORDS} chunks: relayed {middle['relayed']:.2f} ms, "
        f"translated {middle['translated']:.2f} ms ({ratio:.2f}×, {min(ratios):.2f} to {max(ratios):.2f})"
    )
    return ratio


async def _memory(session: aiohttp.ClientSession, url: str, pid: int) -> float:
    """MiB that a stream of 100 MB adds, after one of the same kind, for which the vocabulary was loaded."""
    grown = 0.0
    for model in ("relayed", "translated"):
        await _stream(session, url, _body(model, "large"))
        before = memory_mib(pid)
        size = await _stream(session, url, _body(model, "large"))
        added = memory_mib(pid) - before
        grown = max(grown, added)
        print(f"A {model} stream of {size / 1e6:,.0f} MB adds {added:.1f} MiB to {before:.0f} MiB")
    return grown


def _loop_ms() -> float:
    """The longest that one request of 1 MB holds up the event loop on its way to being sent, in milliseconds."""
    from scripts.bench.pieces import longest_piece_ms

    small, large = longest_piece_ms(1_000), longest_piece_ms(1_000_000)
    print(f"Longest piece of event-loop time: {small:.1f} ms for a small request, {large:.1f} ms for one of 1 MB")
    return large - small


async def _run(folder: Path) -> int:
    async with (
        _vendor() as upstream,
        _gateway(folder, upstream) as (url, pid),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
    ):
        ratio = await _compare(session, url, pid)
        grown = await _memory(session, url, pid)
    return 0 if ratio <= 2.5 and grown < 32 else 1


def main() -> int:
    """1 when a figure is beyond what it should be."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="oneapi-bench-") as name:
        code = asyncio.run(_run(Path(name)))
    added = _loop_ms()
    print(f"Took {time.monotonic() - began:.0f} s on {os.cpu_count()} cores.")
    return code or int(added > 15)


if __name__ == "__main__":
    sys.exit(main())
