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


@pytest.mark.parametrize(("at", "size"), [(22, 2), (24, 4), (34, 2)])
def test_a_header_that_claims_an_absurd_rate(at: int, size: int) -> None:
    raw = bytearray(base64.b64decode(wav(10)))
    raw[at : at + size] = b"\xff" * size
    assert wav_seconds(base64.b64encode(bytes(raw)).decode()) is None


@pytest.mark.parametrize(
    "data", ["", "not base64!", "UklGRg==", base64.b64encode(b"RIFF....WAVEfmt ").decode(), "////"]
)
def test_what_is_no_wav(data: str) -> None:
    assert wav_seconds(data) is None


def test_compressed_sound_in_a_header_of_plain_sound() -> None:
    raw = bytearray(base64.b64decode(wav(10)))
    extension = (22).to_bytes(2, "little") + bytes(6) + (0x55).to_bytes(2, "little") + bytes(14)
    raw[16:22] = (40).to_bytes(4, "little") + b"\xfe\xff"
    raw[36:36] = extension
    assert wav_seconds(base64.b64encode(bytes(raw)).decode()) is None
    raw[44:46] = b"\x01\x00"
    assert wav_seconds(base64.b64encode(bytes(raw)).decode()) == 11


def test_sound_that_is_said_to_be_something_else_is_not_measured_by_its_header() -> None:
    part = {"type": "input_audio", "input_audio": {"data": wav(2), "format": "mp3"}}
    read = measured(chat(part))
    assert (read.audio_seconds, read.text_bytes) == (None, len(chat(part)) + TEMPLATE_TOKENS)


LINKED: list[dict[str, Any]] = [
    {"type": "video_url", "video_url": {"url": "https://example.com/day.mp4"}},
    {"type": "video", "video": ["https://example.com/1.png", "https://example.com/2.png"]},
    {"type": "input_video", "input_video": {"file": "f-1"}},
    {"type": "audio_url", "audio_url": {"url": " HTTPS://example.com/day.mp3"}},
    {"type": "input_audio", "input_audio": {"data": "https://example.com/day.mp3", "format": "mp3"}},
    {"type": "input_audio", "input_audio": {"id": "a-1"}},
    {"type": "document_url", "document_url": "https://example.com/book.pdf"},
    {"type": "document", "source": {"type": "url", "url": "https://example.com/book.pdf"}},
    {"type": "file", "file": {"file_data": "https://example.com/book.pdf"}},
    {"type": "file", "file": {"file_data": "gs://bucket/book.pdf"}},
]


@pytest.mark.parametrize("part", LINKED, ids=json.dumps)
def test_what_stands_behind_a_link_has_no_bound(part: dict[str, Any]) -> None:
    body = chat(part)
    wanted = DIALECTS["openai_chat"].peek(body)
    assert [member for member, _ in wanted.unpriceable] == ["messages"]
    assert wanted.unknown == ("messages",)


@pytest.mark.parametrize(
    "part",
    [
        LINK,
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
        {"type": "video", "video": ["data:image/png;base64,AAAA"]},
        {"type": "input_audio", "input_audio": {"data": "//uQxAAA", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "JVBERi0x"}},
    ],
    ids=json.dumps,
)
def test_what_comes_along_and_images_by_link_can_be_sent(part: dict[str, Any]) -> None:
    assert DIALECTS["openai_chat"].peek(chat(part)).unpriceable == ()


@pytest.mark.parametrize("url", ["data:video/mp4;base64,", "DATA:application/pdf;base64,", " data:audio/wav;base64,"])
def test_a_film_in_the_place_of_an_image_keeps_its_bytes(url: str) -> None:
    body = chat({"type": "image_url", "image_url": {"url": url + "A" * 4000}})
    assert DIALECTS["openai_chat"].peek(body).unknown == ("messages",)
    read = measured(body, texts=True)
    assert read.text_bytes == len(body) + TEMPLATE_TOKENS
    assert read.overhead_tokens > 4000


def test_an_image_in_the_arguments_of_a_call_is_text() -> None:
    call = {"function": {"name": "f", "arguments": {"type": "image_url", "image_url": {"url": PNG}}}}
    body = json.dumps({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]}).encode()
    read = measured(body, texts=True)
    assert (read.images, read.text_bytes) == (0, len(body) + TEMPLATE_TOKENS)
    assert any(PIXELS in text for text in read.texts)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e-999"])
@pytest.mark.parametrize("part", [TEXT, IMAGE], ids=["text", "image"])
def test_a_number_that_is_none_to_python_is_passed_over(number: str, part: dict[str, Any]) -> None:
    body = chat(part).replace(b'"role"', b'"weight": ' + number.encode() + b', "role"')
    assert measured(body, texts=True).text_bytes > 0


@pytest.mark.parametrize("part", [TEXT, IMAGE], ids=["text", "image"])
def test_an_integer_beyond_python_is_refused_or_passed_over(part: dict[str, Any]) -> None:
    body = chat(part).replace(b'"role"', b'"weight": ' + b"9" * 5000 + b', "role"')
    with pytest.raises(BadRequest, match="out of range"):
        measured(body, texts=True)
