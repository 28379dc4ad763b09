"""What a client of the Responses door got → `Said`, by the `openai` package's types and accumulator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import openai
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import ValidationError

from .said import Call, Said, arguments_of
from .shapes import by_type, fault_of
from .sse import events
from .vendor_openai import responses_counts

Object = Mapping[str, Any]

_EVENTS = by_type(ResponseStreamEvent)
_ENDS = {"response.completed", "response.incomplete", "response.failed"}
_DELTAS = {
    "response.output_text.delta": ("text", "response.output_text.done"),
    "response.refusal.delta": ("refusal", "response.refusal.done"),
    "response.function_call_arguments.delta": ("arguments", "response.function_call_arguments.done"),
    "response.custom_tool_call_input.delta": ("input", "response.custom_tool_call_input.done"),
    "response.reasoning_summary_text.delta": ("text", "response.reasoning_summary_text.done"),
    "response.reasoning_text.delta": ("text", "response.reasoning_text.done"),
}
_DONES = {done: member for member, done in _DELTAS.values()}


def read_response(body: bytes) -> Said:
    return _checked(json.loads(body))


def _checked(payload: Object) -> Said:
    said = _of_response(payload)
    try:
        Response.model_validate(payload)
    except ValidationError as fault:
        said.seen.append(fault_of(fault))
    usage = payload.get("usage")
    if usage and usage["total_tokens"] != usage["input_tokens"] + usage["output_tokens"]:
        said.seen.append("total_tokens is not the sum")
    ids = [item.get("id") for item in payload["output"]]
    if len(set(ids)) != len(ids) or not all(ids):
        said.seen.append(f"item ids {ids} are empty or not unique")
    return said


def _of_response(response: Object) -> Said:
    said = Said()
    for item in response["output"]:
        if item["type"] == "message":
            for part in item["content"]:
                said.text += part.get("text") or ""
                said.refusal += part.get("refusal") or ""
        elif item["type"] == "reasoning":
            shown = item.get("summary") or item.get("content") or ()
            said.reasoning += "".join(part["text"] for part in shown)
        elif item["type"] == "function_call":
            said.calls.append(Call(item["name"], arguments_of(item["arguments"]), item["call_id"]))
        elif item["type"] == "custom_tool_call":
            said.calls.append(Call(item["name"], item["input"], item["call_id"]))
    said.finish = _finish(response, said)
    said.usage = responses_counts(response.get("usage"))
    return said


def _finish(response: Object, said: Said) -> tuple[str, ...]:
    status, reason = response["status"], (response.get("incomplete_details") or {}).get("reason")
    if status == "incomplete" and reason == "content_filter":
        return ("content_filter", "refusal", "error")
    if status == "incomplete":
        return ("length", "context") if reason == "max_output_tokens" else ()
    if status == "failed":
        said.error = (response.get("error") or {}).get("message")
        return ("error",)
    if said.calls:
        return ("tool_calls",)
    return ("stop", "stop_sequence", "unknown", "pause", "error", *(("refusal",) if said.refusal else ()))


def read_response_stream(body: bytes) -> Said:
    """The last event's response is what counts; deltas must say the same."""
    payloads = [(name, json.loads(data)) for name, data in events(body)]
    seen = [f"event {name!r} has type {payload['type']!r}" for name, payload in payloads if name != payload["type"]]
    state: ResponseStreamState[Any] = ResponseStreamState(text_format=openai.omit, input_tools=[])
    for _, payload in payloads:
        if payload["type"] == "error":
            continue
        try:
            state.handle_event(_EVENTS[payload["type"]].model_validate(payload))
        except ValidationError as fault:
            seen.append(f"{payload['type']}: {fault_of(fault)}")
        except Exception as fault:  # whatever the package raises, its users would meet
            seen.append(f"openai's accumulator: {payload['type']}: {type(fault).__name__}: {fault}")
            break
    broken = next((payload for _, payload in payloads if payload["type"] == "error"), None)
    last = payloads[-1][1] if payloads else {}
    seen += _grammar([payload for _, payload in payloads], broken=broken is not None)
    if last.get("type") in _ENDS:
        said = _checked(last["response"])
        if last["type"] != "response.failed":
            seen += _items_agree([payload for _, payload in payloads], last["response"])
    else:
        said = Said()
    if broken is not None:
        said.error = broken["message"]
    if said.error is not None:
        said.text = _so_far(payloads, "response.output_text.delta")
        said.reasoning = _so_far(payloads, "response.reasoning_summary_text.delta", "response.reasoning_text.delta")
    said.seen = seen + said.seen
    return said


def _so_far(payloads: Sequence[tuple[str, Object]], *kinds: str) -> str:
    """What a stream that broke had said: its deltas, since nothing repeats them."""
    return "".join(each["delta"] for _, each in payloads if each["type"] in kinds)


def _grammar(payloads: Sequence[Object], *, broken: bool) -> list[str]:
    seen = []
    kinds = [payload["type"] for payload in payloads]
    if [payload.get("sequence_number") for payload in payloads] != list(range(len(payloads))):
        seen.append("sequence numbers are not 0, 1, 2…")
    if kinds[:2] != ["response.created", "response.in_progress"]:
        seen.append(f"it begins with {kinds[:2]}")
    if not broken and (kinds[-1:] and kinds[-1] not in _ENDS):
        seen.append(f"it ends with {kinds[-1:]}")
    texts: dict[tuple[Any, ...], str] = {}
    items: dict[int, str] = {}
    for payload in payloads:
        kind, index = payload["type"], payload.get("output_index")
        place = (payload.get("item_id"), payload.get("content_index"), payload.get("summary_index"))
        if kind == "response.output_item.added":
            if index != len(items):
                seen.append(f"item {index} was added when {len(items)} were there")
            items[payload["output_index"]] = payload["item"]["id"]
        elif payload.get("item_id") and items.get(payload["output_index"]) != payload["item_id"]:
            seen.append(f"{kind} of an item that was not added")
        if kind in _DELTAS:
            texts[place] = texts.get(place, "") + payload["delta"]
        elif kind in _DONES and payload[_DONES[kind]] != texts.get(place, ""):
            seen.append(f"{kind} says something else than its deltas")
    return seen


def _items_agree(payloads: Sequence[Object], response: Object) -> list[str]:
    done = {each["output_index"]: each["item"] for each in payloads if each["type"] == "response.output_item.done"}
    added = {each["output_index"] for each in payloads if each["type"] == "response.output_item.added"}
    if added != set(done):
        return [f"items {sorted(added)} were added, {sorted(done)} done"]
    if [item for _, item in sorted(done.items())] != list(response["output"]):
        return ["the items at the end are not those that came"]
    texts = {
        (each["output_index"], each["content_index"]): each["text"]
        for each in payloads
        if each["type"] == "response.output_text.done"
    }
    for (index, place), text in texts.items():
        if done[index]["content"][place]["text"] != text:
            return [f"item {index}'s text is not what its deltas said"]
    return []
