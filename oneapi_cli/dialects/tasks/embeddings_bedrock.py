"""OpenAI's embeddings by Cohere's models, at home and on Bedrock, and by Amazon's own: InvokeModel in the words of each
maker. Titan and Nova take one text a call, Cohere ninety-six.

Sources: https://docs.cohere.com/reference/embed ·
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html ·
…/model-parameters-embed.html · https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...values.conversation import Notes
from ...values.errors import Malformed
from .. import bedrock_errors, cohere_chat
from ..dialect import TaskAsk, TaskReply, VendorError
from ..vendor_values import count_of, object_of, objects_of
from .vectors import Embedding, Limits, batches, counted, embedding_of, reply_with_vectors, vector_of

_Object = Mapping[str, Any]
_Bodies = tuple[list[dict[str, Any]], Notes]

TOKENS_READ = "x-amzn-bedrock-input-token-count"
"""A header of InvokeModel: what it has read, where the body does not say so."""

COHERE_BATCH = 96
_COHERE_TAKES = frozenset({"input_type", "truncate", "max_tokens", "priority"})
_COHERE_4 = Limits(sizes=(256, 512, 1024, 1536), takes=_COHERE_TAKES)
_COHERE_3 = Limits(sizes=(), takes=_COHERE_TAKES)
_COHERE_3_ON_BEDROCK = Limits(sizes=(), longest=2_048, takes=_COHERE_TAKES)
_COHERE_OTHERS = Limits(takes=_COHERE_TAKES)
_TITAN_1 = Limits(sizes=(), longest=50_000)
_TITAN_2 = Limits(sizes=(256, 512, 1024), longest=50_000, takes=frozenset({"normalize"}))
_TITAN_PICTURES = Limits(sizes=(256, 384, 1024))
_NOVA = Limits(
    sizes=(256, 384, 1024, 3072),
    longest=50_000,
    takes=frozenset({"embeddingPurpose", "embedding_purpose", "truncationMode", "truncation_mode"}),
)

# Ids on Bedrock name the maker, behind a region's prefix or an ARN: `us.cohere.embed-v4:0`.
_COHERES = re.compile(r"(?:^|[./])cohere\.")
_NOVAS = re.compile(r"(?:^|[./])amazon\.nova")
_TITANS_1 = re.compile(r"embed-(?:text-v1|g1-text)")


class CohereEmbeddings:
    """`/v2/embed`, ninety-six texts a call; what is billed is in each reply."""

    NAME, SURFACE, PARTIAL = "cohere_embeddings", "openai_embeddings", False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = embedding_of(task, _cohere_limits(task.model, longest=False))
        return _cohere_bodies(asked, named={"model": task.model}), asked.notes

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        found = [vector for payload in payloads for vector in _floats_of(payload.get("embeddings"))]
        billed = [object_of(object_of(payload.get("meta")).get("billed_units")) for payload in payloads]
        usage = counted([count_of(block.get("input_tokens")) for block in billed])
        return reply_with_vectors(found, task, embedding_of(task, _cohere_limits(task.model, longest=False)), usage)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return cohere_chat.decode_error(status, body)


class BedrockEmbeddings:
    """InvokeModel. What was read stands in Titan's body, and in a header of the others."""

    NAME, SURFACE, PARTIAL = "bedrock_embeddings", "openai_embeddings", False

    def encode_task(self, task: TaskAsk) -> _Bodies:
        asked = embedding_of(task, _limits(task.model))
        if _COHERES.search(task.model):
            return _cohere_bodies(asked, named={}), asked.notes
        make = _nova if _NOVAS.search(task.model) else _picture_titan if "embed-image" in task.model else _titan
        return [make(text, asked) for text in asked.texts], asked.notes

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        found: list[Sequence[float]] = []
        for payload in payloads:
            if isinstance(payload.get("embedding"), list):
                found.append(vector_of(payload["embedding"]))
            elif each := [one for one in objects_of(payload.get("embeddings")) if "embedding" in one]:
                found += [vector_of(one["embedding"]) for one in each]
            else:
                found += _floats_of(payload.get("embeddings"))
        tokens = [count_of(payload.get("inputTextTokenCount")) for payload in payloads]
        usage = counted(tokens) or counted([_told(headers) for headers in task.told])
        return reply_with_vectors(found, task, embedding_of(task, _limits(task.model)), usage)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return bedrock_errors.decode_error(status, body)


def _limits(model: str) -> Limits:
    if _COHERES.search(model):
        return _cohere_limits(model, longest=True)
    if _NOVAS.search(model):
        return _NOVA
    if "embed-image" in model:
        return _TITAN_PICTURES
    return _TITAN_1 if _TITANS_1.search(model) else _TITAN_2


def _cohere_limits(model: str, *, longest: bool) -> Limits:
    if "v4" in model:
        return _COHERE_4
    if not re.search(r"embed-\w+(?:-light)?-v[23]", model):
        return _COHERE_OTHERS
    return _COHERE_3_ON_BEDROCK if longest else _COHERE_3


def _cohere_bodies(asked: Embedding, named: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cohere's body, at home and on Bedrock. Documents, unless the client says that it is asking."""
    more: dict[str, Any] = {"input_type": asked.word("input_type", "search_document"), "embedding_types": ["float"]}
    if asked.dimensions is not None:
        more["output_dimension"] = asked.dimensions
    return [{**named, "texts": list(texts), **more, **asked.extras} for texts in batches(asked.texts, COHERE_BATCH)]


def _titan(text: str, asked: Embedding) -> dict[str, Any]:
    more = {"dimensions": asked.dimensions} if asked.dimensions is not None else {}
    return {"inputText": text, **more, **asked.extras}


def _picture_titan(text: str, asked: Embedding) -> dict[str, Any]:
    if asked.dimensions is None:
        return {"inputText": text}
    return {"inputText": text, "embeddingConfig": {"outputEmbeddingLength": asked.dimensions}}


def _nova(text: str, asked: Embedding) -> dict[str, Any]:
    """A text that is too long is refused, as it is at OpenAI, unless the client says which end may go."""
    purpose = asked.word("embedding_purpose", asked.word("embeddingPurpose", "GENERIC_INDEX"))
    cut = asked.word("truncation_mode", asked.word("truncationMode", "NONE"))
    params: dict[str, Any] = {"embeddingPurpose": purpose, "text": {"truncationMode": cut, "value": text}}
    if asked.dimensions is not None:
        params["embeddingDimension"] = asked.dimensions
    return {
        "schemaVersion": "nova-multimodal-embed-v1",
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": params,
    }


def _floats_of(embeddings: object) -> list[Sequence[float]]:
    """Cohere's vectors: a list of them, or by their type."""
    by_type = object_of(embeddings)
    found = by_type.get("float") or by_type.get("float_") or embeddings
    if not isinstance(found, list):
        raise Malformed("The upstream's answer has no `embeddings`")
    return [vector_of(one) for one in found]


def _told(headers: Mapping[str, str]) -> int | None:
    said = next((value for name, value in headers.items() if name.lower() == TOKENS_READ), "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 12 else None
