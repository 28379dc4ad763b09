"""Recordings in OpenAI's two chat formats → `Said`, in plain JSON.

Chat: vendors differ in where reasoning stands (`reasoning_content`, `reasoning`, `reasoning_details`, a list of
content parts, `<think>` in the text, which is left where it is) and in whether `completion_tokens` has it inside:
the total tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .said import Call, Counts, Said, arguments_of
from .sse import json_events

Object = Mapping[str, Any]

_CHAT_FINISH = {
    "stop": ("stop",),
    "length": ("length",),
    "model_length": ("length", "context"),
    "tool_calls": ("tool_calls",),
    "function_call": ("tool_calls",),
    "content_filter": ("content_filter",),
    "sensitive": ("content_filter",),
    "error": ("error",),
}


def read_chat(body: bytes) -> Said:
    payload = json.loads(body)
    choice = payload["choices"][0]
    message = choice["message"]
    said = Said(text=_text(message), reasoning=_reasoning(message), refusal=message.get("refusal") or "")
    for call in message.get("tool_calls") or ():
        function = call["function"]
        arguments = function.get("arguments") or ""
        value = arguments_of(arguments) if isinstance(arguments, str) else arguments
        said.calls.append(Call(function["name"], value, call.get("id") or ""))
    said.finish = _chat_finish(choice.get("finish_reason"), said)
    said.usage = chat_counts(payload.get("usage"))
    return said


def read_chat_stream(body: bytes) -> Said:
    said, finish, usage = Said(), None, None
    calls: dict[int, list[str]] = {}
    for event in json_events(body):
        if event.get("error"):
            error = event["error"]
            said.error = error["message"] if isinstance(error, dict) else str(error)
        usage = event.get("usage") or (event.get("x_groq") or {}).get("usage") or usage
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            said.text += _text(delta)
            said.reasoning += _reasoning(delta)
            said.refusal += delta.get("refusal") or ""
            finish = choice.get("finish_reason") or finish
            for call in delta.get("tool_calls") or ():
                held = calls.setdefault(call.get("index") or 0, ["", "", ""])
                function = call.get("function") or {}
                held[0] = held[0] or call.get("id") or ""
                held[1] += function.get("name") or ""
                held[2] += function.get("arguments") or ""
    said.calls = [Call(name, arguments_of(text), id_) for _, (id_, name, text) in sorted(calls.items())]
    said.finish = _chat_finish(finish, said)
    said.usage = chat_counts(usage)
    return said


def _text(message: Object) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""


def _reasoning(message: Object) -> str:
    said = message.get("reasoning_content") or message.get("reasoning") or ""
    if not said:
        details = message.get("reasoning_details") or ()
        said = "".join(detail.get("text") or detail.get("summary") or "" for detail in details)
    content = message.get("content")
    if isinstance(content, list):
        for part in content:
            if part.get("type") == "thinking":
                said += "".join(piece.get("text") or "" for piece in part["thinking"])
    return said


def _chat_finish(word: str | None, said: Said) -> tuple[str, ...]:
    if said.calls and word != "content_filter":
        return ("tool_calls", "length") if word == "length" else ("tool_calls",)
    return _CHAT_FINISH.get(word or "", ("unknown", "stop"))


def chat_counts(usage: Object | None) -> Counts | None:
    if not usage:
        return None
    read, made = usage["prompt_tokens"], usage.get("completion_tokens") or 0
    inside = usage.get("prompt_tokens_details") or {}
    made_inside = usage.get("completion_tokens_details") or {}
    cached = inside.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or usage.get("num_cached_tokens")
    return Counts(
        input=read,
        output=max(made, (usage.get("total_tokens") or 0) - read),
        cache_read=cached,
        cache_write=inside.get("cache_write_tokens"),
        reasoning=made_inside.get("reasoning_tokens"),
    )


def read_responses(body: bytes) -> Said:
    return _of_response(json.loads(body))


def read_responses_stream(body: bytes) -> Said:
    """The last event has the whole response; what it leaves out of `output` is in the events before it."""
    items: dict[int, Object] = {}
    last: dict[str, Any] = {}
    for event in json_events(body):
        if event["type"] == "response.output_item.done":
            items[event["output_index"]] = event["item"]
        if event["type"] in ("response.completed", "response.incomplete", "response.failed"):
            last = event["response"]
        if event["type"] == "error":
            return Said(error=(event.get("error") or event)["message"])
    return _of_response({**last, "output": last.get("output") or [item for _, item in sorted(items.items())]})


def _of_response(response: Object) -> Said:
    said = Said()
    for item in response["output"]:
        kind = item["type"]
        if kind == "message":
            for part in item["content"]:
                said.text += part.get("text") or ""
                said.refusal += part.get("refusal") or ""
        elif kind == "reasoning":
            passages = [*(item.get("summary") or ()), *(item.get("content") or ())]
            said.reasoning += "".join(passage.get("text") or "" for passage in passages)
        elif kind == "function_call":
            said.calls.append(Call(item["name"], arguments_of(item["arguments"]), item["call_id"]))
        elif kind == "custom_tool_call":
            said.calls.append(Call(item["name"], item["input"], item["call_id"]))
    if response.get("error"):
        said.error = response["error"]["message"]
    said.finish = _response_finish(response, said)
    said.usage = responses_counts(response.get("usage"))
    return said


def _response_finish(response: Object, said: Said) -> tuple[str, ...]:
    reason = (response.get("incomplete_details") or {}).get("reason")
    if response.get("status") == "incomplete":
        return ("content_filter",) if reason == "content_filter" else ("length",)
    if said.calls:
        return ("tool_calls",)
    return ("refusal", "stop") if said.refusal else ("stop",)


def responses_counts(usage: Object | None) -> Counts | None:
    if not usage:
        return None
    inside = usage.get("input_tokens_details") or {}
    return Counts(
        input=usage["input_tokens"],
        output=usage["output_tokens"],
        cache_read=inside.get("cached_tokens"),
        cache_write=inside.get("cache_write_tokens"),
        reasoning=(usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
    )
