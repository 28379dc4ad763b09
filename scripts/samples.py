"""Writes tests/samples: a few seconds of sound in every format that doors take, each under 30 KB.

Needs ffmpeg; what it writes is committed, so that the tests need it only to compare. A sweep, so that variable bit
rates vary:  .venv/bin/python scripts/samples.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / "tests" / "samples"
MOST_BYTES = 30_000
SWEEP = "aevalsrc=0.4*sin(2*PI*(200+150*t)*t)*gt(mod(t\\,0.7)\\,0.2):s={rate}:d={seconds}"
PICTURE = "color=c=teal:s=32x32:r=5:d=2.2"
TO_PIPE = ("-f", "webm", "pipe:1")

SAMPLES: dict[str, tuple[str, ...]] = {
    "cbr.mp3": ("-c:a", "libmp3lame", "-b:a", "32k"),
    "vbr.mp3": ("-c:a", "libmp3lame", "-q:a", "8"),
    "vbr-unmarked.mp3": ("-c:a", "libmp3lame", "-q:a", "8", "-write_xing", "0", "-id3v2_version", "0"),
    "plain.mpga": ("-c:a", "libmp3lame", "-b:a", "40k", "-ar", "48000", "-f", "mp3"),
    "layer2.mpeg": ("-c:a", "mp2", "-b:a", "64k", "-ar", "32000", "-f", "mpeg"),
    "dvd.mpeg": ("-c:a", "mp2", "-b:a", "64k", "-ar", "48000", "-f", "vob"),
    "pcm.wav": ("-c:a", "pcm_u8", "-ar", "8000"),
    "streamed.wav": ("-c:a", "pcm_u8", "-ar", "8000", "-f", "wav", "pipe:1"),
    "law.wav": ("-c:a", "pcm_mulaw", "-ar", "8000"),
    "adpcm.wav": ("-c:a", "adpcm_ima_wav", "-ar", "16000"),
    "plain.flac": ("-c:a", "flac", "-ar", "8000", "-sample_fmt", "s16"),
    "streamed.flac": ("-c:a", "flac", "-ar", "8000", "-sample_fmt", "s16", "-f", "flac", "pipe:1"),
    "vorbis.ogg": ("-c:a", "libvorbis", "-q:a", "0", "-ar", "16000"),
    "opus.ogg": ("-c:a", "libopus", "-b:a", "16k"),
    "index-last.m4a": ("-c:a", "aac", "-b:a", "32k"),
    "index-first.m4a": ("-c:a", "aac", "-b:a", "32k", "-movflags", "+faststart"),
    "fragmented.mp4": (
        "-c:a",
        "aac",
        "-b:a",
        "32k",
        "-movflags",
        "+frag_keyframe+empty_moov",
        "-frag_duration",
        "500000",
    ),
    "opus.webm": ("-c:a", "libopus", "-b:a", "16k"),
    "opus-streamed.webm": ("-c:a", "libopus", "-b:a", "16k", "-live", "1", *TO_PIPE),
    "vorbis-streamed.webm": ("-c:a", "libvorbis", "-q:a", "0", "-ar", "16000", *TO_PIPE),
    "frames.aac": ("-c:a", "aac", "-b:a", "32k", "-ar", "24000", "-f", "adts"),
}
WITH_PICTURES: dict[str, tuple[str, ...]] = {
    "film.mp4": ("-c:v", "mpeg4", "-c:a", "aac", "-b:a", "32k"),
    "film.webm": ("-c:v", "libvpx", "-b:v", "20k", "-c:a", "libopus", "-b:a", "16k"),
}


def write(name: str, options: tuple[str, ...], *, pictures: bool) -> int:
    seconds = 1.9 if name.endswith(("wav", "flac")) else 3.3
    rate = 16_000 if name.startswith("adpcm") else 24_000 if "libmp3lame" in options else 44_100
    inputs = ["-f", "lavfi", "-i", SWEEP.format(rate=rate, seconds=seconds)]
    inputs += ["-f", "lavfi", "-i", PICTURE] if pictures else []
    command = ["ffmpeg", "-y", "-v", "error", "-bitexact", *inputs, "-ac", "1", "-map_metadata", "-1", *options]
    to_pipe = options[-1:] == ("pipe:1",)
    done = subprocess.run([*command, *(() if to_pipe else (str(HERE / name),))], capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr.decode()}")
    if to_pipe:
        (HERE / name).write_bytes(done.stdout)
    return (HERE / name).stat().st_size


def main() -> int:
    HERE.mkdir(exist_ok=True)
    sizes = {name: write(name, options, pictures=False) for name, options in SAMPLES.items()}
    sizes |= {name: write(name, options, pictures=True) for name, options in WITH_PICTURES.items()}
    for name, size in sizes.items():
        print(f"{size:6d}  {name}")
    return int(any(size > MOST_BYTES for size in sizes.values()))


if __name__ == "__main__":
    sys.exit(main())
