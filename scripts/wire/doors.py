"""What a client got → `Said`, read as the official packages read it.

Every body and every event is validated against the package's own type (with its literals: a stop reason that it does
not know is a fault), streams run through the package's accumulator where it has one, and the grammar of each stream
is checked: what comes first and last, indexes, sequence numbers, one block after the other. Faults land in
`Said.seen`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.genai import types as google
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import ValidationError

from .door_messages import read_message, read_message_stream
from .door_responses import read_response, read_response_stream
from .said import Call, Carries, Said, arguments_of
from .shapes import fault_of
from .sse import events
from .vendor_openai import chat_counts
from .vendor_others import gemini_counts

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Door:
    """How a door's answers are read, and what it has a place for."""

    whole: Callable[[bytes], Said]
    stream: Callable[[bytes], Said]
    carries: Carries = field(default_factory=Carries)


# --- chat -----------------------------------------------------------------------------------------------------------

_CHAT_MEANS = {
    "stop": ("stop", "stop_sequence", "unknown", "pause", "error"),
    "length": ("length", "context"),
    "tool_calls": ("tool_calls",),
    "content_filter": ("content_filter", "refusal", "error"),
}


def read_completion(body: bytes) -> Said:
    payload = json.loads(body)
    said = Said()
    try:
        ChatCompletion.model_validate(payload)
    except ValidationError as fault:
        said.seen.append(fault_of(fault))
    choice = payload["choices"][0]
    message = choice["message"]
    _chat_message(message, said)
    for call in message.get("tool_calls") or ():
        if call["type"] == "custom":
            said.calls.append(Call(call["custom"]["name"], call["custom"]["input"], call["id"]))
            continue
        said.calls.append(Call(call["function"]["name"], arguments_of(call["function"]["arguments"]), call["id"]))
    _chat_end(choice["finish_reason"], payload.get("usage"), said)
    return said


def _chat_message(message: Object, said: Said) -> None:
    if not isinstance(message.get("content"), str | None):
        said.seen.append("content is no text")
        return
    said.text += message.get("content") or ""
    said.refusal += message.get("refusal") or ""
    said.reasoning += message.get("reasoning_content") or message.get("reasoning") or ""


def _chat_end(word: str | None, usage: Object | None, said: Said) -> None:
    said.finish = _CHAT_MEANS.get(word or "", ())
    if said.refusal and word == "stop":
        said.finish += ("refusal",)
    said.usage = chat_counts(usage)
    if usage and usage["total_tokens"] != usage["prompt_tokens"] + usage["completion_tokens"]:
        said.seen.append("total_tokens is not the sum")


def read_completion_stream(body: bytes) -> Said:
    said, finish, usage = Said(), None, None
    calls: dict[int, list[str]] = {}
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    found = list(events(body))
    if not found or (found[-1][1] != "[DONE]") == (not _is_error(found[-1][1])):
        said.seen.append(f"the last event is {found[-1][1][:60]!r}" if found else "no events")
    for number, (_, data) in enumerate(item for item in found if item[1] != "[DONE]"):
        payload = json.loads(data)
        if payload.get("error"):
            said.error = payload["error"]["message"]
            continue
        try:
            state.handle_chunk(ChatCompletionChunk.model_validate(_known(payload)))
        except ValidationError as fault:
            said.seen.append(fault_of(fault))
        except Exception as fault:  # whatever the package raises, its users would meet
            said.seen.append(f"openai's accumulator: {type(fault).__name__}: {fault}"[:300])
        usage = payload.get("usage") or usage
        if payload.get("usage") and payload["choices"]:
            said.seen.append("usage beside choices")
        for choice in payload["choices"]:
            if choice["index"]:
                continue
            if number == 0 and choice["delta"].get("role") != "assistant":
                said.seen.append("the first chunk names no role")
            if finish and (choice.get("finish_reason") or any(choice["delta"].values())):
                said.seen.append("something came after the finish")
            finish = choice.get("finish_reason") or finish
            _chat_message(choice["delta"], said)
            _chat_calls(choice["delta"].get("tool_calls") or (), calls, said)
    said.calls = [Call(name, arguments_of(text), id_) for id_, name, text in calls.values()]
    _chat_end(finish, usage, said)
    if said.error is None and not said.seen:
        _compare_with_package(state, said)
    return said


