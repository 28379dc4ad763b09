"""Events and replies that have `choices`: chat completions and, with `text` in place of messages, legacy completions.

Source: https://platform.openai.com/docs/api-reference/chat-streaming (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import Raw

from ..values.errors import Malformed
from ..values.usage import Usage
from ..values.vendor import Quirks
from .dialect import ReplyReading
from .openai_errors import error_in, error_of
from .openai_stream import Grammar, Scanner, Sight, data_lines
from .openai_usage import block_at, tier_of, usage_of

_members = msgspec.json.Decoder(dict[str, Raw])
_anything = msgspec.json.Decoder(float_hook=str)  # no float is read here, and a log probability may be beyond Python's
_finish = re.compile(rb'"finish_reason"\s*:\s*"')


@cache
def _plain(outermost: str) -> Callable[[bytes], object]:
    """Passes chunks whose usage and error are null or absent: typed so, anything else is a fault to the decoder.

    `message` is no member of a chunk: it is how an error without an envelope begins.
    """
    names = dict.fromkeys(("usage", "error", "message", outermost))
    return msgspec.json.Decoder(msgspec.defstruct("_Plain", [(name, None, None) for name in names], gc=False)).decode


@cache
def grammar_for(usage_member: str) -> Grammar:
    """The grammar of `choices` streams; usage_member: `Quirks.usage_member`."""
    outermost = usage_member.partition(".")[0]

    def look(name: str, data: bytes) -> Sight:
        return look_at(name, data, usage_member)

    return Grammar(
        plain=_plain(outermost),
        look=look,
        read_usage=usage_of,
        finish=_finish,
    )


def look_at(name: str, data: bytes, usage_member: str) -> Sight:
    """One event's JSON → its meaning. Raises DecodeError (ValidationError where it is JSON but no object)."""
    members = _members.decode(data)
    choices = _anything.decode(members["choices"]) if "choices" in members else None
    sight = Sight(finished=_has_finished(choices))
    if "error" in members:
        sight.error = error_of(bytes(members["error"]))
    if sight.error is None and name == "error":
        sight.error = error_in(_anything.decode(data))
    block = block_at(members, usage_member)
    if block is None and usage_member != "usage":
        block = block_at(members, "usage")
    if block is not None:
        sight.usage = block
        sight.tier = tier_of(_anything.decode(members["service_tier"])) if "service_tier" in members else None
        if not choices and sight.error is None:
            sight.fate = "hide"
    return sight


def open_stream(quirks: Quirks, *, hide_usage: bool, event_limit: int) -> Scanner:
    """A scanner for `data: {…}` chunks that end with `data: [DONE]`."""
    return Scanner(grammar_for(quirks.usage_member), quirks, hide_usage=hide_usage, event_limit=event_limit)


def texts_of(events: list[bytes]) -> list[str]:
    """What raw events produced: one text per choice and kind (content, reasoning, refusal, calls), in order of
    appearance."""
    texts: dict[tuple[object, ...], list[str]] = {}
    for data in data_lines(events):
        payload = _anything.decode(data)
        if isinstance(payload, dict):
            for key, text in _pieces(payload):
                texts.setdefault(key, []).append(text)
    return ["".join(parts) for parts in texts.values()]


def read_reply(body: bytes, quirks: Quirks) -> ReplyReading:
    """A whole body with `choices`. Raises Malformed when it is something else."""
    members = reply_members(body)
    choices = _anything.decode(members["choices"]) if "choices" in members else None
    if not isinstance(choices, list):
        return refused_reply(members, "choices")
    usage = reply_usage(members, quirks)
    texts = () if usage is not None else tuple(text for _, text in _pieces({"choices": choices}))
    return ReplyReading(usage=usage, texts=texts, finished=_has_finished(choices))


def reply_members(body: bytes) -> dict[str, Raw]:
    """Raises Malformed when a body is not a JSON object in UTF-8."""
    try:
        if not body.isascii():
            body.decode()
        return _members.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("The upstream answered with something that is not a JSON object") from None


def refused_reply(members: dict[str, Raw], expected: str) -> ReplyReading:
    """A 200 without its main member: the error that it carries. Raises Malformed where it carries none."""
    error = error_in({name: _anything.decode(raw) for name, raw in members.items()})
    if error is None:
        raise Malformed(f"The upstream's answer has no `{expected}`")
    return ReplyReading(usage=None, error=error)


def reply_usage(members: dict[str, Raw], quirks: Quirks, *, produces: bool = True) -> Usage | None:
    """The usage among a reply's members."""
    block = block_at(members, quirks.usage_member)
    if block is None and quirks.usage_member != "usage":
        block = block_at(members, "usage")
    if block is None:
        return None
    tier = tier_of(_anything.decode(members["service_tier"])) if "service_tier" in members else None
    return usage_of(block, tier, quirks, produces=produces)


def _has_finished(choices: object) -> bool:
    if not isinstance(choices, list):
        return False
    return any(isinstance(choice, dict) and isinstance(choice.get("finish_reason"), str) for choice in choices)


def _pieces(payload: dict[str, Any]) -> Iterator[tuple[tuple[object, ...], str]]:
    """(where it belongs, text) for everything a chunk or reply produced."""
    choices = payload.get("choices")
    for place, choice in enumerate(choices if isinstance(choices, list) else []):
        if not isinstance(choice, dict):
            continue
        index = _place_of(choice, place)
        if isinstance(text := choice.get("text"), str):
            yield (index, "text"), text
        for holder in (choice.get("delta"), choice.get("message")):
            if isinstance(holder, dict):
                for kind, text in _message_pieces(holder):
                    yield (index, kind), text


def _place_of(thing: Mapping[str, Any], place: int) -> int:
    index = thing.get("index")
    return index if isinstance(index, int) else place


def _message_pieces(message: dict[str, Any]) -> Iterator[tuple[object, str]]:
    content = message.get("content")
    for part in content if isinstance(content, list) else [{"text": content}]:  # Mistral answers in parts
        if isinstance(part, dict) and isinstance(text := part.get("text"), str):
            yield "content", text
        thinking = part.get("thinking") if isinstance(part, dict) else None
        for thought in thinking if isinstance(thinking, list) else ():
            if isinstance(thought, dict) and isinstance(text := thought.get("text"), str):
                yield "thinking", text
    # Vendors name reasoning one way or the other; those that send both send the same twice.
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoning, str):
        yield "reasoning", reasoning
    if isinstance(refusal := message.get("refusal"), str):
        yield "refusal", refusal
    if isinstance(sound := message.get("audio"), dict) and isinstance(text := sound.get("transcript"), str):
        yield "transcript", text
    if isinstance(call := message.get("function_call"), dict):
        yield from _call_pieces("function_call", call)
    calls = message.get("tool_calls")
    for place, call in enumerate(calls if isinstance(calls, list) else []):
        if isinstance(call, dict):
            body = call.get("function") or call.get("custom")
            if isinstance(body, dict):
                yield from _call_pieces(_place_of(call, place), cast("dict[str, Any]", body))


def _call_pieces(place: object, call: dict[str, Any]) -> Iterator[tuple[object, str]]:
    for member in ("name", "arguments", "input"):
        if isinstance(text := call.get(member), str):
            yield (place, member), text
