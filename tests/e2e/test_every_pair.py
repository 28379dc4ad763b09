"""Every door and every dialect, by the official clients over real sockets: a tools loop, streamed and not, its bill,
and errors as each client's own exceptions. The request that left is looked at as well.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import openai
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.genai import errors as google_errors

from tests.support.doors import DOORS, LIMIT, SYSTEM
from tests.support.gateway import Gateway, running
from tests.support.upstream import Received, Script, Upstream, Writer
from tests.support.vendors import (
    ARGUMENTS,
    MESSAGE,
    TEXT,
    TOOL,
    USED_CACHED,
    USED_IN,
    USED_OUT,
    VENDORS,
    refusing,
    telling,
)

# google-genai's own session, over the aiohttp that we have.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

AWS = "region: us-east-1, access_key_id: AKIDEXAMPLE, secret_access_key: not-a-secret"
CHANNELS = {
    "openai_chat": "type: openai-compatible, base_url: '{root}/v1', api_key: k, speaks: [openai_chat], models: [m]",
    "openai_responses": "type: openai-compatible, base_url: '{root}/v1', api_key: k, models: [m], "
    "speaks: [openai_responses]",
    "anthropic_messages": "type: anthropic, base_url: '{root}', api_key: k, models: [m]",
    "bedrock_invoke": f"type: bedrock, base_url: '{{root}}', {AWS}, speaks: [anthropic_messages], "
    "models: {{m: anthropic.claude-3-haiku-20240307-v1:0}}",
    "bedrock_converse": f"type: bedrock, base_url: '{{root}}', {AWS}, models: {{{{m: amazon.nova-lite-v1:0}}}}",
    "gemini": "type: gemini, base_url: '{root}', api_key: k, models: {{m: gemini-2.0-flash}}",
    "vertex_claude": "type: vertex, base_url: '{root}', project: p1, location: us-east5, credentials: '{credentials}', "
    "models: {{m: claude-3-haiku@20240307}}",
    "cohere_chat": "type: cohere, base_url: '{root}', api_key: k, models: [m]",
    "ollama": "type: ollama, base_url: '{root}', models: [m]",
}
PATHS = {
    "openai_chat": ("/v1/chat/completions", "/v1/chat/completions"),
    "openai_responses": ("/v1/responses", "/v1/responses"),
    "anthropic_messages": ("/v1/messages", "/v1/messages"),
    "bedrock_invoke": (
        "/model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke",
        "/model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke-with-response-stream",
    ),
    "bedrock_converse": ("/model/amazon.nova-lite-v1%3A0/converse", "/model/amazon.nova-lite-v1%3A0/converse-stream"),
    "gemini": (
        "/v1beta/models/gemini-2.0-flash:generateContent",
        "/v1beta/models/gemini-2.0-flash:streamGenerateContent?alt=sse",
    ),
    "vertex_claude": (
        "/v1/projects/p1/locations/us-east5/publishers/anthropic/models/claude-3-haiku%4020240307:rawPredict",
        "/v1/projects/p1/locations/us-east5/publishers/anthropic/models/claude-3-haiku%4020240307:streamRawPredict",
    ),
    "cohere_chat": ("/v2/chat", "/v2/chat"),
    "ollama": ("/api/chat", "/api/chat"),
}
PRICE = "prices: {{'*': {{input: 1, cache_read: 0.1, output: 2}}}}"
COST = (USED_IN - USED_CACHED) * 1000 + USED_CACHED * 100 + USED_OUT * 2000
COST_UNCACHED = USED_IN * 1000 + USED_OUT * 2000

PAIRS = list(itertools.product(DOORS, CHANNELS))


def service_account(folder: Path, root: str) -> Path:
    """A service account whose tokens come from the mock."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path = folder / "account.json"
    said = {"type": "service_account", "project_id": "p1", "private_key_id": "1", "private_key": pem}
    said |= {"client_email": "a@p1.iam.gserviceaccount.com", "token_uri": f"{root}/token"}
    path.write_text(json.dumps(said))
    return path


def with_tokens(script: Any) -> Script:
    """The same vendor, which hands out access tokens beside."""

    async def both(request: Received, writer: Writer) -> None:
        if request.target.endswith("/token"):
            await writer.answer(200, {"access_token": "ya29.test", "expires_in": 3600, "token_type": "Bearer"})
        else:
            await script(request, writer)

    return both


@asynccontextmanager
async def pair(folder: Path, dialect: str, script: Any) -> AsyncIterator[tuple[Upstream, Gateway]]:
    async with Upstream([with_tokens(script)]) as upstream:
        root = upstream.url.removesuffix("/v1")
        account = service_account(folder, root) if "vertex" in dialect else ""
        channel = "{{name: v, " + CHANNELS[dialect] + ", " + PRICE + "}}"
        config = f"retries: 0\nchannels:\n  - {channel}\n".format(root=root, credentials=account)
        async with running(folder, config, budget_nanos=1_000_000_000) as gateway:
            yield upstream, gateway


