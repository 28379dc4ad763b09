"""Length of MP4, M4A and MOV: the samples of each audio track, wherever the index stands, fragments included.

Source: ISO 14496-12, boxes moov, trak, mdhd, stts, elst, mvex, moof, traf, trun (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from msgspec import Struct

from .sound_bytes import Source, Unmeasurable, big

_MOST_BOXES = 200_000
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"mvex", b"moof", b"traf")
_STTS_BYTES = 8 << 20
_TRUN_BYTES = 16 << 20


class _Track(Struct):
    id: int = 0
    kind: bytes = b""
    scale: int = 0
    units: int = 0
    default: int = 0
    edited: int | None = None
    """In the movie's scale; None without an edit list."""


class _Reading(Struct):
    scale: int = 0
    tracks: list[_Track] = []
    defaults: dict[int, int] = {}
    fragments: dict[int, int] = {}
    current: int = 0
    current_default: int = 0


def mp4_seconds(source: Source) -> Fraction:
    """Edit lists count (players and ffmpeg honour them) except where fragments follow, which they do not cover."""
    reading = _Reading()
    for name, at, size in _boxes(source, 0, source.size):
        _read_box(name, source, at, size, reading)
    sound = [track for track in reading.tracks if track.kind == b"soun" and track.scale]
    if not sound:
        raise Unmeasurable("it has no audio track")
    return max(_track_seconds(track, reading) for track in sound)


def _track_seconds(track: _Track, reading: _Reading) -> Fraction:
    later = reading.fragments.get(track.id, 0)
    if track.edited and reading.scale and not later:
        return min(Fraction(track.edited, reading.scale), Fraction(track.units, track.scale))
    return Fraction(track.units + later, track.scale)


def _boxes(source: Source, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, offset of the content, its size), containers entered, in order."""
    for _ in range(_MOST_BOXES):
        head = source.read(at, 16)
        if at + 8 > end or len(head) < 8:
            return
        size, name, skip = big(head[:4]), head[4:8], 8
        if size == 1:
            size, skip = big(head[8:16]), 16
        elif size == 0:
            size = end - at
        if size < skip:
            raise Unmeasurable("one of its boxes is malformed")
        size = min(size, end - at)
        yield name, at + skip, size - skip
        at += skip if name in _CONTAINERS else size
    raise Unmeasurable("it has too many boxes")


def _read_box(name: bytes, source: Source, at: int, size: int, reading: _Reading) -> None:
    if name == b"trak":
        reading.tracks.append(_Track())
    elif name == b"mvhd":
        reading.scale = _scale_in(source.read(at, 32))
    elif name == b"trex":
        content = source.read(at, 24)
        reading.defaults[big(content[4:8])] = big(content[12:16])
    elif name == b"tfhd":
        _read_tfhd(source.read(at, 40), reading)
    elif name == b"trun":
        _read_trun(source, at, size, reading)
    elif reading.tracks:
        _read_track_box(name, source, at, size, reading.tracks[-1])


def _read_track_box(name: bytes, source: Source, at: int, size: int, track: _Track) -> None:
    if name == b"tkhd":
        content = source.read(at, 24)
        track.id = big(content[20:24] if content[:1] == b"\x01" else content[12:16])
    elif name == b"mdhd":
        track.scale = _scale_in(source.read(at, 32))
    elif name == b"hdlr" and not track.kind:
        track.kind = source.read(at + 8, 4)
    elif name == b"elst":
        track.edited = _edited(source.read(at, min(size, 1 << 16)))
    elif name == b"stts":
        content = source.read(at, min(size, _STTS_BYTES))
        table = range(8, min(len(content), 8 + 8 * big(content[4:8])) - 7, 8)
        track.units = sum(big(content[i : i + 4]) * big(content[i + 4 : i + 8]) for i in table)


def _scale_in(content: bytes) -> int:
    """The time scale in an mvhd or mdhd."""
    return big(content[20:24] if content[:1] == b"\x01" else content[12:16])


def _edited(content: bytes) -> int:
    """The length of what an edit list plays; empty edits (silence before the sound) are none of it."""
    wide = content[:1] == b"\x01"
    step, half = (20, 8) if wide else (12, 4)
    total = 0
    for i in range(8, min(len(content), 8 + step * big(content[4:8])) - step + 1, step):
        if int.from_bytes(content[i + half : i + 2 * half], "big", signed=True) >= 0:
            total += big(content[i : i + half])
    return total


def _read_tfhd(content: bytes, reading: _Reading) -> None:
    flags, reading.current = big(content[1:4]), big(content[4:8])
    at = 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    default = big(content[at : at + 4]) if flags & 8 else reading.defaults.get(reading.current, 0)
    reading.current_default = default


def _read_trun(source: Source, at: int, size: int, reading: _Reading) -> None:
    """Each sample's own duration where the run has them, else the fragment's default."""
    head = source.read(at, 8)
    flags, count = big(head[1:4]), big(head[4:8])
    first = 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
    step = 4 * (flags >> 8 & 0xF).bit_count()
    if step:
        count = min(count, max(0, size - first) // step)
    units = count * reading.current_default
    if flags & 0x100:
        content = source.read(at + first, min(count * step, _TRUN_BYTES))
        units = sum(big(content[i : i + 4]) for i in range(0, len(content) - 3, step))
    reading.fragments[reading.current] = reading.fragments.get(reading.current, 0) + units
