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
      - name: siliconflow
        type: siliconflow
        base_url: {root}/v1
        api_key: k
        models: [BAAI/bge-reranker-v2-m3]
        prices: {{BAAI/bge-reranker-v2-m3: {{input: 0.01}}}}
      - name: together
        type: together
        base_url: {root}/v1
        api_key: k
        models: [llama-rank]
        prices: {{llama-rank: {{input: 0.10}}}}
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
        {"query": "what is red?", "documents": TEXTS, "top_n": 2, "model": "rerank-v3.5"},
        {"id": "r", "results": RESULTS, "meta": {"billed_units": {"search_units": 2}}},
        4_000_000,
    ),
    Ranker(
        "jina-reranker-v3",
        "/v1/rerank",
        {**ASKED, "model": "jina-reranker-v3"},
        {"model": "jina-reranker-v3", "usage": {"total_tokens": 38}, "results": RESULTS},
        38 * 50,
    ),
    Ranker(
        "BAAI/bge-reranker-v2-m3",
        "/v1/rerank",
        {**ASKED, "model": "BAAI/bge-reranker-v2-m3"},
        {"id": "r", "results": RESULTS, "meta": {"tokens": {"input_tokens": 38, "output_tokens": 0}}},
        38 * 10,
    ),
    Ranker(
        "llama-rank",
        "/v1/rerank",
        {**ASKED, "model": "llama-rank"},
        {
            "object": "rerank",
            "id": "r",
            "model": "llama-rank",
            "results": RESULTS,
            "usage": {"prompt_tokens": 38, "completion_tokens": 0, "total_tokens": 38},
        },
        38 * 100,
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


@pytest.mark.parametrize("model", ["rerank-2.5", "amazon", "ranker"])
async def test_documents_are_given_back_where_asked_for(model: str, tmp_path: Path) -> None:
    reply = {"results": RESULTS, "data": RESULTS, "usage": {"total_tokens": 1}}
    async with serving(tmp_path, answering(200, reply)) as (_, gateway):
        _, answer, _ = await post(gateway, {"model": model, **ASKED, "return_documents": True})
        assert [each["document"] for each in answer["results"]] == [{"text": "a red fox"}, {"text": "snow"}]


async def test_cohere_s_own_words_stay(tmp_path: Path) -> None:
    """Its id and its meta are the client's to read; what its API does not know is left out."""
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}, "warnings": ["w"]}
    script = answering(200, {"id": "theirs", "results": RESULTS, "meta": meta})
    async with serving(tmp_path, script) as (upstream, gateway):
        body = {"model": "ranker", **ASKED, "max_tokens_per_doc": 9, "rank_fields": ["text"], "return_documents": False}
        _, answer, _ = await post(gateway, body)
        assert (answer["id"], answer["meta"], answer["results"]) == ("theirs", meta, RESULTS)
        sent = upstream.received[0].json
        assert (sent["max_tokens_per_doc"], "rank_fields" in sent, "return_documents" in sent) == (9, False, False)


async def test_long_documents_are_several(tmp_path: Path) -> None:
    """Amazon counts a document of more than 512 tokens, the query included, as several; so does the bill, and the hold
    covers it."""
    async with serving(tmp_path, answering(200, {"results": RESULTS[:1]})) as (_, gateway):
        body = {"model": "amazon", "query": "q", "documents": ["fox " * 1000] * 60}  # two chunks each: 120
        _, answer, request_id = await post(gateway, body)
        assert answer["meta"] == {"billed_units": {"search_units": 2}}
        assert booked(gateway, request_id) == ("settled", 2_000_000)
        held, bounded = gateway.db().execute("SELECT hold_nanos, bounded FROM requests").fetchone()
        assert held >= 2_000_000
        assert bounded == 1
        assert gateway.differences() == []


async def test_a_budget_that_does_not_cover_the_searches(tmp_path: Path) -> None:
    """Refused before anything is sent."""
    async with Upstream([answering(200, {"results": RESULTS})]) as upstream:
        config = CONFIG.format(root=upstream.url.removesuffix("/v1"))
        async with running(tmp_path, config, budget_nanos=5_000_000) as gateway:
            body = {"model": "ranker", "query": "q", "documents": ["d"] * 201}
            status, answer, request_id = await post(gateway, body)
            assert (status, answer["error"]["code"]) == (403, "insufficient_user_quota")
            assert upstream.received == []
            assert booked(gateway, request_id) == ("refused", 0)


async def test_an_error_of_the_vendor_is_the_client_s(tmp_path: Path) -> None:
    script = answering(400, {"id": "r", "message": "invalid request: list of documents must not be empty"})
    async with serving(tmp_path, script) as (_, gateway):
        status, answer, request_id = await post(gateway, {"model": "ranker", **ASKED})
        assert (status, answer["error"]["message"][:16]) == (400, "invalid request:")
        assert booked(gateway, request_id) == ("released", 0)


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
    Bad("top in words", "top_n", {**ASKED, "top_n": "all"}),
    Bad("a query in numbers", "query", {**ASKED, "query": 7}),
    Bad("an empty query", "query", {**ASKED, "query": ""}),
    Bad("too many", "documents", {"query": "q", "documents": ["d"] * 10_001}),
    Bad("an empty document", "documents[0]", {"query": "q", "documents": [{}]}),
    Bad("a flag in words", "return_documents", {**ASKED, "return_documents": "yes"}),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
async def test_bad_input(case: Bad, tmp_path: Path) -> None:
    async with serving(tmp_path, answering(200, {})) as (upstream, gateway):
        status, answer, request_id = await post(gateway, {"model": "ranker", **case.body})
        assert (status, answer["error"]["param"]) == (400, case.member), answer
        assert upstream.received == []
        assert booked(gateway, request_id) == ("refused", 0)


async def test_a_document_that_was_not_given_is_no_answer(tmp_path: Path) -> None:
    reply = {"results": [{"index": 3, "relevance_score": 0.5}]}
    async with serving(tmp_path, answering(200, reply)) as (_, gateway):
        status, answer, _ = await post(gateway, {"model": "amazon", **ASKED})
        assert (status, answer["error"]["code"]) == (502, "upstream_malformed")
