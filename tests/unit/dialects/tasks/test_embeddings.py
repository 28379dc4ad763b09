"""Vectors in each vendor's words: what a text becomes, what a reply means, and what a million tokens of it cost."""

from __future__ import annotations

import array
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from oneapi_cli.dialects import TASKS
from oneapi_cli.dialects.dialect import TaskAsk, TaskReply
from oneapi_cli.dialects.tasks.vectors import batches
from oneapi_cli.ledger.cost import cost_of
from oneapi_cli.ledger.price_catalogue import catalogue_card
from oneapi_cli.ledger.price_table import own_card
from oneapi_cli.values.errors import BadRequest, Malformed
from oneapi_cli.values.usage import Usage

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def ask(model: str, given: Any = "fox", told: tuple[Mapping[str, str], ...] = (), **more: Any) -> TaskAsk:
    asked = {"model": "mine", "input": given, **more}
    return TaskAsk(model=model, name="mine", request_id="0" * 32, created=1, asked=asked, told=told)


def decoded(dialect: str, payloads: list[dict[str, Any]], task: TaskAsk) -> TaskReply:
    reply = TASKS[dialect].decode_task(payloads, task)
    assert isinstance(reply, TaskReply)
    return reply


@dataclass(frozen=True)
class Reply:
    """What a vendor answers to one text, and what of it is billed."""

    dialect: str
    model: str
    payload: dict[str, Any]
    counts: dict[str, int]
    told: dict[str, str] = field(default_factory=dict)
    estimated: bool = False


ONE = [0.5, -0.25]
REPLIES = [
    Reply(
        "gemini_embeddings", "gemini-embedding-001", {"embeddings": [{"values": ONE}]}, {"input_tokens": 1}, {}, True
    ),
    Reply(
        "gemini_embeddings",
        "gemini-embedding-2",
        {
            "embeddings": [{"values": ONE}],
            "usageMetadata": {
                "promptTokenCount": 7,
                "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 7}],
            },
        },
        {"input_tokens": 7},
    ),
    Reply(
        "vertex_embed_content",
        "gemini-embedding-2",
        {
            "embedding": {"values": ONE},
            "usageMetadata": {
                "promptTokenCount": 7,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
                "totalTokenCount": 7,
            },
        },
        {"input_tokens": 7},
    ),
    Reply(
        "vertex_embeddings",
        "gemini-embedding-001",
        {"predictions": [{"embeddings": {"values": ONE, "statistics": {"token_count": 7.0, "truncated": False}}}]},
        {"input_tokens": 7},
    ),
    Reply(
        "vertex_embeddings",
        "text-embedding-005",
        {
            "predictions": [{"embeddings": {"values": ONE, "statistics": {"token_count": 7}}}],
            "metadata": {"billableCharacterCount": 30},
        },
        {"input_tokens": 7, "input_characters": 30},
    ),
    Reply(
        "vertex_embeddings",
        "text-embedding-005",
        {"predictions": [{"embeddings": {"values": ONE, "statistics": {"token_count": 7}}}]},
        {"input_tokens": 7, "input_characters": 3},
        {},
        True,
    ),
    Reply(
        "bedrock_embeddings",
        "us.amazon.titan-embed-text-v2:0",
        {"embedding": ONE, "embeddingsByType": {"float": ONE}, "inputTextTokenCount": 7},
        {"input_tokens": 7},
    ),
    Reply(
        "bedrock_embeddings",
        "cohere.embed-multilingual-v3",
        {"id": "e", "embeddings": [ONE], "response_type": "embeddings_floats", "texts": ["fox"]},
        {"input_tokens": 7},
        {"X-Amzn-Bedrock-Input-Token-Count": "7"},
    ),
    Reply(
        "bedrock_embeddings",
        "global.cohere.embed-v4:0",
        {"id": "e", "embeddings": {"float": [ONE]}, "response_type": "embeddings_by_type"},
        {"input_tokens": 1},
        {"x-amzn-bedrock-input-token-count": "many"},
        True,
    ),
    Reply(
        "bedrock_embeddings",
        "amazon.nova-2-multimodal-embeddings-v1:0",
        {"embeddings": [{"embeddingType": "TEXT", "embedding": ONE}]},
        {"input_tokens": 7},
        {"x-amzn-bedrock-input-token-count": "7"},
    ),
    Reply(
        "cohere_embeddings",
        "embed-v4.0",
        {"embeddings": {"float": [ONE], "int8": None}, "meta": {"billed_units": {"input_tokens": 7}}},
        {"input_tokens": 7},
    ),
    Reply(
        "voyage_embeddings",
        "voyage-4",
        {"object": "list", "data": [{"embedding": ONE, "index": 0}], "usage": {"total_tokens": 7}},
        {"input_tokens": 7},
    ),
    Reply("ollama_embeddings", "nomic", {"embeddings": [ONE], "prompt_eval_count": 7}, {"input_tokens": 7}),
]


