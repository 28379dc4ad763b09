"""Rerank, in the shape that Cohere gave it and that Jina and most others speak: a query and documents in, their order
out.

Charged by the search (Cohere: a query over up to a hundred documents, long ones counted as several) or by the token.

Sources: https://docs.cohere.com/reference/rerank · https://jina.ai/reranker (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from ..values.usage import Count, Usage
from ..values.vendor import Quirks
from .dialect import ReplyReading
from .openai_chunks import open_stream, refused_reply, reply_members, texts_of
from .openai_errors import decode_error, encode_error, encode_error_event
from .openai_fields import Fields, model_of, required, wrong
from .openai_rewriting import Rewriting
from .vendor_values import count_of, object_of

NAME: str = "rerank"

MOST_DOCUMENTS = 10_000
DOCUMENTS_PER_SEARCH = 100
CHUNK_TOKENS = 500
"""A document longer than this, the query included, counts as several at Cohere."""

_READ = frozenset({"model", "query", "documents", "top_n", "return_documents"})
KNOWN = _READ | frozenset({"max_tokens_per_doc", "max_chunks_per_doc", "rank_fields", "truncation", "priority"})

_PICTURES = frozenset({"image", "image_url", "url"})

_anything = msgspec.json.Decoder(float_hook=str)


def peek(body: bytes, params: Params = NO_PARAMS) -> Wanted:
    """The members that we read. Raises BadRequest."""
    fields = Fields(body, _READ)
    model = model_of(fields)
    query = fields.text("query")
    if not query:
        raise required("query")
    given = fields.value("documents")
    documents = documents_of(given)
    fields.count("top_n", 1, MOST_DOCUMENTS)
    fields.flag("return_documents")
    pictures = any(isinstance(each, dict) and not each.keys().isdisjoint(_PICTURES) for each in given)
    return Wanted(
        dialect=NAME,
        model=model,
        unknown=fields.unknown(KNOWN) + (("documents",) if pictures else ()),
        fees={"rerank_searches": searches(chunks(map(_size, documents), _size(query)))},
        counted=(("rerank_searches",), ("input_tokens",), ("requests",)),
    )


def measure(body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
    """The query is read once for each document."""
    fields = Fields(body, _READ)
    query, documents = fields.text("query") or "", documents_of(fields.value("documents"))
    size = sum(map(_size, documents)) + _size(query) * len(documents)
    return Measure(
        text_bytes=size,
        texts=(*documents, *[query] * len(documents)) if texts else (),
        overhead_tokens=8 * len(documents),
        counts={"rerank_searches": searches(len(documents))},
    )


def rewrite(body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
    """The bytes for upstream: the model's name is all that can change."""
    work = Rewriting(body)
    work.model(change)
    return work.done()


def read_usage(payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
    """Searches or tokens, whichever the vendor counts; None where it says neither."""
    block = _anything.decode(payload) if isinstance(payload, bytes) else payload
    return usage_of(object_of(block))


def usage_of(payload: Mapping[str, Any]) -> Usage | None:
    """Cohere says `meta.billed_units.search_units`, Jina and others `usage.total_tokens`, SiliconFlow `meta.tokens`."""
    meta, usage = object_of(payload.get("meta")), object_of(payload.get("usage"))
    billed, read = object_of(meta.get("billed_units")), object_of(meta.get("tokens"))
    said = usage or meta
    if units := count_of(billed.get("search_units")):
        return Usage(counts={"rerank_searches": units}, raw=msgspec.json.encode(said).decode())
    places = ((usage, "total_tokens"), (usage, "prompt_tokens"), (billed, "input_tokens"), (read, "input_tokens"))
    tokens = [count for block, name in places if (count := count_of(block.get(name))) is not None]
    if not tokens:
        return None
    found: dict[str, Count] = {"input_tokens": tokens[0]}
    return Usage(counts=found, raw=msgspec.json.encode(said).decode())


def read_reply(body: bytes, quirks: Quirks) -> ReplyReading:
    """A whole body with `results`. Raises Malformed when it is something else."""
    members = reply_members(body)
    if not bytes(members.get("results", b"")).startswith(b"["):
        return refused_reply(members, "results")
    said: dict[str, Any] = {name: _anything.decode(members[name]) for name in ("meta", "usage") if name in members}
    return ReplyReading(usage=usage_of(said), finished=True)


def documents_of(value: object) -> list[str]:
    """The documents as texts; an object's `text`, else all its fields. Raises BadRequest."""
    if not isinstance(value, list) or not value:
        raise required("documents") if not value else wrong("documents", "must be an array")
    if len(value) > MOST_DOCUMENTS:
        raise wrong("documents", f"may have {MOST_DOCUMENTS} elements at most")
    return [_document(each, index) for index, each in enumerate(value)]


def searches(documents: int) -> int:
    """How many searches that many documents are."""
    return max(1, -(-documents // DOCUMENTS_PER_SEARCH))


def chunks(documents: Iterable[int], query: int, most: int = CHUNK_TOKENS) -> int:
    """As how many documents those count, each with the query beside it. Sizes in tokens, or in bytes for a bound."""
    return sum(max(1, -(-(each + query) // most)) for each in documents)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _document(each: object, index: int) -> str:
    if isinstance(each, str):
        return each
    if isinstance(each, dict) and isinstance(text := each.get("text"), str):
        return text
    if isinstance(each, dict) and each:
        return msgspec.json.encode(each).decode()
    raise wrong(f"documents[{index}]", "must be a string or an object with a `text`")


__all__ = [
    "KNOWN",
    "NAME",
    "decode_error",
    "encode_error",
    "encode_error_event",
    "measure",
    "open_stream",
    "peek",
    "read_reply",
    "read_usage",
    "rewrite",
    "texts_of",
]
