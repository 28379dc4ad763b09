"""OpenAI's embeddings by Google's models: `batchEmbedContents` at the Gemini API; on Vertex `predict`, and
`embedContent` for the second generation of Gemini's.

Sources: https://ai.google.dev/api/embeddings ·
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api · google-genai 1.x (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...values.conversation import Notes
from ...values.usage import Usage
from .. import gemini_errors
from ..dialect import TaskAsk, TaskReply, VendorError
from ..gemini_usage import usage_from
from ..vendor_values import count_of, object_of, objects_of
from .vectors import Embedding, Limits, batches, counted, embedding_of, reply_with_vectors, vector_of

_Object = Mapping[str, Any]
_Bodies = tuple[list[dict[str, Any]], Notes]

BATCH = 100
PREDICT_BATCH, PREDICT_TOKENS = 250, 20_000
"""Of one `predict`: texts, and tokens of all of them."""

_SPELT = {
    "task_type": "taskType",
    "auto_truncate": "autoTruncate",
    "taskType": "taskType",
    "autoTruncate": "autoTruncate",
    "title": "title",
}
_AT_GEMINI = frozenset({"task_type", "taskType", "title"})
_SPACE = re.compile(r"\s")
_GEMINIS = re.compile(r"gemini-embedding")
_FIRST_GENERATION = re.compile(r"(?:text-(?:multilingual-)?embedding-|textembedding-gecko)")


class GeminiEmbeddings:
    """`batchEmbedContents`, a hundred texts a call. It says what it read only from the second generation on."""

    NAME, SURFACE, PARTIAL = "gemini_embeddings", "openai_embeddings", False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = _asked(task, _AT_GEMINI)
        name = task.model if task.model.startswith("models/") else f"models/{task.model}"
        more = _settings(asked)
        return [
            {"requests": [{"model": name, "content": _content(text), **more} for text in texts]}
            for texts in batches(asked.texts, BATCH)
        ], asked.notes

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        found = [
            vector_of(each.get("values")) for payload in payloads for each in objects_of(payload.get("embeddings"))
        ]
        return reply_with_vectors(found, task, _asked(task, _AT_GEMINI), counted([_read(each) for each in payloads]))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return gemini_errors.decode_error(status, body)


class VertexEmbedContent:
    """`embedContent`: one text a call, its settings in an object of their own."""

    NAME, SURFACE, PARTIAL = "vertex_embed_content", "openai_embeddings", False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = _asked(task, frozenset(_SPELT))
        config = _settings(asked)
        more = {"embedContentConfig": config} if config else {}
        return [{"content": _content(text), **more} for text in asked.texts], asked.notes

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        found = [vector_of(object_of(payload.get("embedding")).get("values")) for payload in payloads]
        asked = _asked(task, frozenset(_SPELT))
        return reply_with_vectors(found, task, asked, counted([_read(each) for each in payloads]))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return gemini_errors.decode_error(status, body)


class VertexEmbeddings:
    """`predict`: 250 texts a call, one for the Gemini models; each counted by the vendor in tokens, and charged by the
    character where the model is older.
    """

    NAME, SURFACE, PARTIAL = "vertex_embeddings", "openai_embeddings", False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = _asked(task, frozenset(_SPELT))
        settings = _settings(asked)
        parameters = {n: settings[n] for n in ("autoTruncate", "outputDimensionality") if n in settings}
        named = (("taskType", "task_type"), ("title", "title"))
        of_each = {name: settings[word] for word, name in named if word in settings}
        most = 1 if _GEMINIS.search(task.model) else PREDICT_BATCH
        return [
            {"instances": [{"content": text, **of_each} for text in texts]}
            | ({"parameters": parameters} if parameters else {})
            for texts in batches(asked.texts, most, PREDICT_TOKENS)
        ], asked.notes

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        asked = _asked(task, frozenset(_SPELT))
        each = [object_of(p.get("embeddings")) for payload in payloads for p in objects_of(payload.get("predictions"))]
        tokens = counted([_whole(object_of(one.get("statistics")).get("token_count")) for one in each])
        made = reply_with_vectors([vector_of(one.get("values")) for one in each], task, asked, tokens)
        if not _FIRST_GENERATION.search(task.model) or made.usage is None:
            return made
        said = [count_of(object_of(payload.get("metadata")).get("billableCharacterCount")) for payload in payloads]
        known = [characters for characters in said if characters is not None]
        characters = sum(known) if len(known) == len(said) else sum(map(_visible, asked.texts))
        usage = Usage(counts={**made.usage.counts, "input_characters": characters}, estimated=len(known) < len(said))
        return TaskReply(body=made.body, usage=usage)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return gemini_errors.decode_error(status, body)


def _asked(task: TaskAsk, takes: frozenset[str]) -> Embedding:
    sizes = None
    if _GEMINIS.search(task.model):
        sizes = range(1, 3_073)
    elif _FIRST_GENERATION.search(task.model):
        sizes = range(1, 769)
    return embedding_of(task, Limits(sizes=sizes, takes=takes))


def _settings(asked: Embedding) -> dict[str, Any]:
    """What is said beside the text, in Google's spelling."""
    settings = {_SPELT[name]: value for name, value in asked.extras.items()}
    if asked.dimensions is not None:
        settings["outputDimensionality"] = asked.dimensions
    return settings


def _content(text: str) -> dict[str, Any]:
    return {"parts": [{"text": text}]}


def _read(payload: _Object) -> int | None:
    usage = usage_from(object_of(payload.get("usageMetadata")))
    return int(usage.get("input_tokens")) if usage is not None else None


def _whole(value: object) -> int | None:
    """Vertex spells its count of tokens `3.0`."""
    return count_of(int(value)) if isinstance(value, float) and value.is_integer() else count_of(value)


def _visible(text: str) -> int:
    """What Vertex charges by the character: white space is free."""
    return len(_SPACE.sub("", text))
