"""OpenAI's embeddings: texts in, vectors out, no output tokens.

Source: https://platform.openai.com/docs/api-reference/embeddings/create (2026-11)
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from ..values.vendor import Quirks
from .dialect import ReplyReading
from .openai_chunks import open_stream, refused_reply, reply_members, reply_usage, texts_of
from .openai_errors import decode_error, encode_error, encode_error_event
from .openai_family import measure as _measure
from .openai_family import media_members
from .openai_fields import Fields, model_of, required, wrong
from .openai_media import texts_in
from .openai_rewriting import Rewriting
from .openai_usage import read_usage

NAME: str = "openai_embeddings"

_READ = frozenset({"model", "input", "dimensions", "encoding_format"})

KNOWN = _READ | frozenset({"user"})

MOST_INPUTS = 2_048
MOST_DIMENSIONS = 65_536


def peek(body: bytes, params: Params = NO_PARAMS) -> Wanted:
    """The members that we read. Raises BadRequest."""
    fields = Fields(body, _READ)
    model = model_of(fields)
    raw = fields.raw("input")
    if raw is None or (raw[:1] == b"[" and not raw[1:-1].strip()):
        raise required("input")
    if raw[:1] not in (b'"', b"["):
        raise wrong("input", "must be a string or an array")
    _check(fields.value("input"))
    fields.count("dimensions", 1, MOST_DIMENSIONS)
    fields.text("encoding_format")
    unknown, unpriceable = media_members(fields, "input")
    return Wanted(
        dialect=NAME,
        model=model,
        unknown=fields.unknown(KNOWN) + unknown,
        unpriceable=unpriceable,
        fees={"input_characters": len(raw)},
        counted=(("input_tokens",), ("input_characters",), ("requests",)),
    )


def _check(given: Any) -> None:
    """A text, token numbers, or up to 2048 of those; objects are other vendors' pictures. Raises BadRequest."""
    if isinstance(given, str):
        if not given:
            raise wrong("input", "must not be empty")
        return
    if isinstance(given[0], int) and not isinstance(given[0], bool):
        return _check_numbers(given, "input")
    if len(given) > MOST_INPUTS:
        raise wrong("input", f"may have {MOST_INPUTS} elements at most")
    for index, item in enumerate(given):
        if isinstance(item, list):
            _check_numbers(item, f"input[{index}]")
        elif item == "" or item == {}:
            raise wrong(f"input[{index}]", "must not be empty")
        elif not isinstance(item, str | dict):
            raise wrong(f"input[{index}]", "must be a string or an array of token numbers")


def _check_numbers(given: list[Any], place: str) -> None:
    if not given:
        raise wrong(place, "must not be empty")
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in given):
        raise wrong(place, "must hold token numbers alone")


def measure(body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
    """How large the input can be at most. What is beside it is a setting, which no model reads."""
    bound = _measure(body, "input", texts=texts)
    if not texts:
        return bound
    return replace(bound, texts=tuple(texts_in(Fields(body, _READ).raw("input") or b"null")))


def rewrite(body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
    """The bytes for upstream: the model's name is all that can change."""
    work = Rewriting(body)
    work.model(change)
    return work.done()


def read_reply(body: bytes, quirks: Quirks) -> ReplyReading:
    """A whole body with `data`. Raises Malformed when it is something else."""
    members = reply_members(body)
    if not bytes(members.get("data", b"")).startswith(b"["):
        return refused_reply(members, "data")
    return ReplyReading(usage=reply_usage(members, quirks, produces=False), finished=True)


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
