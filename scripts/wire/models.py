"""The vendors' own models of a request: is a body valid in their terms?

`openai` and `anthropic` describe bodies as typed dicts, which are made strict here (no unknown member, and iterables
read to their end); `google-genai` as models that forbid what they do not know; Bedrock's is botocore's service model,
with its patterns and enums, which botocore's validator leaves to the service. Cohere, Ollama and Replicate publish no
package for Python that is installed here: their few rules are written down from their references.
Rules that no model says (who may follow whom, what answers what) are in `rules.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from anthropic.types import message_create_params
from botocore.validate import ParamValidator
from google.genai import types as google
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from .shapes import fault_of

Object = Mapping[str, Any]


def model_problems(dialect: str, body: Object) -> Iterator[str]:
    """What the vendor's model has against a body; nothing for a dialect that has no model here."""
    check = _MODELS.get(dialect)
    if check is not None:
        yield from check(body)


@cache
def _strict(kind: Any) -> SchemaValidator:
    """A typed dict's validator that forbids unknown members and reads every iterable to its end."""

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            made = {name: walk(value) for name, value in node.items()}
            if made.get("type") == "generator":
                made["type"] = "list"
            if made.get("type") == "typed-dict":
                made["extra_behavior"] = "forbid"
            return made
        return [walk(value) for value in node] if isinstance(node, list) else node

    return SchemaValidator(walk(TypeAdapter(kind).core_schema))


def _of_typed(kind: Any, stream: Any, older: frozenset[str] = frozenset()) -> Callable[[Object], Iterator[str]]:
    """older: members that the package has forgotten and that older models still take."""

    def check(body: Object) -> Iterator[str]:
        known = {name: value for name, value in body.items() if name not in older}
        try:
            _strict(stream if body.get("stream") else kind).validate_python(known)
        except ValidationError as fault:
            yield _deepest(fault)

    return check


def _deepest(fault: ValidationError) -> str:
    """Of a union's many faults, those of the variant that came furthest say the most."""
    faults = sorted(fault.errors(include_url=False), key=lambda each: -len(each["loc"]))
    said = [f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']} ({each['input']!r:.80})" for each in faults]
    return f"invalid: {'; '.join(said[:2])}" + (f" and {len(said) - 2} more" if len(said) > 2 else "")


# --- Google ---------------------------------------------------------------------------------------------------------

_GEMINI: Mapping[str, tuple[type[BaseModel], bool]] = {
    "contents": (google.Content, True),
    "systemInstruction": (google.Content, False),
    "tools": (google.Tool, True),
    "toolConfig": (google.ToolConfig, False),
    "generationConfig": (google.GenerationConfig, False),
    "safetySettings": (google.SafetySetting, True),
}
_GEMINI_PLAIN = {"cachedContent": str, "labels": dict, "serviceTier": str, "store": bool}


def _gemini(body: Object) -> Iterator[str]:
    for name, value in body.items():
        if name in _GEMINI_PLAIN and isinstance(value, _GEMINI_PLAIN[name]):
            continue
        if name not in _GEMINI:
            yield f"{name} is no member of a GenerateContentRequest"
            continue
        model, several = _GEMINI[name]
        for number, each in enumerate(value if several else [value]):
            try:
                model.model_validate_json(json.dumps(each))
            except ValidationError as fault:
                yield f"{name}.{number}: {fault_of(fault)}"
    if not body.get("contents"):
        yield "contents are empty"


# --- Bedrock --------------------------------------------------------------------------------------------------------


@cache
def _converse() -> Any:
    return botocore.session.Session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def _bedrock(body: Object) -> Iterator[str]:
    given = {"modelId": "us.some-model-v1:0", **body}
    report = ParamValidator().validate(given, _converse())
    if report.has_errors():
        yield f"botocore: {report.generate_report()}"
        return
    yield from _shape_problems(given, _converse(), "")


def _shape_problems(value: Any, shape: Any, place: str) -> Iterator[str]:
    """Enums, patterns and lengths."""
    if shape.type_name == "structure":
        if getattr(shape, "is_document_type", False):
            return
        for name, inner in value.items():
            yield from _shape_problems(inner, shape.members[name], f"{place}.{name}")
    elif shape.type_name == "list":
        for number, inner in enumerate(value):
            yield from _shape_problems(inner, shape.member, f"{place}[{number}]")
    elif shape.type_name == "map":
        for name, inner in value.items():
            yield from _shape_problems(inner, shape.value, f"{place}.{name}")
    elif shape.type_name == "string":
        yield from _string_problems(value, shape, place)


def _string_problems(value: str, shape: Any, place: str) -> Iterator[str]:
    rules = shape.metadata
    if shape.enum and value not in shape.enum:
        yield f"{place} is {value!r}, none of {shape.enum[:12]}"
    if "pattern" in rules and not re.fullmatch(rules["pattern"].replace("\\p{Z}", " "), value, re.DOTALL):
        yield f"{place} {value!r:.80} does not match {rules['pattern']}"
    if not rules.get("min", 0) <= len(value) <= rules.get("max", len(value)):
        yield f"{place} has {len(value)} characters"


# --- written down ---------------------------------------------------------------------------------------------------

_COHERE = {
    *("model", "messages", "tools", "strict_tools", "documents", "citation_options", "response_format", "safety_mode"),
    *("max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty", "presence_penalty", "k", "p"),
    *("logprobs", "tool_choice", "thinking", "priority", "stream", "raw_prompting", "return_prompt"),
}
_COHERE_MESSAGE = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "tool_plan", "citations"},
    "tool": {"role", "content", "tool_call_id"},
}
_OLLAMA = {
    "model",
    "messages",
    "tools",
    "format",
    "options",
    "stream",
    "think",
    "keep_alive",
    "logprobs",
    "top_logprobs",
}
_OLLAMA_MESSAGE = {"role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"}
_REPLICATE = {"input", "stream", "webhook", "webhook_events_filter", "version"}


