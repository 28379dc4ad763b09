"""OpenAI's transcriptions and translations of sound: a form with a file in; text, subtitles, JSON or events out.

Charged by the second (whisper) or by tokens (gpt-4o-transcribe). What the vendor reports decides: `usage`, of either
type, else the `duration` of a verbose reply; else the length that was measured before sending.

Source: https://developers.openai.com/api/reference, audio/transcriptions and audio/translations (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import msgspec
from msgspec.structs import replace

from ..framing.multipart import rewritten
from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from ..values.errors import BadRequest, GatewayError, Malformed
from ..values.uploads import Form, Piece, Upload
from ..values.usage import Count, Usage
from ..values.vendor import Quirks
from . import openai_errors
from .dialect import ReplyReading, VendorError
from .openai_chunks import refused_reply, reply_members
from .openai_events import EventScanner, texts_of
from .openai_fields import MODEL_LENGTH
from .openai_usage import block_at, read_usage, usage_of
from .tasks.durations import audio_seconds, fallback_seconds

DEFAULT_MODEL = "whisper-1"
FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
MOST_SECONDS = Decimal(24 * 3600)

_READ = frozenset({"model", "file", "url", "stream", "response_format", "prompt"})
_KNOWN = _READ | frozenset(
    {
        "language", "languages", "temperature", "timestamp_granularities", "include", "chunking_strategy", "keywords",
        "known_speaker_names", "known_speaker_references", "user",
    }
)  # fmt: skip

# Speech has at most 6 words a second, of 2 tokens each in the worst languages and with time stamps.
OUTPUT_TOKENS_PER_SECOND = 16
OUTPUT_TOKENS = 2_048

_decimal = msgspec.json.Decoder(float_hook=Decimal)
_anything = msgspec.json.Decoder(float_hook=str)


class SoundToText:
    """One of the two doors: a `Dialect` for what comes back, a `FormDialect` for what goes out."""

    def __init__(self, name: str) -> None:
        self.NAME = name

    # -- the form ------------------------------------------------------------------------------------------------

    def peek_form(self, form: Form) -> Wanted:
        form.check(_READ)
        model = form_model(form, DEFAULT_MODEL)
        files = form.files("file")
        if len(files) != 1:
            what = "is required: send a sound file" if not files else "is given twice in the form; send one"
            raise _wrong("file", what)
        if not files[0].content.size:
            raise BadRequest("`file` is empty; send a sound file", code="audio_empty", member="file")
        if form.named("url"):
            raise _wrong("url", "cannot be measured before it is sent; upload the file itself")
        kind = form.text("response_format") or "json"
        if kind not in FORMATS:
            raise _wrong("response_format", f"must be one of {', '.join(FORMATS)}")
        return Wanted(
            dialect=self.NAME,
            model=model,
            stream=form_flag(form, "stream"),
            unknown=tuple(name for name in form.names() if name not in _KNOWN),
            counted=(("input_audio_seconds",), ("input_tokens", "output_tokens"), ("requests",)),
        )

    def measure_form(self, upload: Upload, wanted: Wanted) -> Measure:
        (part,) = upload.form.files("file")
        return _measured(upload.form, audio_seconds(upload.file, part.content.start, part.content.size))

    def guess_form(self, upload: Upload, wanted: Wanted) -> Measure:
        (part,) = upload.form.files("file")
        return _measured(upload.form, fallback_seconds(part.content.size))

    def rewrite_form(self, form: Form, wanted: Wanted, change: Change) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
        return rewritten(form, [("model", change.model.encode())]), ()

    # -- what is no form -----------------------------------------------------------------------------------------

    def peek(self, body: bytes, params: Params = NO_PARAMS) -> Wanted:
        raise BadRequest(
            "The request body must be multipart/form-data with a `file`", code="wrong_content_type", member="file"
        )

    def measure(self, body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
        raise AssertionError("peek refuses what is no form")

    def rewrite(self, body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
        raise AssertionError("peek refuses what is no form")

    # -- replies -------------------------------------------------------------------------------------------------

    def read_usage(self, payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
        return read_usage(payload, quirks)

    def read_reply(self, body: bytes, quirks: Quirks) -> ReplyReading:
        """A JSON object with `text`, or plain text in whichever format. Raises Malformed: a page of HTML."""
        if not body.lstrip().startswith(b"{"):
            return _plain_reply(body)
        try:
            members = reply_members(body)
        except Malformed:
            return _plain_reply(body)
        if "text" not in members:
            return refused_reply(members, "text")
        text = _anything.decode(members["text"])
        usage = reply_usage(members, quirks)
        return ReplyReading(usage=usage, texts=(text,) if isinstance(text, str) else (), finished=True)

    def open_stream(self, quirks: Quirks, *, hide_usage: bool, event_limit: int) -> EventScanner:
        return EventScanner(transcript_usage, quirks, event_limit)

    def texts_of(self, events: list[bytes]) -> list[str]:
        return texts_of(events)

    def encode_error(self, error: GatewayError, request_id: str) -> bytes:
        return openai_errors.encode_error(error, request_id)

    def encode_error_event(self, error: GatewayError, request_id: str) -> bytes:
        return openai_errors.encode_error_event(error, request_id)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return openai_errors.decode_error(status, body)


transcriptions = SoundToText("openai_transcriptions")
translations = SoundToText("openai_translations")


def _measured(form: Form, seconds: Decimal) -> Measure:
    """The measure of a form whose sound is this long. A vendor may round up to the next second."""
    if seconds > MOST_SECONDS:
        raise BadRequest(f"`file` plays for {seconds} s; that is more than a day", code="too_long", member="file")
    whole = -int(-seconds // 1)
    return Measure(
        text_bytes=sum(len(part.value) for part in form.parts if part.value is not None),
        audio_seconds=whole,
        counts={"input_audio_seconds": seconds},
        fees={
            "input_audio_seconds": whole + 1,
            "output_tokens": whole * OUTPUT_TOKENS_PER_SECOND + OUTPUT_TOKENS,
        },
    )


def form_model(form: Form, default: str) -> str:
    """The model that a form names. Raises BadRequest: twice, absurdly long."""
    model = form.text("model") or default
    if not model.strip() or len(model) > MODEL_LENGTH or not model.isprintable():
        raise _wrong("model", "must be a name of at most 256 printable characters")
    return model


def form_flag(form: Form, name: str) -> bool:
    """A field that is true or false. Raises BadRequest for other words."""
    value = (form.text(name) or "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise _wrong(name, "must be true or false")
    return value in ("true", "1")


def transcript_usage(raw: bytes, tier: str | None, quirks: Quirks) -> Usage | None:
    """A usage block: of tokens, or `{"type": "duration", "seconds": 8.47}`."""
    block = _decimal.decode(raw)
    seconds = _seconds(block.get("seconds")) if isinstance(block, dict) else None
    usage = usage_of(raw, tier, quirks)
    if seconds is None:
        return usage
    counts: dict[str, Count] = {**(usage.counts if usage is not None else {}), "input_audio_seconds": seconds}
    return Usage(counts=counts, tier=tier, raw=raw.decode())


def reply_usage(members: dict[str, msgspec.Raw], quirks: Quirks) -> Usage | None:
    """What a JSON reply reports; where its `usage` says nothing of the length, its `duration` does."""
    block = block_at(members, "usage")
    usage = transcript_usage(block, None, quirks) if block is not None else None
    said = _seconds(_decimal.decode(members["duration"])) if "duration" in members else None
    if said is None or (usage is not None and "input_audio_seconds" in usage.counts):
        return usage
    if usage is not None:
        return replace(usage, counts={**usage.counts, "input_audio_seconds": said})
    return Usage(counts={"input_audio_seconds": said}, raw='{"duration":' + f"{said:f}" + "}")


def _seconds(value: object) -> Decimal | None:
    """A length as a number or in quotes; None for what is none."""
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    seconds = Decimal(value)
    return seconds if seconds.is_finite() and 0 < seconds <= MOST_SECONDS else None


def _plain_reply(body: bytes) -> ReplyReading:
    head = body[:256].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        raise Malformed("The upstream answered with a page of HTML")
    try:
        return ReplyReading(usage=None, texts=(body.decode(),), finished=True)
    except UnicodeDecodeError:
        raise Malformed("The upstream answered with something that is not text") from None


def _wrong(member: str, what: str) -> BadRequest:
    return BadRequest(f"`{member}` {what}", member=member)
