"""A whole response of a vendor → a reply.

What the vendor ran itself is `Hosted`, whatever its kind; a picture that it made is a picture. Calls of tools that
only OpenAI's models know (`local_shell_call` and its like) are never offered upstream, so one that comes is the
vendor's own business too.

Source: https://platform.openai.com/docs/api-reference/responses/object (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from ..values.conversation import (
    Choice,
    FinishReason,
    Hosted,
    Media,
    Opaque,
    Part,
    Refusal,
    Reply,
    Text,
    Thinking,
    ToolCall,
)
from ..values.errors import BadRequest, Malformed
from ..values.usage import Usage
from ..values.vendor import Quirks
from .dialect import VendorError
from .openai_errors import error_in
from .openai_responses_content import DIALECT, media_at, read_annotations, read_reasoning, sniffed
from .openai_responses_history import hosted_kind
from .openai_responses_stream import tool_calls
from .openai_usage import read_usage

_NEVER_DONE = frozenset({"queued", "in_progress"})
_LENGTH = frozenset({"max_output_tokens", "max_tokens", "length"})
_CALLS = frozenset({"function_call", "custom_tool_call"})
# Items that a response may list and that are nothing the model produced.
_NO_OUTPUT = frozenset({"function_call_output", "custom_tool_call_output", "additional_tools"})


def decode_reply(payload: Mapping[str, Any], quirks: Quirks) -> Reply | VendorError:
    """Raises Malformed for what is neither a response nor an error."""
    output = payload.get("output")
    error = error_of_response(payload)
    if error is not None:
        return error
    if not isinstance(output, list):
        raise Malformed("The upstream's reply has no `output`")
    items = [item for item in output if isinstance(item, dict)]
    parts = [part for item in items for part in parts_of(item)]
    finish, raw, explanation = finish_of(payload, parts)
    choice = Choice(
        parts=tuple(parts), finish=finish, raw_finish=raw, explanation=explanation, logprobs=_logprobs(items)
    )
    return Reply(
        id=text_of(payload.get("id")),
        model=text_of(payload.get("model")),
        created=_seconds(payload.get("created_at")),
        choices=(choice,),
        usage=usage_of_response(payload, quirks),
    )


def error_of_response(response: Mapping[str, Any]) -> VendorError | None:
    """What makes a response none: an error of its own, a cancellation, an answer that is still to come."""
    status = text_of(response.get("status"))
    error = response.get("error")
    if error or (status == "failed") or not isinstance(response.get("output"), list):
        found = error_in({"error": error} if error else response)
        if found is not None:
            return found
        if status == "failed":
            return VendorError(message="The upstream's response failed without saying why", type="upstream_error")
    if status == "cancelled":
        return VendorError(message="The upstream cancelled the response", type="upstream_error", code="cancelled")
    if status in _NEVER_DONE and not response.get("output"):
        return VendorError(message="The upstream put the response off and gave no answer", type="upstream_error")
    return None


def error_of_event(event: Mapping[str, Any]) -> VendorError:
    """`{"type": "error", "code": …, "message": …}` as documented, or an `error` object inside."""
    if isinstance(event.get("error"), dict):
        found = error_in(event)
    else:
        bare = {name: event[name] for name in ("message", "code", "param", "status_code") if name in event}
        if isinstance(event.get("error"), str):
            bare.setdefault("message", event["error"])
        found = error_in({"error": bare}) if bare else None
    return found or VendorError(message="The upstream sent an error without saying what went wrong")


def parts_of(item: dict[str, Any]) -> Iterator[Part]:
    """What one output item says. Messages of others than the assistant (a compaction lists them) say nothing."""
    kind = text_of(item.get("type"))
    if kind == "message":
        if item.get("role", "assistant") == "assistant":
            yield from _said(item.get("content"))
    elif kind == "reasoning":
        thought = read_reasoning(item)
        if thought is not None:
            yield thought
    elif kind in _CALLS:
        custom = kind == "custom_tool_call"
        id = text_of(item.get("call_id")) or text_of(item.get("id"))
        yield ToolCall(id=id, name=text_of(item.get("name")), arguments=arguments_of(item), custom=custom)
    elif kind == "image_generation_call":
        yield picture_of(item) or hosted_of(item)
    elif kind and kind not in _NO_OUTPUT:
        yield hosted_of(item)


def _said(content: object) -> Iterator[Part]:
    if isinstance(content, str):
        content = [{"type": "output_text", "text": content}]
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict):
            continue
        kind = part.get("type")
        if kind == "refusal":
            yield Refusal(text=text_of(part.get("refusal")))
        elif kind == "reasoning_text":
            yield Thinking(text=text_of(part.get("text")))
        elif text := text_of(part.get("text")):
            yield Text(text=text, citations=read_annotations(part.get("annotations")))


def arguments_of(item: Mapping[str, Any]) -> str:
    """A call's arguments or input as text; some vendors send the object itself."""
    if item.get("type") == "custom_tool_call":
        return text_of(item.get("input"))
    arguments = item.get("arguments")
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    return text_of(arguments) or "{}"


