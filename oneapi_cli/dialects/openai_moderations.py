"""OpenAI's moderations: free of charge, and the model may go unsaid.

Source: https://platform.openai.com/docs/api-reference/moderations/create (2026-11)
"""

from __future__ import annotations

from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from ..values.vendor import Quirks
from .dialect import ReplyReading
from .openai_chunks import open_stream, refused_reply, reply_members, reply_usage, texts_of
from .openai_errors import decode_error, encode_error, encode_error_event
from .openai_family import measure as _measure
from .openai_fields import Fields, model_of, required, wrong
from .openai_rewriting import Rewriting
from .openai_usage import read_usage

NAME: str = "openai_moderations"

DEFAULT_MODEL = "omni-moderation-latest"

_READ = frozenset({"model", "input"})

KNOWN = _READ


def peek(body: bytes, params: Params = NO_PARAMS) -> Wanted:
    """The members that we read. Raises BadRequest."""
    fields = Fields(body, _READ)
    model = model_of(fields, DEFAULT_MODEL)
    raw = fields.raw("input")
    if raw is None:
        raise required("input")
    if raw[:1] not in (b'"', b"["):
        raise wrong("input", "must be a string or an array")
    return Wanted(dialect=NAME, model=model, unknown=fields.unknown(KNOWN))


def measure(body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
    """How large the input can be at most."""
    return _measure(body, "input", texts=texts)


def rewrite(body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
    """The bytes for upstream; the model's name is always said there."""
    work = Rewriting(body)
    work.model(change)
    return work.done()


def read_reply(body: bytes, quirks: Quirks) -> ReplyReading:
    """A whole body with `results`. Raises Malformed when it is something else."""
    members = reply_members(body)
    if not bytes(members.get("results", b"")).startswith(b"["):
        return refused_reply(members, "results")
    return ReplyReading(usage=reply_usage(members, quirks, produces=False), finished=True)


__all__ = [
    "DEFAULT_MODEL",
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
