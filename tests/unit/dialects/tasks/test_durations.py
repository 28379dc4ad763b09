"""Lengths of sound: our own samples, headers that lie, files that are cut, and ffprobe's opinion where it is there."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from oneapi_cli.dialects.tasks.durations import UNREADABLE, audio_seconds, fallback_seconds
from oneapi_cli.values.errors import BadRequest

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


@dataclass(frozen=True)
class Sample:
    """ffprobe: whether its answer is to be trusted; where it is not, `why`."""

    name: str
    seconds: str
    why: str = ""


ENCODED = "ffprobe estimates it from the bit rate"
TIMES = "ffprobe takes the time stamp of the last packet, which holds several frames"
UNSAID = "ffprobe does not say"
SAMPLED = [
    Sample("cbr.mp3", "3.36"),
    Sample("vbr.mp3", "3.36"),
    Sample("vbr-unmarked.mp3", "3.36", ENCODED),
    Sample("plain.mpga", "3.336"),
    Sample("layer2.mpeg", "3.312", TIMES),
    Sample("dvd.mpeg", "3.312"),
    Sample("pcm.wav", "1.9"),
    Sample("streamed.wav", "1.9"),
    Sample("law.wav", "1.9"),
    Sample("adpcm.wav", "1.9134375"),
    Sample("plain.flac", "1.9"),
    Sample("streamed.flac", "1.9", UNSAID),
    Sample("vorbis.ogg", "3.3"),
    Sample("opus.ogg", "3.3"),
    Sample("index-last.m4a", "3.3"),
    Sample("index-first.m4a", "3.3"),
    Sample("fragmented.mp4", "3.323219955"),
    Sample("film.mp4", "3.3"),
    Sample("opus.webm", "3.308"),
    Sample("opus-streamed.webm", "3.321", UNSAID),
    Sample("vorbis-streamed.webm", "3.36", UNSAID),
    Sample("film.webm", "3.308"),
    Sample("frames.aac", "3.370666667", ENCODED),
]


def measured(raw: bytes) -> Decimal:
    return audio_seconds(io.BytesIO(raw), 0, len(raw))


@pytest.mark.parametrize("case", SAMPLED, ids=lambda case: case.name)
def test_samples(case: Sample) -> None:
    file = SAMPLES / case.name
    raw = file.read_bytes()
    assert len(raw) < 30_000
    assert measured(raw) == Decimal(case.seconds)
    around = b"\xff\xfb" * 50 + raw + b"\xff\xfb" * 50
    assert audio_seconds(io.BytesIO(around), 100, len(raw)) == Decimal(case.seconds), "only its own part of the file"


@pytest.mark.parametrize("case", SAMPLED, ids=lambda case: case.name)
def test_samples_as_ffprobe_sees_them(case: Sample) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed (on Debian: apt install ffmpeg)")
    if case.why:
        pytest.skip(case.why)
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(SAMPLES / case.name)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert abs(Decimal(said) - measured((SAMPLES / case.name).read_bytes())) <= Decimal("0.05")


@pytest.mark.parametrize("case", SAMPLED, ids=lambda case: case.name)
def test_samples_as_ffmpeg_plays_them(case: Sample) -> None:
    """The samples that a decoder makes of it; an encoder's delay and padding (up to three frames) are cut off there."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed (on Debian: apt install ffmpeg)")
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(SAMPLES / case.name),
        "-vn",
        "-f",
        "s16le",
        "-ac",
        "1",
        "-ar",
        "48000",
    ]
    played = subprocess.run([*command, "pipe:1"], capture_output=True, check=True).stdout
    assert abs(Decimal(len(played)) / 96_000 - Decimal(case.seconds)) <= Decimal("0.08")


def test_every_sample_is_a_case() -> None:
    assert {file.name for file in SAMPLES.iterdir()} == {case.name for case in SAMPLED}


def wav(rate: int, data: bytes, *, size: int | None = None, after: bytes = b"", before: bytes = b"") -> bytes:
    fmt = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", 16) + fmt
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data + after
    return b"RIFF" + struct.pack("<I", len(body)) + body


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def patched(raw: bytes, name: bytes, offset: int, value: bytes) -> bytes:
    at = raw.index(name) + offset
    return raw[:at] + value + raw[at + len(value) :]


ID3 = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256)


@dataclass(frozen=True)
class Made:
    name: str
    raw: Callable[[], bytes]
    seconds: str


