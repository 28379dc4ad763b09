"""Rerank by vendors whose shape differs from the canon (`rerank.py`): Voyage, and models on Bedrock.

Sources: https://docs.voyageai.com/reference/reranker-api ·
https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-supported.html (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...values.conversation import Notes
from ...values.errors import BadRequest, Malformed
from ...values.usage import Usage
from .. import bedrock_errors, openai_errors
from ..dialect import TaskAsk, TaskReply, VendorError
from ..rerank import documents_of, searches, usage_of
from ..vendor_values import count_of, objects_of

_Object = Mapping[str, Any]
_CANON = frozenset({"model", "query", "documents", "top_n", "return_documents", "max_tokens_per_doc", "rank_fields"})


class VoyageRerank:
    """`top_k` for `top_n`, and `data` for `results`; charged by the token."""

    NAME, SURFACE, PARTIAL = "voyage_rerank", "rerank", False

    def encode_task(self, task: TaskAsk) -> tuple[list[dict[str, Any]], Notes]:
        body: dict[str, Any] = {"model": task.model, **_asked(task)}
        if (top := task.asked.get("top_n")) is not None:
            body["top_k"] = top
        return [body | _extras(task)], _dropped(task, "max_tokens_per_doc")

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        (payload,) = payloads
        return _ranked(payload.get("data"), task, usage_of(payload))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return openai_errors.decode_error(status, body)


class BedrockRerank:
    """InvokeModel of Amazon's and Cohere's rerankers; charged by the search, which no reply counts."""

    NAME, SURFACE, PARTIAL = "bedrock_rerank", "rerank", False

    def encode_task(self, task: TaskAsk) -> tuple[list[dict[str, Any]], Notes]:
        body = _asked(task)
        if _COHERES.search(task.model):
            body["api_version"] = 2
        if (top := task.asked.get("top_n")) is not None:
            body["top_n"] = min(top, len(body["documents"])) if isinstance(top, int) else top
        return [body | _extras(task)], _dropped(task, "max_tokens_per_doc")

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        (payload,) = payloads
        usage = Usage(counts={"rerank_searches": searches(len(documents_of(task.asked.get("documents"))))})
        return _ranked(payload.get("results"), task, usage)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return bedrock_errors.decode_error(status, body)


_COHERES = re.compile(r"(?:^|[./])cohere\.")

RERANKERS = (VoyageRerank(), BedrockRerank())


def _asked(task: TaskAsk) -> dict[str, Any]:
    query = task.asked.get("query")
    if not isinstance(query, str) or not query:
        raise BadRequest("`query` is required", member="query")
    return {"query": query, "documents": documents_of(task.asked.get("documents"))}


def _extras(task: TaskAsk) -> dict[str, Any]:
    return {name: value for name, value in task.asked.items() if name not in _CANON}


def _dropped(task: TaskAsk, *names: str) -> Notes:
    return tuple(f"dropped:{name}" for name in names if task.asked.get(name) is not None)


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
