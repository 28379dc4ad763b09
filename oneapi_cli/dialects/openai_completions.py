"""OpenAI's legacy completions: a prompt, or several at once, continued.

Price-bearing members: every prompt is answered `n` times, and `best_of` candidates are made (and billed) where it is
given, so outputs = prompts × n × best_of at most; `max_tokens` limits each of them, and 0 none at some vendors: it
needs `echo`, with which it scores the prompt, and leaves the bill `bounded: false`. A prompt given as token numbers
has one token per number, which its digits and comma outweigh in bytes.

Source: https://platform.openai.com/docs/api-reference/completions/create (2026-11)
"""

from __future__ import annotations

from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from .openai_chunks import open_stream, read_reply, texts_of
from .openai_errors import decode_error, encode_error, encode_error_event
from .openai_family import measure as _measure
from .openai_fields import MOST_OUTPUTS, Fields, limit_of, model_of, required, usage_asked, wrong
from .openai_rewriting import Rewriting
from .openai_usage import read_usage

NAME: str = "openai_completions"

LIMITS = ("max_tokens",)

_READ = frozenset({*LIMITS, "model", "prompt", "stream", "stream_options", "n", "best_of", "echo"})

KNOWN = _READ | frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "presence_penalty",
        "seed",
        "stop",
        "suffix",
        "temperature",
        "top_p",
        "user",
    }
)


def peek(body: bytes, params: Params = NO_PARAMS) -> Wanted:
    """The members that we read. Raises BadRequest."""
    fields = Fields(body, _READ)
    model = model_of(fields)
    prompts = _prompts(fields)
    stream = fields.flag("stream")
    limit, limit_members = limit_of(fields, LIMITS, least=0 if fields.flag("echo") else 1)
    outputs = (fields.count("n", 1, MOST_OUTPUTS) or 1) * (fields.count("best_of", 1, MOST_OUTPUTS) or 1)
    return Wanted(
        dialect=NAME,
        model=model,
        stream=stream,
        limit=limit,
        limit_members=limit_members,
        outputs=prompts * outputs,
        usage_asked=usage_asked(fields),
        unknown=fields.unknown(KNOWN) + (limit_members if limit == 0 else ()),
    )


def _prompts(fields: Fields) -> int:
    raw = fields.raw("prompt")
    if raw is None:
        raise required("prompt")
    if raw.startswith(b'"'):
        return 1
    if not raw.startswith(b"["):
        raise wrong("prompt", "must be a string or an array")
    items = fields.array("prompt") or []
    if not items:
        raise required("prompt")
    return sum(1 for item in items if item[:1] in (b'"', b"[")) or 1


def measure(body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
    """How large the input can be at most."""
    return _measure(body, "prompt", texts=texts)


def rewrite(body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
    """The bytes for upstream, and notes. A prompt has no place for a channel's system prompt."""
    work = Rewriting(body)
    work.model(change)
    work.limit(wanted, change, LIMITS, forced="", default="max_tokens")
    work.drop(change)
    work.ask_for_usage(wanted, change)
    if change.system_prompt:
        work.notes.append("ignored:system_prompt")
    return work.done()


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
