"""Length of MPEG audio (layers I to III), of ADTS, and of an MPEG program stream's sound: every frame is visited.

Headers that state a length (Xing, VBRI, ID3's TLEN) are not asked: a frame count can be forged, and estimates from a
bit rate are wrong for variable ones. An hour of MP3 is 138 000 frames, a quarter of a second's work.

Sources: ISO 11172-3, 13818-3 and 13818-7; ISO 13818-1 for the program stream (2026-11)
"""

from __future__ import annotations

from fractions import Fraction

from .sound_bytes import JoinedSource, Source, Unmeasurable, big

_V1 = (
    (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_V2 = (
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES = (44_100, 48_000, 32_000)
_ADTS_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_SEARCH = 1 << 18
_PACK, _SYSTEM_END = 0x1BA, 0x1B9
_MOST_FRAMES = 40_000_000


def mpeg_seconds(source: Source, at: int = 0) -> Fraction:
    """MPEG audio or ADTS from `at` on, tags before it skipped."""
    at = skip_id3(source, at)
    at = _first_frame(source, at)
    head = source.read(at, 192)
    _, rate, length = frame_of(head) or (0, 0, 0)
    if any(mark in head for mark in (b"Xing", b"Info", b"VBRI")) and length < source.size - at:
        at += length
    seconds: dict[int, int] = {}
    for _ in range(_MOST_FRAMES):
        found = frame_of(source.read(at, 7))
        if found is None:
            at = _resync(source, at)
            if at < 0:
                break
            continue
        samples, rate, length = found
        if at + length > source.size + length // 2:
            break
        seconds[rate] = seconds.get(rate, 0) + samples
        at += length
    return sum((Fraction(samples, rate) for rate, samples in seconds.items()), Fraction(0))


def frame_of(head: bytes) -> tuple[int, int, int] | None:
    """(samples, samples a second, bytes) of the frame that begins here, None where none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if layer == 0:
        return _adts(head)
    rate_index, bits_index = head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or rate_index == 3 or bits_index in (0, 15):
        return None
    row = 3 - layer
    kilobits = (_V1 if version == 3 else _V2)[row][bits_index]
    rate = _RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    padding = head[2] >> 1 & 1
    if row == 0:
        return 384, rate, (12_000 * kilobits // rate + padding) * 4
    samples = 576 if row == 2 and version != 3 else 1152
    return samples, rate, samples * 125 * kilobits // rate + padding


def _adts(head: bytes) -> tuple[int, int, int] | None:
    if len(head) < 7 or head[1] & 0xF6 != 0xF0:
        return None
    rate_index = head[2] >> 2 & 0xF
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if rate_index >= len(_ADTS_RATES) or length < 7:
        return None
    return 1024 * ((head[6] & 3) + 1), _ADTS_RATES[rate_index], length


def skip_id3(source: Source, at: int = 0) -> int:
    """Behind the ID3v2 tags that stand at `at`."""
    while (head := source.read(at, 10))[:3] == b"ID3" and len(head) == 10:
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if head[5] & 0x10 else 0)
    return at


def _first_frame(source: Source, at: int) -> int:
    found = _resync(source, at, _SEARCH)
    if found < 0:
        raise Unmeasurable("it has no frames of MPEG audio")
    return found


def _resync(source: Source, at: int, most: int = _SEARCH) -> int:
    """The next place where a frame begins and another one (or the end of the file) follows it; -1 for none."""
    end = min(source.size, at + most)
    while at < end:
        block = source.read(at, min(end - at, 1 << 16))
        place = block.find(b"\xff")
        if place < 0:
            at += len(block) or end
            continue
        at += place
        found = frame_of(source.read(at, 7))
        if found is not None:
            after = at + found[2]
            if after >= source.size or frame_of(source.read(after, 7)) is not None:
                return at
        at += 1
    return -1


def program_stream_seconds(source: Source) -> Fraction:
    """An MPEG program stream (`.mpeg`): the frames of its first audio stream."""
    runs: dict[int, list[tuple[int, int]]] = {}
    at = 0
    while at + 6 <= source.size:
        head = source.read(at, 20)
        code = big(head[:4])
        if code == _SYSTEM_END:
            break
        if code == _PACK:
            if head[4] >> 6 == 1:
                at += 14 + (head[13] & 7 if len(head) > 13 else 0)
            else:
                at += 12
            continue
        if code >> 8 != 1 or code < _PACK:
            break
        size = big(head[4:6])
        if 0xC0 <= code & 0xFF <= 0xDF:
            skip = _pes_header(source.read(at + 6, 40))
            runs.setdefault(code, []).append((at + 6 + skip, max(0, min(size - skip, source.size - at - 6 - skip))))
        at += 6 + size
    if not runs:
        raise Unmeasurable("it has no MPEG audio in it")
    return max(mpeg_seconds(JoinedSource(source, each)) for each in runs.values())


def _pes_header(head: bytes) -> int:
    """Bytes before the payload of a packet: MPEG-2's header says, MPEG-1's is stuffing, a buffer size and times."""
    if head[:1] and head[0] >> 6 == 2:
        return 3 + (head[2] if len(head) > 2 else 0)
    at = 0
    while at < len(head) and head[at] == 0xFF:
        at += 1
    if at < len(head) and head[at] >> 6 == 1:
        at += 2
    if at < len(head):
        at += {2: 5, 3: 10}.get(head[at] >> 4, 1)
    return at
