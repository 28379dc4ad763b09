"""Vendors of every dialect on loopback: each answers in its own words, after its documented shapes.

One story for all: asked with a tool and no result, the model calls `get_weather` for Paris; given the result (or no
tool) it says `Sunny, 21 °C.`. Usage is always 100 tokens in, 20 of them from the cache, and 10 out.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .upstream import Received, Writer

TEXT = "Sunny, 21 °C."
PIECES = ("Sunny", ", 21", " °C.")
TOOL, ARGUMENTS = "get_weather", {"city": "Paris"}
USED_IN, USED_CACHED, USED_OUT = 100, 20, 10
MESSAGE = "the vendor's own words"


@dataclass(frozen=True)
class Vendor:
    """whole, stream: (calls a tool?) → the body, or the pieces of the stream. error: (status, body). kind: the content
    type of a stream."""

    whole: Callable[[bool], dict[str, Any]]
    stream: Callable[[bool], Sequence[bytes]]
    error: tuple[int, dict[str, Any]]
    kind: str = "text/event-stream"
    streams: Callable[[Received], bool] = lambda request: bool(request.json.get("stream"))


def sse(*events: Mapping[str, Any], named: bool = False) -> list[bytes]:
    """Events as SSE, with their `type` as name where the format has names."""
    lines = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        lines.append(f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())
    return lines


def aws_frame(event: str, payload: Mapping[str, Any], kind: str = "event") -> bytes:
    """One message of application/vnd.amazon.eventstream, checksums included."""
    said = {f":{kind}-type": event, ":content-type": "application/json", ":message-type": kind}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
        for name, value in said.items()
    )
    body = json.dumps(payload, ensure_ascii=False).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    prelude += struct.pack("!I", zlib.crc32(prelude))
    message = prelude + headers + body
    return message + struct.pack("!I", zlib.crc32(message))


# --- OpenAI chat ----------------------------------------------------------------------------------------------------

CHAT_USAGE = {
    "prompt_tokens": USED_IN,
    "completion_tokens": USED_OUT,
    "total_tokens": USED_IN + USED_OUT,
    "prompt_tokens_details": {"cached_tokens": USED_CACHED},
}


def chat_whole(calls: bool) -> dict[str, Any]:
    function = {"name": TOOL, "arguments": json.dumps(ARGUMENTS)}
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else TEXT}
    if calls:
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "vendor-model"}
    return {**head, "choices": [choice], "usage": CHAT_USAGE}


def chat_stream(calls: bool) -> list[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "vendor-model"}

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    said: list[dict[str, Any]] = [{"content": piece} for piece in PIECES]
    if calls:
        text = json.dumps(ARGUMENTS)
        first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": ""}}
        said = [{"tool_calls": [first]}]
        said += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in (text[:5], text[5:])]
    chunks = [chunk({"role": "assistant", "content": None if calls else ""}), *map(chunk, said)]
    chunks.append(chunk({}, "tool_calls" if calls else "stop"))
    return [*sse(*chunks, {**head, "choices": [], "usage": CHAT_USAGE}), b"data: [DONE]\n\n"]


# --- OpenAI Responses -----------------------------------------------------------------------------------------------


def _responses_item(calls: bool) -> dict[str, Any]:
    if calls:
        said = {"name": TOOL, "arguments": json.dumps(ARGUMENTS)}
        return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed", **said}
    part = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}


def responses_whole(calls: bool) -> dict[str, Any]:
    usage = {
        "input_tokens": USED_IN,
        "input_tokens_details": {"cached_tokens": USED_CACHED},
        "output_tokens": USED_OUT,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": USED_IN + USED_OUT,
    }
    rest: dict[str, Any] = {
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "tools": [],
    }
    head = {"id": "resp_1", "object": "response", "created_at": 1700000000, "status": "completed"}
    output = [_responses_item(calls)]
    return {**head, **rest, "model": "vendor-model", "output": output, "tool_choice": "auto", "usage": usage}


def responses_stream(calls: bool) -> list[bytes]:
    whole, item = responses_whole(calls), _responses_item(calls)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    where = {"item_id": item["id"], "output_index": 0}
    if calls:
        bare = {**item, "status": "in_progress", "arguments": ""}
        text = item["arguments"]
        middle = [
            *(
                {"type": "response.function_call_arguments.delta", **where, "delta": part}
                for part in (text[:4], text[4:])
            ),
            {"type": "response.function_call_arguments.done", **where, "arguments": text, "name": TOOL},
        ]
    else:
        bare = {**item, "status": "in_progress", "content": []}
        inside = {**where, "content_index": 0}
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        middle = [
            {"type": "response.content_part.added", **inside, "part": part},
            *({"type": "response.output_text.delta", **inside, "delta": piece, "logprobs": []} for piece in PIECES),
            {"type": "response.output_text.done", **inside, "text": TEXT, "logprobs": []},
            {"type": "response.content_part.done", **inside, "part": {**part, "text": TEXT}},
        ]
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": bare},
        *middle,
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return sse(*({**event, "sequence_number": n} for n, event in enumerate(events)), named=True)


# --- Anthropic ------------------------------------------------------------------------------------------------------

_ANTHROPIC_USED = {
    "input_tokens": USED_IN - USED_CACHED,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": USED_CACHED,
}


def anthropic_whole(calls: bool) -> dict[str, Any]:
    block = {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": ARGUMENTS}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "vendor-model",
        "content": [block if calls else {"type": "text", "text": TEXT}],
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {**_ANTHROPIC_USED, "output_tokens": USED_OUT},
    }


def anthropic_events(calls: bool) -> list[dict[str, Any]]:
    whole = anthropic_whole(calls)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**_ANTHROPIC_USED, "output_tokens": 1}}
    if calls:
        text = json.dumps(ARGUMENTS)
        block: dict[str, Any] = {**whole["content"][0], "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", text[:6], text[6:])]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in PIECES]
    over = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": over, "usage": {**_ANTHROPIC_USED, "output_tokens": USED_OUT}},
        {"type": "message_stop"},
    ]


def anthropic_stream(calls: bool) -> list[bytes]:
    return sse(*anthropic_events(calls), named=True)


def invoke_stream(calls: bool) -> list[bytes]:
    """The same inside Bedrock's InvokeModelWithResponseStream."""
    return [
        aws_frame("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()})
        for event in anthropic_events(calls)
    ]


# --- Gemini ---------------------------------------------------------------------------------------------------------

_GEMINI_USED = {
    "promptTokenCount": USED_IN,
    "candidatesTokenCount": USED_OUT,
    "totalTokenCount": USED_IN + USED_OUT,
    "cachedContentTokenCount": USED_CACHED,
}


def _gemini(parts: Sequence[Mapping[str, Any]], finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    head = {"modelVersion": "vendor-model", "responseId": "r1"}
    return {"candidates": [candidate], "usageMetadata": _GEMINI_USED, **head}


def gemini_whole(calls: bool) -> dict[str, Any]:
    part = {"functionCall": {"name": TOOL, "args": ARGUMENTS}} if calls else {"text": TEXT}
    return _gemini([part], "STOP")


def gemini_stream(calls: bool) -> list[bytes]:
    if calls:
        return sse(gemini_whole(True))
    return sse(*(_gemini([{"text": piece}], "STOP" if piece == PIECES[-1] else None) for piece in PIECES))


# --- Bedrock Converse -----------------------------------------------------------------------------------------------

_CONVERSE_USED = {
    "inputTokens": USED_IN - USED_CACHED,
    "outputTokens": USED_OUT,
    "totalTokens": USED_IN + USED_OUT,
    "cacheReadInputTokens": USED_CACHED,
    "cacheWriteInputTokens": 0,
}


def converse_whole(calls: bool) -> dict[str, Any]:
    block = {"toolUse": {"toolUseId": "tooluse_1", "name": TOOL, "input": ARGUMENTS}} if calls else {"text": TEXT}
    return {
        "output": {"message": {"role": "assistant", "content": [block]}},
        "stopReason": "tool_use" if calls else "end_turn",
        "usage": _CONVERSE_USED,
        "metrics": {"latencyMs": 12},
    }


def converse_stream(calls: bool) -> list[bytes]:
    frames = [aws_frame("messageStart", {"role": "assistant"})]
    if calls:
        start = {"toolUse": {"toolUseId": "tooluse_1", "name": TOOL}}
        frames.append(aws_frame("contentBlockStart", {"contentBlockIndex": 0, "start": start}))
        text = json.dumps(ARGUMENTS)
        deltas: list[dict[str, Any]] = [{"toolUse": {"input": part}} for part in (text[:3], text[3:])]
    else:
        deltas = [{"text": piece} for piece in PIECES]
    frames += [aws_frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}) for delta in deltas]
    frames.append(aws_frame("contentBlockStop", {"contentBlockIndex": 0}))
    frames.append(aws_frame("messageStop", {"stopReason": "tool_use" if calls else "end_turn"}))
    frames.append(aws_frame("metadata", {"usage": _CONVERSE_USED, "metrics": {"latencyMs": 12}}))
    return frames


