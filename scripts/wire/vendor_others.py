"""Recordings of Anthropic, Google, Bedrock, Cohere and Ollama → `Said`, in plain JSON.

Who includes what in its counts: Anthropic and Bedrock report cache reads and writes beside the input, Google reports
tool-use prompts beside the prompt and thoughts beside the candidates, Cohere's `tokens` are whole (`billed_units` are
a price list's). AWS event streams are cut by botocore.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.eventstream import EventStreamBuffer

from .said import Call, Counts, Said, arguments_of
from .sse import json_events

Object = Mapping[str, Any]

_ANTHROPIC_FINISH = {
    "end_turn": ("stop",),
    "stop_sequence": ("stop_sequence",),
    "max_tokens": ("length",),
    "tool_use": ("tool_calls",),
    "pause_turn": ("pause",),
    "refusal": ("refusal",),
    "model_context_window_exceeded": ("context",),
}
_GEMINI_FINISH = {"STOP": ("stop",), "MAX_TOKENS": ("length",), "FINISH_REASON_UNSPECIFIED": ("unknown", "stop")}
_GEMINI_FILTERS = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY")
_BEDROCK_FINISH = {
    **_ANTHROPIC_FINISH,
    "guardrail_intervened": ("content_filter",),
    "content_filtered": ("content_filter",),
    "malformed_model_output": ("error",),
    "malformed_tool_use": ("error",),
}
_COHERE_FINISH = {
    "COMPLETE": ("stop",),
    "STOP_SEQUENCE": ("stop_sequence",),
    "MAX_TOKENS": ("length",),
    "TOOL_CALL": ("tool_calls",),
    "ERROR": ("error",),
    "ERROR_TOXIC": ("content_filter",),
    "ERROR_LIMIT": ("context", "length"),
    "TIMEOUT": ("error",),
}


# --- Anthropic ------------------------------------------------------------------------------------------------------


def read_anthropic(body: bytes) -> Said:
    message = json.loads(body)
    return _anthropic(message["content"], message.get("stop_reason"), message["usage"])


def read_anthropic_stream(body: bytes) -> Said:
    blocks: dict[int, dict[str, Any]] = {}
    usage: dict[str, Any] = {}
    finish, error = None, None
    for event in json_events(body):
        kind = event["type"]
        if kind == "message_start":
            usage.update(event["message"]["usage"])
        elif kind == "content_block_start":
            blocks[event["index"]] = {**event["content_block"], "partial": ""}
        elif kind == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            for name in ("text", "thinking"):
                block[name] = (block.get(name) or "") + (delta.get(name) or "")
            block["partial"] += delta.get("partial_json") or ""
        elif kind == "message_delta":
            finish = event["delta"].get("stop_reason") or finish
            usage.update({name: value for name, value in (event.get("usage") or {}).items() if value is not None})
        elif kind == "error":
            error = event["error"]["message"]
    for block in blocks.values():
        if block["partial"]:
            block["input"] = json.loads(block["partial"])
    said = _anthropic([block for _, block in sorted(blocks.items())], finish, usage)
    said.error = error
    return said


def _anthropic(blocks: Iterable[Object], finish: str | None, usage: Object) -> Said:
    said = Said()
    for block in blocks:
        if block["type"] == "text":
            said.text += block["text"]
        elif block["type"] == "thinking":
            said.reasoning += block["thinking"]
        elif block["type"] == "tool_use":
            said.calls.append(Call(block["name"], block["input"], block["id"]))
    said.finish = _ANTHROPIC_FINISH.get(finish or "", ("unknown", "stop"))
    said.usage = anthropic_counts(usage)
    return said


def anthropic_counts(usage: Object) -> Counts:
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    return Counts(
        input=usage["input_tokens"] + (read or 0) + (written or 0),
        output=usage["output_tokens"],
        cache_read=read,
        cache_write=written,
        reasoning=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
    )


# --- Google ---------------------------------------------------------------------------------------------------------


def read_gemini(body: bytes) -> Said:
    return _gemini([json.loads(body)])


def read_gemini_stream(body: bytes) -> Said:
    return _gemini(json_events(body))


def _gemini(chunks: Iterable[Object]) -> Said:
    said, finish = Said(), ""
    for chunk in chunks:
        candidate = (chunk.get("candidates") or [{}])[0]
        for part in (candidate.get("content") or {}).get("parts") or ():
            if part.get("thought"):
                said.reasoning += part.get("text") or ""
            elif "text" in part:
                said.text += part["text"]
            elif "functionCall" in part:
                call = part["functionCall"]
                said.calls.append(Call(call["name"], call.get("args") or {}, call.get("id") or ""))
        finish = candidate.get("finishReason") or finish
        if "usageMetadata" in chunk:
            said.usage = gemini_counts(chunk["usageMetadata"])
        if "error" in chunk:
            said.error = chunk["error"]["message"]
        blocked = (chunk.get("promptFeedback") or {}).get("blockReason")
        if blocked and not finish:
            said.error = said.error or ""
    if said.calls:
        said.finish = ("tool_calls",)
    elif finish in _GEMINI_FILTERS:
        said.finish = ("content_filter",)
    else:
        said.finish = _GEMINI_FINISH.get(finish, ("error",) if finish else ("unknown", "stop"))
    return said


def gemini_counts(usage: Object) -> Counts:
    return Counts(
        input=(usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
        output=(usage.get("candidatesTokenCount") or 0) + (usage.get("thoughtsTokenCount") or 0),
        cache_read=usage.get("cachedContentTokenCount"),
        reasoning=usage.get("thoughtsTokenCount"),
    )


# --- Bedrock --------------------------------------------------------------------------------------------------------


def read_converse(body: bytes) -> Said:
    payload = json.loads(body)
    said = Said()
    for block in payload["output"]["message"]["content"]:
        said.text += block.get("text") or ""
        cited = (block.get("citationsContent") or {}).get("content") or ()
        said.text += "".join(piece.get("text") or "" for piece in cited)
        said.reasoning += ((block.get("reasoningContent") or {}).get("reasoningText") or {}).get("text") or ""
        call = block.get("toolUse")
        if call and call.get("type") != "server_tool_use":
            said.calls.append(Call(call["name"], call["input"], call["toolUseId"]))
    said.finish = _converse_finish(payload["stopReason"], said)
    said.usage = converse_counts(payload["usage"])
    return said


def read_converse_stream(body: bytes) -> Said:
    said, finish = Said(), ""
    calls: dict[int, tuple[Object, list[str]]] = {}
    for name, event in aws_events(body):
        if name == "contentBlockStart" and "toolUse" in event["start"]:
            calls[event["contentBlockIndex"]] = (event["start"]["toolUse"], [])
        elif name == "contentBlockDelta":
            delta = event["delta"]
            said.text += delta.get("text") or ""
            said.reasoning += (delta.get("reasoningContent") or {}).get("text") or ""
            if "toolUse" in delta:
                calls[event["contentBlockIndex"]][1].append(delta["toolUse"].get("input") or "")
        elif name == "messageStop":
            finish = event["stopReason"]
        elif name == "metadata":
            said.usage = converse_counts(event["usage"])
        elif name.endswith(("Exception", "Error")):
            said.error = event.get("message") or ""
    for head, pieces in calls.values():
        if head.get("type") != "server_tool_use":
            said.calls.append(Call(head["name"], arguments_of("".join(pieces)), head["toolUseId"]))
    said.finish = _converse_finish(finish, said)
    return said


def aws_events(body: bytes) -> Iterator[tuple[str, Object]]:
    """(event or exception type, payload) of every frame, their checksums checked by botocore."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    for message in buffer:
        headers: Any = message.headers
        yield headers.get(":event-type") or headers.get(":exception-type") or "", json.loads(message.payload)