def _known(chunk: Object) -> Object:
    """Custom tools' calls, which the package's type of a chunk does not know, as functions'."""
    for choice in chunk["choices"]:
        for call in choice["delta"].get("tool_calls") or ():
            if "custom" in call:
                custom = call.pop("custom")
                call["function"] = {"name": custom.get("name"), "arguments": custom.get("input")}
                call |= {"type": "function"} if "type" in call else {}
    return chunk


def _is_error(data: str) -> bool:
    return data != "[DONE]" and bool(json.loads(data).get("error"))


def _chat_calls(deltas: Sequence[Object], calls: dict[int, list[str]], said: Said) -> None:
    for call in deltas:
        index, function = call["index"], call.get("function") or {}
        if index not in calls:
            if index != len(calls) or not call.get("id") or not function.get("name") or call.get("type") != "function":
                said.seen.append(f"call {index} begins as {dict(call)}")
            calls[index] = [call.get("id") or "", function.get("name") or "", ""]
        elif call.get("id") or function.get("name"):
            said.seen.append(f"call {index} begins twice")
        calls[index][2] += function.get("arguments") or ""


def _compare_with_package(state: ChatCompletionStreamState[None], said: Said) -> None:
    message = state.current_completion_snapshot.choices[0].message
    calls = [(call.function.name, arguments_of(call.function.arguments)) for call in message.tool_calls or ()]
    same = [str(each) for each in calls] == [str((call.name, call.arguments)) for call in said.calls]
    if (message.content or "") != said.text or not same:
        said.seen.append("openai's accumulator reads something else")


# --- Gemini ---------------------------------------------------------------------------------------------------------

_GEMINI_FILTERS = {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"}


def read_generated(body: bytes) -> Said:
    return _generated([json.loads(body)])


def read_generated_stream(body: bytes) -> Said:
    """`alt=sse`, or the JSON array."""
    if body.lstrip().startswith(b"["):
        return _generated(json.loads(body))
    return _generated([json.loads(data) for _, data in events(body)])


def _generated(chunks: Sequence[Object]) -> Said:
    said, finish = Said(), ""
    for number, chunk in enumerate(chunks):
        if "error" in chunk:
            said.error = chunk["error"]["message"]
            if number != len(chunks) - 1:
                said.seen.append("something came after the error")
            continue
        try:
            google.GenerateContentResponse.model_validate(chunk)
        except ValidationError as fault:
            said.seen.append(fault_of(fault))
        if said.usage is not None and finish:
            said.seen.append("something came after the end")
        for candidate in chunk.get("candidates") or ():
            if candidate.get("index"):
                continue
            if finish:
                said.seen.append("something came after the finish")
            finish = candidate.get("finishReason") or finish
            _gemini_parts((candidate.get("content") or {}).get("parts") or (), said)
        if chunk.get("usageMetadata"):
            usage = chunk["usageMetadata"]
            said.usage = gemini_counts(usage)
            if usage.get("totalTokenCount") != (said.usage.input or 0) + (said.usage.output or 0):
                said.seen.append("totalTokenCount is not the sum")
    said.finish = _gemini_finish(finish, said)
    return said


def _gemini_parts(parts: Sequence[Object], said: Said) -> None:
    for part in parts:
        if part.get("thought"):
            said.reasoning += part.get("text") or ""
        elif "text" in part:
            said.text += part["text"]
        elif "functionCall" in part:
            call = part["functionCall"]
            said.calls.append(Call(call["name"], call.get("args") or {}, call.get("id") or ""))


def _gemini_finish(word: str, said: Said) -> tuple[str, ...]:
    if word == "STOP":
        return ("tool_calls",) if said.calls else ("stop", "stop_sequence", "pause", "unknown")
    if word == "MAX_TOKENS":
        return ("length", "context")
    if word in _GEMINI_FILTERS:
        return ("content_filter", "refusal", "error")
    return ("error", "unknown", "pause") if word else ()


DOORS: Mapping[str, Door] = {
    "openai_chat": Door(read_completion, read_completion_stream),
    "openai_responses": Door(read_response, read_response_stream),
    "anthropic_messages": Door(read_message, read_message_stream, Carries(reasoning_tokens=False)),
    "gemini": Door(read_generated, read_generated_stream, Carries(cache_write=False)),
}
