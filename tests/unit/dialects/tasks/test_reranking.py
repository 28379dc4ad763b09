"""Rerank: what is counted, what is held, and each vendor's words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from oneapi_cli.dialects import TASKS, rerank
from oneapi_cli.dialects.dialect import TaskAsk, TaskReply
from oneapi_cli.values.errors import Malformed

RESULT = {"index": 0, "relevance_score": 1}


def ask(model: str = "m", **more: Any) -> TaskAsk:
    asked = {"model": "mine", "query": "q", "documents": ["a", {"text": "b"}], **more}
    return TaskAsk(model=model, name="mine", request_id="0" * 32, created=1, asked=asked)


@pytest.mark.parametrize(
    ("payload", "counts"),
    [
        ({"meta": {"billed_units": {"search_units": 3}}}, {"rerank_searches": 3}),
        ({"meta": {"billed_units": {"search_units": 3.0}}}, {"rerank_searches": 3}),
        ({"meta": {"billed_units": {"search_units": 3}, "tokens": {"input_tokens": 9}}}, {"rerank_searches": 3}),
        ({"meta": {"billed_units": {"search_units": 0, "input_tokens": 9}}}, {"input_tokens": 9}),
        ({"meta": {"tokens": {"input_tokens": 9, "output_tokens": 0}}}, {"input_tokens": 9}),
        ({"usage": {"total_tokens": 9}}, {"input_tokens": 9}),
        ({"usage": {"total_tokens": 9, "prompt_tokens": 8}}, {"input_tokens": 9}),
        ({"usage": {"prompt_tokens": 8}}, {"input_tokens": 8}),
        ({"usage": {}, "meta": None}, None),
        ({"usage": {"total_tokens": -1}}, None),
        ({}, None),
    ],
    ids=str,
)
def test_what_a_reply_says_was_used(payload: dict[str, Any], counts: dict[str, int] | None) -> None:
    usage = rerank.usage_of(payload)
    assert (usage.counts if usage is not None else None) == counts


@pytest.mark.parametrize(
    ("documents", "query", "held"),
    [
        (["d"] * 100, "q", 1),
        (["d"] * 101, "q", 2),
        (["d" * 499] * 100, "q", 1),
        (["d" * 500] * 100, "q", 2),
        (["d"] * 100, "q" * 500, 2),
        (["ü" * 250] * 100, "q", 2),
        ([""], "q", 1),
    ],
    ids=lambda value: str(value)[:30],
)
def test_searches_that_are_held(documents: list[str], query: str, held: int) -> None:
    """A document of more than 500 tokens, the query included, counts as several; no token is shorter than a byte."""
    body = msgspec.json.encode({"model": "m", "query": query, "documents": documents})
    wanted = rerank.peek(body)
    assert wanted.fees == {"rerank_searches": held}
    assert wanted.unknown == ()
    size = sum(len(each.encode()) for each in documents) + len(query) * len(documents)
    assert rerank.measure(body, wanted).text_bytes == size


def test_pictures_are_not_bounded() -> None:
    body = {"model": "m", "query": "q", "documents": [{"image": "https://example.com/a.png"}]}
    assert rerank.peek(msgspec.json.encode(body)).unknown == ("documents",)


@pytest.mark.parametrize(
    ("dialect", "model", "asked", "body", "notes"),
    [
        ("cohere_rerank", "m", {}, {"model": "m", "query": "q", "documents": ["a", "b"]}, ()),
        (
            "cohere_rerank",
            "m",
            {"top_n": 1, "priority": 5, "rank_fields": ["t"], "images": ["x"], "return_documents": True},
            {"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 1, "priority": 5},
            ("dropped:rank_fields", "dropped:images"),
        ),
        (
            "voyage_rerank",
            "m",
            {"top_n": 1, "truncation": False, "max_tokens_per_doc": 9},
            {"model": "m", "query": "q", "documents": ["a", "b"], "top_k": 1, "truncation": False},
            ("dropped:max_tokens_per_doc",),
        ),
        (
            "bedrock_rerank",
            "us.cohere.rerank-v3-5:0",
            {"top_n": 9},
            {"query": "q", "documents": ["a", "b"], "top_n": 2, "api_version": 2},
            (),
        ),
        ("bedrock_rerank", "amazon.rerank-v1:0", {}, {"query": "q", "documents": ["a", "b"]}, ()),
    ],
)
def test_a_request(
    dialect: str, model: str, asked: dict[str, Any], body: dict[str, Any], notes: tuple[str, ...]
) -> None:
    assert TASKS[dialect].encode_task(ask(model, **asked)) == ([body], notes)


@pytest.mark.parametrize(
    ("documents", "query", "units", "estimated"),
    [
        (["d"] * 100, "q", 1, False),
        (["d"] * 101, "q", 2, False),
        (["fox " * 505] * 100, "q", 1, False),
        (["fox " * 520] * 100, "q", 2, True),
        (["fox " * 300] * 100, "fox " * 300, 2, True),
        (["d" * 1_000_000], "q", 5, True),
    ],
    ids=lambda value: str(value)[:30],
)
def test_amazon_s_searches(documents: list[str], query: str, units: int, estimated: bool) -> None:
    """Nobody counts them: a hundred documents, a long one as several of 512 tokens."""
    payload = {"results": [RESULT]}
    reply = TASKS["bedrock_rerank"].decode_task([payload], ask("amazon.rerank-v1:0", documents=documents, query=query))
    assert isinstance(reply, TaskReply)
    assert reply.usage is not None
    assert (reply.usage.counts, reply.usage.estimated) == ({"rerank_searches": units}, estimated)


@pytest.mark.parametrize("dialect", ["cohere_rerank", "voyage_rerank", "bedrock_rerank"])
@pytest.mark.parametrize(
    "results",
    [None, [], {}, [{"index": 2, "relevance_score": 1}], [{"index": 0}], [{"index": 0, "relevance_score": True}]],
    ids=str,
)
def test_what_is_no_answer(dialect: str, results: object) -> None:
    with pytest.raises(Malformed):
        TASKS[dialect].decode_task([{"results": results, "data": results}], ask())
