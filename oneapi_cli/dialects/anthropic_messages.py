"""Anthropic's Messages: content blocks, typed events, and a limit that must be said.

Price-bearing members: `max_tokens` (required; `0` only writes the cache), `thinking.budget_tokens` (inside it),
`cache_control` with `ttl: 1h`, images and documents, and what `anthropic_fees` lists: the vendor's own tools, `speed`,
`inference_geo`, `mcp_servers`, `fallbacks`. `service_tier` chooses between standard capacity and a capacity that is
paid for otherwise; neither has another price per token.

Where the model stands in the URL (`Quirks.body_version`), the body says `anthropic_version` instead of it.

Thoughts that another vendor's model had, and that this gateway sealed for the client to keep, are taken out again on
the way to a vendor that could not read them (note `dropped:thinking`).

Sources: https://platform.claude.com/docs/en/api/messages ·
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html ·
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude (2026-11)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from ..framing.members import Remove, Set
from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from .anthropic_asking import encode_request
from .anthropic_errors import decode_error, encode_error, encode_error_event
from .anthropic_fees import fees_of
from .anthropic_listening import decode_request
from .anthropic_media import lives_long, media_in
from .anthropic_media import measure as _measure
from .anthropic_names import NAME
from .anthropic_reading import decode_reply, decode_stream
from .anthropic_replying import encode_reply
from .anthropic_stream import open_stream, read_reply, texts_of
from .anthropic_telling import encode_stream
from .anthropic_usage import read_usage
from .openai_fields import MOST_TOKENS, PAID_EXTRAS, Fields, model_of, required, wrong
from .openai_rewriting import Rewriting
from .sealing import SEAL_START

LIMITS = ("max_tokens",)

STREAM_IN_BODY = frozenset({"vertex-2023-10-16"})
"""Versions of a body without a model that say `stream` all the same; elsewhere the URL says it, and the member is
refused."""

_STORED = "it refers to a document that is kept elsewhere"

_READ = frozenset(
    {
        *LIMITS,
        "compaction",
        "container",
        "context_management",
        "inference_geo",
        "mcp_servers",
        "messages",
        "model",
        "service_tier",
        "stream",
        "thinking",
        "thread",
        "tools",
    }
)
_CHECKED = _READ | PAID_EXTRAS.keys()

KNOWN = _READ | frozenset(
    {
        "anthropic_beta",
        "anthropic_version",
        "betas",
        "cache_control",
        "diagnostics",
        "metadata",
        "output_config",
        "output_format",
        "speed",
        "stop_sequences",
        "system",
        "temperature",
        "tool_choice",
        "top_k",
        "top_p",
    }
)

_anything = msgspec.json.Decoder()
_raw_list = msgspec.json.Decoder(list[Raw])
_raw_object = msgspec.json.Decoder(dict[str, Raw])


def peek(body: bytes, params: Params = NO_PARAMS) -> Wanted:
    """The members that we read. Raises BadRequest."""
    fields = Fields(body, _CHECKED)
    model = model_of(fields, params.get("model", ""))
    limit = fields.count("max_tokens", 0, MOST_TOKENS)
    if limit is None:
        raise required("max_tokens")
    messages = fields.raw("messages")
    if messages is None:
        raise required("messages")
    if not messages.startswith(b"["):
        raise wrong("messages", "must be an array")
    if not messages[1:-1].strip():
        raise required("messages")
    fees = fees_of(fields)
    unknown, unpriceable = _media_members(messages)
    tier = fields.text("service_tier")
    return Wanted(
        dialect=NAME,
        model=model,
        stream=fields.flag("stream") or bool(params.get("stream")),
        limit=limit,
        limit_members=LIMITS,
        tier=None if tier == "standard_only" else tier,
        usage_asked=True,  # every reply and every stream has it
        thinking=_budget(fields),
        unknown=fields.unknown(KNOWN) + fees.unknown + unknown,
        unpriceable=unpriceable + fees.unpriceable,
        fees=fees.fees,
        long_cache=lives_long(fields.body),
    )


def _budget(fields: Fields) -> int:
    """`thinking.budget_tokens`; 0 where the model decides or does not think."""
    thinking = fields.object("thinking", frozenset({"type", "budget_tokens"}))
    if thinking is None or thinking.value("type") != "enabled":
        return 0
    budget = thinking.value("budget_tokens")
    return budget if isinstance(budget, int) and not isinstance(budget, bool) and budget > 0 else 0


def _media_members(messages: bytes) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    media = media_in(messages)
    return ("messages",) if media.loose else (), (("messages", _STORED),) if media.stored else ()


def measure(body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
    """How large the input can be at most; see `anthropic_media`."""
    return _measure(body, texts=texts)


def rewrite(body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
    """The bytes for upstream, and notes. The limit has one name here, whatever a channel's quirks say of chat."""
    work = Rewriting(body)
    if change.body_version:
        _move_model_to_url(work, change)
    else:
        work.model(change)
    work.limit(wanted, change, LIMITS, forced="", default="max_tokens")
    work.drop(change)
    if change.system_prompt:
        work.set("system", change.system_prompt)
        work.notes.append("system_prompt")
    _drop_foreign_thoughts(work)
    return work.done()


def _move_model_to_url(work: Rewriting, change: Change) -> None:
    names = {member.name for member in work.fields.listed}
    left = ("model",) if change.body_version in STREAM_IN_BODY else ("model", "stream")
    work.edits += [Remove((name,)) for name in left if name in names]
    if "anthropic_version" not in names:
        work.edits.append(Set(("anthropic_version",), msgspec.json.encode(change.body_version)))


_FOREIGN = (b'"' + SEAL_START.encode(), b'"signature":""', b'"signature": ""')


def _drop_foreign_thoughts(work: Rewriting) -> None:
    """Thinking blocks whose seal is ours, or that have none: another vendor's model had those thoughts. A turn that
    consists of nothing else goes too."""
    raw = work.fields.raw("messages") or b""
    if b'thinking"' not in raw or not any(mark in raw for mark in _FOREIGN):
        return
    kept: list[bytes] = []
    dropped = False
    for message in _raw_list.decode(raw):
        members = _raw_object.decode(message)
        content = bytes(members.get("content", b""))
        blocks = _raw_list.decode(content) if content.startswith(b"[") else []
        left = [bytes(block) for block in blocks if not _is_foreign_thought(bytes(block))]
        if len(left) == len(blocks):
            kept.append(bytes(message))
            continue
        dropped = True
        if left:
            members["content"] = Raw(b"[" + b",".join(left) + b"]")
            kept.append(msgspec.json.encode(members))
    if dropped:
        work.edits.append(Set(("messages",), b"[" + b",".join(kept) + b"]"))
        work.notes.append("dropped:thinking")


def _is_foreign_thought(block: bytes) -> bool:
    if b'thinking"' not in block:
        return False
    found: Any = _anything.decode(block)
    if not isinstance(found, dict):
        return False
    if found.get("type") == "thinking":
        signature = found.get("signature")
        return not signature or (isinstance(signature, str) and signature.startswith(SEAL_START))
    data = found.get("data")
    return found.get("type") == "redacted_thinking" and isinstance(data, str) and data.startswith(SEAL_START)


__all__ = [
    "KNOWN",
    "NAME",
    "decode_error",
    "decode_reply",
    "decode_request",
    "decode_stream",
    "encode_error",
    "encode_error_event",
    "encode_reply",
    "encode_request",
    "encode_stream",
    "measure",
    "open_stream",
    "peek",
    "read_reply",
    "read_usage",
    "rewrite",
    "texts_of",
]
