"""How long an uploaded sound plays, in seconds, exactly: what transcription by the minute is billed by.

A file is known by its first bytes, not by its name or the type that a client gave it, and measured by what is in it:
samples, frames and blocks, rather than by a header's claim of them, since whoever pays by the second also wrote the
header. Pure over a seekable file; for a long file call it in a thread (an hour takes a quarter of a second).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import BinaryIO

from ...values.errors import BadRequest
from .sound_bytes import FileSource, Source, Unmeasurable
from .sound_mp4 import mp4_seconds
from .sound_mpeg import mpeg_seconds, program_stream_seconds, skip_id3
from .sound_ogg import ogg_seconds
from .sound_pcm import flac_seconds, wav_seconds
from .sound_webm import webm_seconds

UNREADABLE = "audio_unreadable"
"""The code of the refusal that a channel's `duration_fallback` lifts."""

FALLBACK_BYTES_PER_SECOND = 1_000
"""What is counted of a file that nobody can measure: 8 kbit/s, the slowest that speech is sent at."""

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp")


def audio_seconds(file: BinaryIO, start: int, size: int, *, member: str = "file") -> Decimal:
    """The length of the sound that lies in `file` from `start` on, to the nanosecond, rounded up.

    Raises BadRequest: empty, of zero length, or (code `audio_unreadable`) nothing that can be measured.
    """
    if size <= 0:
        raise BadRequest(f"`{member}` is empty; send a sound file", code="audio_empty", member=member)
    source = FileSource(file, start, size)
    try:
        seconds = _measure(source)
    except Unmeasurable as why:
        raise _unreadable(member, str(why)) from None
    except (IndexError, OverflowError, ZeroDivisionError, MemoryError):
        raise _unreadable(member, "it is damaged") from None
    if seconds <= 0:
        raise BadRequest(f"`{member}` holds no sound: its length is zero", code="audio_empty", member=member)
    whole, rest = divmod(seconds.numerator * 10**9, seconds.denominator)
    exact = Decimal(whole + (rest > 0)).scaleb(-9)
    return exact.quantize(Decimal(1)) if exact == exact.to_integral_value() else exact.normalize()


def is_mpeg(data: bytes) -> bool:
    """Whether these bytes begin as MPEG audio does: what is said to be MP3 and is something else is decoded as that."""
    return data.startswith(b"ID3") or (data[:1] == b"\xff" and data[1:2] >= b"\xe0")


def fallback_seconds(size: int) -> Decimal:
    """What a file of `size` bytes counts as where the channel says `duration_fallback`."""
    return Decimal(-(-size // FALLBACK_BYTES_PER_SECOND))


def _measure(source: Source) -> Fraction:
    at = skip_id3(source)
    head = source.read(at, 16)
    reader = _reader(head)
    if reader is not None and at == 0:
        return reader(source)
    if reader is flac_seconds:
        return flac_seconds(_Tail(source, at))
    return mpeg_seconds(source, at)


def _reader(head: bytes) -> Callable[[Source], Fraction] | None:
    """Who reads a file that begins like this; None for bare frames, or for nothing that we know."""
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return wav_seconds
    if head[:4] == b"fLaC":
        return flac_seconds
    if head[:4] == b"OggS":
        return ogg_seconds
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return webm_seconds
    if head[:4] == b"\x00\x00\x01\xba":
        return program_stream_seconds
    if head[4:8] in _BOXES:
        return mp4_seconds
    return None


class _Tail:
    """A source from an offset on."""

    def __init__(self, source: Source, at: int) -> None:
        self._source, self._at = source, at
        self.size = source.size - at

    def read(self, at: int, count: int) -> bytes:
        return self._source.read(self._at + at, count)


def _unreadable(member: str, why: str) -> BadRequest:
    return BadRequest(
        f"The length of `{member}` cannot be read ({why}), and this model is charged by it: send mp3, mp4, m4a, wav,"
        " webm, ogg or flac, or have the channel say `duration_fallback: true`",
        code=UNREADABLE,
        member=member,
    )


__all__ = ["FALLBACK_BYTES_PER_SECOND", "UNREADABLE", "audio_seconds", "fallback_seconds", "is_mpeg"]
