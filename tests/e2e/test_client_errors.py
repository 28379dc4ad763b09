"""Every refusal as the official client sees it: the right exception, status, code and member, the request's id, and
nothing booked. The client does not retry here (`max_retries=0`), so that each is seen as it came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.clients import KINDS, Kind, Wire, async_client, use
from tests.support.gateway import booked, running
from tests.support.upstream import Received, Script, Upstream, Writer, answering, events, reply, streaming

CONFIG = """
    ledger: ledger.db
    retries: 0
    hold_wait: 100ms
    min_output: 16
    channels:
      - {{name: one, type: openai, base_url: '{url}', api_key: sk-vendor-one, models: [gpt-4o-mini, o1, odd-model]}}
      - {{name: club, type: openai, base_url: '{url}', api_key: k, models: [gpt-4o], groups: [club]}}
"""
MODELS = ("gpt-4o*", "odd-model", "nobody-has-this")
HELLO: list[Any] = [{"role": "user", "content": "hi"}]


def chatting(**members: Any) -> Callable[[Any], Any]:
    return lambda c: c.chat.completions.create(**{"model": "gpt-4o-mini", "messages": HELLO, **members})


def responding(client: Any) -> Any:
    return client.responses.create(model="gpt-4o-mini", input="hi", stream=True)


def vendor_error(message: str = "vendor says no", **members: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **members}}


SERVED = answering(200, reply())


@dataclass(frozen=True)
class Case:
    """raises: the client's exception. key: what is sent instead of the token's key. asked: requests that left."""

    name: str
    use: Callable[[Any], Any]
    raises: type[openai.APIStatusError]
    status: int
    code: str | None = None
    param: str | None = None
    says: str = ""
    script: Script = SERVED
    key: str = ""
    asked: int = 0
    headers: tuple[tuple[str, str], ...] = ()


FASTAPI = {"detail": [{"loc": ["body", "top_k"], "msg": "extra fields not permitted", "type": "value_error.extra"}]}

CASES = [
    Case("unknown key", chatting(), openai.AuthenticationError, 401, says="Invalid API key", key="sk-" + "0" * 48),
    Case(
        "a model of others",
        chatting(model="o1"),
        openai.PermissionDeniedError,
        403,
        "model_not_allowed",
        "model",
    ),
    Case(
        "no price",
        chatting(model="odd-model"),
        openai.PermissionDeniedError,
        403,
        "model_not_priced",
        "model",
        "odd-model",
    ),
    Case(
        "no such model", lambda c: c.models.retrieve("nothing"), openai.NotFoundError, 404, "model_not_found", "model"
    ),
    Case("no such path", lambda c: c.files.list(), openai.InternalServerError, 501, "api_not_implemented"),
    Case("a bad limit", chatting(max_tokens=-1), openai.BadRequestError, 400, "invalid_text_request", "max_tokens"),
    Case("no messages", chatting(messages=[]), openai.BadRequestError, 400, "invalid_text_request", "messages"),
    Case("too many choices", chatting(n=1000), openai.BadRequestError, 400, "invalid_text_request", "n"),
    Case(
        "background",
        lambda c: c.responses.create(model="gpt-4o-mini", input="hi", background=True),
        openai.BadRequestError,
        400,
        "invalid_text_request",
        "background",
    ),
    Case("nobody serves it", chatting(model="nobody-has-this"), openai.InternalServerError, 503, "no_channel"),
    Case("a channel of others", chatting(model="gpt-4o"), openai.InternalServerError, 503, "no_channel"),
    Case(
        "the vendor's 400",
        chatting(),
        openai.BadRequestError,
        400,
        "context_length_exceeded",
        "messages",
        "too long",
        answering(400, vendor_error("too long", code="context_length_exceeded", param="messages")),
        asked=1,
    ),
    Case(
        "the vendor's 404",
        chatting(),
        openai.NotFoundError,
        404,
        "model_not_found",
        says="no such model",
        script=answering(404, vendor_error("no such model", code="model_not_found")),
        asked=1,
    ),
    Case(
        "the vendor's 409",
        chatting(),
        openai.ConflictError,
        409,
        says="vendor says no",
        script=answering(409, vendor_error()),
        asked=1,
    ),
    Case(
        "the vendor's 422",
        chatting(),
        openai.UnprocessableEntityError,
        422,
        says="extra fields not permitted",
        script=answering(422, FASTAPI),
        asked=1,
    ),
    Case(
        "the vendor's 429",
        chatting(),
        openai.RateLimitError,
        429,
        "rate_limit_exceeded",
        says="slow down",
        script=answering(429, vendor_error("slow down", code="rate_limit_exceeded"), {"Retry-After": "7"}),
        asked=1,
        headers=(("retry-after", "7"),),
    ),
    Case(
        "the vendor's 500",
        chatting(),
        openai.InternalServerError,
        500,
        says="we are sorry",
        script=answering(500, vendor_error("we are sorry", type="server_error")),
        asked=1,
    ),
    Case(
        "the vendor's 503",
        chatting(),
        openai.InternalServerError,
        503,
        says="overloaded",
        script=answering(503, vendor_error("overloaded", type="server_error")),
        asked=1,
    ),
    Case(
        "the vendor refuses our key",
        chatting(),
        openai.InternalServerError,
        502,
        "upstream_auth",
        says="Channel one",
        script=answering(401, vendor_error("Incorrect API key provided: sk-vendor-one")),
        asked=1,
    ),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_refusals(case: Case, kind: Kind, tmp_path: Path) -> None:
    wire = Wire()
    async with (
        Upstream([case.script]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), models=MODELS) as gateway,
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            await use(kind, gateway, case.use, wire, case.key)
        error = caught.value
        assert (type(error), error.status_code) == (case.raises, case.status)
        if case.code is not None:
            assert error.code == case.code
        if case.param is not None:
            assert error.param == case.param
        assert case.says in error.message and f"(request id: {wire.request_id})" in error.message
        assert "sk-vendor-one" not in error.message
        assert dict(case.headers).items() <= wire.headers[0].items()
        assert len(upstream.received) == case.asked
        assert (booked(gateway, wire.request_id) or ("", 0))[1] == 0
        assert gateway.differences() == []


async def test_money_that_is_only_held_is_a_rate_limit(tmp_path: Path) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    async def slow(_: Received, writer: Writer) -> None:
        started.set()
        await finish.wait()
        await writer.answer(200, reply())

    async with Upstream([slow]) as upstream:
        text = CONFIG.format(url=upstream.url)
        async with (
            running(tmp_path, text, budget_nanos=1_200_000, clamp=False) as gateway,
            async_client(gateway, Wire()) as client,
        ):
            first = asyncio.ensure_future(
                client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, max_tokens=1500)
            )
            await started.wait()
            wire = Wire()
            with pytest.raises(openai.RateLimitError) as caught:
                await use("async", gateway, chatting(max_tokens=1500), wire)
            assert caught.value.code == "balance_held"
            assert int(wire.headers[0]["retry-after"]) >= 1
            finish.set()
            assert (await first).usage is not None
            # And once it is held no more, the same request is served.
            assert (await use("async", gateway, chatting(max_tokens=1500))).usage is not None
            assert gateway.differences() == []


async def test_the_client_retries_as_it_is_told(tmp_path: Path) -> None:
    """With its own retries on, the client minds our Retry-After and succeeds the second time."""
    busy = answering(429, vendor_error(), {"Retry-After": "0"})
    wire = Wire()
    async with (
        Upstream([busy, answering(200, reply("Hi"))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
        async_client(gateway, wire, max_retries=1) as client,
    ):
        found = await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
        assert found.choices[0].message.content == "Hi"
        assert len({headers["x-oneapi-request-id"] for headers in wire.headers}) == 2


# --- errors in the middle of a stream -------------------------------------------------------------------------------


async def dies(_: Received, writer: Writer) -> None:
    await writer.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
    for event in events(["One", " two"], finish=False):
        await writer.chunk(event)
    await asyncio.sleep(0.05)
    writer.reset()


async def dies_responding(_: Received, writer: Writer) -> None:
    await writer.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
    begun = b'{"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","output":[]}}'
    delta = (
        b'{"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"One",'
        b'"logprobs":[],"sequence_number":1}'
    )
    await writer.chunk(b"event: response.created\ndata: " + begun + b"\n\n")
    await writer.chunk(b"event: response.output_text.delta\ndata: " + delta + b"\n\n")
    await asyncio.sleep(0.05)
    writer.reset()


WORDS = events(["One", " two"], finish=False)
ERROR_EVENT = b'data: {"error":{"message":"overloaded just now","type":"server_error","code":"busy"}}\n\n'
NAMED_ERROR = b'event: error\ndata: {"type":"error","code":"busy","message":"overloaded just now","param":null}\n\n'


@dataclass(frozen=True)
class Broken:
    name: str
    script: Script
    says: str


BROKEN = [
    Broken("the vendor dies", dies, "broke the connection"),
    Broken("the vendor ends without a finish", streaming(WORDS, done=False), "without finishing"),
    Broken("the vendor's error event", streaming([*WORDS, ERROR_EVENT], done=False), "overloaded just now"),
    Broken("an event that is not JSON", streaming([*WORDS, b"data: {oops\n\n"], done=False), "not JSON"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
async def test_a_stream_that_breaks_raises_and_never_ends_cleanly(case: Broken, kind: Kind, tmp_path: Path) -> None:
    wire = Wire()
    async with (
        Upstream([case.script]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        with pytest.raises(openai.APIError) as caught:
            await use(kind, gateway, chatting(stream=True), wire)
        assert not isinstance(caught.value, openai.APIConnectionError | openai.APIStatusError)
        assert case.says in str(caught.value)
        state, cost = booked(gateway, wire.request_id) or ("", 0)
        assert state == "settled" and cost > 0
        assert gateway.differences() == []


async def test_a_response_that_dies_ends_in_its_own_error_event(tmp_path: Path) -> None:
    """The Responses API's grammar has an event for errors, which the client hands out as one; none says that it is
    complete.
    """
    wire = Wire()
    async with (
        Upstream([dies_responding]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        for kind in KINDS:
            found = await use(kind, gateway, responding, wire)
            assert [event.type for event in found] == ["response.created", "response.output_text.delta", "error"]
            assert "broke the connection" in found[-1].message and wire.request_id in found[-1].message
            assert (booked(gateway, wire.request_id) or ("",))[0] == "settled"
        async with async_client(gateway, Wire()) as client:
            with pytest.raises(RuntimeError):
                async with client.responses.stream(model="gpt-4o-mini", input="hi") as stream:
                    await stream.get_final_response()


async def test_a_response_that_fails_before_it_began_is_a_refusal(tmp_path: Path) -> None:
    async with (
        Upstream([streaming([NAMED_ERROR], done=False)]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        for kind in KINDS:
            with pytest.raises(openai.InternalServerError, match="overloaded just now"):
                await use(kind, gateway, responding)
        assert gateway.differences() == []


async def test_more_than_the_balance_is_a_refusal_that_says_how_much(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), budget_nanos=10_000) as gateway,
    ):
        for kind in KINDS:
            with pytest.raises(openai.PermissionDeniedError) as caught:
                await use(kind, gateway, chatting(messages=[{"role": "user", "content": "word " * 400}]))
            assert caught.value.code == "insufficient_user_quota" and "$0.00001" in caught.value.message
        assert upstream.received == []
