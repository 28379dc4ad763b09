"""What a client of the Messages door got → `Said`, by the `anthropic` package's types and accumulator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import ValidationError

from .said import Call, Said
from .shapes import by_type, fault_of
from .sse import events
from .vendor_others import anthropic_counts

Object = Mapping[str, Any]

_EVENTS = by_type(RawMessageStreamEvent)
_MEANS = {
    "end_turn": ("stop", "unknown", "error"),
    "stop_sequence": ("stop_sequence",),
    "max_tokens": ("length", "context"),
    "tool_use": ("tool_calls",),
    "pause_turn": ("pause",),
    "refusal": ("refusal", "content_filter", "error"),
    "model_context_window_exceeded": ("context",),
}


def read_message(body: bytes) -> Said:
    payload = json.loads(body)
    said = _of_message(payload)
    try:
        Message.model_validate(payload)
    except ValidationError as fault:
        said.seen.append(fault_of(fault))
    return said


def _of_message(message: Object) -> Said:
    said = Said()
    for block in message["content"]:
        kind = block["type"]
        if kind == "text":
            said.text += block["text"]
        elif kind == "thinking":
            said.reasoning += block["thinking"]
        elif kind == "tool_use":
            said.calls.append(Call(block["name"], block["input"], block["id"]))
    said.finish = _MEANS.get(message["stop_reason"], ())
    said.usage = anthropic_counts(message["usage"])
    return said


def read_message_stream(body: bytes) -> Said:
    """Blocks come one after the other, numbered from 0; the package's accumulator puts them together."""
    seen: list[str] = []
    payloads = [(name, json.loads(data)) for name, data in events(body)]
    error = next((payload["error"]["message"] for name, payload in payloads if name == "error"), None)
    seen += _grammar(payloads, broken=error is not None)
    snapshot, buffers = None, dict[int, bytes]()
    for _, payload in payloads:
        if payload["type"] in ("ping", "error"):
            continue
        try:
            event = _EVENTS[payload["type"]].model_validate(payload)
            snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
        except ValidationError as fault:
            seen.append(f"{payload['type']}: {fault_of(fault)}")
        except Exception as fault:  # whatever the package raises, its users would meet
            seen.append(f"anthropic's accumulator: {type(fault).__name__}: {fault}")
            break
    said = Said(seen=seen) if snapshot is None else _of_message(snapshot.model_dump(mode="json", by_alias=True))
    said.seen, said.error = seen, error
    return said


def _grammar(payloads: Sequence[tuple[str, Object]], *, broken: bool) -> list[str]:
    seen, open_block, blocks = [], None, 0
    kinds = [payload["type"] for _, payload in payloads]
    seen += [f"event {name!r} has type {payload['type']!r}" for name, payload in payloads if name != payload["type"]]
    if not broken and (kinds[:1] != ["message_start"] or kinds[-2:] != ["message_delta", "message_stop"]):
        seen.append(f"it begins with {kinds[:1]} and ends with {kinds[-2:]}")
    if broken and kinds[-1] != "error":
        seen.append("something came after the error")
    for _, payload in payloads:
        kind, index = payload["type"], payload.get("index")
        if kind == "content_block_start":
            if open_block is not None or index != blocks:
                seen.append(f"block {index} begins while {open_block} is open, {blocks} came before")
            open_block, blocks = index, blocks + 1
        elif kind in ("content_block_delta", "content_block_stop"):
            if index != open_block:
                seen.append(f"{kind} of {index} while {open_block} is open")
            open_block = None if kind == "content_block_stop" else open_block
        elif kind == "message_delta" and open_block is not None:
            seen.append(f"block {open_block} was never closed")
    return seen