def _cohere(body: Object) -> Iterator[str]:
    """https://docs.cohere.com/reference/chat (2026-11)"""
    yield from _unknown(body, _COHERE, "")
    if body.get("tool_choice") not in (None, "REQUIRED", "NONE"):
        yield f"tool_choice is {body['tool_choice']!r}"
    for number, message in enumerate(body["messages"]):
        place = f"messages[{number}]"
        if message["role"] not in _COHERE_MESSAGE:
            yield f"{place}.role is {message['role']!r}"
            continue
        yield from _unknown(message, _COHERE_MESSAGE[message["role"]], place)
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        allowed = {
            "user": {"text", "image_url"},
            "assistant": {"text", "thinking"},
            "tool": {"text", "document"},
            "system": {"text"},
        }[message["role"]]
        yield from (f"{place} has a {part['type']}" for part in parts if part["type"] not in allowed)
        if message["role"] != "tool" and not content and not message.get("tool_calls"):
            yield f"{place} has neither content nor calls"
    if not body["messages"]:
        yield "messages are empty"


def _ollama(body: Object) -> Iterator[str]:
    """https://docs.ollama.com/api/chat (2026-11)"""
    yield from _unknown(body, _OLLAMA, "")
    for number, message in enumerate(body["messages"]):
        place = f"messages[{number}]"
        yield from _unknown(message, _OLLAMA_MESSAGE, place)
        if message["role"] not in ("system", "user", "assistant", "tool"):
            yield f"{place}.role is {message['role']!r}"
        if not isinstance(message.get("content", ""), str):
            yield f"{place}.content is no text"
        for call in message.get("tool_calls") or ():
            if not isinstance(call["function"]["arguments"], dict):
                yield f"{place}: a call's arguments are no object"


def _replicate(body: Object) -> Iterator[str]:
    """https://replicate.com/docs/reference/http#models.predictions.create (2026-11)"""
    yield from _unknown(body, _REPLICATE, "")
    if not isinstance(body.get("input"), dict):
        yield "input is no object"


def _unknown(given: Object, known: set[str], place: str) -> Iterator[str]:
    yield from (f"{place or 'the body'} has {name!r}, which is not known there" for name in given if name not in known)


_MODELS: Mapping[str, Callable[[Object], Iterator[str]]] = {
    "openai_chat": _of_typed(
        completion_create_params.CompletionCreateParamsNonStreaming,
        completion_create_params.CompletionCreateParamsStreaming,
    ),
    "openai_responses": _of_typed(
        response_create_params.ResponseCreateParamsNonStreaming, response_create_params.ResponseCreateParamsStreaming
    ),
    "anthropic_messages": _of_typed(
        message_create_params.MessageCreateParamsNonStreaming,
        message_create_params.MessageCreateParamsStreaming,
        frozenset({"temperature", "top_p", "top_k"}),
    ),
    "gemini": _gemini,
    "bedrock_converse": _bedrock,
    "cohere_chat": _cohere,
    "ollama": _ollama,
    "replicate": _replicate,
}