def last_row(gateway: Gateway) -> tuple[str, int, int]:
    db = gateway.db()
    try:
        found = db.execute("SELECT state, cost_nanos, bounded FROM requests ORDER BY id DESC LIMIT 1").fetchone()
        return found[0], found[1], found[2]
    finally:
        db.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("door", "dialect"), PAIRS)
async def test_a_tools_loop(tmp_path: Path, door: str, dialect: str, stream: bool) -> None:
    async with pair(tmp_path, dialect, telling(VENDORS[dialect])) as (upstream, gateway):
        first = await DOORS[door](gateway, stream, None)
        assert first.calls == [(TOOL, ARGUMENTS)]
        assert (first.text, first.finish) == ("", "calls")
        second = await DOORS[door](gateway, stream, first)
        assert (second.text, second.calls, second.finish) == (TEXT, [], "stop")
        # Ollama does not say what came from a cache.
        cached = 0 if dialect == "ollama" else USED_CACHED
        for said in (first, second):
            assert said.used == (USED_IN, cached, USED_OUT)
        state, cost, bounded = last_row(gateway)
        assert (state, cost, bounded) == ("settled", COST if cached else COST_UNCACHED, 1)
        sent = [request for request in upstream.received if not request.target.endswith("/token")]
        assert [request.target for request in sent] == [PATHS[dialect][stream]] * 2
        for request in sent:
            assert SYSTEM.encode() in request.body
            assert TOOL.encode() in request.body
            assert str(LIMIT).encode() in request.body
        assert b"21 degrees" in sent[1].body
        assert gateway.differences() == []


def raised(door: str) -> tuple[type[Exception], ...]:
    return {
        "openai_chat": (openai.RateLimitError,),
        "openai_responses": (openai.RateLimitError,),
        "anthropic_messages": (anthropic.RateLimitError,),
        "gemini": (google_errors.ClientError,),
    }[door]


@pytest.mark.parametrize(("door", "dialect"), PAIRS)
async def test_a_refusal_is_the_clients_own_exception(tmp_path: Path, door: str, dialect: str) -> None:
    async with pair(tmp_path, dialect, refusing(VENDORS[dialect])) as (_, gateway):
        with pytest.raises(raised(door)) as refused:
            await DOORS[door](gateway, False, None)
        assert MESSAGE in str(refused.value)
        assert last_row(gateway)[:2] == ("released", 0)
        assert gateway.differences() == []


@pytest.mark.parametrize(("door", "dialect"), [pair for pair in PAIRS if pair[1] != "ollama"])
async def test_a_stream_that_breaks_off_is_no_answer(tmp_path: Path, door: str, dialect: str) -> None:
    vendor = VENDORS[dialect]

    async def breaks(request: Received, writer: Writer) -> None:
        await writer.head(200, {"Content-Type": vendor.kind, "Transfer-Encoding": "chunked"})
        pieces = vendor.stream(False)
        for piece in pieces[: max(1, len(pieces) // 2)]:
            await writer.chunk(piece)
        writer.reset()

    async with pair(tmp_path, dialect, breaks) as (_, gateway):
        # RuntimeError: what OpenAI's helper makes of a response that failed, its own vendor's too.
        with pytest.raises((openai.APIError, anthropic.APIError, google_errors.APIError, RuntimeError)):
            await DOORS[door](gateway, True, None)
        state, cost, _ = last_row(gateway)
        assert state in ("settled", "kept")
        assert cost > 0
        assert gateway.differences() == []


def test_every_door_and_dialect_is_here() -> None:
    from oneapi_cli.dialects import LISTENERS, SPEAKERS

    assert set(DOORS) == set(LISTENERS)
    assert set(SPEAKERS) <= {*CHANNELS, "replicate"}  # whose own way of answering has tests of its own


async def test_betas_go_where_each_vendor_reads_them(tmp_path: Path) -> None:
    body = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
    for dialect in ("anthropic_messages", "bedrock_invoke"):
        folder = tmp_path / dialect
        folder.mkdir()
        async with pair(folder, dialect, telling(VENDORS[dialect])) as (upstream, gateway):
            headers = {"x-api-key": gateway.key, "anthropic-version": "2023-06-01", "anthropic-beta": "one-1, two-2"}
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.post(f"{gateway.base}/messages", json=body) as answer,
            ):
                assert answer.status == 200, await answer.text()
            sent = upstream.received[0]
            if dialect == "anthropic_messages":
                assert sent.headers["anthropic-beta"] == "one-1, two-2"
                assert sent.json == body
            else:
                assert "anthropic-beta" not in sent.headers
                assert sent.json == {
                    "anthropic_version": "bedrock-2023-05-31",
                    "anthropic_beta": ["one-1", "two-2"],
                    "max_tokens": 10,
                    "messages": body["messages"],
                }
