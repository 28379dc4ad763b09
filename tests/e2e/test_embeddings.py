"""Vectors through the gateway: OpenAI's client against each vendor's own format, and Gemini's doors; over real sockets.

Shapes: https://ai.google.dev/api/embeddings · https://docs.cohere.com/reference/embed ·
https://docs.voyageai.com/reference/embeddings-api · https://docs.ollama.com/api/embed · Amazon Bedrock's guide to the
parameters of Titan, Cohere and Nova · Vertex AI's text-embeddings API (2026-11)
"""

from __future__ import annotations

import array
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from google import genai
from google.genai import types

from oneapi_cli.dialects.vocabulary import encoding
from tests.support.clients import Wire, async_client
from tests.support.gateway import Gateway, booked, running
from tests.support.upstream import Received, Script, Upstream, Writer, answering

CONFIG = """
    ledger: ledger.db
    channels:
      - name: gemini
        type: gemini
        base_url: {root}
        api_key: k
        models: [gemini-embedding-001, gemini-embedding-2]
      - name: vertex
        type: vertex
        base_url: {root}
        api_key: k
        models: [text-embedding-005]
      - name: vertex-2
        type: vertex
        base_url: {root}
        api_key: k
        models: {{google-2: gemini-embedding-2}}
      - name: bedrock
        type: bedrock
        base_url: {root}
        region: us-east-1
        bearer: k
        models:
          titan: amazon.titan-embed-text-v2:0
          titan-1: amazon.titan-embed-text-v1
          cohere-aws: cohere.embed-english-v3
          nova: amazon.nova-2-multimodal-embeddings-v1:0
      - {{name: cohere, type: cohere, base_url: '{root}', api_key: k, models: [embed-v4.0, embed-english-v3.0]}}
      - {{name: voyage, type: voyage, base_url: '{root}/v1', api_key: k, models: [voyage-3.5]}}
      - {{name: ollama, type: ollama, base_url: '{root}', models: [nomic], prices: {{nomic: {{input: 0.01}}}}}}
      - name: mistral
        type: mistral
        base_url: {root}/v1
        api_key: k
        models: [mistral-embed, mistral-moderation-latest]
"""


@asynccontextmanager
async def serving(tmp_path: Path, script: Script) -> AsyncIterator[tuple[Upstream, Gateway]]:
    async with Upstream([script]) as upstream:
        config = CONFIG.format(root=upstream.url.removesuffix("/v1"))
        async with running(tmp_path, config) as gateway:
            yield upstream, gateway


def vector(text: str) -> list[float]:
    """Two numbers that say which text they are of, exact in four bytes."""
    return [float(len(text)), float(sum(map(ord, text)) % 1024)]


def packed(numbers: list[float]) -> str:
    return base64.b64encode(array.array("f", numbers).tobytes()).decode()


def gemini(body: Any) -> dict[str, Any]:
    texts = [each["content"]["parts"][0]["text"] for each in body["requests"]]
    assert len(texts) <= 100
    return {
        "embeddings": [{"values": vector(text)} for text in texts],
        "usageMetadata": {"promptTokenCount": 3 * len(texts), "totalTokenCount": 3 * len(texts)},
    }


def vertex(body: Any) -> dict[str, Any]:
    assert len(body["instances"]) <= 250
    return {
        "predictions": [
            {"embeddings": {"values": vector(each["content"]), "statistics": {"token_count": 3, "truncated": False}}}
            for each in body["instances"]
        ]
    }


def embed_content(body: Any) -> dict[str, Any]:
    (part,) = body["content"]["parts"]
    usage = {"promptTokenCount": 3, "totalTokenCount": 3}
    return {"embedding": {"values": vector(part["text"])}, "usageMetadata": usage, "truncated": False}


def titan(body: Any) -> dict[str, Any]:
    return {"embedding": vector(body["inputText"]), "inputTextTokenCount": 3}


