"""OpenAI's chat completions, the format that most vendors speak.

Price-bearing members: `n` (outputs), `max_tokens` and `max_completion_tokens` (both bind: the smaller one),
`service_tier`, `prediction` (rejected tokens are billed as output; its text bounds them: `fees`), tools that the
vendor runs and `web_search_options` (no bound: refused for limited budgets, as is what `PAID_EXTRAS` lists), images,
sounds and files in messages. Audio output (`modalities`, `audio`) counts against the output limit and is held at the
dearest output rate.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026-11)
"""

from __future__ import annotations

from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from .openai_chat_answer import encode_reply
from .openai_chat_decoding import decode_reply, decode_stream
from .openai_chat_encoding import encode_stream
from .openai_chat_request import decode_request
from .openai_chat_upstream import encode_request
from .openai_chunks import open_stream, read_reply, texts_of
from .openai_errors import decode_error, encode_error, encode_error_event
from .openai_family import measure as _measure
from .openai_family import media_members
from .openai_fields import (
    MOST_OUTPUTS,
    PAID_EXTRAS,
    Fields,
    hosted_tools,
    limit_of,
    model_of,
    paid_extras,
    required,
    usage_asked,
    wrong,
)
from .openai_rewriting import Rewriting
from .openai_usage import read_usage

NAME: str = "openai_chat"

LIMITS = ("max_completion_tokens", "max_tokens")

_READ = frozenset(
    {
        *LIMITS,
        "model",
        "messages",
        "stream",
        "stream_options",
        "n",
        "service_tier",
        "tools",
        "functions",
        "prediction",
        "web_search_options",
        "modalities",
        "audio",
    }
)

_CHECKED = _READ | PAID_EXTRAS.keys()

# Members that are known to add nothing to a bill beyond their own text; `moderation` runs a free model.
KNOWN = _READ | frozenset(
    {
        "frequency_penalty",
        "function_call",
        "logit_bias",
        "logprobs",
        "metadata",
        "moderation",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "stop",
        "store",
        "temperature",
        "tool_choice",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
    }
)


def peek(body: bytes, params: Params = NO_PARAMS) -> Wanted:
    """The members that we read. Raises BadRequest."""
    fields = Fields(body, _CHECKED)
    model = model_of(fields)
    messages = fields.raw("messages")
    if messages is None:
        raise required("messages")
    if not messages.startswith(b"["):
        raise wrong("messages", "must be an array")
    if not messages[1:-1].strip():
        raise required("messages")
    stream = fields.flag("stream")
    limit, limit_members = limit_of(fields, LIMITS)
    unknown, unpriceable = media_members(fields, "messages")
    if fields.has("web_search_options"):
        unpriceable += (("web_search_options", "the vendor charges for each search"),)
    prediction = fields.raw("prediction")
    return Wanted(
        dialect=NAME,
        model=model,
        stream=stream,
        limit=limit,
        limit_members=limit_members,
        outputs=fields.count("n", 1, MOST_OUTPUTS) or 1,
        tier=fields.text("service_tier"),
        usage_asked=usage_asked(fields),
        unknown=fields.unknown(KNOWN) + unknown,
        unpriceable=unpriceable + paid_extras(fields) + hosted_tools(fields),
        modalities=_modalities(fields),
        fees={} if prediction is None else {"output_tokens": len(prediction)},
    )


def _modalities(fields: Fields) -> tuple[str, ...]:
    """What the reply may consist of beside text; `audio` alone asks for sound as well."""
    value = fields.value("modalities")
    if value is not None and not isinstance(value, list):
        raise wrong("modalities", "must be an array")
    asked = [text.lower() for text in value or () if isinstance(text, str)]
    return tuple(dict.fromkeys((*asked, "audio") if fields.has("audio") else asked))


def measure(body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
    """How large the input can be at most; see `openai_media` for why that is a bound."""
    return _measure(body, "messages", texts=texts)


def rewrite(body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
    """The bytes for upstream, and notes."""
    work = Rewriting(body)
    work.model(change)
    forced = change.limit_name or ("max_completion_tokens" if change.reasoning else "")
    work.limit(wanted, change, LIMITS, forced=forced, default="max_tokens")
    work.drop(change)
    work.ask_for_usage(wanted, change)
    work.roles(change, "messages")
    return work.system_prompt(change, "messages")


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
