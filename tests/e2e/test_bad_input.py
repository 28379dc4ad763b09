"""Bad input gets a clear error in the OpenAI envelope, and loses nothing: no hold stays, and the ledger balances."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oneapi_cli.ledger import accounts
from tests.support.gateway import Gateway, make_token, running
from tests.support.upstream import Upstream, answering, reply

CONFIG = """
    ledger: ledger.db
    limits: {{body: 64KiB, headers: 8KiB}}
    channels:
      - name: one
        type: openai-compatible
        base_url: {url}
        api_key: k-vendor
        models: [gpt-4o-mini, o1, text-embedding-3-small, unheard-of, hidden]
        priced_as: openai
      - name: closed
        type: openai-compatible
        base_url: {url}
        api_key: k-vendor
        models: [members-only]
        priced_as: openai
        groups: [club]
"""
MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": "gpt-4o-mini", "messages": MESSAGES}


@dataclass(frozen=True)
class Bad:
    name: str
    body: bytes
    status: int
    member: str | None = None
    code: str | None = None
    path: str = "/v1/chat/completions"


def dumps(**members: Any) -> bytes:
    return json.dumps({**CHAT, **members}).encode()


BODIES = [
    Bad("empty", b"", 400),
    Bad("not JSON", b"hello", 400),
    Bad("half JSON", b'{"model": "gpt-4o-mini", "messages": [', 400),
    Bad("an array", b"[1]", 400),
    Bad("a string", b'"gpt-4o-mini"', 400),
    Bad("null", b"null", 400),
    Bad("trailing garbage", json.dumps(CHAT).encode() + b"x", 400),
    Bad("invalid UTF-8", b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "\xff\xfe"}]}', 400),
    Bad("no model", json.dumps({"messages": MESSAGES}).encode(), 400, "model"),
    Bad("empty model", dumps(model=""), 400, "model"),
    Bad("model is a number", dumps(model=5), 400, "model"),
    Bad("no messages", json.dumps({"model": "gpt-4o-mini"}).encode(), 400, "messages"),
    Bad("messages is text", dumps(messages="hi"), 400, "messages"),
    Bad("stream is text", dumps(stream="yes"), 400, "stream"),
    Bad("negative limit", dumps(max_tokens=-1), 400, "max_tokens"),
    Bad("absurd limit", dumps(max_tokens=10**12), 400, "max_tokens"),
    Bad("limit is text", dumps(max_tokens="100"), 400, "max_tokens"),
    Bad("absurd completion limit", dumps(max_completion_tokens=10**30), 400, "max_completion_tokens"),
    Bad("n is zero", dumps(n=0), 400, "n"),
    Bad("n is huge", dumps(n=100_000), 400, "n"),
    Bad(
        "doubled model",
        b'{"model":"gpt-4o-mini","model":"o1","messages":[{"role":"user","content":"hi"}]}',
        400,
        "model",
    ),
    Bad(
        "doubled limit",
        b'{"model":"gpt-4o-mini","max_tokens":5,"max_tokens":50000,"messages":[{"role":"user","content":"hi"}]}',
        400,
        "max_tokens",
    ),
    Bad("capital Model", dumps(Model="o1"), 400, "Model"),
    Bad(
        "escaped twin",
        b'{"model":"gpt-4o-mini","mod\\u0065l":"o1","messages":[{"role":"user","content":"hi"}]}',
        400,
        "model",
    ),
    Bad("too large", dumps(messages=[{"role": "user", "content": "x" * 70_000}]), 413, None, "request_too_large"),
    Bad("unpriced", dumps(model="unheard-of"), 403, "model", "model_not_priced"),
    Bad("unknown model", dumps(model="nobody-has-this"), 503),
    Bad("a model of another group", dumps(model="members-only"), 503),
    Bad("a model the token may not use", dumps(model="hidden"), 403, "model", "model_not_allowed"),
    Bad(
        "background",
        json.dumps({"model": "gpt-4o-mini", "input": "hi", "background": True}).encode(),
        400,
        "background",
        path="/v1/responses",
    ),
    Bad("no input", json.dumps({"model": "text-embedding-3-small"}).encode(), 400, "input", path="/v1/embeddings"),
    Bad("no prompt", json.dumps({"model": "gpt-4o-mini"}).encode(), 400, "prompt", path="/v1/completions"),
]


async def send(gateway: Gateway, bad: Bad, key: str | None = None, **headers: str) -> tuple[int, dict[str, str], Any]:
    given = {"Content-Type": "application/json", "Authorization": f"Bearer {key or gateway.key}", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway.url}{bad.path}", data=bad.body, headers=given) as answer,
    ):
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, json.loads(await answer.read())


def nothing_lost(gateway: Gateway, upstream: Upstream) -> None:
    assert upstream.received == []
    assert gateway.differences() == []
    db = gateway.db()
    try:
        assert db.execute("SELECT count(*) FROM requests WHERE state <> 'refused' OR cost_nanos <> 0").fetchone() == (
            0,
        )
        assert db.execute("SELECT sum(held), sum(used) FROM tokens").fetchone() == (0, 0)
    finally:
        db.close()


def well_formed(status: int, headers: dict[str, str], body: Any) -> None:
    """OpenAI's envelope, with the request's id in header and message."""
    assert set(body) == {"error"}
    assert set(body["error"]) >= {"message", "type"}
    assert f"(request id: {headers['x-oneapi-request-id']})" in body["error"]["message"]
    assert len(headers["x-oneapi-request-id"]) == 32
    assert headers["content-type"].startswith("application/json")
    assert status >= 400


@pytest.mark.parametrize("bad", BODIES, ids=lambda bad: bad.name)
async def test_a_bad_body_is_refused_and_nothing_is_held(bad: Bad, tmp_path: Path) -> None:
    models = ("gpt-*", "o1", "unheard-of", "text-*", "nobody-*", "members-only")
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), models=models) as gateway,
    ):
        status, headers, body = await send(gateway, bad)
        assert status == bad.status, body
        well_formed(status, headers, body)
        if bad.member:
            assert body["error"]["param"] == bad.member
        if bad.code:
            assert body["error"]["code"] == bad.code
        nothing_lost(gateway, upstream)
        db = gateway.db()
        assert db.execute(
            "SELECT state FROM requests WHERE request_id = ?", (headers["x-oneapi-request-id"],)
        ).fetchone() == ("refused",)
        db.close()


async def test_keys(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        db = gateway.db()
        made = {
            "disabled": make_token(db, "disabled", None),
            "expired": make_token(db, "expired", None, expires=2.0),
            "exhausted": make_token(db, "exhausted", 0),
            "elsewhere": make_token(db, "elsewhere", None, subnets=("10.9.0.0/16",)),
        }
        accounts.edit_token(db, "disabled", accounts.TokenEdit(enabled=False), now=2.0)
        db.close()
        chat = Bad("chat", json.dumps(CHAT).encode(), 0)
        for name, key, status in [
            ("unknown", "sk-" + "0" * 48, 401),
            ("nonsense", "x", 401),
            ("disabled", made["disabled"], 401),
            ("expired", made["expired"], 401),
            ("exhausted", made["exhausted"], 401),
            ("elsewhere", made["elsewhere"], 403),
            ("a pin without an admin's token", gateway.key + "-one", 200),
        ]:
            got, headers, body = await send(gateway, chat, key)
            assert got == status, (name, body)
            if status >= 400:
                well_formed(got, headers, body)
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{gateway.base}/chat/completions", data=chat.body) as answer,
        ):
            assert answer.status == 401
        assert gateway.differences() == []


async def raw(gateway: Gateway, data: bytes, *, linger: float = 2.0) -> bytes:
    """Send bytes as they are; what came back until the server closed or fell silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rsplit(":", 1)[1]))
    try:
        writer.write(data)
        await writer.drain()
        return await asyncio.wait_for(reader.read(65536), linger)
    finally:
        writer.close()