def nova(body: Any) -> dict[str, Any]:
    assert body["taskType"] == "SINGLE_EMBEDDING"
    text = body["singleEmbeddingParams"]["text"]["value"]
    return {"embeddings": [{"embeddingType": "TEXT", "embedding": vector(text)}]}


def cohere(body: Any) -> dict[str, Any]:
    assert len(body["texts"]) <= 96 and body["embedding_types"] == ["float"]
    tokens = 3 * len(body["texts"])
    return {
        "id": "e",
        "embeddings": {"float": [vector(text) for text in body["texts"]]},
        "meta": {"billed_units": {"input_tokens": tokens}},
    }


def voyage(body: Any) -> dict[str, Any]:
    wants = body.get("encoding_format")
    assert wants in (None, "base64")
    data = [
        {"object": "embedding", "embedding": packed(vector(t)) if wants else vector(t), "index": i}
        for i, t in enumerate(body["input"])
    ]
    return {"object": "list", "data": data[::-1], "model": "m", "usage": {"total_tokens": 3 * len(data)}}


def ollama(body: Any) -> dict[str, Any]:
    return {"model": "m", "embeddings": [vector(t) for t in body["input"]], "prompt_eval_count": 3 * len(body["input"])}


def playing(vendor: Callable[[Any], dict[str, Any]]) -> Script:
    async def script(received: Received, writer: Writer) -> None:
        await writer.answer(200, vendor(received.json))

    return script


@dataclass(frozen=True)
class Vendor:
    """path and body: of the call for the text `fox`. nanos: of three tokens, by the list price (2026-11)."""

    model: str
    plays: Callable[[Any], dict[str, Any]]
    path: str
    body: dict[str, Any]
    nanos: int
    asked: dict[str, Any] = field(default_factory=dict)
    calls: int = 3
    """That 201 texts take."""