def picture_of(item: Mapping[str, Any]) -> Media | None:
    """What the image tool made, None where it made nothing."""
    data = item.get("result")
    if not isinstance(data, str) or not data:
        return None
    if data.startswith(("data:", "http://", "https://")):
        try:
            return media_at(data, "image", "result")
        except BadRequest:
            return None
    form = item.get("output_format")
    media_type = sniffed(data) or (f"image/{form}" if isinstance(form, str) else "image/png")
    return Media(kind="image", media_type=media_type, data=data)


def hosted_of(item: dict[str, Any]) -> Hosted:
    return Hosted(kind=hosted_kind(text_of(item.get("type"))), sealed=Opaque(dialect=DIALECT, data=item))


def finish_of(response: Mapping[str, Any], parts: list[Part]) -> tuple[FinishReason, str, str]:
    """(how it ended, the vendor's own word, an explanation). Calls are handed out whatever the vendor says, except
    where the output limit cut the last of them."""
    details = response.get("incomplete_details")
    reason = text_of(details.get("reason")) if isinstance(details, Mapping) else ""
    raw = reason or text_of(response.get("status"))
    cut = reason in _LENGTH or raw == "incomplete"  # without a reason it is hardly anything else
    if cut and parts and not (isinstance(parts[-1], ToolCall) and _is_whole(parts[-1])):
        return "length", raw, ""
    if any(isinstance(part, ToolCall) for part in parts):
        return "tool_calls", raw, ""
    if cut:
        return "length", raw, ""
    if reason == "content_filter":
        return "content_filter", raw, ""
    if reason or response.get("status") not in (None, "completed"):
        return "unknown", raw, ""
    if any(isinstance(part, Refusal) for part in parts):
        return "refusal", raw, ""
    return "stop", raw, ""


def usage_of_response(response: Mapping[str, Any], quirks: Quirks) -> Usage | None:
    """Its usage, with the vendor's own tools that are charged by the call."""
    usage = read_usage(response, quirks)
    if usage is None or not (calls := tool_calls(response.get("output"))):
        return usage
    return replace(usage, counts={**usage.counts, **calls})


def chat_logprobs(tokens: object) -> dict[str, Any] | None:
    """An output text's logprobs in chat's shape, None where there are none."""
    return {"content": tokens, "refusal": None} if isinstance(tokens, list) and tokens else None


def _logprobs(items: list[dict[str, Any]]) -> dict[str, Any] | None:
    found: list[Any] = []
    for item in items:
        content = item.get("content") if item.get("type") == "message" else None
        for part in content if isinstance(content, list) else ():
            tokens = part.get("logprobs") if isinstance(part, dict) else None
            found += tokens if isinstance(tokens, list) else ()
    return chat_logprobs(found)


def _is_whole(call: ToolCall) -> bool:
    if call.custom:
        return False
    try:
        msgspec.json.decode(call.arguments)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def part_of(event: Mapping[str, Any]) -> int:
    """Which content part of its item an event speaks of."""
    number = event.get("content_index")
    return number if isinstance(number, int) else 0


def text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0
