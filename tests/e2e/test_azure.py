"""Azure's addresses and headers, and what reasoning models want of a request, on every type of channel that has them.

Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning and …/api-version-lifecycle (2026-11)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import KINDS, Wire, use
from tests.support.gateway import booked, running
from tests.support.shapes import response, response_events, vectors
from tests.support.upstream import Upstream, answering, events, reply, streaming

CONFIG = """
    ledger: ledger.db
    channels:
      - name: one
        type: {type}
        base_url: {url}
        api_key: k-vendor-one
        api_version: '{version}'
        priced_as: openai
        models:
          gpt-4o-mini: my.deployment
          text-embedding-3-small: my-embeddings
          o3: o3
          gpt-5: gpt-5
          o1-mini: o1-mini
        prices: {{o1-mini: {{input: 1.10, output: 4.40}}}}
"""
DATED = "2024-10-21"
TALK: list[Any] = [
    {"role": "system", "content": 'Say "system"'},
    {"role": "user", "content": "hi"},
]


def config(kind: str, upstream: Upstream, version: str = "", path: str = "") -> str:
    root = upstream.url.removesuffix("/v1")
    return CONFIG.format(type=kind, url=root + (path if kind == "azure" else "/v1"), version=version)


def chatting(**members: Any) -> Callable[[Any], Any]:
    return lambda c: c.chat.completions.create(**{"model": "gpt-4o-mini", "messages": TALK, **members})


def embedding(client: Any) -> Any:
    return client.embeddings.create(model="text-embedding-3-small", input="a")


def responding(client: Any) -> Any:
    return client.responses.create(model="gpt-4o-mini", input="hi")


CHATTED, EMBEDDED, RESPONDED = reply("Hi"), vectors([0.5]), response("Hi")


@dataclass(frozen=True)
class Address:
    """base: what stands behind the resource's host in `base_url`. target: where the request must go."""

    name: str
    use: Callable[[Any], Any]
    says: dict[str, Any]
    target: str
    model: str
    version: str = ""
    base: str = ""


ADDRESSES = [
    Address(
        "chat, dated",
        chatting(),
        CHATTED,
        f"/openai/deployments/my.deployment/chat/completions?api-version={DATED}",
        "my.deployment",
        DATED,
    ),
    Address(
        "chat, dated, /openai said",
        chatting(),
        CHATTED,
        f"/openai/deployments/my.deployment/chat/completions?api-version={DATED}",
        "my.deployment",
        DATED,
        "/openai",
    ),
    Address("chat, v1", chatting(), CHATTED, "/openai/v1/chat/completions", "my.deployment", "v1"),
    Address("chat, nothing said", chatting(), CHATTED, "/openai/v1/chat/completions", "my.deployment"),
    Address(
        "chat, preview",
        chatting(),
        CHATTED,
        "/openai/v1/chat/completions?api-version=preview",
        "my.deployment",
        "preview",
        "/openai/v1",
    ),
    Address(
        "embeddings, dated",
        embedding,
        EMBEDDED,
        f"/openai/deployments/my-embeddings/embeddings?api-version={DATED}",
        "my-embeddings",
        DATED,
    ),
    Address("embeddings, v1", embedding, EMBEDDED, "/openai/v1/embeddings", "my-embeddings", "v1"),
    Address("responses, dated", responding, RESPONDED, "/openai/v1/responses", "my.deployment", DATED),
    Address("responses, v1", responding, RESPONDED, "/openai/v1/responses", "my.deployment", "v1"),
]


@pytest.mark.parametrize("case", ADDRESSES, ids=lambda case: case.name)
async def test_addresses(case: Address, tmp_path: Path) -> None:
    wire = Wire()
    async with (
        Upstream([answering(200, case.says, {"apim-request-id": "req_azure"})]) as upstream,
        running(tmp_path, config("azure", upstream, case.version, case.base), budget_nanos=None) as gateway,
    ):
        for kind in KINDS:
            await use(kind, gateway, case.use, wire)
            received = upstream.received[-1]
            assert received.target == case.target
            assert received.headers["api-key"] == "k-vendor-one" and "authorization" not in received.headers
            sent = json.loads(wire.sent[-1])
            assert received.json == {**sent, "model": case.model}
            assert wire.headers[-1]["apim-request-id"] == "req_azure"
            assert booked(gateway, wire.request_id) is not None
        assert gateway.differences() == []


async def test_a_stream_that_begins_with_the_filter_s_verdict(tmp_path: Path) -> None:
    """Azure sends its content filter's verdict in a first chunk without choices, which the client must see."""
    first = (
        b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,'
        b'"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}\n\n'
    )
    parts = [first, *events(["Hel", "lo"], usage=reply()["usage"])]
    wire = Wire()
    async with (
        Upstream([streaming(parts)]) as upstream,
        running(tmp_path, config("azure", upstream, DATED)) as gateway,
    ):
        for kind in KINDS:
            chunks = await use(kind, gateway, chatting(stream=True), wire)
            assert [len(chunk.choices) for chunk in chunks] == [0, 1, 1, 1]
            assert booked(gateway, wire.request_id) == ("settled", 10 * 150 + 5 * 600)
            assert upstream.received[-1].json["stream_options"] == {"include_usage": True}
        assert gateway.differences() == []


