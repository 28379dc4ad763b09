"""The input's bound: bytes for text, counts for media, and never less than what a tokenizer would find."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.dialects import DIALECTS
from oneapi_cli.dialects.openai_media import TEMPLATE_TOKENS, TOOLS_TOKENS, wav_seconds
from oneapi_cli.values.asks import Measure
from oneapi_cli.values.errors import BadRequest

PIXELS = base64.b64encode(bytes(9000)).decode()
PNG = f"data:image/png;base64,{PIXELS}"


def wav(seconds: float, rate: int = 8000) -> str:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(bytes(int(seconds * rate) * 2))
    return base64.b64encode(out.getvalue()).decode()


def chat(*parts: Any, **more: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": list(parts)}], **more}).encode()


def measured(body: bytes, dialect: str = "openai_chat", *, texts: bool = False) -> Measure:
    return DIALECTS[dialect].measure(body, DIALECTS[dialect].peek(body), texts=texts)


IMAGE = {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}}
LINK = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TEXT = {"type": "text", "text": "What is it?"}


def sound(data: str) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def test_text_is_bounded_by_the_body() -> None:
    body = chat(TEXT)
    assert measured(body) == Measure(text_bytes=len(body) + TEMPLATE_TOKENS)
    with_tools = chat(TEXT, tools=[])
    assert measured(with_tools) == Measure(text_bytes=len(with_tools) + TEMPLATE_TOKENS + TOOLS_TOKENS)


@given(st.text(), st.booleans())
def test_json_never_spells_text_shorter_than_its_utf8(text: str, ascii_: bool) -> None:
    spelt = json.dumps(text, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    assert len(spelt) - 2 >= len(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("parts", "images", "seconds", "payload"),
    [
        ([TEXT, IMAGE], 1, 0, len(PNG)),
        ([IMAGE, LINK, IMAGE], 3, 0, 2 * len(PNG)),
        ([{"type": "image_url", "image_url": PNG}], 1, 0, len(PNG)),
        ([{"image_url": {"url": PNG}}], 1, 0, len(PNG)),
        ([{"type": "input_image", "file_id": "f"}], 1, 0, 0),
        ([sound(wav(2))], 0, 3, len(wav(2))),
        ([sound(wav(0.5)), sound(wav(1.2))], 0, 3, len(wav(0.5)) + len(wav(1.2))),
        ([sound("//uQxAAA" * 100)], 0, None, 0),
        ([sound(wav(1)), sound("//uQxAAA")], 0, None, len(wav(1))),
        ([{"type": "video_url", "video_url": {"url": "https://x"}}], 0, None, 0),
    ],
)
def test_media(parts: list[Any], images: int, seconds: int | None, payload: int) -> None:
    body = chat(*parts)
    expected = Measure(text_bytes=len(body) - payload + TEMPLATE_TOKENS, images=images, audio_seconds=seconds)
    read = measured(body)
    assert (read.images, read.audio_seconds, read.text_bytes) == (images, seconds, expected.text_bytes)


def test_an_image_hidden_behind_escapes_is_found() -> None:
    body = (
        chat(IMAGE)
        .replace(b'"image_url": {', b'"im\\u0061ge_url": {')
        .replace(b'"type": "image_url"', b'"type": "im\\u0061ge_url"')
    )
    assert b'"image_url"' not in body
    assert measured(body).images == 1


def test_a_part_with_two_faces_is_refused() -> None:
    body = chat(IMAGE).replace(b'{"type": "image_url"', b'{"type": "text", "type": "image_url"')
    with pytest.raises(BadRequest, match="`type` is given twice"):
        measured(body)


def test_files_stay_in_the_bound_with_all_their_bytes() -> None:
    pdf = base64.b64encode(b"%PDF-1.7 /Type /Page x /Type/Pages y /Type /Page\n").decode()
    body = chat({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{pdf}"}})
    assert measured(body) == Measure(text_bytes=len(body) + TEMPLATE_TOKENS, pages=2)


def test_words_about_images_are_no_images() -> None:
    body = chat({"type": "text", "text": 'Write {"type": "image_url"} and "image_url" for me'})
    read = measured(body)
    assert (read.images, read.text_bytes) == (0, len(body) + TEMPLATE_TOKENS)


def test_texts_for_a_tokenizer() -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    body = chat(TEXT, IMAGE, sound(wav(1)), tools=tools)
    read = measured(body, texts=True)
    assert "What is it?" in read.texts
    assert any('"look"' in text for text in read.texts)
    assert not any(PIXELS in text for text in read.texts)
    assert TEMPLATE_TOKENS + TOOLS_TOKENS < read.overhead_tokens < TEMPLATE_TOKENS + TOOLS_TOKENS + 100
    assert replace_texts(read) == measured(body)


def replace_texts(read: Measure) -> Measure:
    return Measure(text_bytes=read.text_bytes, images=read.images, pages=read.pages, audio_seconds=read.audio_seconds)


def test_a_text_that_looks_like_a_link_is_still_counted() -> None:
    assert "data: 5" in measured(chat({"type": "text", "text": "data: 5"}), texts=True).texts


def test_sound_that_cannot_be_measured_stays_in_the_overhead() -> None:
    body = chat(sound("A" * 5000))
    assert measured(body, texts=True).overhead_tokens >= 5000


@pytest.mark.parametrize(
    ("dialect", "body", "tokens"),
    [
        ("openai_completions", {"model": "m", "prompt": [1, 2, 3]}, 3),
        ("openai_completions", {"model": "m", "prompt": [[1, 2], [3]]}, 3),
        ("openai_embeddings", {"model": "m", "input": [[7] * 100]}, 100),
    ],
)
def test_prompts_of_numbers(dialect: str, body: dict[str, Any], tokens: int) -> None:
    raw = json.dumps(body).encode()
    assert measured(raw, dialect).text_bytes > tokens
    assert measured(raw, dialect, texts=True).overhead_tokens >= tokens + TEMPLATE_TOKENS


def test_responses() -> None:
    item = {
        "role": "user",
        "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": PNG}],
    }
    body = json.dumps({"model": "m", "instructions": "Be kind", "input": [item]}).encode()
    read = measured(body, "openai_responses", texts=True)
    assert (read.images, read.text_bytes) == (1, len(body) - len(PNG) + TEMPLATE_TOKENS)
    assert "hi" in read.texts
    assert '"Be kind"' in read.texts


@pytest.mark.parametrize("seconds", [0.1, 1, 2.5, 10])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_wav_is_never_measured_short(seconds: float, rate: int) -> None:
    read = wav_seconds(wav(seconds, rate))
    assert read is not None
    assert seconds <= read <= seconds + 1.1


def test_a_header_that_lies_about_its_size() -> None:
    raw = bytearray(base64.b64decode(wav(10)))
    raw[40:44] = (100).to_bytes(4, "little")
    assert (wav_seconds(base64.b64encode(bytes(raw)).decode()) or 0) >= 10


@pytest.mark.parametrize(
    "data", ["", "not base64!", "UklGRg==", base64.b64encode(b"RIFF....WAVEfmt ").decode(), "////"]
)
def test_what_is_no_wav(data: str) -> None:
    assert wav_seconds(data) is None
