"""Rerank by vendors whose shape differs from the canon (`rerank.py`): Cohere's second API, Voyage, models on Bedrock.

Sources: https://docs.cohere.com/reference/rerank · https://docs.voyageai.com/reference/reranker-api ·
https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-supported.html (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...values.conversation import Notes
from ...values.errors import BadRequest, Malformed
from ...values.usage import Usage
from .. import bedrock_errors, cohere_chat, openai_errors
from ..dialect import TaskAsk, TaskReply, VendorError
from ..rerank import chunks, documents_of, searches, usage_of
from ..vendor_values import count_of, object_of, objects_of, text_of
from ..vocabulary import MOST_BYTES, count
from .vectors import ESTIMATOR

_Object = Mapping[str, Any]
_CANON = frozenset({"model", "query", "documents", "top_n", "return_documents"})

BEDROCK_CHUNK_TOKENS = 512
"""A document longer than this, the query included, counts as several. Source: https://aws.amazon.com/bedrock/pricing/
(2026-11)"""
_BYTES_PER_TOKEN = 4


class CohereRerank:
    """Texts alone, which are not given back; charged by the search, which each reply counts."""

    NAME, SURFACE, PARTIAL = "cohere_rerank", "rerank", False
    _TAKES = frozenset({"max_tokens_per_doc", "priority"})

    def encode_task(self, task: TaskAsk) -> tuple[list[dict[str, Any]], Notes]:
        body: dict[str, Any] = {"model": task.model, **_asked(task)}
        if (top := task.asked.get("top_n")) is not None:
            body["top_n"] = top
        return [body | _extras(task, self._TAKES)], _dropped(task, self._TAKES)

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        (payload,) = payloads
        made = _ranked(payload.get("results"), task, usage_of(payload))
        own: dict[str, Any] = {"id": text_of(payload.get("id")) or task.request_id}
        if meta := object_of(payload.get("meta")):
            own["meta"] = meta
        return TaskReply(body={**made.body, **own}, usage=made.usage)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return cohere_chat.decode_error(status, body)


class VoyageRerank:
    """`top_k` for `top_n`, and `data` for `results`; charged by the token."""

    NAME, SURFACE, PARTIAL = "voyage_rerank", "rerank", False
    _TAKES = frozenset({"truncation"})

    def encode_task(self, task: TaskAsk) -> tuple[list[dict[str, Any]], Notes]:
        body: dict[str, Any] = {"model": task.model, **_asked(task)}
        if (top := task.asked.get("top_n")) is not None:
            body["top_k"] = top
        return [body | _extras(task, self._TAKES)], _dropped(task, self._TAKES)

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        (payload,) = payloads
        return _ranked(payload.get("data"), task, usage_of(payload))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return openai_errors.decode_error(status, body)


class BedrockRerank:
    """InvokeModel of Amazon's and Cohere's rerankers; charged by the search, which no reply counts."""

    NAME, SURFACE, PARTIAL = "bedrock_rerank", "rerank", False
    _TAKES: frozenset[str] = frozenset()

    def encode_task(self, task: TaskAsk) -> tuple[list[dict[str, Any]], Notes]:
        body = _asked(task)
        if _COHERES.search(task.model):
            body["api_version"] = 2
        if (top := task.asked.get("top_n")) is not None:
            body["top_n"] = min(top, len(body["documents"])) if isinstance(top, int) else top
        return [body], _dropped(task, self._TAKES)

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        (payload,) = payloads
        asked = _asked(task)
        most = searches(_chunks(asked["documents"], asked["query"]))
        usage = Usage(counts={"rerank_searches": most}, estimated=most > searches(len(asked["documents"])))
        return _ranked(payload.get("results"), task, usage)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return bedrock_errors.decode_error(status, body)


_COHERES = re.compile(r"(?:^|[./])cohere\.")

RERANKERS = (CohereRerank(), VoyageRerank(), BedrockRerank())


def _chunks(documents: Sequence[str], query: str) -> int:
    """As how many documents those count at Amazon. Long ones are counted by the tokenizer, very many by their bytes."""
    own = len(query.encode())
    sizes = [len(document.encode()) for document in documents]
    if all(size + own <= BEDROCK_CHUNK_TOKENS for size in sizes):
        return len(documents)
    if sum(sizes) > MOST_BYTES:
        tokens = [-(-size // _BYTES_PER_TOKEN) for size in sizes]
    else:
        tokens = [count([document], ESTIMATOR) for document in documents]
    return chunks(tokens, min(own, count([query], ESTIMATOR)), BEDROCK_CHUNK_TOKENS)


def _asked(task: TaskAsk) -> dict[str, Any]:
    query = task.asked.get("query")
    if not isinstance(query, str) or not query:
        raise BadRequest("`query` is required", member="query")
    return {"query": query, "documents": documents_of(task.asked.get("documents"))}


def _extras(task: TaskAsk, takes: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in task.asked.items() if name in takes and value is not None}


def _dropped(task: TaskAsk, takes: frozenset[str]) -> Notes:
    """What neither the canon nor this vendor knows: it could be input that nobody has counted."""
    given = (name for name, value in task.asked.items() if value is not None)
    return tuple(f"dropped:{name}" for name in given if name not in _CANON and name not in takes)


def _ranked(found: object, task: TaskAsk, usage: Usage | None) -> TaskReply:
    """The answer in Cohere's shape. Raises Malformed for an index that no document has."""
    given = task.asked.get("documents") or []
    results: list[dict[str, Any]] = []
    for each in objects_of(found):
        index, score = count_of(each.get("index")), each.get("relevance_score")
        if index is None or index >= len(given) or isinstance(score, bool) or not isinstance(score, int | float):
            raise Malformed("The upstream ranked a document that was not given")
        result: dict[str, Any] = {"index": index, "relevance_score": score}
        if task.asked.get("return_documents"):
            document = given[index]
            result["document"] = {"text": document} if isinstance(document, str) else document
        results.append(result)
    if not results:
        raise Malformed("The upstream's answer has no results")
    body: dict[str, Any] = {"id": task.request_id, "model": task.name, "results": results}
    if usage is not None and (units := usage.counts.get("rerank_searches")) is not None:
        body["meta"] = {"billed_units": {"search_units": int(units)}}
    elif usage is not None:
        body["usage"] = {"total_tokens": int(usage.get("input_tokens"))}
    return TaskReply(body=body, usage=usage)