async def test_streamed_responses_on_azure(tmp_path: Path) -> None:
    async with (
        Upstream([streaming(response_events("Hel", "lo"), done=False)]) as upstream,
        running(tmp_path, config("azure", upstream, "preview")) as gateway,
    ):
        found = await use("async", gateway, lambda c: c.responses.create(model="gpt-4o-mini", input="hi", stream=True))
        assert found[-1].response.output_text == "Hello"
        assert upstream.received[0].target == "/openai/v1/responses?api-version=preview"


# --- reasoning models -----------------------------------------------------------------------------------------------

SAMPLING = {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.1}
DROPPED = ["dropped:temperature", "dropped:top_p", "dropped:presence_penalty"]


@dataclass(frozen=True)
class Reasoner:
    model: str
    role: str


@pytest.mark.parametrize("kind", ["openai-compatible", "openai", "azure"])
@pytest.mark.parametrize(
    "case",
    [Reasoner("o3", "developer"), Reasoner("gpt-5", "developer"), Reasoner("o1-mini", "user")],
    ids=lambda c: c.model,
)
async def test_reasoning_models_get_what_they_take(case: Reasoner, kind: str, tmp_path: Path) -> None:
    wire = Wire()
    async with (
        Upstream([answering(200, reply("Hi"))]) as upstream,
        running(tmp_path, config(kind, upstream, DATED if kind == "azure" else ""), budget_nanos=None) as gateway,
    ):
        await use(
            "async",
            gateway,
            chatting(model=case.model, max_tokens=500, seed=1, extra_body={"x": 1.0}, **SAMPLING),
            wire,
        )
        sent, received = json.loads(wire.sent[0]), upstream.received[0]
        wanted = {name: value for name, value in sent.items() if name not in (*SAMPLING, "max_tokens")}
        wanted["max_completion_tokens"] = 500
        wanted["messages"] = [{"role": case.role, "content": 'Say "system"'}, {"role": "user", "content": "hi"}]
        assert received.json == wanted
        assert b'"x":1.0' in received.body, "what is not ours to change keeps its spelling"
        notes = wire.headers[0]["x-oneapi-notes"].split(",")
        assert sorted(notes) == sorted([*DROPPED, "renamed:max_tokens", f"role:{case.role}"])


@pytest.mark.parametrize("kind", ["openai-compatible", "openai", "azure"])
async def test_nothing_is_noted_where_nothing_had_to_change(kind: str, tmp_path: Path) -> None:
    wire = Wire()
    async with (
        Upstream([answering(200, reply("Hi"))]) as upstream,
        running(tmp_path, config(kind, upstream), budget_nanos=None) as gateway,
    ):
        messages = [{"role": "developer", "content": "Be brief"}, {"role": "user", "content": "hi"}]
        await use("sync", gateway, chatting(model="o3", messages=messages, max_completion_tokens=500), wire)
        assert upstream.received[0].body == wire.sent[0]
        assert "x-oneapi-notes" not in wire.headers[0]
        plain = chatting(max_tokens=7, **SAMPLING)
        await use("sync", gateway, plain, wire)
        assert upstream.received[1].json == {**json.loads(wire.sent[1]), "model": "my.deployment"}
        assert "x-oneapi-notes" not in wire.headers[1]


async def test_a_limited_key_limits_a_reasoning_model_by_its_own_member(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply("Hi"))]) as upstream,
        running(tmp_path, config("openai-compatible", upstream), budget_nanos=50_000_000_000) as gateway,
    ):
        await use("async", gateway, chatting(model="gpt-5", messages=[{"role": "user", "content": "hi"}]))
        assert upstream.received[0].json["max_completion_tokens"] == 128_000
        assert "max_tokens" not in upstream.received[0].json


async def test_responses_of_reasoning_models(tmp_path: Path) -> None:
    wire = Wire()
    async with (
        Upstream([answering(200, response("Hi"))]) as upstream,
        running(tmp_path, config("openai", upstream), budget_nanos=None) as gateway,
    ):
        await use(
            "async",
            gateway,
            lambda c: c.responses.create(model="o3", input=TALK, max_output_tokens=500, temperature=0.5),
            wire,
        )
        assert upstream.received[0].json == {
            "model": "o3",
            "input": [{"role": "developer", "content": 'Say "system"'}, {"role": "user", "content": "hi"}],
            "max_output_tokens": 500,
        }
        assert wire.headers[0]["x-oneapi-notes"] == "dropped:temperature,role:developer"
