"""Lengths of WAV and FLAC, in samples that are there rather than in what a header claims.

Sources: Microsoft's multimedia formats (RIFF, RF64: EBU tech 3306); RFC 9639, FLAC (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from .sound_bytes import Source, Unmeasurable, big, little

_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_MOST_RATE, _MOST_CHANNELS, _MOST_BITS = 768_000, 64, 64
_STREAMED = (0, 0xFFFFFFFF)
_FLAC_TAIL = 1 << 20
_BLOCK_SIZES = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608}


def wav_seconds(source: Source) -> Fraction:
    """RIFF or RF64. Where the size of `data` is not believable (a stream's, beyond the file), it reaches to the end."""
    rate, fact = Fraction(0), 0
    block = samples_each = 0
    for name, at, size in _chunks(source):
        if name == b"fmt ":
            rate, block, samples_each = _wav_format(source.read(at, min(size, 40)))
        elif name == b"fact":
            fact = little(source.read(at, 4))
        elif name == b"data":
            if not rate:
                raise Unmeasurable("its samples come before their format")
            samples = Fraction(size, block) * samples_each
            return (min(samples, Fraction(fact)) if fact and samples_each > 1 else samples) / rate
    raise Unmeasurable("it has no samples")


def _chunks(source: Source) -> Iterator[tuple[bytes, int, int]]:
    """(name, offset of the content, its size) of each chunk."""
    at = 12
    while at + 8 <= source.size:
        head = source.read(at, 8)
        name, size = head[:4], little(head[4:])
        left = source.size - at - 8
        if size > left or (name == b"data" and size in _STREAMED):
            size = left
        yield name, at + 8, size
        at += 8 + size + size % 2


def _wav_format(fmt: bytes) -> tuple[Fraction, int, int]:
    """(frames a second, bytes of a block, frames in it)."""
    if len(fmt) < 16:
        raise Unmeasurable("its format is cut short")
    kind, channels, rate = little(fmt[:2]), little(fmt[2:4]), little(fmt[4:8])
    block, bits = little(fmt[12:14]), little(fmt[14:16])
    if kind == _EXTENSIBLE and len(fmt) >= 26:
        kind = little(fmt[24:26])
    if not (0 < channels <= _MOST_CHANNELS and 0 < rate <= _MOST_RATE):
        raise Unmeasurable("its format makes no sense")
    if kind in (_PCM, _FLOAT, _ALAW, _ULAW):
        if not 0 < bits <= _MOST_BITS:
            raise Unmeasurable("its format makes no sense")
        return Fraction(rate), channels * (-(-bits // 8)), 1
    # ADPCM: an extension says how many frames a block has.
    frames = little(fmt[18:20]) if len(fmt) >= 20 else 0
    if not (block and frames):
        raise Unmeasurable(f"its samples are coded in a way ({kind}) that is not known here")
    return Fraction(rate), block, frames


def flac_seconds(source: Source) -> Fraction:
    """From STREAMINFO, or from the last frame where that says more or nothing."""
    info = source.read(8, 34)
    rate = big(info[10:13]) >> 4
    total = big(info[13:18]) & 0xFFFFFFFFF
    if len(info) < 34 or not rate:
        raise Unmeasurable("its STREAMINFO is missing")
    total = max(total, _last_sample(source, largest=big(info[2:4])))
    if not total:
        raise Unmeasurable("it says nowhere how many samples it has")
    return Fraction(total, rate)


def _last_sample(source: Source, largest: int) -> int:
    """The sample behind the last frame whose header stands up to its own checksum; 0 where none is found."""
    start = max(42, source.size - _FLAC_TAIL)
    tail = source.read(start, source.size - start)
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if (end := _frame_end(tail[at : at + 16], largest)) is not None:
            return end
    return 0


def _frame_end(head: bytes, largest: int) -> int | None:
    if len(head) < 6 or head[1] & 0xFE != 0xF8:
        return None
    code, rate_code = head[2] >> 4, head[2] & 0xF
    if code == 0 or rate_code == 0xF or head[3] & 1:
        return None
    number, at = _coded_number(head, 4)
    if number is None:
        return None
    if code in (6, 7):
        width = code - 5
        size = big(head[at : at + width]) + 1
        at += width
    else:
        size = _BLOCK_SIZES[code] if code in _BLOCK_SIZES else 256 << (code - 8)
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    return number + size if head[1] & 1 else number * largest + size


def _coded_number(head: bytes, at: int) -> tuple[int | None, int]:
    """A number coded as UTF-8 codes characters, up to seven bytes."""
    first = head[at]
    if first < 0x80:
        return first, at + 1
    length = 8 - (first ^ 0xFF).bit_length()
    rest = head[at + 1 : at + length]
    if not 2 <= length <= 7 or len(rest) != length - 1 or any(byte & 0xC0 != 0x80 for byte in rest):
        return None, at
    number = first & (0x7F >> length)
    for byte in rest:
        number = number << 6 | byte & 0x3F
    return number, at + length


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