@pytest.mark.parametrize("case", REPLIES, ids=lambda case: f"{case.dialect} {case.model}")
def test_a_reply(case: Reply) -> None:
    reply = decoded(case.dialect, [case.payload], ask(case.model, told=(case.told,)))
    assert reply.usage is not None
    assert (reply.usage.counts, reply.usage.estimated) == (case.counts, case.estimated)
    tokens = case.counts["input_tokens"]
    assert reply.body == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": ONE}],
        "model": "mine",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


@pytest.mark.parametrize("case", REPLIES, ids=lambda case: f"{case.dialect} {case.model}")
def test_the_same_in_base64(case: Reply) -> None:
    """Little-endian float32, as OpenAI packs them."""
    reply = decoded(case.dialect, [case.payload], ask(case.model, told=(case.told,), encoding_format="base64"))
    assert base64.b64decode(reply.body["data"][0]["embedding"]) == array.array("f", ONE).tobytes()


@pytest.mark.parametrize("dialect", sorted({case.dialect for case in REPLIES}))
@pytest.mark.parametrize(
    "payload", [{}, {"embeddings": []}, {"embeddings": "x", "data": 7, "predictions": [[]], "embedding": {}}], ids=str
)
def test_what_is_no_answer(dialect: str, payload: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        TASKS[dialect].decode_task([payload], ask("embed-v4.0"))


def test_numbers_that_are_none() -> None:
    with pytest.raises(Malformed):
        TASKS["ollama_embeddings"].decode_task([{"embeddings": [[1.0, "x"]]}], ask("m", encoding_format="base64"))


# model: upstream. unit: what its vendor charges by. usd: of a million of them, by the list (2026-11).
PRICES = [
    ("google", "gemini-embedding-001", "input_tokens", "0.15"),
    ("google", "gemini-embedding-2", "input_tokens", "0.20"),
    ("google", "text-embedding-005", "input_characters", "0.025"),
    ("aws", "amazon.titan-embed-text-v1", "input_tokens", "0.10"),
    ("aws", "amazon.titan-embed-text-v2:0", "input_tokens", "0.02"),
    ("aws", "us.cohere.embed-v4:0", "input_tokens", "0.12"),
    ("aws", "cohere.embed-english-v3", "input_tokens", "0.10"),
    ("aws", "amazon.nova-2-multimodal-embeddings-v1:0", "input_tokens", "0.135"),
    ("cohere", "embed-v4.0", "input_tokens", "0.12"),
    ("cohere", "embed-multilingual-v3.0", "input_tokens", "0.10"),
    ("voyageai", "voyage-4-large", "input_tokens", "0.12"),
    ("mistral", "mistral-embed", "input_tokens", "0.10"),
    ("mistral", "codestral-embed", "input_tokens", "0.15"),
    ("mistral", "mistral-moderation-2411", "input_tokens", "0.10"),
    ("jina", "jina-embeddings-v4", "input_tokens", "0.05"),
    ("jina", "jina-reranker-v3", "input_tokens", "0.05"),
    ("voyageai", "rerank-2.5-lite", "input_tokens", "0.02"),
    ("cohere", "rerank-v3.5", "rerank_searches", "2000"),
    ("cohere", "rerank-v4.0-pro", "rerank_searches", "2500"),
    ("aws", "amazon.rerank-v1:0", "rerank_searches", "1000"),
    ("aws", "eu.cohere.rerank-v3-5:0", "rerank_searches", "2000"),
]


@pytest.mark.parametrize(("book", "model", "unit", "usd"), PRICES, ids=lambda value: str(value))
def test_a_bill_by_the_list_price(book: str, model: str, unit: str, usd: str) -> None:
    """Whole nano-dollars, and nothing that was used lies outside the price."""
    card = (None if book == "jina" else catalogue_card(book, model)) or own_card((book,), model)
    assert card is not None
    whole, _, part = usd.partition(".")
    nanos = int(whole + part.ljust(9, "0"))  # of a million
    for amount in (1, 7, 999_999, 1_000_000):
        bill = cost_of(Usage(counts={unit: amount}), card.sheet(NOW, {}))
        assert bill.nanos == -(-amount * nanos // 1_000_000)
        assert bill.uncovered == ()


@dataclass(frozen=True)
class Bad:
    dialect: str
    model: str
    member: str
    asked: dict[str, Any]


BAD = [
    Bad("bedrock_embeddings", "amazon.titan-embed-text-v2:0", "dimensions", {"dimensions": 1000}),
    Bad("bedrock_embeddings", "amazon.titan-embed-text-v1", "dimensions", {"dimensions": 256}),
    Bad("bedrock_embeddings", "amazon.titan-embed-g1-text-02", "dimensions", {"dimensions": 256}),
    Bad("bedrock_embeddings", "amazon.nova-2-multimodal-embeddings-v1:0", "dimensions", {"dimensions": 512}),
    Bad("bedrock_embeddings", "cohere.embed-english-v3", "dimensions", {"dimensions": 512}),
    Bad("bedrock_embeddings", "us.cohere.embed-v4:0", "dimensions", {"dimensions": 2048}),
    Bad("bedrock_embeddings", "amazon.titan-embed-text-v2:0", "input", {"input": "x" * 50_001}),
    Bad("bedrock_embeddings", "cohere.embed-english-v3", "input[1]", {"input": ["a", "x" * 2_049]}),
    Bad("cohere_embeddings", "embed-english-light-v3.0", "dimensions", {"dimensions": 256}),
    Bad("cohere_embeddings", "embed-v4.0", "input_type", {"input_type": ["search_query"]}),
    Bad("voyage_embeddings", "voyage-3.5", "dimensions", {"dimensions": 1536}),
    Bad("voyage_embeddings", "voyage-law-2", "dimensions", {"dimensions": 512}),
    Bad("voyage_embeddings", "voyage-3", "dimensions", {"dimensions": 512}),
    Bad("gemini_embeddings", "gemini-embedding-001", "dimensions", {"dimensions": 4096}),
    Bad("vertex_embeddings", "text-embedding-005", "dimensions", {"dimensions": 1024}),
    Bad("ollama_embeddings", "m", "dimensions", {"dimensions": True}),
    Bad("ollama_embeddings", "m", "encoding_format", {"encoding_format": "int8"}),
    Bad("ollama_embeddings", "m", "input", {"input": {}}),
    Bad("ollama_embeddings", "m", "input[0]", {"input": [[1, "a"]]}),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: f"{case.model} {case.member} {str(case.asked)[:40]}")
def test_what_a_vendor_cannot_do(case: Bad) -> None:
    with pytest.raises(BadRequest) as refused:
        TASKS[case.dialect].encode_task(ask(case.model, **{"given": "fox", **_given(case.asked)}))
    assert refused.value.member == case.member


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    return {"given" if name == "input" else name: value for name, value in asked.items()}


@pytest.mark.parametrize(
    ("dialect", "model", "dimensions"),
    [
        ("cohere_embeddings", "embed-v4.0", 1536),
        ("cohere_embeddings", "my-own-tuned-model", 77),
        ("voyage_embeddings", "voyage-code-4", 2048),
        ("voyage_embeddings", "voyage-5", 333),
        ("gemini_embeddings", "gemini-embedding-001", 3072),
        ("ollama_embeddings", "m", 5),
    ],
)
def test_dimensions_that_may_be_chosen(dialect: str, model: str, dimensions: int) -> None:
    bodies, notes = TASKS[dialect].encode_task(ask(model, dimensions=dimensions))
    assert str(dimensions) in str(bodies)
    assert notes == ()


def test_batches() -> None:
    assert batches(["a"] * 5, 2) == [["a", "a"], ["a", "a"], ["a"]]
    assert batches(["a", "bbb", "cc", "d"], 10, 3) == [["a"], ["bbb"], ["cc", "d"]]
    assert batches(["aaaaa", "b", "ü"], 10, 3) == [["aaaaa"], ["b", "ü"]]
