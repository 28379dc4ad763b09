"""/v1/chat/completions of the demo vendor.

Source: OpenAI's API reference, chat completions and their chunks (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from .chunks import LOGPROB, Payload, TextBody, error_event, stream_events, usage_block, whole
from .orders import read_orders
from .steps import Fault, Step, ordered_failure, reply, stream
from .wishes import CHAT_MODELS, REASONER, Output, Tool, Wish, check_limits, check_model, compose
from .words import make_id, seed_of


class _Function(Struct):
    name: str
    parameters: object = None


class _Tool(Struct):
    type: str = "function"
    function: _Function | None = None


class _JsonSchema(Struct):
    schema: object = None


class _Format(Struct):
    type: str = "text"
    json_schema: _JsonSchema | None = None


class _Message(Struct):
    role: str
    content: str | list[dict[str, object]] | None = None
    tool_calls: list[object] | None = None


class _ChatBody(TextBody, kw_only=True):
    messages: list[_Message]
    max_completion_tokens: int | None = None
    temperature: float | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | dict[str, object] | None = None
    parallel_tool_calls: bool | None = None
    response_format: _Format | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


def answer_chat(body: bytes, created: int) -> Iterator[Step]:
    """One chat completion, streamed or whole. Raises Fault, msgspec.ValidationError."""
    asked = msgspec.json.decode(body, type=_ChatBody)
    _check_chat(asked)
    wish = _chat_wish(asked, seed_of(body, created))
    failure = ordered_failure(wish.orders)
    if failure is not None:
        return failure
    outputs = [compose(wish, index) for index in range(wish.outputs)]
    head: Payload = {
        "id": make_id("chatcmpl-", wish.key),
        "object": "chat.completion.chunk" if asked.stream else "chat.completion",
        "created": created,
        "model": asked.model,
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }
    probable = (asked.top_logprobs or 0) if asked.logprobs else None
    usage = usage_block(wish, outputs)
    if asked.stream:
        events = stream_events(head, (_chat_deltas(output, probable) for output in outputs), usage, asked.include_usage)
        return stream(events, wish.orders, error_event(wish.orders))
    choices = [_chat_choice(output, probable) for output in outputs]
    return reply(whole(head, choices, usage), wish.orders, words=sum(output.tokens for output in outputs))


def _check_chat(asked: _ChatBody) -> None:
    check_model(asked.model, CHAT_MODELS)
    if asked.model == REASONER:
        if asked.max_tokens is not None:
            raise Fault(
                400,
                f"{REASONER} does not take 'max_tokens'; send 'max_completion_tokens'.",
                code="unsupported_parameter",
                param="max_tokens",
            )
        if asked.temperature not in (None, 1):
            raise Fault(400, f"{REASONER} takes no temperature but 1.", code="unsupported_value", param="temperature")
    if not asked.messages:
        raise Fault(400, "messages must not be empty.", code="empty_array", param="messages")
    member = "max_tokens" if asked.max_completion_tokens is None else "max_completion_tokens"
    check_limits(_limit(asked), asked.n or 1, member)


def _limit(asked: _ChatBody) -> int | None:
    given = [limit for limit in (asked.max_tokens, asked.max_completion_tokens) if limit is not None]
    return min(given) if given else None


def _chat_wish(asked: _ChatBody, key: bytes) -> Wish:
    last = next((_text(message) for message in reversed(asked.messages) if message.role == "user"), "")
    tools = tuple(Tool(tool.function.name, tool.function.parameters) for tool in asked.tools or () if tool.function)
    texts = [_text(message) for message in asked.messages]
    # Tools and tool calls are prompt too, as their JSON.
    texts += [msgspec.json.encode(tool).decode() for tool in asked.tools or ()]
    texts += [msgspec.json.encode(message.tool_calls).decode() for message in asked.messages if message.tool_calls]
    return Wish(
        model=asked.model,
        texts=tuple(texts),
        last=last,
        orders=read_orders(last),
        key=key,
        images=sum(_images(message) for message in asked.messages),
        answered=asked.messages[-1].role in ("tool", "function"),
        limit=_limit(asked),
        outputs=asked.n or 1,
        stop=asked.stops,
        tools=tools,
        choice=_choice(asked.tool_choice),
        parallel=asked.parallel_tool_calls is not False,
        shape=_shape(asked.response_format),
    )


def _text(message: _Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(text for part in message.content or () if isinstance(text := part.get("text"), str))


def _images(message: _Message) -> int:
    parts = message.content if isinstance(message.content, list) else ()
    return sum(part.get("type") == "image_url" for part in parts)


def _choice(said: str | dict[str, object] | None) -> str:
    if isinstance(said, dict):
        function = said.get("function")
        return str(function.get("name")) if isinstance(function, dict) else "auto"
    return said or "auto"


def _shape(said: _Format | None) -> object:
    if said is None or said.type == "text":
        return None
    return (said.json_schema.schema if said.json_schema else None) or {}


def _chat_deltas(output: Output, probable: int | None) -> Iterator[Payload]:
    def choice(delta: Payload, finish: str | None = None, logprobs: object = None) -> Payload:
        return {"index": output.index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}

    yield choice({"role": "assistant", "content": None if output.calls else "", "refusal": None})
    for piece in output.pieces():
        yield choice({"content": piece}, logprobs=_logprobs([piece], probable))
    for number, call in enumerate(output.calls):
        function = {"name": call.name, "arguments": ""}
        yield choice({"tool_calls": [{"index": number, "id": call.id, "type": "function", "function": function}]})
        for piece in call.pieces:
            yield choice({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
    yield choice({}, output.finish)


def _chat_choice(output: Output, probable: int | None) -> Payload:
    message: Payload = {
        "role": "assistant",
        "content": None if output.calls else output.text(),
        "refusal": None,
        "annotations": [],
    }
    if output.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": "".join(call.pieces)}}
            for call in output.calls
        ]
    logprobs = None if output.calls else _logprobs(output.pieces(), probable)
    return {"index": output.index, "message": message, "logprobs": logprobs, "finish_reason": output.finish}


def _logprobs(pieces: Iterable[str], probable: int | None) -> Payload | None:
    """Every token is equally sure; its alternatives are itself in other spellings. None: not asked for."""
    if probable is None:
        return None
    return {
        "content": [
            {**_logprob(piece, 0), "top_logprobs": [_logprob(piece, place) for place in range(probable)]}
            for piece in pieces
        ],
        "refusal": None,
    }


def _logprob(piece: str, place: int) -> Payload:
    token = piece + "~" * place
    return {"token": token, "logprob": LOGPROB * (place + 1), "bytes": list(token.encode())}