MADE = [
    Made("one sample", lambda: wav(8000, b"\0\0"), "0.000125"),
    Made("61.2 s", lambda: wav(8000, bytes(8000 * 2 * 612 // 10)), "61.2"),
    Made("a third", lambda: wav(48_000, bytes(32_000)), "0.333333334"),
    Made("size unknown", lambda: wav(8000, bytes(16_000), size=0xFFFFFFFF), "1"),
    Made("size zero, streamed", lambda: wav(8000, bytes(16_000), size=0), "1"),
    Made("size beyond the file", lambda: wav(8000, bytes(16_000), size=99_999), "1"),
    Made(
        "chunks around", lambda: wav(8000, bytes(16_000), after=b"LIST\4\0\0\0abcd", before=b"bext\3\0\0\0abc\0"), "1"
    ),
    Made("mp3 behind tags", lambda: ID3 + ID3 + sample("vbr-unmarked.mp3") + b"TAG" + bytes(125), "3.36"),
    Made("a forged Xing count", lambda: patched(sample("vbr.mp3"), b"Xing", 8, b"\0\0\0\1"), "3.36"),
    Made("mp3 with a hole", lambda: sample("cbr.mp3")[:5000] + b"\0" * 777 + sample("cbr.mp3")[5000:], "3.36"),
    Made("mp3 in the middle", lambda: sample("cbr.mp3")[6000:], "1.896"),
    Made("two links of ogg", lambda: sample("opus.ogg") + sample("vorbis.ogg"), "6.6"),
    Made("a forged STREAMINFO", lambda: patched(sample("plain.flac"), b"fLaC", 21, b"\xf0\0\0\0\1"), "1.9"),
    Made("flac behind a tag", lambda: ID3 + sample("plain.flac"), "1.9"),
    Made(
        "a forged Duration", lambda: patched(sample("opus.webm"), b"\x44\x89\x88", 3, b"\x3f\xf0" + bytes(6)), "3.321"
    ),
    Made("a forged edit list", lambda: patched(sample("index-last.m4a"), b"elst", 12, b"\x7f\0\0\0"), "3.323219955"),
    Made("webm cut short", lambda: sample("opus-streamed.webm")[:6000], "1.941"),
]


@pytest.mark.parametrize("case", MADE, ids=lambda case: case.name)
def test_made(case: Made) -> None:
    assert measured(case.raw()) == Decimal(case.seconds)


@dataclass(frozen=True)
class Bad:
    name: str
    raw: Callable[[], bytes]
    code: str = UNREADABLE


BAD = [
    Bad("nothing", lambda: b"", "audio_empty"),
    Bad("no samples", lambda: wav(8000, b""), "audio_empty"),
    Bad("words", lambda: b"This is not a sound at all. " * 99),
    Bad("a picture", lambda: b"\x89PNG\r\n\x1a\n" + bytes(999)),
    Bad("zeros", lambda: bytes(100_000)),
    Bad("ones", lambda: b"\xff" * 100_000),
    Bad("riff alone", lambda: b"RIFF\0\0\0\0WAVE"),
    Bad("a wav of nothing known", lambda: patched(wav(8000, bytes(99)), b"fmt ", 8, b"\x99\x99")),
    Bad("a wav without a rate", lambda: wav(0, bytes(99))),
    Bad("an mp4 without its index", lambda: sample("index-last.m4a")[:9000]),
    Bad("an mp4 of boxes in boxes", lambda: b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom" + b"\0\0\0\x08moov" * 250_000),
    Bad("a box of no size", lambda: b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom\0\0\0\x02moov"),
    Bad("a webm of nothing", lambda: sample("opus.webm")[:40]),
    Bad("an ogg of nothing", lambda: b"OggS" + bytes(99)),
    Bad("a flac without a word", lambda: b"fLaC" + bytes(99)),
    Bad("a tag alone", lambda: ID3),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_bad(case: Bad) -> None:
    with pytest.raises(BadRequest) as caught:
        measured(case.raw())
    assert (caught.value.code, caught.value.member, caught.value.status) == (case.code, "file", 400)


def test_cut_anywhere_is_an_answer_or_a_refusal() -> None:
    """Any beginning of any sample is measured, never longer than the whole, or refused; nothing else happens."""
    for case in SAMPLED:
        raw = sample(case.name)
        for end in range(0, len(raw), 1999):
            try:
                assert measured(raw[:end]) <= Decimal(case.seconds) + Decimal("0.06"), (case.name, end)
            except BadRequest:
                continue


def test_noise_in_a_file_is_an_answer_or_a_refusal() -> None:
    import random

    dice = random.Random(5)
    for case in SAMPLED:
        raw = bytearray(sample(case.name))
        for _ in range(15):
            for _ in range(dice.randint(1, 12)):
                raw[dice.randrange(min(len(raw), 600))] = dice.randrange(256)
            try:
                measured(bytes(raw))
            except BadRequest:
                continue


def test_an_hour_is_measured_in_a_moment() -> None:
    second = sample("plain.mpga")
    whole = second * (64 * 3600 * 16 // 10 // len(second))
    started = time.perf_counter()
    assert measured(whole) > 70
    assert time.perf_counter() - started < 2


def test_fallback() -> None:
    assert fallback_seconds(1) == 1
    assert fallback_seconds(25_000_000) == 25_000
