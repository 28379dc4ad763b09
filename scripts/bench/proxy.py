"""What we are held against: the leanest reverse proxy that aiohttp on both sides allows, with no ledger and no routing.

    python -m scripts.bench.proxy --upstream http://127.0.0.1:9100 [--port 0]

It knows one key and one path, parses request and answer once, and passes bodies on as bytes. Every trick that made it
faster is in: uvloop, no access log, no cookie jar, no automatic headers, no decompression, no total timeout, a bare
handler in place of router and application, a frozen heap. What a gateway costs beyond it is the gateway's own doing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec
import uvloop
from aiohttp import web

KEY = "sk-bench-proxy"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer sk-upstream"}


def _handler(session: aiohttp.ClientSession, upstream: str) -> Handler:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Authorization", "")[7:] != KEY:
            return web.Response(status=401, text="bad key")
        body = await request.read()
        wanted = msgspec.json.decode(body)
        answer = await session.post(upstream, data=body, headers=HEADERS)
        if wanted.get("stream") is True and wanted["model"]:
            return await _relay(request, answer)
        data = await answer.read()
        answer.release()
        assert msgspec.json.decode(data)["usage"]["total_tokens"]
        return web.Response(body=data, content_type="application/json", status=answer.status)

    return handle


async def _relay(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    out = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    out.enable_chunked_encoding()
    await out.prepare(request)
    usage = b""
    async for data in answer.content.iter_any():
        if b'"usage"' in data:
            usage = data
        await out.write(data)
    assert usage
    answer.release()
    await out.write_eof()
    return out


async def serve(upstream: str, sock: socket.socket) -> None:
    """Until the process is ended."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:
        runner = web.ServerRunner(web.Server(_handler(session, upstream + "/v1/chat/completions"), access_log=None))
        await runner.setup()
        await web.SockSite(runner, sock, backlog=2048).start()
        print(f"listening on http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50000, 20, 20)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A bare reverse proxy to measure against.")
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    sock = socket.socket()
    sock.bind(("127.0.0.1", asked.port))
    uvloop.run(serve(asked.upstream, sock))


if __name__ == "__main__":
    main()
