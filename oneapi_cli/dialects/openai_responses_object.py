"""The response object: what it repeats of the request, its usage, its ids.

Source: https://platform.openai.com/docs/api-reference/responses/object (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..values.conversation import Citation, FinishReason
from ..values.errors import GatewayError
from ..values.usage import Usage
from .dialect import ReplyHead
from .openai_responses_content import DIALECT

Json = dict[str, Any]

_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_INCOMPLETE: Mapping[FinishReason, str] = {
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "content_filter": "content_filter",
}
# What `response.error.code` may say; the SDK types it as one of these.
_ERROR_CODES = frozenset(
    {
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "data_residency_mismatch",
        "bio_policy",
        "misalignment_policy_violation",
        "vector_store_timeout",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    }
)
_THROTTLED = 429
_BAD_REQUEST = 400


def response_object(head: ReplyHead, model: str, created: int) -> Json:
    """A response that has just begun. Sampling members that the client left open are OpenAI's defaults, as OpenAI
    itself says them; nothing is stored here, so `store` is false."""
    asked = head.asked
    reasoning = _object(asked.get("reasoning"))
    text = _object(asked.get("text"))
    return {
        "id": f"resp_{head.request_id}",
        "object": "response",
        "created_at": created or head.created,
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "max_tool_calls": asked.get("max_tool_calls"),
        "model": model or head.model,
        "output": [],
        "parallel_tool_calls": _or(asked.get("parallel_tool_calls"), True),
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": asked.get("prompt_cache_key"),
        "reasoning": {
            "effort": reasoning.get("effort"),
            "summary": reasoning.get("summary") or reasoning.get("generate_summary"),
        },
        "safety_identifier": asked.get("safety_identifier"),
        "service_tier": "default",
        "store": False,
        "temperature": _or(asked.get("temperature"), 1.0),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": _tool_choice(asked.get("tool_choice")),
        "tools": _tools(asked.get("tools")),
        "top_logprobs": _or(asked.get("top_logprobs"), 0),
        "top_p": _or(asked.get("top_p"), 1.0),
        "truncation": asked.get("truncation") or "disabled",
        "usage": None,
        "user": asked.get("user"),
        "metadata": _object(asked.get("metadata")),
    }


def end_response(response: Json, finish: FinishReason, explanation: str, usage: Usage | None) -> None:
    """Fill in how it ended and what it used; `output` stands there already. Who declined without a word of its own was
    stopped by a filter, in this format's terms."""
    reason = _INCOMPLETE.get(finish)
    if finish == "refusal" and not _refuses(response["output"]):
        reason = "content_filter"
    if reason is not None:
        response["status"], response["incomplete_details"] = "incomplete", {"reason": reason}
    elif finish == "error":
        said = explanation or "The model could not finish its answer"
        response["status"], response["error"] = "failed", {"code": "server_error", "message": said}
    else:
        response["status"] = "completed"
    note_usage(response, usage)


def _refuses(output: list[Json]) -> bool:
    return any(part.get("type") == "refusal" for item in output for part in item.get("content") or ())


def fail_response(response: Json, error: GatewayError, request_id: str, usage: Usage | None) -> None:
    """Fill in what broke it. A code that OpenAI does not have becomes the one of its own that clients act on alike."""
    code = error.code
    if code not in _ERROR_CODES:
        code = "server_error"
        if error.status == _THROTTLED:
            code = "rate_limit_exceeded"
        elif error.status == _BAD_REQUEST:
            code = "invalid_prompt"
    response["status"] = "failed"
    response["error"] = {"code": code, "message": f"{error.message} (request id: {request_id})"}
    note_usage(response, usage)


def note_usage(response: Json, usage: Usage | None) -> None:
    if usage is None:
        return
    if usage.tier in _TIERS:
        response["service_tier"] = usage.tier
    given, produced = int(usage.get("input_tokens")), int(usage.get("output_tokens"))
    response["usage"] = {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": int(usage.get("cache_read_tokens")),
            "cache_write_tokens": int(usage.get("cache_write_tokens")),
        },
        "output_tokens": produced,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": given + produced,
    }


def annotation_of(citation: Citation, start: int, length: int) -> Json:
    """A citation of a text that begins `start` characters into its content part and is `length` characters long.

    Without a URL it is a document that the client sent: a file citation, which knows no id here.
    """
    raw = citation.raw
    if raw is not None and raw.dialect == DIALECT:
        return dict(raw.data)
    first = start if citation.start is None else start + citation.start
    last = start + length if citation.end is None else start + citation.end
    if not citation.url:
        return {"type": "file_citation", "file_id": "", "filename": citation.title, "index": last}
    title = citation.title or citation.url
    return {"type": "url_citation", "url": citation.url, "title": title, "start_index": first, "end_index": last}


def logprobs_of(said: Any) -> list[Json]:  # whatever a decoder handed on
    """Chat's `{"content": […]}` (or the bare list) as an output text has it, every member there."""
    tokens = said.get("content") if isinstance(said, Mapping) else said
    return [_logprob(token) for token in tokens or () if isinstance(token, Mapping)]


def _logprob(token: Mapping[str, Any]) -> Json:
    text = token.get("token") or ""
    found: Json = {"token": text, "logprob": token.get("logprob") or 0.0}
    found["bytes"] = token.get("bytes") or list(text.encode())
    others = (other for other in token.get("top_logprobs") or () if isinstance(other, Mapping))
    found["top_logprobs"] = [{k: v for k, v in _logprob(other).items() if k != "top_logprobs"} for other in others]
    return found


def _tool_choice(asked: Any) -> Any:
    inner = asked.get("function") if isinstance(asked, Mapping) else None
    if isinstance(inner, Mapping):  # asked in chat's way
        return {"type": "function", "name": inner.get("name")}
    return asked or "auto"


def _tools(asked: Any) -> list[Json]:
    """The client's tools, with the members that the SDK's types ask for."""
    found: list[Json] = []
    for tool in asked if isinstance(asked, list) else ():
        given = {**tool}
        if isinstance(given.get("function"), Mapping):
            given = {"type": "function", **given["function"]}
        if given.get("type") == "function":
            given = {"description": None, "parameters": None, "strict": None, **given}
        found.append(given)
    return found


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value
