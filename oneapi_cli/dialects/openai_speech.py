"""OpenAI's text to speech: a text in, sound out, as bytes or as events.

Charged by the character (tts-1) or by tokens (gpt-4o-mini-tts), which only `stream_format: sse` reports. Characters
are Unicode's, not bytes.

Source: https://developers.openai.com/api/reference, audio/speech (2026-11)
"""

from __future__ import annotations

import msgspec

from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from ..values.errors import BadRequest, Malformed
from ..values.usage import Usage
from ..values.vendor import Quirks
from .dialect import ReplyReading
from .openai_chunks import reply_members
from .openai_errors import decode_error, encode_error, encode_error_event, error_in
from .openai_events import EventScanner, texts_of
from .openai_fields import Fields, model_of, required, wrong
from .openai_rewriting import Rewriting
from .openai_usage import read_usage, usage_of

NAME: str = "openai_speech"

_anything = msgspec.json.Decoder(float_hook=str)

MOST_CHARACTERS = 4_096
_READ = frozenset({"model", "input", "instructions", "stream_format", "response_format"})
KNOWN = _READ | frozenset({"voice", "speed", "language"})

# A character may last 1.6 s at most (a digit spelt out at speed 0.25), of 20.8 tokens a second (1 250 a minute).
# Source: https://developers.openai.com/api/docs/models/gpt-4o-mini-tts, $0.015 a minute at $12 a million (2026-11)
TOKENS_PER_CHARACTER = 34
TOKENS_PER_TEXT = 256
TOKENS_PER_MINUTE = 1_250
FORMATS = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


def peek(body: bytes, params: Params = NO_PARAMS) -> Wanted:
    """The members that we read. Raises BadRequest."""
    fields = Fields(body, _READ)
    model = model_of(fields)
    text = fields.text("input")
    if not text:
        raise required("input")
    if len(text) > MOST_CHARACTERS:
        raise BadRequest(f"input is too long (over {MOST_CHARACTERS} characters)", code="text_too_long", member="input")
    kind = fields.text("stream_format") or "audio"
    if kind not in ("audio", "sse"):
        raise wrong("stream_format", "must be audio or sse")
    fields.text("response_format")
    fields.text("instructions")
    return Wanted(
        dialect=NAME,
        model=model,
        stream=True,
        unknown=fields.unknown(KNOWN),
        fees={"input_characters": len(text), "output_tokens": len(text) * TOKENS_PER_CHARACTER + TOKENS_PER_TEXT},
        counted=(("input_characters",), ("input_tokens", "output_tokens"), ("requests",)),
        modalities=("audio",),
    )


def measure(body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
    """The whole text is a prompt to those who charge by tokens."""
    fields = Fields(body, _READ)
    said = tuple(text for name in ("input", "instructions") if (text := fields.text(name)))
    return Measure(
        text_bytes=sum(len(text.encode("utf-8", "surrogatepass")) for text in said),
        texts=said if texts else (),
        overhead_tokens=8,
        counts={"input_characters": wanted.fees["input_characters"]},
    )


def rewrite(body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
    """The bytes for upstream: the model's name is all that can change."""
    work = Rewriting(body)
    work.model(change)
    return work.done()


def read_reply(body: bytes, quirks: Quirks) -> ReplyReading:
    """A whole body that is not sound: the error that it carries. Raises Malformed where it is none."""
    members = reply_members(body)
    error = error_in({name: _anything.decode(raw) for name, raw in members.items()})
    if error is None:
        raise Malformed("The upstream answered with JSON where sound was asked for")
    return ReplyReading(usage=None, error=error)


def open_stream(quirks: Quirks, *, hide_usage: bool, event_limit: int) -> EventScanner:
    """A scanner for `speech.audio.delta` events; sound as bytes has `ByteScanner`."""
    return EventScanner(_usage, quirks, event_limit)


def _usage(raw: bytes, tier: str | None, quirks: Quirks) -> Usage | None:
    return usage_of(raw, tier, quirks)


__all__ = [
    "FORMATS",
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
