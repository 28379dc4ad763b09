"""OpenAI's embeddings by vendors that have a format of their own: Gemini, Vertex, Bedrock, Cohere, Voyage, Ollama.

Each says how many texts one call takes; longer inputs are several calls, and the vectors stand in the order of the
texts. What a client gives beside OpenAI's members (`input_type`, `taskType`…) goes to the vendor that knows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...values.conversation import Notes
from ...values.errors import Malformed
from .. import openai_errors
from ..dialect import TaskAsk, TaskReply, VendorError
from ..vendor_values import count_of, object_of, objects_of, text_of
from .embeddings_bedrock import BedrockEmbeddings, CohereEmbeddings
from .embeddings_google import GeminiEmbeddings, VertexEmbedContent, VertexEmbeddings
from .vectors import Limits, batches, counted, embedding_of, reply_with_vectors, vector_of

_Object = Mapping[str, Any]
_Bodies = tuple[list[dict[str, Any]], Notes]

VOYAGE_BATCH, VOYAGE_TOKENS = 1_000, 120_000
"""Of one call: texts, and tokens of all of them for the models that take the fewest."""

_VOYAGE_TAKES = frozenset({"input_type", "truncation"})
_VOYAGE = Limits(takes=_VOYAGE_TAKES)
_VOYAGE_SIZED = Limits(sizes=(256, 512, 1024, 2048), takes=_VOYAGE_TAKES)
_VOYAGE_FIXED = Limits(sizes=(), takes=_VOYAGE_TAKES)
_SIZED = re.compile(r"voyage-(?:3-large|3\.5|4|code-[34]|context)")
_FIXED = re.compile(r"voyage-(?:\w+-)?(?:0[12]|2)(?!\d)|voyage-3(?:-lite)?\Z")
_OLLAMA = Limits(takes=frozenset({"truncate", "keep_alive"}))


class VoyageEmbeddings:
    """Nearly OpenAI's: `output_dimension`, no `float` to ask for, and a total alone as usage; a thousand texts a call.

    Source: https://docs.voyageai.com/reference/embeddings-api (2026-11)
    """

    NAME, SURFACE, PARTIAL = "voyage_embeddings", "openai_embeddings", False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = embedding_of(task, _limits(task.model))
        more: dict[str, Any] = {"output_dimension": asked.dimensions} if asked.dimensions is not None else {}
        if asked.wants_base64:
            more["encoding_format"] = "base64"
        texts = batches(asked.texts, VOYAGE_BATCH, VOYAGE_TOKENS)
        return [{"model": task.model, "input": list(some), **more, **asked.extras} for some in texts], asked.notes

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        found: list[Sequence[float] | str] = []
        for payload in payloads:
            each = sorted(objects_of(payload.get("data")), key=lambda one: count_of(one.get("index")) or 0)
            found += [text_of(one.get("embedding")) or vector_of(one.get("embedding")) for one in each]
        tokens = [count_of(object_of(payload.get("usage")).get("total_tokens")) for payload in payloads]
        return reply_with_vectors(found, task, embedding_of(task, _limits(task.model)), counted(tokens))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return openai_errors.decode_error(status, body)


class OllamaEmbeddings:
    """`/api/embed`, any number of texts a call.

    Source: https://docs.ollama.com/api/embed (2026-11)
    """

    NAME, SURFACE, PARTIAL = "ollama_embeddings", "openai_embeddings", False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = embedding_of(task, _OLLAMA)
        more: dict[str, Any] = {"dimensions": asked.dimensions} if asked.dimensions is not None else {}
        return [{"model": task.model, "input": list(asked.texts), **more, **asked.extras}], asked.notes

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        (payload,) = payloads
        found = payload.get("embeddings")
        if not isinstance(found, list):
            raise Malformed("The upstream's answer has no `embeddings`")
        usage = counted([count_of(payload.get("prompt_eval_count"))])
        return reply_with_vectors([vector_of(one) for one in found], task, embedding_of(task, _OLLAMA), usage)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return openai_errors.decode_error(status, body)


def _limits(model: str) -> Limits:
    if _SIZED.search(model):
        return _VOYAGE_SIZED
    return _VOYAGE_FIXED if _FIXED.search(model) else _VOYAGE


EMBEDDERS = (
    GeminiEmbeddings(),
    VertexEmbedContent(),
    VertexEmbeddings(),
    BedrockEmbeddings(),
    CohereEmbeddings(),
    VoyageEmbeddings(),
    OllamaEmbeddings(),
)
