"""OpenAI's images from a text: JSON in; JSON or events with pictures out.

Charged by the picture, size and quality deciding (DALL·E), or by tokens (the gpt-image family). What is refused here
is refused by name: a model that our table does not know may take other sizes, and its vendor says so itself.

Source: https://developers.openai.com/api/reference, images (2026-11)
"""

from __future__ import annotations

from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from ..values.errors import BadRequest
from ..values.vendor import Quirks
from .dialect import ReplyReading
from .openai_errors import decode_error, encode_error, encode_error_event
from .openai_events import EventScanner, texts_of
from .openai_fields import Fields, model_of
from .openai_image_asks import COUNTS, READ, Picturing, order_of
from .openai_image_replies import image_usage, read_image_reply, read_usage
from .openai_rewriting import Rewriting

NAME: str = "openai_images"

KNOWN = READ | frozenset(
    {
        "style", "user", "background", "moderation", "output_compression", "output_format", "safety_identifier",
        "frame_count", "frame_duration_ms",
    }
)  # fmt: skip


def peek(body: bytes, params: Params = NO_PARAMS) -> Wanted:
    """The members that we read. Raises BadRequest."""
    fields = Fields(body, READ)
    prompt, given = fields.text("prompt"), fields.object("input", COUNTS)
    if not prompt and given is None:
        raise BadRequest("prompt is required", code="prompt_missing", member="prompt")
    asked = Picturing(
        model=model_of(fields, "dall-e-2"),
        prompt=prompt or "",
        size=fields.text("size") or "",
        quality=fields.text("quality") or "",
        n=_count(fields, "n"),
        times=max((_count(holder, name) or 1 for holder in (fields, given) if holder for name in COUNTS), default=1),
        stream=fields.flag("stream"),
        partials=_count(fields, "partial_images", least=0, most=3) or 0,
        response_format=fields.text("response_format") or "",
    )
    return order_of(NAME, asked, fields.unknown(KNOWN))


def measure(body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
    """The prompt, for those who charge by tokens."""
    fields = Fields(body, READ)
    prompt = fields.text("prompt") or ""
    return Measure(text_bytes=len(body), texts=(prompt,) if texts else (), overhead_tokens=64)


def rewrite(body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
    """The bytes for upstream: the model's name is all that can change."""
    work = Rewriting(body)
    work.model(change)
    return work.done()


def read_reply(body: bytes, quirks: Quirks) -> ReplyReading:
    """A whole body with `data`. Raises Malformed when it is something else."""
    return read_image_reply(body, quirks)


def open_stream(quirks: Quirks, *, hide_usage: bool, event_limit: int) -> EventScanner:
    """A scanner for `image_generation.…` and `image_edit.…` events."""
    return EventScanner(image_usage, quirks, event_limit)


def _count(fields: Fields, name: str, least: int = 1, most: int = 10) -> int | None:
    try:
        return fields.count(name, least, most)
    except BadRequest:
        code = "n_not_within_range" if name == "n" else "invalid_text_request"
        text = f"invalid value of {name}: it must be a whole number from {least} to {most}"
        raise BadRequest(text, code=code, member=name) from None


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