VENDORS = [
    Vendor(
        "gemini-embedding-2",
        gemini,
        "/v1beta/models/gemini-embedding-2:batchEmbedContents",
        {
            "requests": [
                {
                    "model": "models/gemini-embedding-2",
                    "content": {"parts": [{"text": "fox"}]},
                    "taskType": "RETRIEVAL_QUERY",
                    "outputDimensionality": 2,
                }
            ]
        },
        600,
        {"dimensions": 2, "extra_body": {"taskType": "RETRIEVAL_QUERY"}},
    ),
    Vendor(
        "text-embedding-005",
        vertex,
        "/v1/publishers/google/models/text-embedding-005:predict",
        {
            "instances": [{"content": "fox", "task_type": "RETRIEVAL_DOCUMENT"}],
            "parameters": {"outputDimensionality": 2},
        },
        75,
        {"dimensions": 2, "extra_body": {"task_type": "RETRIEVAL_DOCUMENT"}},
        2,  # 201 texts are more than 20,000 bytes
    ),
    Vendor(
        "google-2",
        embed_content,
        "/v1/publishers/google/models/gemini-embedding-2:embedContent",
        {
            "content": {"parts": [{"text": "fox"}]},
            "embedContentConfig": {"taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 2},
        },
        600,
        {"dimensions": 2, "extra_body": {"task_type": "RETRIEVAL_DOCUMENT"}},
        201,
    ),
    Vendor(
        "titan",
        titan,
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
        {"inputText": "fox", "dimensions": 256, "normalize": True},
        60,
        {"dimensions": 256, "extra_body": {"normalize": True}},
        201,
    ),
    Vendor(
        "cohere-aws",
        lambda body: {"embeddings": cohere(body)["embeddings"]},
        "/model/cohere.embed-english-v3/invoke",
        {"texts": ["fox"], "input_type": "search_query", "embedding_types": ["float"]},
        100,  # nobody says what was read: one token by the tokenizer
        {"extra_body": {"input_type": "search_query"}},
    ),
    Vendor(
        "nova",
        nova,
        "/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke",
        {
            "schemaVersion": "nova-multimodal-embed-v1",
            "taskType": "SINGLE_EMBEDDING",
            "singleEmbeddingParams": {
                "embeddingPurpose": "GENERIC_INDEX",
                "text": {"truncationMode": "NONE", "value": "fox"},
                "embeddingDimension": 256,
            },
        },
        135,
        {"dimensions": 256},
        201,
    ),
    Vendor(
        "embed-v4.0",
        cohere,
        "/v2/embed",
        {
            "model": "embed-v4.0",
            "texts": ["fox"],
            "input_type": "search_document",
            "embedding_types": ["float"],
            "output_dimension": 256,
        },
        360,
        {"dimensions": 256},
    ),
    Vendor(
        "voyage-3.5",
        voyage,
        "/v1/embeddings",
        {"model": "voyage-3.5", "input": ["fox"], "output_dimension": 256, "encoding_format": "base64"},
        180,
        {"dimensions": 256},
        1,
    ),
    Vendor(
        "nomic", ollama, "/api/embed", {"model": "nomic", "input": ["fox"], "dimensions": 2}, 30, {"dimensions": 2}, 1
    ),
]


@pytest.mark.parametrize("case", VENDORS, ids=lambda case: case.model)
async def test_each_vendor(case: Vendor, tmp_path: Path) -> None:
    """The client asks for base64, as it does unless told otherwise, and reads the same numbers."""
    wire = Wire()
    async with serving(tmp_path, playing(case.plays)) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.embeddings.create(model=case.model, input="fox", **case.asked)
        (sent,) = upstream.received
        assert (sent.target, sent.json) == (case.path, case.body)
        assert [each.embedding for each in answer.data] == [vector("fox")]
        assert answer.model == case.model
        assert booked(gateway, wire.request_id) == ("settled", case.nanos)
        assert gateway.differences() == []


@pytest.mark.parametrize("case", VENDORS, ids=lambda case: case.model)
async def test_batches_come_back_in_order(case: Vendor, tmp_path: Path) -> None:
    texts = [f"text {'x' * index}" for index in range(201)]
    async with serving(tmp_path, playing(case.plays)) as (upstream, gateway):
        async with async_client(gateway, Wire()) as client:
            answer = await client.embeddings.create(model=case.model, input=texts, encoding_format="float")
        assert len(upstream.received) == case.calls
        assert [each.index for each in answer.data] == list(range(201))
        assert [each.embedding for each in answer.data] == [vector(text) for text in texts]


@pytest.mark.parametrize("model", ["embed-v4.0", "nomic"])
async def test_token_numbers_are_texts(model: str, tmp_path: Path) -> None:
    plays = next(case.plays for case in VENDORS if case.model == model)
    encode = encoding("cl100k_base").encode
    async with serving(tmp_path, playing(plays)) as (upstream, gateway):
        async with async_client(gateway, Wire()) as client:
            one = await client.embeddings.create(model=model, input=encode("Füchse laufen"), encoding_format="float")
            two = await client.embeddings.create(
                model=model, input=[encode("a b"), encode("c")], encoding_format="float"
            )
        assert [each.embedding for each in one.data] == [vector("Füchse laufen")]
        assert [each.embedding for each in two.data] == [vector("a b"), vector("c")]
        sent = [received.json.get("texts") or received.json.get("input") for received in upstream.received]
        assert sent == [["Füchse laufen"], ["a b", "c"]]


async def test_what_speaks_the_same_is_relayed(tmp_path: Path) -> None:
    wire = Wire()
    data = [{"object": "embedding", "index": 0, "embedding": [1.0, 2.0]}]
    usage = {"prompt_tokens": 3, "total_tokens": 3, "completion_tokens": 0}
    reply = answering(200, {"object": "list", "model": "mistral-embed", "data": data, "usage": usage})
    async with serving(tmp_path, reply) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            await client.embeddings.create(model="mistral-embed", input="fox", encoding_format="float")
        assert upstream.received[0].body == wire.sent[-1]
        assert booked(gateway, wire.request_id) == ("settled", 300)


async def test_moderations_of_mistral(tmp_path: Path) -> None:
    """A classifier that is charged by the token; it counts them in its reply."""
    wire = Wire()
    scores = {"sexual": 0.1, "violence_and_threats": 0.9}
    result = {"categories": {name: score > 0.5 for name, score in scores.items()}, "category_scores": scores}
    usage = {"prompt_tokens": 30, "total_tokens": 30, "completion_tokens": 0}
    reply = answering(200, {"id": "m", "model": "mistral-moderation-latest", "results": [result], "usage": usage})
    async with serving(tmp_path, reply) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.moderations.create(model="mistral-moderation-latest", input=["I will hurt you"])
        (sent,) = upstream.received
        assert (sent.target, sent.body) == ("/v1/moderations", wire.sent[-1])
        assert answer.results[0].model_dump()["categories"]["violence_and_threats"] is True
        assert booked(gateway, wire.request_id) == ("settled", 3_000)
        assert gateway.differences() == []


async def test_moderations_that_nobody_counted(tmp_path: Path) -> None:
    wire = Wire()
    result = {"categories": {"sexual": False}, "category_scores": {"sexual": 0.0}}
    reply = answering(200, {"id": "m", "model": "mistral-moderation-latest", "results": [result]})
    async with serving(tmp_path, reply) as (_, gateway):
        async with async_client(gateway, wire) as client:
            await client.moderations.create(model="mistral-moderation-latest", input="a red fox")
        assert booked(gateway, wire.request_id) == ("settled", 300)
        assert gateway.differences() == []


@dataclass(frozen=True)
class Bad:
    name: str
    member: str
    body: dict[str, Any]


BAD = [
    Bad("nothing", "input", {"model": "nomic", "input": []}),
    Bad("an empty text", "input[1]", {"model": "nomic", "input": ["a", ""]}),
    Bad("objects", "input[0]", {"model": "nomic", "input": [{}]}),
    Bad("pictures", "input[0]", {"model": "nomic", "input": [{"image": "x"}]}),
    Bad("a truth", "input[1]", {"model": "nomic", "input": ["a", True]}),
    Bad("a truth among numbers", "input", {"model": "nomic", "input": [1, True]}),
    Bad("a number below nought", "input", {"model": "mistral-embed", "input": [1, -1]}),
    Bad("a number", "input", {"model": "mistral-embed", "input": 7}),
    Bad("no input", "input", {"model": "mistral-embed"}),
    Bad("an empty text alone", "input", {"model": "mistral-embed", "input": ""}),
    Bad("no numbers", "input[1]", {"model": "mistral-embed", "input": [[1], []]}),
    Bad("unknown numbers", "input", {"model": "nomic", "input": [1, 999_999_999]}),
    Bad("too many", "input", {"model": "nomic", "input": ["a"] * 2049}),
    Bad("dimensions that cannot be chosen", "dimensions", {"model": "titan-1", "input": "a", "dimensions": 9}),
    Bad("dimensions of nothing", "dimensions", {"model": "nomic", "input": "a", "dimensions": 0}),
    Bad("dimensions in words", "dimensions", {"model": "mistral-embed", "input": "a", "dimensions": "many"}),
    Bad("other dimensions", "dimensions", {"model": "titan", "input": "a", "dimensions": 300}),
    Bad("too many dimensions", "dimensions", {"model": "gemini-embedding-2", "input": "a", "dimensions": 3073}),
    Bad("a text that is too long", "input[1]", {"model": "cohere-aws", "input": ["a", "b" * 2049]}),
    Bad("a purpose in numbers", "input_type", {"model": "embed-v4.0", "input": "a", "input_type": 7}),
    Bad("another format", "encoding_format", {"model": "nomic", "input": "a", "encoding_format": "int8"}),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
async def test_bad_input(case: Bad, tmp_path: Path) -> None:
    async with (
        serving(tmp_path, playing(ollama)) as (upstream, gateway),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.base}/embeddings", json=case.body) as answer,
    ):
        body = await answer.json()
        assert (answer.status, body["error"]["param"].split("[")[0]) == (400, case.member.split("[")[0]), body
        assert upstream.received == []
        assert booked(gateway, answer.headers["x-oneapi-request-id"]) == ("refused", 0)


async def test_an_error_of_the_vendor_is_the_client_s(tmp_path: Path) -> None:
    script = answering(400, {"message": "invalid request: texts is too long"})
    async with serving(tmp_path, script) as (_, gateway), async_client(gateway, Wire()) as client:
        with pytest.raises(openai.BadRequestError, match="texts is too long"):
            await client.embeddings.create(model="embed-english-v3.0", input="fox")


async def test_a_door_that_the_channel_does_not_have(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, playing(ollama)) as (upstream, gateway),
        aiohttp.ClientSession(headers={"x-goog-api-key": gateway.key}) as session,
    ):
        url = f"{gateway.url}/v1beta/models/nomic:embedContent"
        async with session.post(url, json={"content": {"parts": [{"text": "fox"}]}}) as answer:
            error = (await answer.json())["error"]
            assert (answer.status, error["status"]) == (503, "UNAVAILABLE")
            assert "do not offer this endpoint" in error["message"]
        assert upstream.received == []


