"""Embeddings, moderations, models, pictures and sounds."""

from __future__ import annotations

import base64
import io
import math
import struct
import wave
import zlib
from decimal import Decimal

import pytest

from oneapi_cli.providers import demo

from .played import CREATED, Played, collect, play


def embed(**members: object) -> Played:
    return play("/embeddings", {"model": "demo-embedding", "input": "hello", **members})


@pytest.mark.parametrize("size", [1, 2, 8, 256, 1024])
def test_unit_vectors(size: int) -> None:
    vector = embed(dimensions=size).json["data"][0]["embedding"]
    assert len(vector) == size
    assert math.isclose(sum(value * value for value in vector), 1.0, rel_tol=1e-9)


def test_the_same_text_has_the_same_vector() -> None:
    found = embed(input=["a", "b", "a"]).json
    first, second, third = (one["embedding"] for one in found["data"])
    assert first == third != second
    assert [one["index"] for one in found["data"]] == [0, 1, 2]
    assert found["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_base64_is_the_same_vector() -> None:
    floats = embed(dimensions=8).json["data"][0]["embedding"]
    raw = base64.b64decode(embed(dimensions=8, encoding_format="base64").json["data"][0]["embedding"])
    assert struct.unpack("<8f", raw) == pytest.approx(floats, abs=1e-6)


def test_token_numbers() -> None:
    assert embed(input=[5, 6, 7]).json["usage"]["prompt_tokens"] == 3
    found = embed(input=[[5, 6], [7]]).json
    assert (len(found["data"]), found["usage"]["prompt_tokens"]) == (2, 3)


@pytest.mark.parametrize(
    "members",
    [{"dimensions": 0}, {"dimensions": 1025}, {"input": []}, {"model": "demo-small"}, {"encoding_format": "hex"}],
)
def test_embeddings_refused(members: dict[str, object]) -> None:
    assert embed(**members).status in (400, 404)


def test_embeddings_take_orders() -> None:
    assert embed(input=["x", "[status=503]"]).status == 503
    assert embed(input="[prompt=77]").json["usage"]["prompt_tokens"] == 77
    assert "usage" not in embed(input="[usage=none]").json


def test_moderations() -> None:
    found = play("/moderations", {"input": ["have a nice day", "I will stab it"]}).json
    assert [one["flagged"] for one in found["results"]] == [False, True]
    assert found["results"][1]["categories"]["violence"] is True
    assert found["model"] == "omni-moderation-latest"
    parts = [{"type": "text", "text": "you idiot"}, {"type": "image_url", "image_url": {"url": "x"}}]
    assert play("/moderations", {"input": parts}).json["results"][0]["flagged"] is True
    assert play("/moderations", {"input": "x", "model": "gpt-4o"}).status == 404
    assert play("/moderations", {"input": "[status=500]"}).status == 500


def test_models() -> None:
    page = play("/models", b"", "GET").json
    assert [one["id"] for one in page["data"]] == list(demo.MODELS)
    assert play("/models/demo-small", b"", "GET").json == {
        "id": "demo-small",
        "object": "model",
        "created": CREATED,
        "owned_by": "demo",
    }
    assert play("/models/nope", b"", "GET").error["code"] == "model_not_found"


def chunks(picture: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG, its signature and CRCs checked."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    found, place = [], 8
    while place < len(picture):
        size, kind = struct.unpack(">I4s", picture[place : place + 8])
        data = picture[place + 8 : place + 8 + size]
        (crc,) = struct.unpack(">I", picture[place + 8 + size : place + 12 + size])
        assert crc == zlib.crc32(kind + data)
        found.append((kind, data))
        place += 12 + size
    return found


def draw(**members: object) -> Played:
    return play("/images/generations", {"model": "demo-image", "prompt": "a boat", **members})


@pytest.mark.parametrize(
    ("size", "width", "height"), [(None, 256, 256), ("auto", 256, 256), ("1x1", 1, 1), ("1024x7", 1024, 7)]
)
def test_pictures_are_valid_png(size: str | None, width: int, height: int) -> None:
    found = chunks(base64.b64decode(draw(size=size).json["data"][0]["b64_json"]))
    assert [kind for kind, _ in found] == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", found[0][1]) == (width, height, 8, 3, 0, 0, 0)
    rows = zlib.decompress(found[2][1])
    assert len(rows) == height * (width + 1)
    assert max(rows) < len(found[1][1]) // 3


def test_pictures_are_small_and_each_their_own() -> None:
    found = draw(n=3, size="1024x1024").json
    assert found["created"] == CREATED
    pictures = [one["b64_json"] for one in found["data"]]
    assert len(set(pictures)) == 3
    assert max(map(len, pictures)) < 10_000
    assert draw(n=3, size="1024x1024").body == draw(n=3, size="1024x1024").body


@pytest.mark.parametrize(
    "members",
    [{"n": 0}, {"n": 11}, {"size": "big"}, {"size": "4096x1"}, {"response_format": "url"}, {"model": "demo-small"}],
)
def test_pictures_refused(members: dict[str, object]) -> None:
    assert draw(**members).status in (400, 404)


def speak(text: str, **members: object) -> Played:
    return play("/audio/speech", {"model": "demo-speech", "input": text, "voice": "plain", **members})


def test_speech_is_a_valid_wav_as_long_as_its_text() -> None:
    seen = speak("x" * 100)
    assert seen.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(seen.body)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 8_000)
        assert sound.getnframes() / sound.getframerate() == pytest.approx(6.5)
        samples = struct.unpack(f"<{sound.getnframes()}h", sound.readframes(sound.getnframes()))
    assert max(samples) > 7_000 > -7_000 > min(samples)
    assert speak("x" * 100, response_format="pcm").body == seen.body[44:]


def test_speech_refused() -> None:
    assert speak("", response_format="wav").status == 400
    assert speak("x" * 4_097).status == 400
    assert speak("hi", response_format="mp3").error["param"] == "response_format"


def hear(file: bytes, **fields: str) -> Played:
    return collect(demo.answer_upload("/audio/transcriptions", {"model": "demo-transcribe", **fields}, file))


def test_transcription_of_its_own_speech() -> None:
    file = speak("x" * 100).body
    found = hear(file).json
    assert found["usage"] == {"type": "duration", "seconds": 6.5}
    assert len(found["text"].split()) == 16
    verbose = hear(file, response_format="verbose_json").json
    assert (verbose["duration"], verbose["text"]) == (6.5, found["text"])
    plain = hear(file, response_format="text")
    assert plain.body.decode() == found["text"] + "\n"
    assert hear(file, prompt="[status=429]").status == 429
    assert "usage" not in hear(file, prompt="[usage=none]").json


@pytest.mark.parametrize("file", [b"", b"not a sound", b"RIFF\0\0\0\0WAVE"])
def test_what_is_not_a_wav_is_refused(file: bytes) -> None:
    assert hear(file).error["param"] == "file"


def test_transcription_refused() -> None:
    file = speak("hello").body
    assert hear(file, response_format="srt").status == 400
    assert hear(file, model="demo-small").status == 404
    assert play("/audio/transcriptions", b"{}").error["param"] == "file"
    assert collect(demo.answer_upload("/files", {}, b"")).status == 404


def test_the_length_of_a_wav() -> None:
    from oneapi_cli.providers.demo.media import wav, wav_seconds

    assert wav_seconds(wav(b"\0\0" * 1_000)) == Decimal("0.125")