def _converse_finish(word: str, said: Said) -> tuple[str, ...]:
    if word == "tool_use" and not said.calls:
        return ("unknown", "stop", "pause")  # what the vendor's own tools did
    return _BEDROCK_FINISH.get(word, ("unknown", "stop"))


def converse_counts(usage: Object) -> Counts:
    read, written = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
    return Counts(
        input=usage["inputTokens"] + (read or 0) + (written or 0),
        output=usage["outputTokens"],
        cache_read=read,
        cache_write=written,
    )


# --- Cohere ---------------------------------------------------------------------------------------------------------


def read_cohere(body: bytes) -> Said:
    payload = json.loads(body)
    message, said = payload["message"], Said()
    for block in message.get("content") or ():
        said.text += block.get("text") or ""
        said.reasoning += block.get("thinking") or ""
    said.reasoning = (message.get("tool_plan") or "") + said.reasoning
    for call in message.get("tool_calls") or ():
        said.calls.append(Call(call["function"]["name"], arguments_of(call["function"]["arguments"]), call["id"]))
    said.finish = _COHERE_FINISH.get(payload["finish_reason"], ("unknown", "stop"))
    said.usage = cohere_counts(payload.get("usage"))
    return said


def read_cohere_stream(body: bytes) -> Said:
    said, calls = Said(), dict[int, list[str]]()
    for event in json_events(body):
        kind, delta = event["type"], event.get("delta") or {}
        message = delta.get("message") or {}
        if kind == "content-delta":
            said.text += message["content"].get("text") or ""
            said.reasoning += message["content"].get("thinking") or ""
        elif kind == "tool-plan-delta":
            said.reasoning += message["tool_plan"]
        elif kind == "tool-call-start":
            call = message["tool_calls"]
            calls[event["index"]] = [call["id"], call["function"]["name"], call["function"].get("arguments") or ""]
        elif kind == "tool-call-delta":
            calls[event["index"]][2] += message["tool_calls"]["function"]["arguments"]
        elif kind == "message-end":
            said.finish = _COHERE_FINISH.get(delta["finish_reason"], ("unknown", "stop"))
            said.usage = cohere_counts(delta.get("usage"))
            said.error = delta.get("error")
    said.calls = [Call(name, arguments_of(text), id_) for id_, name, text in calls.values()]
    return said


def cohere_counts(usage: Object | None) -> Counts | None:
    tokens = (usage or {}).get("tokens")
    if not tokens:
        return None
    return Counts(
        input=int(tokens["input_tokens"]),
        output=int(tokens["output_tokens"]),
        cache_read=(usage or {}).get("cached_tokens"),
    )


# --- Ollama ---------------------------------------------------------------------------------------------------------


def read_ollama(body: bytes) -> Said:
    """One object, or one a line; the last of them counts the tokens."""
    said = Said()
    for line in body.decode().split("\n"):
        if not line.strip():
            continue
        chunk = json.loads(line)
        message = chunk.get("message") or {}
        said.text += message.get("content") or ""
        said.reasoning += message.get("thinking") or ""
        for call in message.get("tool_calls") or ():
            function = call["function"]
            said.calls.append(Call(function["name"], function.get("arguments") or {}, call.get("id") or ""))
        said.error = chunk.get("error") or said.error
        if chunk.get("done"):
            said.finish = ("length",) if chunk.get("done_reason") == "length" else ("stop",)
            said.usage = Counts(input=chunk.get("prompt_eval_count") or 0, output=chunk.get("eval_count") or 0)
    if said.calls:
        said.finish = ("tool_calls",)
    return said
