"""Pictures and sounds of the demo vendor: small, valid, and the same for the same words."""

from __future__ import annotations

import array
import base64
import io
import math
import re
import struct
import sys
import wave
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec
from msgspec import Struct

from .orders import read_orders, without_orders
from .steps import Fault, Step, blob, ordered_failure, reply
from .wishes import check_model
from .words import seed_of, sentences

IMAGE_MODELS = ("demo-image",)
SPEECH_MODELS = ("demo-speech",)
TRANSCRIPTION_MODELS = ("demo-transcribe",)

_MAX_IMAGES = 10
_MAX_SIDE = 2048
_BANDS = 8

_SAMPLE_RATE = 8_000
_LOUDNESS = 8_000
_SECONDS_PER_CHAR = 0.065
_MAX_SPEECH_CHARS = 4_096
_PITCHES = (200, 250, 320, 400, 500)
_SPEECH_FORMATS = {"wav": "audio/wav", "pcm": "audio/pcm"}
_WORDS_PER_SECOND = 2.5


class _ImageBody(Struct):
    model: str
    prompt: str
    n: int | None = None
    size: str | None = None
    response_format: str | None = None


class _SpeechBody(Struct):
    model: str
    input: str
    voice: object = "plain"
    response_format: str = "wav"


def answer_image(body: bytes, created: int) -> Iterator[Step]:
    """Bands of two colours that the prompt decides, as PNG in base64. Raises Fault, msgspec.ValidationError."""
    asked = msgspec.json.decode(body, type=_ImageBody)
    check_model(asked.model, IMAGE_MODELS)
    count = 1 if asked.n is None else asked.n
    if not 1 <= count <= _MAX_IMAGES:
        raise Fault(400, f"n must be from 1 to {_MAX_IMAGES}.", code="invalid_value", param="n")
    if asked.response_format not in (None, "b64_json"):
        raise Fault(400, "The demo vendor has no web server for pictures; ask for b64_json.", param="response_format")
    width, height = _size(asked.size)
    orders = read_orders(asked.prompt)
    failure = ordered_failure(orders)
    if failure is not None:
        return failure
    pictures = [png(width, height, seed_of(asked.prompt, number)) for number in range(count)]
    data = [{"b64_json": base64.b64encode(picture).decode()} for picture in pictures]
    return reply({"created": created, "data": data, "output_format": "png", "size": f"{width}x{height}"}, orders)


def png(width: int, height: int, seed: bytes) -> bytes:
    """A palette PNG: eight horizontal bands. A few hundred bytes, whatever its size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + bytes([min(row * _BANDS // height, _BANDS - 1)]) * width for row in range(height))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", seed[: _BANDS * 3]),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


def answer_speech(body: bytes, created: int) -> Iterator[Step]:
    """A tone as long as reading the text would take, as WAV. Raises Fault, msgspec.ValidationError."""
    asked = msgspec.json.decode(body, type=_SpeechBody)
    check_model(asked.model, SPEECH_MODELS)
    if not 1 <= len(asked.input) <= _MAX_SPEECH_CHARS:
        raise Fault(400, f"input must have 1 to {_MAX_SPEECH_CHARS} characters.", code="invalid_value", param="input")
    content_type = _SPEECH_FORMATS.get(asked.response_format)
    if content_type is None:
        raise Fault(400, "The demo vendor speaks wav and pcm only.", code="invalid_value", param="response_format")
    orders = read_orders(asked.input)
    failure = ordered_failure(orders)
    if failure is not None:
        return failure
    sound = tone(asked.input, seed_of(asked.input, str(asked.voice)))
    return blob(wav(sound) if asked.response_format == "wav" else sound, content_type, orders)


def tone(text: str, seed: bytes) -> bytes:
    """16-bit little-endian mono samples, 8 kHz: a sine whose pitch the seed picks, 65 ms per character."""
    period = _SAMPLE_RATE // _PITCHES[seed[0] % len(_PITCHES)]
    wave_ = array.array("h", (round(_LOUDNESS * math.sin(2 * math.pi * place / period)) for place in range(period)))
    if sys.byteorder == "big":
        wave_.byteswap()
    samples = max(1, round(len(text) * _SECONDS_PER_CHAR * _SAMPLE_RATE))
    return (wave_.tobytes() * (samples // period + 1))[: samples * 2]


def wav(samples: bytes) -> bytes:
    """Samples with a WAV header."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(_SAMPLE_RATE)
        writer.writeframes(samples)
    return file.getvalue()


def answer_transcription(fields: Mapping[str, str], file: bytes) -> Iterator[Step]:
    """Words for a WAV file, as many as fit its length; directives go in `prompt`. Raises Fault."""
    check_model(fields.get("model", ""), TRANSCRIPTION_MODELS)
    seconds = wav_seconds(file)
    orders = read_orders(fields.get("prompt", ""))
    failure = ordered_failure(orders)
    if failure is not None:
        return failure
    text = _heard(file, seconds, without_orders(fields.get("prompt", "")))
    shape = fields.get("response_format", "json")
    usage: dict[str, object] = {"usage": {"type": "duration", "seconds": float(seconds)}} if orders.usage else {}
    if shape == "text":
        return blob(text.encode() + b"\n", "text/plain; charset=utf-8", orders)
    if shape == "json":
        return reply({"text": text, **usage}, orders)
    if shape == "verbose_json":
        return reply(_verbose(text, seconds, fields.get("language", "english")) | usage, orders)
    raise Fault(
        400, "response_format must be json, text or verbose_json.", code="invalid_value", param="response_format"
    )


def wav_seconds(file: bytes) -> Decimal:
    """How long a WAV file plays. Raises Fault 400 for anything else."""
    try:
        with wave.open(io.BytesIO(file)) as reader:
            frames, rate = reader.getnframes(), reader.getframerate()
            return Decimal(frames) / Decimal(rate)
    except (wave.Error, EOFError, ArithmeticError) as broken:
        raise Fault(400, "The demo vendor hears WAV files only.", code="invalid_value", param="file") from broken


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _size(said: str | None) -> tuple[int, int]:
    if said in (None, "auto"):
        return 256, 256
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", said or "")
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (1 <= width <= _MAX_SIDE and 1 <= height <= _MAX_SIDE):
        raise Fault(400, f"size must be WIDTHxHEIGHT, {_MAX_SIDE} at most.", code="invalid_value", param="size")
    return width, height


def _heard(file: bytes, seconds: Decimal, topic: str) -> str:
    room = max(1, int(seconds * Decimal(_WORDS_PER_SECOND)))
    text: list[str] = []
    for sentence in sentences(topic or "a recording", seed_of(file)):
        text += sentence.split()
        if len(text) >= room:
            break
    return " ".join(text[:room])


def _verbose(text: str, seconds: Decimal, language: str) -> dict[str, object]:
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": float(seconds),
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.01,
    }
    return {
        "task": "transcribe",
        "language": language,
        "duration": float(seconds),
        "text": text,
        "segments": [segment],
    }
