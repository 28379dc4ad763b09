"""Every answer has a request's id, and with it the cost is there when the answer is: six fields for whoever knows the
id, the whole bill for its key and the admin, the same total on the command line.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oneapi_cli.ledger import accounts
from tests.support.gateway import Gateway, make_token, running
from tests.support.shapes import response_events
from tests.support.upstream import Received, Upstream, Writer, answering, events, reply, streaming

ADMIN = "the-admin-key-of-this-test"
CONFIG = f"""
    ledger: ledger.db
    admin_key: {ADMIN}
    limits: {{{{body: 64KiB, headers: 8KiB}}}}
    channels:
      - {{{{name: one, type: openai, base_url: '{{url}}', api_key: k, models: [gpt-4o-mini, text-embedding-3-small]}}}}
"""
HELLO = [{"role": "user", "content": "hi"}]
CHAT = {"model": "gpt-4o-mini", "messages": HELLO, "max_tokens": 10}
ID = re.compile(r"\d{32}\Z")
COST = 10 * 150 + 5 * 600


@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        return self.headers["x-oneapi-request-id"]


async def send(url: str, method: str = "GET", key: str = "", body: object = None, **headers: str) -> Got:
    given = {**({"Authorization": f"Bearer {key}"} if key else {}), **headers}
    data = body if isinstance(body, bytes) else None
    async with (
        aiohttp.ClientSession(headers=given) as session,
        session.request(method, url, json=None if data is not None else body, data=data) as answer,
    ):
        return Got(answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read())


async def post(gateway: Gateway, path: str = "/chat/completions", key: str = "", **members: Any) -> Got:
    return await send(gateway.base + path, "POST", key or gateway.key, {**CHAT, **members})


async def cost(gateway: Gateway, request_id: str, query: str = "", key: str = "") -> Got:
    return await send(f"{gateway.url}/api/cost/request/{request_id}{query}", key=key)


# --- an id on every answer ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """One request, and the status of its answer."""

    name: str
    status: int
    path: str = "/v1/chat/completions"
    method: str = "POST"
    key: str | None = None
    body: object = None
    host: str = ""


ANY = [
    Request("served", 200, body=CHAT),
    Request("models", 200, "/v1/models", "GET"),
    Request("a model", 200, "/v1/models/gpt-4o-mini", "GET"),
    Request("health", 200, "/healthz", "GET", key=""),
    Request("health, head only", 200, "/healthz", "HEAD", key=""),
    Request("status", 200, "/api/status", "GET", key=""),
    Request("an unknown cost", 200, f"/api/cost/request/{'0' * 32}", "GET", key=""),
    Request("a bad body", 400, body=b"{"),
    Request("no key", 401, key="", body=CHAT),
    Request("an unknown key", 401, key="sk-unknown", body=CHAT),
    Request("no price", 403, body={**CHAT, "model": "gpt-4o-mini-of-nobody"}),
    Request("no such model", 404, "/v1/models/nothing", "GET"),
    Request("no such path", 404, "/v2/anything", "GET"),
    Request("no such page", 404, "/", "GET", key=""),
    Request("a wrong method", 405, "/v1/chat/completions", "GET"),
    Request("another wrong method", 405, "/healthz", "DELETE", key=""),
    Request("preflight", 405, method="OPTIONS", key=""),
    Request("too large", 413, body={**CHAT, "user": "x" * 70_000}),
    Request("a foreign host", 421, body=CHAT, host="evil.example"),
    Request("long headers", 431, "/healthz", "GET", key="k" * 9_000),
    Request("not built", 501, "/v1/files", body={}),
]


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with Upstream([answering(200, reply())]) as upstream:
        text = CONFIG.format(url=upstream.url).replace("models: [", "models: [gpt-4o-mini-of-nobody, ")
        async with running(tmp_path, text) as found:
            yield found


@pytest.mark.parametrize("case", ANY, ids=lambda case: case.name)
async def test_every_answer_has_an_id(case: Request, gateway: Gateway) -> None:
    headers = {"Host": case.host} if case.host else {}
    key = gateway.key if case.key is None else case.key
    got = await send(gateway.url + case.path, case.method, key, case.body, **headers)
    assert got.status == case.status, got.body
    assert ID.match(got.request_id)
    assert got.headers["server"] == "oneapi"
    assert abs(time.mktime(time.strptime(got.request_id[:14], "%Y%m%d%H%M%S")) - time.mktime(time.gmtime())) < 60
    if got.status >= 400:
        assert f"(request id: {got.request_id})" in got.json["error"]["message"]


@pytest.mark.parametrize(
    "data", [b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/x HTTP/1.1\r\nA b: c\r\n\r\n"]
)
async def test_what_is_not_http_has_an_id_too(data: bytes, gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rsplit(":", 1)[1]))
    writer.write(data)
    await writer.drain()
    head, _, body = (await asyncio.wait_for(reader.read(65_536), 5)).partition(b"\r\n\r\n")
    writer.close()
    found = re.search(rb"(?i)\r\nx-oneapi-request-id: (\d{32})\r\n", head + b"\r\n")
    assert found is not None and found[1] in body


async def test_ids_cannot_be_guessed_from_one_another(gateway: Gateway) -> None:
    ids = [(await send(f"{gateway.url}/healthz")).request_id for _ in range(50)]
    assert len({found[14:] for found in ids}) == 50
    assert min(abs(int(a[14:]) - int(b[14:])) for a, b in itertools.pairwise(ids)) > 10**6


# --- the cost is there when the answer is ---------------------------------------------------------------------------

WHOLE: Any = (answering(200, reply()), False, "/chat/completions", {})
STREAM = (streaming(events(["a", "b"], usage=reply()["usage"])), True, "/chat/completions", {"stream": True})
RESPONSE = (streaming(response_events("a"), done=False), True, "/responses", {"stream": True, "input": "hi"})
SILENT = (streaming(events(["a", "b"])), True, "/chat/completions", {"stream": True})


@pytest.mark.parametrize("case", [WHOLE, STREAM, RESPONSE, SILENT], ids=["whole", "stream", "response", "estimated"])
async def test_the_cost_is_there_with_the_last_byte(case: Any, tmp_path: Path) -> None:
    """The connection is not even read to its end: the moment the last event is here, its cost is asked for."""
    script, stream, path, members = case
    async with (
        Upstream([script]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
    ):
        body = (
            {"model": "gpt-4o-mini", "max_output_tokens": 9, **members} if "input" in members else {**CHAT, **members}
        )
        for _ in range(20):
            async with session.post(gateway.base + path, json=body) as answer:
                request_id = answer.headers["X-Oneapi-Request-Id"]
                seen = b""
                while not (b"[DONE]" in seen or b'"response.completed"' in seen or (not stream and seen)):
                    seen += await answer.content.readany()
                found = (await cost(gateway, request_id)).json
                assert found.get("cost_usd"), found
                assert found["cost_usd"] == COST / 1e9 or case is SILENT
        assert gateway.differences() == []


async def test_six_fields_and_no_more(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        got = await post(gateway)
        found = await cost(gateway, got.request_id)
        assert found.status == 200 and found.headers["content-type"].startswith("application/json")
        row = found.json
        assert list(row) == ["id", "created_time", "user_id", "request_id", "quota", "cost_usd"]
        assert isinstance(row["id"], int) and row["user_id"] == 1 and row["request_id"] == got.request_id
        assert abs(row["created_time"] - time.time()) < 30 and isinstance(row["created_time"], int)
        assert row["cost_usd"] == COST / 1e9
        assert row["quota"] == -(-COST // 2000) == 3, "quota is 2 000 nano-dollars, rounded up"


async def test_what_is_unknown_open_refused_or_free(tmp_path: Path) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    async def slow(_: Received, writer: Writer) -> None:
        await writer.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        await writer.chunk(events(["a"])[0])
        started.set()
        await finish.wait()
        await writer.chunk(b"data: [DONE]\n\n")
        await writer.end()

    async with (
        Upstream([slow]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
    ):
        for unknown in ("0" * 32, "nonsense", "%27%20OR%201=1"):
            found = await cost(gateway, unknown)
            assert (found.status, found.json["success"]) == (200, False)
            assert found.json["message"] == "failed to get cost by request id: record not found"
        async with session.post(f"{gateway.base}/chat/completions", json={**CHAT, "stream": True}) as answer:
            await started.wait()
            request_id = answer.headers["X-Oneapi-Request-Id"]
            found = await cost(gateway, request_id)
            assert (found.status, found.json["success"]) == (200, False) and "pending" in found.json["message"]
            finish.set()
            await answer.read()
        assert (await cost(gateway, request_id)).json["quota"] > 0
        refused = await post(gateway, max_tokens=-1)
        assert (await cost(gateway, refused.request_id)).json["cost_usd"] == 0
        nobody = await send(f"{gateway.base}/chat/completions", "POST", "sk-nobody", CHAT)
        assert (await cost(gateway, nobody.request_id)).json["success"] is False, "who is unknown leaves no row"


async def test_the_bill_is_for_its_key_and_the_admin(tmp_path: Path) -> None:
    async with (
        Upstream(
            [answering(200, reply(prompt=1000, output=7, prompt_tokens_details={"cached_tokens": 333}))]
        ) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        db = gateway.db()
        accounts.add_user(db, accounts.NewUser(name="ann", unlimited=True, multiplier=Decimal("1.23")), now=1.0)
        own, other = make_token(db, "anns", None, user="ann"), make_token(db, "anns-other", None, user="ann")
        db.close()
        got = await post(gateway, key=own)
        for key, status in [(own, 200), (ADMIN, 200), (gateway.key, 200), (other, 403), ("", 401), ("sk-x", 401)]:
            found = await cost(gateway, got.request_id, "?explain=1", key)
            assert found.status == status, (key, found.body)
        assert (await cost(gateway, "0" * 32, "?explain=1", own)).json["success"] is False
        bill = (await cost(gateway, got.request_id, "?explain=1", own)).json
        exact = (667 * 150 + 333 * 75 + 7 * 600) * 123
        assert bill["cost_nanos"] == -(-exact // 100)
        assert sum(line["picos"] for line in bill["lines"]) == bill["cost_nanos"] * 1000
        assert bill["lines"][-1]["unit"] == "rounding"
        assert [attempt["outcome"] for attempt in bill["attempts"]] == ["served"]
        assert json.loads(bill["usage"]["raw"])["prompt_tokens_details"] == {"cached_tokens": 333}
        assert bill["hold"]["nanos"] < bill["cost_nanos"] and bill["bounded"] is False, "the vendor said more than fits"
        # The command line reads the same ledger and says the same total.
        said = await asyncio.to_thread(oneapi, "cost", got.request_id, "--config", str(tmp_path / "config.yaml"))
        assert said.returncode == 0 and f"${bill['cost_nanos'] / 1e9:.9f}".rstrip("0") in said.stdout
        page = await asyncio.to_thread(
            oneapi, "cost", got.request_id, "--json", "--config", str(tmp_path / "config.yaml")
        )
        assert json.loads(page.stdout) == bill


def oneapi(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oneapi_cli", *words], capture_output=True, text=True, timeout=60, check=False
    )