# --- Cohere and Ollama ----------------------------------------------------------------------------------------------

_COHERE_USED = {
    "billed_units": {"input_tokens": USED_IN, "output_tokens": USED_OUT},
    "tokens": {"input_tokens": USED_IN, "output_tokens": USED_OUT},
    "cached_tokens": USED_CACHED,
}


def _cohere_call() -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": json.dumps(ARGUMENTS)}}


def cohere_whole(calls: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant"}
    message |= {"tool_calls": [_cohere_call()]} if calls else {"content": [{"type": "text", "text": TEXT}]}
    finish = "TOOL_CALL" if calls else "COMPLETE"
    return {"id": "c1", "finish_reason": finish, "message": message, "usage": _COHERE_USED}


def cohere_stream(calls: bool) -> list[bytes]:
    events: list[dict[str, Any]] = [
        {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": []}}}
    ]
    if calls:
        call = _cohere_call()
        text = call["function"].pop("arguments")
        call["function"]["arguments"] = ""
        events.append({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}})
        events += [
            {
                "type": "tool-call-delta",
                "index": 0,
                "delta": {"message": {"tool_calls": {"function": {"arguments": part}}}},
            }
            for part in (text[:7], text[7:])
        ]
        events.append({"type": "tool-call-end", "index": 0})
    else:
        start = {"message": {"content": {"type": "text", "text": ""}}}
        events.append({"type": "content-start", "index": 0, "delta": start})
        events += [
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}}
            for piece in PIECES
        ]
        events.append({"type": "content-end", "index": 0})
    over = {"finish_reason": "TOOL_CALL" if calls else "COMPLETE", "usage": _COHERE_USED}
    events.append({"type": "message-end", "id": "c1", "delta": over})
    return sse(*events, named=True)