def http(gateway: Gateway, *extra: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    head = [
        b"POST /v1/chat/completions HTTP/1.1",
        b"Host: localhost",
        b"Content-Type: application/json",
        f"Authorization: Bearer {gateway.key}".encode(),
        f"Content-Length: {len(body) if length is None else length}".encode(),
        *extra,
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


async def test_malformed_http(tmp_path: Path) -> None:
    body = json.dumps(CHAT).encode()
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        for name, data, status in [
            ("control characters in a header", http(gateway, b"X-Odd: a\x00b", body=body), 400),
            ("not HTTP at all", b"\x16\x03\x01 hello\r\n\r\n", 400),
            ("a header beyond the limit", http(gateway, b"X-Long: " + b"a" * 20_000, body=body), 431),
            (
                "many headers beyond the limit",
                http(gateway, *[b"X-%d: %b" % (i, b"a" * 400) for i in range(60)], body=body),
                431,
            ),
            ("a foreign Host", http(gateway, body=body).replace(b"Host: localhost", b"Host: evil.example"), 421),
        ]:
            answer = await raw(gateway, data)
            head, _, content = answer.partition(b"\r\n\r\n")
            assert head.split(b" ")[1] == str(status).encode(), (name, answer)
            headers = {
                k.decode().lower(): v.strip().decode()
                for k, _, v in (line.partition(b":") for line in head.split(b"\r\n")[1:])
            }
            well_formed(status, headers, json.loads(content))
        nothing_lost(gateway, upstream)


@pytest.mark.parametrize("cut", [0, 1, 20, 60])
async def test_a_truncated_upload_holds_nothing(cut: int, tmp_path: Path) -> None:
    body = json.dumps(CHAT).encode()
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rsplit(":", 1)[1]))
        writer.write(http(gateway, body=body[:cut], length=len(body)))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.2)
        nothing_lost(gateway, upstream)


async def test_unknown_and_unbuilt_paths(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        for path, key, status in [
            ("/v1/nothing-like-this", None, 404),
            ("/elsewhere", None, 404),
            ("/v1/files", None, 501),
            ("/v1/files", "sk-wrong", 401),
            ("/v1/realtime", None, 501),
            ("/v1/responses/resp_123/cancel", None, 404),
        ]:
            got, headers, body = await send(gateway, Bad(path, b"{}", status, path=path), key)
            assert got == status, (path, body)
            well_formed(got, headers, body)
        async with aiohttp.ClientSession() as session, session.get(f"{gateway.base}/chat/completions") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        nothing_lost(gateway, upstream)
