"""Length of WebM and Matroska: from its first block of sound to the end of its last.

What browsers record has no Duration element and clusters of unknown size, so the blocks are walked; a Duration that is
there is believed where it agrees with them to a second (it is finer by the samples that are cut off at the end).

Sources: RFC 8794, EBML; RFC 9559, Matroska; RFC 6716 section 3.1, an Opus packet's length (2026-11)
"""

from __future__ import annotations

import struct
from fractions import Fraction

from msgspec import Struct

from .sound_bytes import Source, Unmeasurable, big

_ENTERED = frozenset({0x18538067, 0x1F43B675, 0x1549A966, 0x1654AE6B, 0xAE, 0xA0})
_SCALE, _DURATION, _TRACK_ENTRY = 0x2AD7B1, 0x4489, 0xAE
_NUMBER, _TYPE, _CODEC, _DEFAULT = 0xD7, 0x83, 0x86, 0x23E383
_CLUSTER_TIME, _SIMPLE_BLOCK, _BLOCK, _BLOCK_DURATION = 0xE7, 0xA3, 0xA1, 0x9B
_AUDIO = 2
_OPUS_MICROS = (10_000, 20_000, 40_000, 60_000) * 3 + (10_000, 20_000) * 2 + (2_500, 5_000, 10_000, 20_000) * 4
_NANO = 1_000_000_000
_MOST_ELEMENTS = 20_000_000


class _Track(Struct):
    number: int = 0
    kind: int = 0
    codec: bytes = b""
    default: int = 0
    first: int | None = None
    last: int = 0
    before: int = 0
    length: int = 0
    """Of the last block, in nanoseconds; 0 where nothing says."""
    packet: int = 0
    """Where the last block's only packet stands; 0: it has several."""


class _Walk(Struct):
    scale: int = 1_000_000
    duration: float = 0.0
    cluster: int = 0
    tracks: list[_Track] = []
    sound: dict[int, _Track] = {}
    current: _Track | None = None
    """The track of the last block."""


def webm_seconds(source: Source) -> Fraction:
    walk = _Walk()
    at, read = 0, source.read
    for _ in range(_MOST_ELEMENTS):
        head = read(at, 32)
        # Nearly every element is a short block of sound: a two-byte length behind the one-byte id.
        if head[:1] == b"\xa3" and len(head) == 32 and head[1] & 0xC0 == 0x40:
            _read_block(walk, head, 3, at)
            at += 3 + ((head[1] & 0x3F) << 8 | head[2])
            continue
        element, width = _id(head)
        size, more = _size(head[width:])
        if not width or not more:
            break
        if element == _TRACK_ENTRY:
            walk.tracks.append(_Track())
        if element in (_SIMPLE_BLOCK, _BLOCK):
            _read_block(walk, head, width + more, at)
        at += width + more
        if element in _ENTERED:
            continue
        if size is None:
            raise Unmeasurable("one of its elements has no length")
        _read(walk, element, read(at, min(size, 64)), size)
        at += size
    for track in walk.sound.values():
        if track.codec == b"A_OPUS" and track.packet and not track.length:
            track.length = _opus_nanos(read(track.packet, 2))
    return _seconds(walk)


def _seconds(walk: _Walk) -> Fraction:
    if not any(track.kind == _AUDIO for track in walk.tracks):
        raise Unmeasurable("it has no audio track")
    heard = [track for track in walk.sound.values() if track.first is not None]
    said = Fraction(walk.duration) * walk.scale / _NANO if 0 < walk.duration < 1e12 else Fraction(0)
    blocks = max((_end(track, walk.scale) for track in heard), default=Fraction(0))
    return said if said and abs(said - blocks) < 1 else blocks


def _end(track: _Track, scale: int) -> Fraction:
    """From the first block to the end of the last one, in seconds."""
    assert track.first is not None
    length = track.length or track.default or (track.last - track.before) * scale
    return Fraction((track.last - track.first) * scale + length, _NANO)


def _read(walk: _Walk, element: int, content: bytes, size: int) -> None:
    if element == _CLUSTER_TIME:
        walk.cluster = big(content)
    elif element == _BLOCK_DURATION:
        if walk.current is not None:
            walk.current.length = big(content) * walk.scale
    elif element == _SCALE:
        walk.scale = big(content) or 1_000_000
    elif element == _DURATION:
        walk.duration = struct.unpack(">f" if size == 4 else ">d", content)[0] if size in (4, 8) else 0.0
    elif walk.tracks:
        _read_track(walk, element, content)


def _read_track(walk: _Walk, element: int, content: bytes) -> None:
    track = walk.tracks[-1]
    if element == _NUMBER:
        track.number = big(content)
    elif element == _TYPE:
        track.kind = big(content)
    elif element == _CODEC:
        track.codec = content
    elif element == _DEFAULT:
        track.default = big(content)
    if track.kind == _AUDIO and track.number:
        walk.sound[track.number] = track


def _read_block(walk: _Walk, head: bytes, begin: int, at: int) -> None:
    """The head of a block whose content begins at `begin` in `head`, which begins at `at` in the file."""
    number, width = (head[begin] & 0x7F, 1) if head[begin] & 0x80 else _size(head[begin:])
    walk.current = track = walk.sound.get(number or 0)
    begin += width
    if track is None or len(head) < begin + 3:
        return
    time = walk.cluster + (head[begin] << 8 | head[begin + 1])
    if head[begin] & 0x80:
        time -= 1 << 16
    if track.first is None or time < track.first:
        track.first = time
    if time >= track.last:
        track.before, track.last, track.length = track.last, time, 0
        # Laced packets share a block: the last block's own length is then not known from its first packet.
        track.packet = 0 if head[begin + 2] & 6 else at + begin + 3


def _opus_nanos(packet: bytes) -> int:
    """How long an Opus packet plays, from its first two bytes."""
    if len(packet) < 2:
        return 0
    frames = (1, 2, 2, packet[1] & 0x3F)[packet[0] & 3]
    return _OPUS_MICROS[packet[0] >> 3] * frames * 1_000


def _id(head: bytes) -> tuple[int, int]:
    """(an element's id with its marker, how many bytes it takes), (0, 0) where none stands."""
    if not head or not head[0]:
        return 0, 0
    width = 9 - head[0].bit_length()
    return (big(head[:width]), width) if width <= 4 and len(head) >= width else (0, 0)


def _size(head: bytes) -> tuple[int | None, int]:
    """(a length, None for an unknown one; how many bytes it takes, 0 where none stands)."""
    if not head or not head[0]:
        return None, 0
    width = 9 - head[0].bit_length()
    if len(head) < width:
        return None, 0
    value = big(head[:width]) & (1 << 7 * width) - 1
    return (None if value == (1 << 7 * width) - 1 else value), width
