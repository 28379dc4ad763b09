"""Length of Ogg (Opus, Vorbis, Speex, FLAC): the last granule position of each stream, the links of a chain added up.

Sources: RFC 3533, Ogg; RFC 7845, Opus in Ogg (2026-11)
"""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct

from .sound_bytes import Source, Unmeasurable, big, little

_BEGINS = 2
_NO_GRANULE = (1 << 64) - 1


class _Stream(Struct):
    rate: int
    skip: int
    last: int = 0

    def seconds(self) -> Fraction:
        return Fraction(max(0, self.last - self.skip), self.rate)


def ogg_seconds(source: Source) -> Fraction:
    total = Fraction(0)
    link: dict[int, _Stream] = {}
    begun, heard = False, False
    at = 0
    while at + 27 <= source.size:
        head = source.read(at, 27)
        if head[:4] != b"OggS":
            at = _next_page(source, at + 1)
            continue
        granule, serial, segments = little(head[6:14]), little(head[14:18]), head[26]
        body = at + 27 + segments
        if head[5] & _BEGINS:
            if begun:
                total += _longest(link)
                link, begun = {}, False
            if (stream := _stream_of(source.read(body, 64))) is not None:
                link[serial] = stream
                heard = True
        else:
            begun = True
            if serial in link and granule != _NO_GRANULE:
                link[serial].last = max(link[serial].last, granule)
        at = body + sum(source.read(at + 27, segments))
    if not heard:
        raise Unmeasurable("it has no sound in it")
    return total + _longest(link)


def _longest(link: dict[int, _Stream]) -> Fraction:
    return max((stream.seconds() for stream in link.values()), default=Fraction(0))


def _next_page(source: Source, at: int) -> int:
    while at < source.size:
        block = source.read(at, 1 << 16)
        if (place := block.find(b"OggS")) >= 0:
            return at + place
        at += max(1, len(block) - 3)
    return source.size


def _stream_of(first: bytes) -> _Stream | None:
    """What kind of stream a first packet begins; None where it is not sound."""
    rate = skip = 0
    if first.startswith(b"OpusHead"):
        rate, skip = 48_000, little(first[10:12])
    elif first.startswith(b"\x01vorbis"):
        rate = little(first[12:16])
    elif first.startswith(b"Speex   "):
        rate = little(first[36:40])
    elif first.startswith(b"\x7fFLAC"):
        rate = big(first[27:30]) >> 4
    return _Stream(rate, skip) if rate else None
