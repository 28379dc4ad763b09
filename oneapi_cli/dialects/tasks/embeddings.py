"""OpenAI's embeddings by vendors that have a format of their own: Gemini, Vertex, Bedrock, Cohere, Voyage, Ollama.

Each says how many texts one call takes; longer inputs are several calls, and the vectors stand in the order of the
texts. What a client gives beside OpenAI's members (`input_type`, `taskType`…) is the vendor's own and goes to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...values.conversation import Notes
from ...values.errors import Malformed
from ...values.usage import Usage
from .. import bedrock_errors, cohere_chat, gemini_errors, openai_errors
from ..dialect import TaskAsk, TaskReply, VendorError
from ..gemini_usage import usage_from
from ..vendor_values import count_of, object_of, objects_of, text_of
from .vectors import Embedding, batches, counted, embedding_of, reply_with_vectors, vector_of

_Object = Mapping[str, Any]
_Bodies = tuple[list[dict[str, Any]], Notes]

SURFACE = "openai_embeddings"


class GeminiEmbeddings:
    """`batchEmbedContents`, a hundred texts a call. It says what it read only from the second generation on.

    Source: https://ai.google.dev/api/embeddings (2026-11)
    """

    NAME, SURFACE, PARTIAL = "gemini_embeddings", SURFACE, False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = embedding_of(task)
        name = task.model if task.model.startswith("models/") else f"models/{task.model}"
        more = dict(asked.extras)
        if asked.dimensions is not None:
            more["outputDimensionality"] = asked.dimensions
        return [
            {"requests": [{"model": name, "content": {"parts": [{"text": text}]}, **more} for text in texts]}
            for texts in batches(asked.texts, 100)
        ], ()

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        found = [
            vector_of(each.get("values")) for payload in payloads for each in objects_of(payload.get("embeddings"))
        ]
        usages = [usage_from(object_of(payload.get("usageMetadata"))) for payload in payloads]
        tokens = [int(usage.get("input_tokens")) if usage is not None else None for usage in usages]
        return reply_with_vectors(found, task, embedding_of(task), counted(tokens))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return gemini_errors.decode_error(status, body)


class VertexEmbeddings:
    """`predict`: 250 texts a call, one for the Gemini models; each counted by the vendor in tokens, and charged by the
    character where the model is older.

    Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api (2026-11)
    """

    NAME, SURFACE, PARTIAL = "vertex_embeddings", SURFACE, False
    _INSTANCE = frozenset({"task_type", "title"})

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = embedding_of(task)
        of_each = {name: value for name, value in asked.extras.items() if name in self._INSTANCE}
        parameters = {name: value for name, value in asked.extras.items() if name not in self._INSTANCE}
        if asked.dimensions is not None:
            parameters["outputDimensionality"] = asked.dimensions
        most = 1 if _ONE_A_CALL.match(task.model) else 250
        return [
            {"instances": [{"content": text, **of_each} for text in texts]}
            | ({"parameters": parameters} if parameters else {})
            for texts in batches(asked.texts, most)
        ], ()

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        asked = embedding_of(task)
        each = [object_of(p.get("embeddings")) for payload in payloads for p in objects_of(payload.get("predictions"))]
        usage = counted([_count(object_of(one.get("statistics")).get("token_count")) for one in each])
        counts = {**(usage.counts if usage is not None else {}), "input_characters": sum(map(_visible, asked.texts))}
        return reply_with_vectors([vector_of(one.get("values")) for one in each], task, asked, Usage(counts=counts))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return gemini_errors.decode_error(status, body)


class BedrockEmbeddings:
    """InvokeModel in the words of each maker: Titan and Nova one text a call, Cohere ninety-six.

    Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html ·
    …/model-parameters-embed.html · https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html (2026-11)
    """

    NAME, SURFACE, PARTIAL = "bedrock_embeddings", SURFACE, False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        if _COHERES.search(task.model):
            return _cohere_bodies(embedding_of(task, resizes="v4" in task.model), named={}), ()
        if _NOVA.search(task.model):
            return [_nova(text, asked) for asked in [embedding_of(task)] for text in asked.texts], ()
        asked = embedding_of(task, resizes="embed-text-v1" not in task.model)
        more = {"dimensions": asked.dimensions} if asked.dimensions is not None else {}
        return [{"inputText": text, **more, **asked.extras} for text in asked.texts], ()

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        found: list[Sequence[float]] = []
        for payload in payloads:
            if isinstance(payload.get("embedding"), list):
                found.append(vector_of(payload["embedding"]))
            elif each := objects_of(payload.get("embeddings")):
                found += [vector_of(one["embedding"]) for one in each if "embedding" in one] or _floats_of(each[0])
            else:
                found += [vector_of(one) for one in payload.get("embeddings") or ()]
        tokens = [_count(payload.get("inputTextTokenCount")) for payload in payloads]
        return reply_with_vectors(found, task, embedding_of(task), counted(tokens))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return bedrock_errors.decode_error(status, body)


class CohereEmbeddings:
    """`/v2/embed`, ninety-six texts a call; what is billed is in each reply.

    Source: https://docs.cohere.com/reference/embed (2026-11)
    """

    NAME, SURFACE, PARTIAL = "cohere_embeddings", SURFACE, False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        return _cohere_bodies(embedding_of(task, resizes="v4" in task.model), named={"model": task.model}), ()

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        found = [vector for payload in payloads for vector in _floats_of(object_of(payload.get("embeddings")))]
        billed = [object_of(object_of(payload.get("meta")).get("billed_units")) for payload in payloads]
        usage = counted([_count(block.get("input_tokens")) for block in billed])
        return reply_with_vectors(found, task, embedding_of(task), usage)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return cohere_chat.decode_error(status, body)


class VoyageEmbeddings:
    """Nearly OpenAI's: `output_dimension`, no `float` to ask for, and a total alone as usage; a thousand texts a call.

    Source: https://docs.voyageai.com/reference/embeddings-api (2026-11)
    """

    NAME, SURFACE, PARTIAL = "voyage_embeddings", SURFACE, False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = embedding_of(task)
        more: dict[str, Any] = {"output_dimension": asked.dimensions} if asked.dimensions is not None else {}
        if asked.wants_base64:
            more["encoding_format"] = "base64"
        texts = batches(asked.texts, 1_000)
        return [{"model": task.model, "input": list(some), **more, **asked.extras} for some in texts], ()

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        found: list[Sequence[float] | str] = []
        for payload in payloads:
            each = sorted(objects_of(payload.get("data")), key=lambda one: _count(one.get("index")) or 0)
            found += [text_of(one.get("embedding")) or vector_of(one.get("embedding")) for one in each]
        tokens = [_count(object_of(payload.get("usage")).get("total_tokens")) for payload in payloads]
        return reply_with_vectors(found, task, embedding_of(task), counted(tokens))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return openai_errors.decode_error(status, body)


class OllamaEmbeddings:
    """`/api/embed`, any number of texts a call.

    Source: https://docs.ollama.com/api/embed (2026-11)
    """

    NAME, SURFACE, PARTIAL = "ollama_embeddings", SURFACE, False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = embedding_of(task)
        more: dict[str, Any] = {"dimensions": asked.dimensions} if asked.dimensions is not None else {}
        return [{"model": task.model, "input": list(asked.texts), **more, **asked.extras}], ()

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        (payload,) = payloads
        found = payload.get("embeddings")
        if not isinstance(found, list):
            raise Malformed("The upstream's answer has no `embeddings`")
        usage = counted([_count(payload.get("prompt_eval_count"))])
        return reply_with_vectors([vector_of(one) for one in found], task, embedding_of(task), usage)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return openai_errors.decode_error(status, body)


EMBEDDERS = (
    GeminiEmbeddings(),
    VertexEmbeddings(),
    BedrockEmbeddings(),
    CohereEmbeddings(),
    VoyageEmbeddings(),
    OllamaEmbeddings(),
)

_SPACE = re.compile(r"\s")
_ONE_A_CALL = re.compile(r"gemini-embedding")
# Ids on Bedrock name the maker, behind a region's prefix or an ARN: `us.cohere.embed-v4:0`.
_COHERES = re.compile(r"(?:^|[./])cohere\.")
_NOVA = re.compile(r"(?:^|[./])amazon\.nova")


def _cohere_bodies(asked: Embedding, named: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cohere's body, at home and on Bedrock. Documents, unless the client says that it is asking."""
    more: dict[str, Any] = {"input_type": asked.word("input_type", "search_document"), "embedding_types": ["float"]}
    if asked.dimensions is not None:
        more["output_dimension"] = asked.dimensions
    own = {name: value for name, value in asked.extras.items() if name != "embedding_types"}
    return [{**named, "texts": list(texts), **more, **own} for texts in batches(asked.texts, 96)]


def _nova(text: str, asked: Embedding) -> dict[str, Any]:
    params: dict[str, Any] = {
        "embeddingPurpose": "GENERIC_INDEX",
        "text": {"truncationMode": "END", "value": text},
        **asked.extras,
    }
    if asked.dimensions is not None:
        params["embeddingDimension"] = asked.dimensions
    return {
        "schemaVersion": "nova-multimodal-embed-v1",
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": params,
    }


def _floats_of(embeddings: _Object) -> list[Sequence[float]]:
    """Cohere's vectors by their type."""
    found = embeddings.get("float") or embeddings.get("float_")
    if not isinstance(found, list):
        raise Malformed("The upstream's answer has no `embeddings`")
    return [vector_of(one) for one in found]


def _count(value: object) -> int | None:
    return count_of(value)


def _visible(text: str) -> int:
    """What Vertex charges by the character: white space is free."""
    return len(_SPACE.sub("", text))
