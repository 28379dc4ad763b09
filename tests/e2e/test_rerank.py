"""Rerank through the gateway: Cohere's shape, to whoever ranks; over real sockets.

Shapes: https://docs.cohere.com/reference/rerank · https://docs.voyageai.com/reference/reranker-api ·
https://jina.ai/reranker · Amazon Bedrock's guide to reranking (2026-11)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.gateway import Gateway, booked, running
from tests.support.upstream import Script, Upstream, answering

CONFIG = """
    ledger: ledger.db
    channels:
      - {{name: cohere, type: cohere, base_url: '{root}', api_key: k, models: {{ranker: rerank-v3.5}}}}
      - {{name: voyage, type: voyage, base_url: '{root}/v1', api_key: k, models: [rerank-2.5]}}
      - name: jina
        type: jina
        base_url: {root}/v1
        api_key: k
        models: [jina-reranker-v3]
        prices: {{jina-reranker-v3: {{input: 0.05}}}}
      - name: bedrock
        type: bedrock
        base_url: {root}
        region: us-east-1
        bearer: k
        models: {{amazon: amazon.rerank-v1:0, cohere-aws: cohere.rerank-v3-5:0}}
"""
DOCUMENTS = ["a red fox", {"text": "a white hare"}, "snow"]
ASKED = {"query": "what is red?", "documents": DOCUMENTS, "top_n": 2}
TEXTS = ["a red fox", "a white hare", "snow"]
RESULTS = [{"index": 0, "relevance_score": 0.9}, {"index": 2, "relevance_score": 0.1}]


@asynccontextmanager
async def serving(tmp_path: Path, script: Script) -> AsyncIterator[tuple[Upstream, Gateway]]:
    async with Upstream([script]) as upstream:
        config = CONFIG.format(root=upstream.url.removesuffix("/v1"))
        async with running(tmp_path, config) as gateway:
            yield upstream, gateway


async def post(gateway: Gateway, body: Any, path: str = "/rerank") -> tuple[int, Any, str]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.base}{path}", json=body) as answer,
    ):
        return answer.status, await answer.json(), answer.headers["x-oneapi-request-id"]


@dataclass(frozen=True)
class Ranker:
    """sent: the request that must leave. nanos: by the list price (2026-11), $2 and $1 a thousand searches, $0.05 a
    million tokens."""

    model: str
    path: str
    sent: dict[str, Any]
    reply: dict[str, Any]
    nanos: int


RANKERS = [
    Ranker(
        "ranker",
        "/v2/rerank",
        {**ASKED, "model": "rerank-v3.5"},
        {"id": "r", "results": RESULTS, "meta": {"billed_units": {"search_units": 1}}},
        2_000_000,
    ),
    Ranker(
        "jina-reranker-v3",
        "/v1/rerank",
        {**ASKED, "model": "jina-reranker-v3"},
        {"model": "jina-reranker-v3", "usage": {"total_tokens": 38}, "results": RESULTS},
        38 * 50,
    ),
    Ranker(
        "rerank-2.5",
        "/v1/rerank",
        {"model": "rerank-2.5", "query": "what is red?", "documents": TEXTS, "top_k": 2},
        {"object": "list", "data": RESULTS, "model": "rerank-2.5", "usage": {"total_tokens": 38}},
        38 * 50,
    ),
    Ranker(
        "amazon",
        "/model/amazon.rerank-v1%3A0/invoke",
        {"query": "what is red?", "documents": TEXTS, "top_n": 2},
        {"results": RESULTS},
        1_000_000,
    ),
    Ranker(
        "cohere-aws",
        "/model/cohere.rerank-v3-5%3A0/invoke",
        {"query": "what is red?", "documents": TEXTS, "top_n": 2, "api_version": 2},
        {"results": RESULTS},
        2_000_000,
    ),
]


@pytest.mark.parametrize("case", RANKERS, ids=lambda case: case.model)
async def test_each_vendor(case: Ranker, tmp_path: Path) -> None:
    async with serving(tmp_path, answering(200, case.reply)) as (upstream, gateway):
        status, answer, request_id = await post(gateway, {"model": case.model, **ASKED})
        assert status == 200, answer
        (sent,) = upstream.received
        assert (sent.target, sent.json) == (case.path, case.sent)
        ranked = [(each["index"], each["relevance_score"]) for each in answer["results"]]
        assert ranked == [(0, 0.9), (2, 0.1)]
        assert booked(gateway, request_id) == ("settled", case.nanos)
        assert gateway.differences() == []


@pytest.mark.parametrize("model", ["rerank-2.5", "amazon"])
async def test_documents_are_given_back_where_asked_for(model: str, tmp_path: Path) -> None:
    reply = {"results": RESULTS, "data": RESULTS, "usage": {"total_tokens": 1}}
    async with serving(tmp_path, answering(200, reply)) as (_, gateway):
        _, answer, _ = await post(gateway, {"model": model, **ASKED, "return_documents": True})
        assert [each["document"] for each in answer["results"]] == [{"text": "a red fox"}, {"text": "snow"}]


async def test_searches_that_nobody_counts_are_counted(tmp_path: Path) -> None:
    """A search is a query over up to a hundred documents."""
    async with serving(tmp_path, answering(200, {"results": RESULTS})) as (_, gateway):
        for model, nanos in (("ranker", 2_000_000), ("amazon", 1_000_000)):
            body = {"model": model, "query": "q", "documents": ["d"] * 201}
            _, _, request_id = await post(gateway, body)
            assert booked(gateway, request_id) == ("settled", 3 * nanos)


async def test_cohere_s_own_path(tmp_path: Path) -> None:
    async with serving(tmp_path, answering(200, RANKERS[0].reply)) as (_, gateway):
        status, _, _ = await post(gateway, {"model": "ranker", **ASKED}, "/../v2/rerank")
        assert status == 200


@dataclass(frozen=True)
class Bad:
    name: str
    member: str
    body: dict[str, Any]


BAD = [
    Bad("no query", "query", {"documents": ["a"]}),
    Bad("no documents", "documents", {"query": "q", "documents": []}),
    Bad("documents of what", "documents[1]", {"query": "q", "documents": ["a", 7]}),
    Bad("one document", "documents", {"query": "q", "documents": "a"}),
    Bad("none of them", "top_n", {**ASKED, "top_n": 0}),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
async def test_bad_input(case: Bad, tmp_path: Path) -> None:
    async with serving(tmp_path, answering(200, {})) as (upstream, gateway):
        status, answer, _ = await post(gateway, {"model": "ranker", **case.body})
        assert (status, answer["error"]["param"]) == (400, case.member), answer
        assert upstream.received == []


async def test_a_document_that_was_not_given_is_no_answer(tmp_path: Path) -> None:
    reply = {"results": [{"index": 3, "relevance_score": 0.5}]}
    async with serving(tmp_path, answering(200, reply)) as (_, gateway):
        status, answer, _ = await post(gateway, {"model": "amazon", **ASKED})
        assert (status, answer["error"]["code"]) == (502, "upstream_malformed")