@pytest.mark.parametrize("model", ["cohere-aws", "nova"])
async def test_what_was_read_stands_in_a_header(model: str, tmp_path: Path) -> None:
    """Bedrock says it there where the body does not; the client reads it in the usage."""
    case = next(case for case in VENDORS if case.model == model)

    async def script(received: Received, writer: Writer) -> None:
        await writer.answer(200, case.plays(received.json), {"X-Amzn-Bedrock-Input-Token-Count": "1000"})

    wire = Wire()
    async with serving(tmp_path, script) as (_, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.embeddings.create(model=model, input="fox")
        assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (1000, 1000)
        assert booked(gateway, wire.request_id) == ("settled", 1000 * {"cohere-aws": 100, "nova": 135}[model])
        assert gateway.differences() == []


async def test_what_nobody_counted_is_counted_here(tmp_path: Path) -> None:
    """The body and the bill say the same number."""
    wire = Wire()
    async with serving(tmp_path, answering(200, {"embeddings": [{"values": [1.0]}]})) as (_, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.embeddings.create(model="gemini-embedding-001", input="a red fox and a white hare")
        assert answer.usage.prompt_tokens == 7
        assert booked(gateway, wire.request_id) == ("settled", 7 * 150)
        assert gateway.differences() == []


async def test_members_that_the_vendor_does_not_know_are_left_out(tmp_path: Path) -> None:
    """They could be input that nobody has counted: Cohere's pictures, Titan's, a second list of texts."""
    async with (
        serving(tmp_path, playing(cohere)) as (upstream, gateway),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
    ):
        body = {"model": "embed-v4.0", "input": "fox", "texts": ["hare"] * 96, "images": ["data:"], "user": "u"}
        async with session.post(f"{gateway.base}/embeddings", json=body) as answer:
            assert answer.status == 200
            assert answer.headers["x-oneapi-notes"] == "dropped:texts,dropped:images,dropped:user"
        assert upstream.received[0].json["texts"] == ["fox"]
        assert "images" not in upstream.received[0].json


async def test_one_call_of_several_is_tried_again(tmp_path: Path) -> None:
    """What others of the same request have served already would be lost."""
    refused: list[str] = []

    async def script(received: Received, writer: Writer) -> None:
        text = received.json["inputText"]
        if text == "text 30" and len(refused) < 2:
            refused.append(text)
            await writer.answer(429, {"message": "Too many requests"}, {"x-amzn-errortype": "ThrottlingException"})
        else:
            await writer.answer(200, titan(received.json))

    wire = Wire()
    texts = [f"text {index}" for index in range(40)]
    async with serving(tmp_path, script) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.embeddings.create(model="titan", input=texts, encoding_format="float")
        assert [each.embedding for each in answer.data] == [vector(text) for text in texts]
        assert len(upstream.received) == 42
        assert booked(gateway, wire.request_id) == ("settled", 40 * 60)


async def test_a_call_that_fails_for_good_ends_the_rest(tmp_path: Path) -> None:
    """None is sent whose vector would be thrown away, and the client reads the vendor's reason."""

    async def script(received: Received, writer: Writer) -> None:
        if received.json["inputText"] == "text 20":
            await writer.answer(400, {"message": "Malformed input request"})
        else:
            await writer.answer(200, titan(received.json))

    async with serving(tmp_path, script) as (upstream, gateway), async_client(gateway, Wire()) as client:
        with pytest.raises(openai.InternalServerError, match="Malformed input request"):
            await client.embeddings.create(model="titan", input=[f"text {index}" for index in range(200)])
        assert len(upstream.received) < 60
        assert gateway.differences() == []


async def test_token_numbers_are_held_as_the_texts_that_they_are(tmp_path: Path) -> None:
    """A number of five digits may be a word of thirty letters, or a hundred spaces; the hold covers what leaves."""
    numbers = encoding("cl100k_base").encode(" " * 4000)
    assert len(numbers) < 100
    reply = answering(200, {**ollama({"input": [" " * 4000]}), "prompt_eval_count": 4000})
    wire = Wire()
    async with serving(tmp_path, reply) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            await client.embeddings.create(model="nomic", input=numbers)
        assert upstream.received[0].json["input"] == [" " * 4000]
        row = gateway.db().execute("SELECT hold_nanos, cost_nanos, bounded FROM requests").fetchone()
        assert row[0] >= row[1] == 40_000
        assert row[2] == 1


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
async def test_gemini_s_own_doors(tmp_path: Path) -> None:
    async def script(received: Received, writer: Writer) -> None:
        if received.target.endswith(":embedContent"):
            await writer.answer(200, {"embedding": {"values": vector("one")}})
        else:
            await writer.answer(200, gemini(received.json))

    async with serving(tmp_path, script) as (upstream, gateway):
        options = types.HttpOptions(base_url=gateway.url, api_version="v1beta")
        async with genai.Client(api_key=gateway.key, http_options=options).aio as client:
            asked: list[Any] = ["fox", "hare"]
            answer = await client.models.embed_content(model="gemini-embedding-001", contents=asked)
        assert [each.values for each in answer.embeddings or ()] == [vector("fox"), vector("hare")]
        assert upstream.received[0].target.endswith("/models/gemini-embedding-001:batchEmbedContents")
        body = {"content": {"parts": [{"text": "fox"}]}}
        async with (
            aiohttp.ClientSession(headers={"x-goog-api-key": gateway.key}) as session,
            session.post(f"{gateway.url}/v1beta/models/gemini-embedding-001:embedContent", json=body) as single,
        ):
            assert (single.status, await single.json()) == (200, {"embedding": {"values": vector("one")}})
        assert json.loads(upstream.received[1].body) == body
        assert booked(gateway, single.headers["x-oneapi-request-id"]) == ("settled", 150)
        async with (
            aiohttp.ClientSession(headers={"x-goog-api-key": gateway.key}) as session,
            session.post(f"{gateway.url}/v1beta/models/gemini-embedding-001:embedContent", json={}) as bad,
        ):
            assert (bad.status, (await bad.json())["error"]["status"]) == (400, "INVALID_ARGUMENT")