def _ollama(message: Mapping[str, Any], *, done: bool) -> dict[str, Any]:
    line: dict[str, Any] = {
        "model": "vendor-model",
        "created_at": "2026-11-01T00:00:00Z",
        "message": message,
        "done": done,
    }
    if done:
        line |= {"done_reason": "stop", "prompt_eval_count": USED_IN, "eval_count": USED_OUT}
    return line


def ollama_whole(calls: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "" if calls else TEXT}
    if calls:
        message["tool_calls"] = [{"function": {"name": TOOL, "arguments": ARGUMENTS}}]
    return _ollama(message, done=True)


def ollama_stream(calls: bool) -> list[bytes]:
    lines = [_ollama({"role": "assistant", "content": piece}, done=False) for piece in PIECES]
    if calls:
        lines = [_ollama(ollama_whole(True)["message"], done=False)]
    lines.append(_ollama({"role": "assistant", "content": ""}, done=True))
    return [json.dumps(line).encode() + b"\n" for line in lines]


VENDORS: Mapping[str, Vendor] = {
    "openai_chat": Vendor(
        chat_whole, chat_stream, (429, {"error": {"message": MESSAGE, "type": "rate_limit", "code": "rate_limited"}})
    ),
    "openai_responses": Vendor(
        responses_whole, responses_stream, (429, {"error": {"message": MESSAGE, "type": "rate_limit", "code": None}})
    ),
    "anthropic_messages": Vendor(
        anthropic_whole,
        anthropic_stream,
        (429, {"type": "error", "error": {"type": "rate_limit_error", "message": MESSAGE}}),
    ),
    "bedrock_invoke": Vendor(
        anthropic_whole,
        invoke_stream,
        (429, {"message": MESSAGE}),
        kind="application/vnd.amazon.eventstream",
        streams=lambda request: request.target.endswith("-with-response-stream"),
    ),
    "vertex_claude": Vendor(
        anthropic_whole,
        anthropic_stream,
        (429, {"error": {"code": 429, "message": MESSAGE, "status": "RESOURCE_EXHAUSTED"}}),
        streams=lambda request: ":streamRawPredict" in request.target,
    ),
    "gemini": Vendor(
        gemini_whole,
        gemini_stream,
        (429, {"error": {"code": 429, "message": MESSAGE, "status": "RESOURCE_EXHAUSTED"}}),
        streams=lambda request: ":streamGenerateContent" in request.target,
    ),
    "bedrock_converse": Vendor(
        converse_whole,
        converse_stream,
        (429, {"message": MESSAGE}),
        kind="application/vnd.amazon.eventstream",
        streams=lambda request: request.target.endswith("/converse-stream"),
    ),
    "cohere_chat": Vendor(cohere_whole, cohere_stream, (429, {"id": "e1", "message": MESSAGE})),
    "ollama": Vendor(ollama_whole, ollama_stream, (429, {"error": MESSAGE}), kind="application/x-ndjson"),
}


def has_result(body: bytes) -> bool:
    """Whether a request, in whatever dialect, brings the tool's result."""
    return b"21 degrees" in body


def telling(vendor: Vendor) -> Callable[[Received, Writer], Any]:
    """A script that tells the story."""

    async def script(request: Received, writer: Writer) -> None:
        calls = TOOL.encode() in request.body and not has_result(request.body)
        if not vendor.streams(request):
            await writer.answer(200, vendor.whole(calls))
            return
        await writer.head(200, {"Content-Type": vendor.kind, "Transfer-Encoding": "chunked"})
        data = b"".join(vendor.stream(calls))
        # Cuts of the network fall anywhere: here every 61 bytes.
        for at in range(0, len(data), 61):
            await writer.chunk(data[at : at + 61])
        await writer.end()

    return script


def refusing(vendor: Vendor) -> Callable[[Received, Writer], Any]:
    """A script that says no, in the vendor's words."""

    async def script(_: Received, writer: Writer) -> None:
        await writer.answer(*vendor.error)

    return script
