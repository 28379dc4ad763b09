"""The demo vendor behind a real socket: OpenAI's own client, broken connections seen from outside, and a clean stop."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import wave
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import openai
import pytest
import uvloop
from openai import AsyncOpenAI, OpenAI

from oneapi_cli.server.demo import DemoServer, start_demo

CREATED = 1_790_000_000


@pytest.fixture
async def server() -> AsyncIterator[DemoServer]:
    running = await start_demo(clock=lambda: CREATED + 0.5)
    yield running
    await running.close()


@pytest.fixture
async def client(server: DemoServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as made:
        yield made


def says(prompt: str, **members: Any) -> dict[str, Any]:
    return {"model": "demo-small", "messages": [{"role": "user", "content": prompt}], **members}


async def test_chat(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(**says("hello [pause=0]"))
    assert whole.created == CREATED
    assert whole.usage is not None
    stream = await client.chat.completions.create(
        **says("hello [pause=0]", stream=True, stream_options={"include_usage": True})
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


async def test_the_sync_client(server: DemoServer) -> None:
    def ask() -> str:
        with OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
            stream = client.chat.completions.create(**says("hello [tokens=5] [pause=0]", stream=True))
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert len((await asyncio.to_thread(ask)).split()) == 5


async def test_responses(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="demo-reasoner", input="hello [pause=0]") as stream:
        kinds = [event.type async for event in stream]
        reply = await stream.get_final_response()
    assert kinds[-1] == "response.completed"
    assert (
        reply.output_text == (await client.responses.create(model="demo-reasoner", input="hello [pause=0]")).output_text
    )


async def test_parsed_structured_output_and_tools(client: AsyncOpenAI) -> None:
    from pydantic import BaseModel

    class Answer(BaseModel):
        city: str
        degrees: int

    reply = await client.chat.completions.parse(**says("hello"), response_format=Answer)
    assert reply.choices[0].message.parsed == Answer(city="demo", degrees=0)
    tool = openai.pydantic_function_tool(Answer)
    called = await client.chat.completions.parse(**says("[tool]"), tools=[tool])
    calls = called.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.parsed_arguments == Answer(city="demo", degrees=0)


async def test_everything_else(client: AsyncOpenAI) -> None:
    legacy = await client.completions.create(model="demo-small", prompt="hello [tokens=3]")
    assert legacy.choices[0].text == "You said: hello."
    vectors = await client.embeddings.create(model="demo-embedding", input=["a", "b"], dimensions=8)
    assert [len(one.embedding) for one in vectors.data] == [8, 8]
    verdict = await client.moderations.create(input="you idiot")
    assert verdict.results[0].categories.harassment
    picture = await client.images.generate(model="demo-image", prompt="a boat", size="256x256")
    assert picture.data is not None
    assert picture.data[0].b64_json
    page = await client.models.list()
    assert page.data[0].id == "demo-small"
    assert (await client.models.retrieve("demo-large")).id == "demo-large"


async def test_speech_and_back(client: AsyncOpenAI) -> None:
    speech = await client.audio.speech.create(
        model="demo-speech", voice="alloy", input="hello there", response_format="wav"
    )
    with wave.open(io.BytesIO(speech.content)) as sound:
        assert sound.getnframes() > 0
    heard = await client.audio.transcriptions.create(model="demo-transcribe", file=("a.wav", speech.content))
    assert heard.text
    verbose = await client.audio.transcriptions.create(
        model="demo-transcribe", file=("a.wav", speech.content), response_format="verbose_json"
    )
    assert verbose.duration == pytest.approx(0.715)


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        ("[status=429] [retry_after=2]", openai.RateLimitError),
        ("[status=500]", openai.InternalServerError),
        ("[error=html]", openai.InternalServerError),
        ("[reset=before]", openai.APIConnectionError),
        ("[hang=0.01]", openai.APIConnectionError),
        ("[reset=5]", openai.APIConnectionError),
        ("[length=wrong]", openai.APIConnectionError),
    ],
)
async def test_failures_as_a_client_sees_them(client: AsyncOpenAI, prompt: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await client.chat.completions.create(**says(prompt))


def exchange(base_url: str, body: dict[str, Any]) -> tuple[bytes, bool]:
    """(everything that came, whether the connection ended by a reset), by a plain socket."""
    port = int(base_url.split(":")[2].split("/")[0])
    raw = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode() + raw)
        found = bytearray()
        try:
            while piece := connection.recv(65_536):
                found += piece
        except ConnectionResetError:
            return bytes(found), True
    return bytes(found), False


@dataclass(frozen=True)
class End:
    """finished: the body ended as HTTP wants it, with the last chunk of a chunked body."""

    prompt: str
    events: int
    reset: bool = False
    finished: bool = False


ENDS = (
    End("[reset=before]", 0, reset=True),
    End("[reset=3]", 3, reset=True),
    End("[eof=3]", 3, finished=True),
    End("[hang=0]", 0),
    End("[length=wrong] [tokens=2]", 4),
)


# A worker runs under uvloop, whose transports are not asyncio's: what breaks a connection must break it there too.
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.prompt)
def test_how_connections_end(end: End, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def ask() -> tuple[bytes, bool]:
        server = await start_demo(clock=lambda: CREATED)
        try:
            return await asyncio.to_thread(exchange, server.base_url, says(end.prompt, stream=True))
        finally:
            await server.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        found, reset = runner.run(ask())
    assert reset is end.reset
    assert found.count(b'"chat.completion.chunk"') == end.events
    assert found.endswith(b"0\r\n\r\n") is end.finished


async def test_events_arrive_one_by_one() -> None:
    pauses: list[float] = []
    step = asyncio.Event()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await step.wait()

    server = await start_demo(clock=lambda: CREATED, sleep=sleep)
    async with AsyncOpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        stream = await client.chat.completions.create(**says("[tokens=2] [pause=7]", stream=True))
        async with asyncio.timeout(5):
            first = await anext(stream)
        assert first.choices[0].delta.role == "assistant"
        assert pauses == [7.0]
        step.set()
        assert len([chunk async for chunk in stream]) == 3
    await server.close()


async def test_a_client_that_leaves_is_not_served_on() -> None:
    gone = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()

    server = await start_demo(clock=lambda: CREATED, sleep=sleep)
    async with AsyncOpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        stream = await client.chat.completions.create(**says("[tokens=9]", stream=True))
        await anext(stream)
        await stream.close()
        async with asyncio.timeout(5):
            await gone.wait()
    await server.close()


async def test_closing_breaks_what_hangs(client: AsyncOpenAI, server: DemoServer) -> None:
    hanging = asyncio.ensure_future(client.chat.completions.create(**says("[hang]")))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        await server.close()
        with pytest.raises(openai.APIConnectionError):
            await hanging
    await server.close()
    with pytest.raises(openai.APIConnectionError):
        await client.chat.completions.create(**says("hello"))


async def test_two_servers_have_two_ports(server: DemoServer) -> None:
    other = await start_demo(clock=lambda: CREATED)
    assert other.base_url != server.base_url
    assert other.base_url.startswith("http://127.0.0.1:")
    await other.close()
