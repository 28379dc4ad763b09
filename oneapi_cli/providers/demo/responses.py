"""/v1/responses of the demo vendor: the reply object, and the event grammar that leads to it.

Source: OpenAI's API reference, responses and their streaming events (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from .orders import Orders, read_orders
from .steps import Fault, Step, ordered_failure, reply, stream
from .wishes import CHAT_MODELS, REASONER, CallPiece, Output, Tool, Wish, check_limits, check_model, compose, usage_of
from .words import make_id, seed_of

Payload = dict[str, object]


class _Format(Struct):
    type: str = "text"
    schema: object = None


class _Text(Struct):
    format: _Format | None = None


class _Tool(Struct):
    type: str
    name: str | None = None
    parameters: object = None


class _Item(Struct):
    type: str = "message"
    role: str = "user"
    content: str | list[dict[str, object]] | None = None
    arguments: str | None = None
    output: object = None


class _Body(Struct, kw_only=True):
    model: str
    input: str | list[_Item] = ""
    instructions: str | None = None
    stream: bool = False
    max_output_tokens: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | dict[str, object] | None = None
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    temperature: float | None = None
    top_p: float | None = None
    metadata: dict[str, str] | None = None
    previous_response_id: str | None = None


def answer_response(body: bytes, created: int) -> Iterator[Step]:
    """One response, streamed or whole. Raises Fault, msgspec.ValidationError."""
    asked = msgspec.json.decode(body, type=_Body)
    check_model(asked.model, CHAT_MODELS)
    check_limits(asked.max_output_tokens, 1, "max_output_tokens")
    if asked.model == REASONER and asked.temperature not in (None, 1):
        raise Fault(400, f"{REASONER} takes no temperature but 1.", code="unsupported_value", param="temperature")
    wish = _wish(asked, seed_of(body, created))
    failure = ordered_failure(wish.orders)
    if failure is not None:
        return failure
    output = compose(wish)
    story = _Story(asked, wish, output, created)
    if asked.stream:
        return stream(story.events(), wish.orders, error_event(wish.orders))
    return reply(story.whole(), wish.orders, words=output.tokens)


def error_event(orders: Orders) -> bytes:
    """The `error` event of this grammar."""
    message = "The demo vendor was told to fail in the middle."
    payload: Payload = {"type": "error", "code": "demo_error", "message": message, "param": None, "sequence_number": 0}
    return _event(payload)


class _Story:
    """One response as it grows. Holds what every event repeats; numbers the events."""

    def __init__(self, asked: _Body, wish: Wish, output: Output, created: int) -> None:
        self._asked = asked
        self._wish = wish
        self._output = output
        self._created = created
        self._number = 0

    def whole(self) -> Payload:
        """The finished object, as it is returned when nothing is streamed."""
        return self._response("completed" if self._output.finish != "length" else "incomplete", self._items())

    def events(self) -> Iterator[bytes]:
        """The events in the order that OpenAI sends them."""
        yield self._say("response.created", response=self._response("in_progress", ()))
        yield self._say("response.in_progress", response=self._response("in_progress", ()))
        place = 0
        if self._output.hidden:
            item = self._reasoning()
            yield self._say("response.output_item.added", output_index=0, item=item)
            yield self._say("response.output_item.done", output_index=0, item=item)
            place = 1
        if self._output.calls:
            for number, call in enumerate(self._output.calls):
                yield from self._call_events(place + number, call)
        elif self._output.size or not self._output.hidden:
            yield from self._message_events(place)
        final = self.whole()
        yield self._say(f"response.{final['status']}", response=final)

    def _message_events(self, place: int) -> Iterator[bytes]:
        where: Payload = {"item_id": self._id("msg_"), "output_index": place, "content_index": 0}
        yield self._say("response.output_item.added", output_index=place, item=self._message(None, "in_progress"))
        yield self._say("response.content_part.added", **where, part=_part(""))
        for piece in self._output.pieces():
            yield self._say("response.output_text.delta", **where, delta=piece, logprobs=[])
        text = self._output.text()
        yield self._say("response.output_text.done", **where, text=text, logprobs=[])
        yield self._say("response.content_part.done", **where, part=_part(text))
        yield self._say("response.output_item.done", output_index=place, item=self._message(text, self._status()))

    def _call_events(self, place: int, call: CallPiece) -> Iterator[bytes]:
        where: Payload = {"item_id": f"fc_{call.id}", "output_index": place}
        opening = {**_call(call, "in_progress"), "arguments": ""}
        yield self._say("response.output_item.added", output_index=place, item=opening)
        for piece in call.pieces:
            yield self._say("response.function_call_arguments.delta", **where, delta=piece)
        arguments = "".join(call.pieces)
        yield self._say("response.function_call_arguments.done", **where, name=call.name, arguments=arguments)
        yield self._say("response.output_item.done", output_index=place, item=_call(call, self._status()))

    def _say(self, kind: str, **members: object) -> bytes:
        payload = {"type": kind, "sequence_number": self._number, **members}
        self._number += 1
        return _event(payload)

    def _id(self, prefix: str) -> str:
        return make_id(prefix, self._wish.key)

    def _status(self) -> str:
        return "incomplete" if self._output.finish == "length" else "completed"

    def _reasoning(self) -> Payload:
        return {"id": self._id("rs_"), "type": "reasoning", "summary": []}

    def _message(self, text: str | None, status: str) -> Payload:
        parts = [] if text is None else [_part(text)]
        return {"id": self._id("msg_"), "type": "message", "status": status, "role": "assistant", "content": parts}

    def _items(self) -> Sequence[Payload]:
        items: list[Payload] = [self._reasoning()] if self._output.hidden else []
        if self._output.calls:
            return items + [_call(call, self._status()) for call in self._output.calls]
        if self._output.size or not items:
            items.append(self._message(self._output.text(), self._status()))
        return items

    def _response(self, status: str, items: Sequence[Payload]) -> Payload:
        asked = self._asked
        done = status != "in_progress"
        usage = _usage(self._wish, self._output) if done and self._wish.orders.usage else None
        return {
            "id": self._id("resp_"),
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "model": asked.model,
            "output": items,
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": asked.previous_response_id,
            "reasoning": {"effort": "medium" if asked.model == REASONER else None, "summary": None},
            "service_tier": "default",
            "store": False,
            "temperature": 1.0 if asked.temperature is None else asked.temperature,
            "text": {"format": {"type": "text"} if self._wish.shape is None else asked.text and asked.text.format},
            "tool_choice": asked.tool_choice or "auto",
            "tools": asked.tools or [],
            "top_p": 1.0 if asked.top_p is None else asked.top_p,
            "truncation": "disabled",
            "usage": usage,
            "user": None,
            "metadata": asked.metadata or {},
        }


def _event(payload: Payload) -> bytes:
    return f"event: {payload['type']}\ndata: ".encode() + msgspec.json.encode(payload) + b"\n\n"


def _part(text: str) -> Payload:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call(call: CallPiece, status: str) -> Payload:
    return {
        "id": f"fc_{call.id}",
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": "".join(call.pieces),
    }


def _usage(wish: Wish, output: Output) -> Payload:
    prompt, completion, reasoning = usage_of(wish, [output])
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": wish.orders.cached, "cache_write_tokens": 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + completion,
    }


def _wish(asked: _Body, key: bytes) -> Wish:
    items = [_Item(content=asked.input)] if isinstance(asked.input, str) else asked.input
    if not items:
        raise Fault(400, "input must not be empty.", code="empty_array", param="input")
    last = next((_text(item) for item in reversed(items) if item.type == "message" and item.role == "user"), "")
    texts = [_text(item) for item in items]
    texts += [asked.instructions] if asked.instructions else []
    texts += [msgspec.json.encode(tool).decode() for tool in asked.tools or ()]
    shape = asked.text.format if asked.text else None
    return Wish(
        model=asked.model,
        texts=tuple(texts),
        last=last,
        orders=read_orders(last),
        key=key,
        images=sum(_images(item) for item in items),
        answered=items[-1].type.endswith("_output"),
        limit=asked.max_output_tokens,
        tools=tuple(Tool(tool.name, tool.parameters) for tool in asked.tools or () if tool.name),
        choice=_choice(asked.tool_choice),
        parallel=asked.parallel_tool_calls is not False,
        shape=None if shape is None or shape.type == "text" else shape.schema or {},
    )


def _text(item: _Item) -> str:
    """Everything in an item that is text: a message's parts, a call's arguments, a result."""
    if isinstance(item.content, str):
        return item.content
    parts = [text for part in item.content or () if isinstance(text := part.get("text"), str)]
    parts += [item.arguments] if item.arguments else []
    parts += [item.output] if isinstance(item.output, str) else []
    return "\n".join(parts)


def _images(item: _Item) -> int:
    return sum(part.get("type") == "input_image" for part in item.content) if isinstance(item.content, list) else 0


def _choice(said: str | dict[str, object] | None) -> str:
    return str(said.get("name", "auto")) if isinstance(said, dict) else said or "auto"
