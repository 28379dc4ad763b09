"""OpenAI's Responses: typed input items, typed events, state kept at the vendor.

Price-bearing members: `max_output_tokens`, `service_tier`, images, sounds and files in `input`, tools that the vendor
runs (no bound: refused for limited budgets). What is kept at the vendor (`previous_response_id`, `conversation`, a
`prompt` template) adds input that the body does not show, and `context_management` may call the model again: these
pass, and the bill is `bounded: false` (`unknown`). `background` is refused until it is built.

Source: https://platform.openai.com/docs/api-reference/responses/create (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from ..values.errors import GatewayError
from ..values.usage import Usage
from ..values.vendor import Quirks
from .dialect import ReplyReading
from .openai_chunks import refused_reply, reply_members, reply_usage
from .openai_errors import decode_error, encode_error, error_object, error_of
from .openai_family import measure as _measure
from .openai_family import media_members
from .openai_fields import (
    PAID_EXTRAS,
    Fields,
    hosted_tools,
    invalid,
    limit_of,
    model_of,
    paid_extras,
    required,
    wrong,
)
from .openai_responses_asked import decode_request
from .openai_responses_events import decode_stream
from .openai_responses_reply import decode_reply
from .openai_responses_request import encode_request
from .openai_responses_stream import open_stream, texts_of, tool_calls
from .openai_responses_writer import encode_reply, encode_stream
from .openai_rewriting import Rewriting
from .openai_usage import read_usage as _read_usage

NAME: str = "openai_responses"

LIMITS = ("max_output_tokens",)

_STORED_INPUT = ("previous_response_id", "conversation", "prompt", "context_management")

_READ = frozenset(
    {
        *LIMITS,
        *_STORED_INPUT,
        "model",
        "input",
        "instructions",
        "stream",
        "background",
        "service_tier",
        "tools",
    }
)

_CHECKED = _READ | PAID_EXTRAS.keys()

KNOWN = _READ | frozenset(
    {
        "access_programs",
        "include",
        "max_tool_calls",
        "metadata",
        "moderation",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "store",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)

_anything = msgspec.json.Decoder()
REFERENCE = "item_reference"


class _Item(msgspec.Struct):
    type: Any = None
    role: Any = None


_items = msgspec.json.Decoder(list[_Item], float_hook=str)


def peek(body: bytes, params: Params = NO_PARAMS) -> Wanted:
    """The members that we read. Raises BadRequest."""
    fields = Fields(body, _CHECKED)
    model = model_of(fields)
    if fields.flag("background"):
        raise invalid("`background: true` is not supported here yet; leave it out", "background")
    stored = tuple(name for name in _STORED_INPUT if fields.has(name))
    raw = fields.raw("input")
    if raw is None and not stored:
        raise required("input")
    if raw is not None and raw[:1] not in (b'"', b"["):
        raise wrong("input", "must be a string or an array")
    if raw is not None and _refers(raw):
        stored += (REFERENCE,)
    stream = fields.flag("stream")
    limit, limit_members = limit_of(fields, LIMITS)
    unknown, unpriceable = media_members(fields, "input")
    return Wanted(
        dialect=NAME,
        model=model,
        stream=stream,
        limit=limit,
        limit_members=limit_members,
        tier=fields.text("service_tier"),
        usage_asked=True,  # the last event always has it
        unknown=fields.unknown(KNOWN) + stored + unknown,
        unpriceable=unpriceable + paid_extras(fields) + hosted_tools(fields),
        previous=fields.text("previous_response_id") or "",
        native=params.get("action") == "compact",
    )


def _refers(raw: bytes) -> bool:
    """Whether an item of the input stands for one that the vendor keeps: by its type, or with nothing but an id."""
    if raw[:1] != b"[" or not (b'"id"' in raw or b"\\u00" in raw):
        return False
    try:
        items = _items.decode(raw)
    except msgspec.DecodeError:
        return False  # the vendor refuses it
    return any(item.type == REFERENCE or (item.type is None and item.role is None) for item in items)


def measure(body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
    """How large the input can be at most, what the vendor keeps aside."""
    return _measure(body, "input", texts=texts)


def rewrite(body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
    """The bytes for upstream, and notes. The limit has one name here, whatever a channel's quirks say of chat."""
    work = Rewriting(body)
    work.model(change)
    work.limit(wanted, change, LIMITS, forced="", default="max_output_tokens")
    work.drop(change)
    work.roles(change, "input")
    if change.system_prompt:
        work.set("instructions", change.system_prompt)
        work.notes.append("system_prompt")
    return work.done()


def read_usage(payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
    """The usage of a response object, or of an event that carries one."""
    if isinstance(payload, bytes):
        decoded = _anything.decode(payload)
        inner = decoded.get("response") if isinstance(decoded, dict) else None
        return _read_usage(msgspec.json.encode(inner) if isinstance(inner, dict) else payload, quirks)
    nested = payload.get("response")
    return _read_usage(nested if isinstance(nested, Mapping) else payload, quirks)


def read_reply(body: bytes, quirks: Quirks) -> ReplyReading:
    """A whole response object. Raises Malformed when it is something else.

    A response that failed without usage was not served: its error is the reading.
    """
    members = reply_members(body)
    output = _anything.decode(members["output"]) if "output" in members else None
    if not isinstance(output, list):
        return refused_reply(members, "output")
    usage = reply_usage(members, quirks)
    status = _anything.decode(members["status"]) if "status" in members else "completed"
    error = error_of(bytes(members["error"])) if "error" in members and usage is None else None
    if usage is not None and (calls := tool_calls(output)):
        usage = replace(usage, counts={**usage.counts, **calls})
    texts = () if usage is not None else tuple(_texts(output))
    return ReplyReading(usage=usage, error=error, texts=texts, finished=status in ("completed", "incomplete"))


def _texts(output: list[Any]) -> Iterator[str]:
    for item in output:
        if not isinstance(item, dict):
            continue
        for member in ("name", "arguments", "input"):
            if isinstance(text := item.get(member), str):
                yield text
        for holder in (item.get("content"), item.get("summary")):
            for part in holder if isinstance(holder, list) else ():
                text = part.get("text") or part.get("refusal") if isinstance(part, dict) else None
                if isinstance(text, str):
                    yield text


def encode_error_event(error: GatewayError, request_id: str) -> bytes:
    """An `error` event in the shape of the SDK's `ResponseErrorEvent`. Its place in the sequence is not known here:
    0."""
    said = error_object(error, request_id)
    event = {
        "type": "error",
        "code": said.get("code") or error.type,
        "message": said["message"],
        "param": error.member,
        "sequence_number": 0,
    }
    return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


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
