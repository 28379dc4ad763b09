"""Sound through the gateway: transcriptions by the second, translations, speech by the character, over real sockets
with the official client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from tests.support.clients import Wire, async_client
from tests.support.forms import form_of
from tests.support.gateway import booked, running
from tests.support.upstream import Received, Script, Upstream, Writer, answering, streaming

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
CONFIG = """
    ledger: ledger.db
    channels:
      - name: sounds
        type: openai-compatible
        base_url: {url}
        api_key: sk-upstream
        models:
          whisper-1: whisper-1
          scribe: gpt-4o-transcribe
          ears: local/whisper
          tts-1: tts-1
          tts-1-hd: tts-1-hd
          voice: gpt-4o-mini-tts
          listener: gpt-4o-audio-preview
        priced_as: openai
        prices: {{ears: {{audio_minute: 0.006}}}}
        duration_fallback: {fallback}
"""


@asynccontextmanager
async def serving(tmp_path: Path, script: Script, *, fallback: bool = False, **token: Any) -> AsyncIterator[Any]:
    async with (
        Upstream([script]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url, fallback=str(fallback).lower()), **token) as gateway,
    ):
        yield upstream, gateway


def json_reply(text: str = "Hello", **more: Any) -> Script:
    return answering(200, {"text": text, **more})


def sse(*events: dict[str, Any]) -> Script:
    async def script(_: Received, writer: Writer) -> None:
        parts = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
        await writer.stream(parts, done=False)

    return script


def sound(name: str = "pcm.wav") -> tuple[str, bytes]:
    return name, (SAMPLES / name).read_bytes()


@dataclass(frozen=True)
class Bill:
    """nanos: by the list price, whisper-1 $0.006 a minute (100 000 nano-dollars a second), openai.com/api/pricing,
    2026-11."""

    name: str
    file: str
    nanos: int
    script: Script
    model: str = "whisper-1"
    more: dict[str, Any] = field(default_factory=dict)


TOKENS = {
    "type": "tokens",
    "input_tokens": 33,
    "input_token_details": {"text_tokens": 3, "audio_tokens": 30},
    "output_tokens": 12,
    "total_tokens": 45,
}
BILLS = [
    Bill("measured", "pcm.wav", 190_000, json_reply()),
    Bill("measured to the fraction", "adpcm.wav", 191_344, json_reply()),
    Bill("mp3 without a header", "vbr-unmarked.mp3", 336_000, json_reply()),
    Bill("webm without a duration", "opus-streamed.webm", 332_100, json_reply()),
    Bill("mp4 with its index at the end", "index-last.m4a", 330_000, json_reply()),
    Bill("ogg", "opus.ogg", 330_000, json_reply()),
    Bill("flac", "plain.flac", 190_000, json_reply()),
    Bill("mpeg", "dvd.mpeg", 331_200, json_reply()),
    Bill("text", "pcm.wav", 190_000, answering(200, b"Hello\n"), more={"response_format": "text"}),
    Bill(
        "srt",
        "pcm.wav",
        190_000,
        answering(200, b"1\n00:00:00,000 --> 00:00:01,000\nHi\n"),
        more={"response_format": "srt"},
    ),
    Bill(
        "the vendor's duration", "pcm.wav", 847_000, json_reply(duration=8.47), more={"response_format": "verbose_json"}
    ),
    Bill("the vendor's usage", "pcm.wav", 900_000, json_reply(duration=8.47, usage={"type": "duration", "seconds": 9})),
    Bill("by tokens", "pcm.wav", 3 * 2_500 + 30 * 6_000 + 12 * 10_000, json_reply(usage=TOKENS), model="scribe"),
    Bill(
        "by tokens that nobody said: 19 heard, 2 written",
        "pcm.wav",
        3 * 2_500 + 19 * 6_000 + 2 * 10_000,
        answering(200, b"Hello\n"),
        model="scribe",
        more={"response_format": "text"},
    ),
    Bill("a price of the config", "pcm.wav", 190_000, json_reply(), model="ears"),
    Bill("tokens said, seconds priced", "pcm.wav", 190_000, json_reply(usage=TOKENS), model="ears"),
]


@pytest.mark.parametrize("case", BILLS, ids=lambda case: case.name)
async def test_transcriptions_cost_what_they_last(case: Bill, tmp_path: Path) -> None:
    wire = Wire()
    async with serving(tmp_path, case.script) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.audio.transcriptions.create(
                model=case.model, file=sound(case.file), prompt="ä", **case.more
            )
        assert answer if isinstance(answer, str) else answer.text
        assert booked(gateway, wire.request_id) == ("settled", case.nanos)
        assert gateway.differences() == []
        (sent,) = upstream.received
        form = form_of(sent)
        sent_model = {"scribe": "gpt-4o-transcribe", "ears": "local/whisper"}.get(case.model, case.model)
        assert form.fields["model"] == [sent_model]
        assert form.fields["prompt"] == ["ä"]
        ((name, _, data),) = form.files["file"]
        assert name == case.file
        assert hashlib.sha256(data).digest() == hashlib.sha256(sound(case.file)[1]).digest()
        assert sent.target == "/v1/audio/transcriptions"
        assert sent.headers["authorization"] == "Bearer sk-upstream"
        if sent_model == case.model:
            assert sent.body == wire.sent[-1], "nothing had to change, so nothing did"


async def test_the_bill_explains_itself(tmp_path: Path) -> None:
    wire = Wire()
    async with serving(tmp_path, json_reply()) as (_, gateway):
        async with async_client(gateway, wire) as client:
            await client.audio.transcriptions.create(model="whisper-1", file=sound())
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
            session.get(f"{gateway.url}/api/cost/request/{wire.request_id}?explain=1") as answer,
        ):
            bill = await answer.json()
        (line, rounding) = bill["lines"]
        assert (line["unit"], line["amount"]) == ("input_audio_seconds", "1.9")
        assert rounding["unit"] == "rounding"
        assert bill["bounded"] is True
        assert bill["cost_usd"] == 0.00019


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # at OpenAI; other vendors go on
async def test_translations(tmp_path: Path) -> None:
    wire = Wire()
    async with serving(tmp_path, json_reply()) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.audio.translations.create(model="whisper-1", file=sound())
        assert answer.text == "Hello"
        assert upstream.received[0].target == "/v1/audio/translations"
        assert booked(gateway, wire.request_id) == ("settled", 190_000)


async def test_a_transcript_as_events(tmp_path: Path) -> None:
    wire = Wire()
    script = sse(
        {"type": "transcript.text.delta", "delta": "Hel"},
        {"type": "transcript.text.delta", "delta": "lo"},
        {"type": "transcript.text.done", "text": "Hello", "usage": TOKENS},
    )
    async with serving(tmp_path, script) as (_, gateway):
        async with async_client(gateway, wire) as client:
            stream = await client.audio.transcriptions.create(model="scribe", file=sound(), stream=True)
            kinds = [event.type async for event in stream]
        assert kinds == ["transcript.text.delta", "transcript.text.delta", "transcript.text.done"]
        assert booked(gateway, wire.request_id) == ("settled", 3 * 2_500 + 30 * 6_000 + 12 * 10_000)


async def test_by_its_size_where_the_channel_says_so(tmp_path: Path) -> None:
    for name in ("no", "yes"):
        (tmp_path / name).mkdir()
    async with serving(tmp_path / "no", json_reply()) as (upstream, gateway):
        async with async_client(gateway, Wire()) as client:
            with pytest.raises(openai.BadRequestError) as caught:
                await client.audio.transcriptions.create(model="whisper-1", file=("x.bin", b"x" * 2500))
        assert (caught.value.code, caught.value.param) == ("audio_unreadable", "file")
        assert "duration_fallback" in str(caught.value)
        assert upstream.received == []
    wire = Wire()
    async with serving(tmp_path / "yes", json_reply(), fallback=True) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            await client.audio.transcriptions.create(model="whisper-1", file=("x.bin", b"x" * 2500))
        assert booked(gateway, wire.request_id) == ("settled", 300_000)


# --- speech ---------------------------------------------------------------------------------------------------------

MP3 = (SAMPLES / "cbr.mp3").read_bytes()


def speaking(data: bytes, kind: str = "audio/mpeg", pieces: int = 5) -> Script:
    async def script(_: Received, writer: Writer) -> None:
        await writer.head(200, {"Content-Type": kind, "Transfer-Encoding": "chunked"})
        step = max(1, len(data) // pieces)
        for at in range(0, len(data), step):
            await writer.chunk(data[at : at + step])
            await asyncio.sleep(0.01)
        await writer.end()

    return script


@pytest.mark.parametrize(("model", "nanos"), [("tts-1", 15_000), ("tts-1-hd", 30_000)])
async def test_speech_costs_by_the_character(model: str, nanos: int, tmp_path: Path) -> None:
    """$15 and $30 a million characters (openai.com/api/pricing, 2026-11); an umlaut and an emoji are one each."""
    wire, text = Wire(), "Grüße 🎉"
    async with serving(tmp_path, speaking(MP3)) as (upstream, gateway):
        async with (
            async_client(gateway, wire) as client,
            client.audio.speech.with_streaming_response.create(model=model, voice="alloy", input=text) as answer,
        ):
            heard = b"".join([piece async for piece in answer.iter_bytes()])
        assert heard == MP3
        assert answer.headers["content-type"] == "audio/mpeg"
        assert booked(gateway, wire.request_id) == ("settled", nanos * len(text))
        assert upstream.received[0].json == {"model": model, "voice": "alloy", "input": text}
        assert gateway.differences() == []


async def test_speech_by_tokens_without_a_report(tmp_path: Path) -> None:
    """Bytes have no usage: the text is counted, the sound by its length (3.36 s of 1 250 tokens a minute)."""
    wire = Wire()
    async with serving(tmp_path, speaking(MP3)) as (_, gateway):
        async with async_client(gateway, wire) as client:
            answer = await client.audio.speech.create(model="voice", voice="coral", input="Hello there")
        assert answer.content == MP3
        assert booked(gateway, wire.request_id) == ("settled", 2 * 600 + 70 * 12_000)


async def test_speech_as_events(tmp_path: Path) -> None:
    wire = Wire()
    usage = {"input_tokens": 8, "output_tokens": 70, "total_tokens": 78}
    script = sse(
        {"type": "speech.audio.delta", "audio": "AAAA"},
        {"type": "speech.audio.done", "usage": usage},
    )
    async with serving(tmp_path, script) as (upstream, gateway):
        async with (
            async_client(gateway, wire) as client,
            client.audio.speech.with_streaming_response.create(
                model="voice", voice="coral", input="Hi", stream_format="sse"
            ) as answer,
        ):
            body = b"".join([piece async for piece in answer.iter_bytes()])
        assert body.count(b"event: ") == 2
        # $0.60 and $12 a million tokens
        assert booked(gateway, wire.request_id) == ("settled", 8 * 600 + 70 * 12_000)
        assert upstream.received[0].json["model"] == "gpt-4o-mini-tts"


# --- chat -----------------------------------------------------------------------------------------------------------

HEARD = {
    "prompt_tokens": 70,
    "completion_tokens": 110,
    "total_tokens": 180,
    "prompt_tokens_details": {"text_tokens": 20, "audio_tokens": 50, "cached_tokens": 0},
    "completion_tokens_details": {"text_tokens": 10, "audio_tokens": 100, "reasoning_tokens": 0},
}
"""$2.50 and $10 for text, $40 and $80 for audio, a million (openai.com/api/pricing, 2026-11): 5 075 quota."""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["wav", "mp3"])
async def test_sound_in_chat(kind: str, stream: bool, tmp_path: Path) -> None:
    wire = Wire()
    choice = {"index": 0, "finish_reason": "stop"}
    audio = {"id": "audio_1", "data": "UklGRg==", "expires_at": 1, "transcript": "Hello"}
    if stream:
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": {"audio": {"id": "audio_1", "transcript": "Hello"}}}]},
            {"choices": [{**choice, "delta": {}}]},
            {"choices": [], "usage": HEARD},
        ]
        head: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        script: Script = streaming([b"data: " + json.dumps(head | chunk).encode() + b"\n\n" for chunk in chunks])
    else:
        message = {"role": "assistant", "content": None, "audio": audio}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        script = answering(200, {**body, "choices": [{**choice, "message": message}], "usage": HEARD})
    data = base64.b64encode(sound("pcm.wav" if kind == "wav" else "vbr.mp3")[1]).decode()
    part = {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
    asked: dict[str, Any] = {
        "model": "listener",
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "pcm16" if stream else "wav"},
        "messages": [{"role": "user", "content": [part]}],
    }
    if stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    async with serving(tmp_path, script) as (upstream, gateway):
        async with async_client(gateway, wire) as client:
            answer: Any = await client.chat.completions.create(**asked)
            last = [chunk async for chunk in answer][-1] if stream else answer
        assert last.usage.completion_tokens_details.audio_tokens == 100, "the vendor's own usage"
        assert booked(gateway, wire.request_id) == ("settled", 10_150_000)
        assert upstream.received[0].json["messages"][0]["content"] == [part]
        db = gateway.db()
        assert db.execute("SELECT bounded FROM requests").fetchone() == (1,)
        db.close()


# --- refusals -------------------------------------------------------------------------------------------------------


def wav_of_nothing() -> bytes:
    head = (SAMPLES / "law.wav").read_bytes()
    at = head.index(b"data")
    return head[:at] + b"data\0\0\0\0"


@dataclass(frozen=True)
class Bad:
    name: str
    member: str
    status: int = 400
    fields: tuple[tuple[str, str], ...] = (("model", "whisper-1"),)
    file: bytes | None = b"RIFF"
    path: str = "/audio/transcriptions"
    body: bytes | None = None
    kind: str = ""


BAD = [
    Bad("no file", "file", file=None),
    Bad("an empty file", "file", file=b""),
    Bad("zero length", "file", file=wav_of_nothing()),
    Bad("no sound", "file", file=b"hello"),
    Bad("two models", "model", fields=(("model", "whisper-1"), ("model", "tts-1"))),
    Bad("capitals", "model", fields=(("Model", "whisper-1"),)),
    Bad("an unknown format", "response_format", fields=(("model", "whisper-1"), ("response_format", "mp3"))),
    Bad("stream of what", "stream", fields=(("model", "whisper-1"), ("stream", "maybe"))),
    Bad("json", "file", body=b'{"model":"whisper-1"}', kind="application/json"),
    Bad("too large", "", 413, file=b"x" * (3 << 20)),
    Bad(
        "a form cut short",
        "",
        body=b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhi',
        kind="multipart/form-data; boundary=b",
    ),
    Bad(
        "speech without text",
        "input",
        path="/audio/speech",
        body=b'{"model":"tts-1","voice":"a"}',
        kind="application/json",
    ),
    Bad(
        "speech too long",
        "input",
        path="/audio/speech",
        body=json.dumps({"model": "tts-1", "input": "ä" * 4097}).encode(),
        kind="application/json",
    ),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
async def test_bad_input(case: Bad, tmp_path: Path) -> None:
    config = CONFIG + "    limits: {{body: 2MiB}}\n"
    async with (
        Upstream([json_reply()]) as upstream,
        running(tmp_path, config.format(url=upstream.url, fallback="false")) as gateway,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
    ):
        data: Any = case.body
        headers = {"Content-Type": case.kind} if case.kind else {}
        if data is None:
            data = aiohttp.FormData()
            for name, value in case.fields:
                data.add_field(name, value)
            if case.file is not None:
                data.add_field("file", io.BytesIO(case.file), filename="a.wav", content_type="audio/wav")
        async with session.post(f"{gateway.base}{case.path}", data=data, headers=headers) as answer:
            body = await answer.json()
        assert answer.status == case.status, body
        assert body["error"].get("param", "") == case.member, body
        assert upstream.received == []
        db = gateway.db()
        assert db.execute("SELECT count(*) FROM requests WHERE state != 'refused'").fetchone() == (0,)
        db.close()


async def test_who_has_nothing_is_refused_before_the_upload(tmp_path: Path) -> None:
    """The headers alone are answered: not a byte of the body is asked for."""
    async with serving(tmp_path, json_reply(), budget_nanos=0) as (_, gateway):
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.key}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 20000000\r\nExpect: 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        await writer.drain()
        first = await asyncio.wait_for(reader.readline(), 5)
        assert b" 401 " in first
        writer.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at open files as Linux shows them")
async def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    """Neither by a reply nor by a refusal; where they are kept they have no name."""

    def kept() -> list[str]:
        links = (os.readlink(link) for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link))
        return [link for link in links if link.endswith("(deleted)")]

    before, seen = kept(), list[str]()

    async def script(_: Received, writer: Writer) -> None:
        seen.extend(kept())
        await writer.answer(200, {"text": "Hello"})

    samples = sound("pcm.wav")[1].replace(b"data", b"data\xff\xff\xff\xff", 1) + bytes(3 << 20)
    async with serving(tmp_path, script) as (_, gateway), async_client(gateway, Wire()) as client:
        await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", samples))
        assert len(seen) == len(before) + 1
        with pytest.raises(openai.BadRequestError):
            await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", bytes(3 << 20)))
        await asyncio.sleep(0.05)
        assert kept() == before


async def test_a_large_upload_is_never_in_memory(tmp_path: Path) -> None:
    import resource

    wire = Wire()
    rate = 96_000
    data = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0" + (rate).to_bytes(4, "little") + (rate * 2).to_bytes(4, "little")
    data += b"\2\0\x10\0data\xff\xff\xff\xff"
    size = 20 << 20

    async def script(received: Received, writer: Writer) -> None:
        await writer.answer(200, {"text": str(len(received.body))})

    async with serving(tmp_path, script) as (_, gateway):
        parts = [b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\n']
        parts.append(b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + data)
        tail = b"\r\n--b--\r\n"

        async def body() -> AsyncIterator[bytes]:
            for part in parts:
                yield part
            for _ in range(size >> 16):
                yield bytes(1 << 16)
            yield tail

        length = sum(map(len, parts)) + size + len(tail)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        headers = {
            "Authorization": f"Bearer {gateway.key}",
            "Content-Type": "multipart/form-data; boundary=b",
            "Content-Length": str(length),
        }
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{gateway.base}/audio/transcriptions", data=body()) as answer,
        ):
            assert answer.status == 200, await answer.text()
            assert (await answer.json())["text"] == str(length)
            request_id = answer.headers["x-oneapi-request-id"]
        used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert used < 60 << 20, "with the test's own copies of it"
        state, nanos = booked(gateway, request_id) or ("", 0)
        assert (state, nanos) == ("settled", -(-size * 100_000 // (rate * 2)))
        assert wire.sent == []
