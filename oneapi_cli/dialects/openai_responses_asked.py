"""A client's Responses request → the conversation.

What only a vendor's memory could answer (`previous_response_id`, `conversation`, a `prompt` template, references to
stored items) is refused in a sentence; everything else that has no place in a conversation becomes a note.

Source: https://platform.openai.com/docs/api-reference/responses/create (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from msgspec import Struct

from ..values.conversation import Conversation, Effort, Notes, OutputFormat, Reasoning, Text, ToolChoice
from ..values.errors import BadRequest
from .openai_responses_content import DIALECT
from .openai_responses_history import History, needs_native
from .openai_responses_tools import LOCAL_TOOLS, Toolbox, read_toolbox
from .reading import (
    at,
    fault,
    get_flag,
    get_int,
    get_number,
    get_object,
    get_text,
    need_choice,
    need_text,
    objects_in,
    texts_in,
)

_KEPT_BY_VENDOR = ("previous_response_id", "conversation", "prompt")
_EFFORTS: tuple[str, ...] = get_args(Effort)
_LOGPROBS = "message.output_text.logprobs"

_CANONICAL = frozenset(
    {
        *_KEPT_BY_VENDOR,
        "background",
        "background_options",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",  # obfuscation of a stream, which is ours to give or not
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
    }
)


class _Output(Struct, frozen=True):
    """What `text`, `include` and `reasoning` ask for."""

    format: OutputFormat | None
    verbosity: str
    reasoning: Reasoning | None
    logprobs: bool | None


def decode_request(body: Mapping[str, Any]) -> tuple[Conversation, Notes]:
    """Raises BadRequest naming the member at fault."""
    notes: list[str] = []
    for name in _KEPT_BY_VENDOR:
        if body.get(name) is not None:
            raise needs_native(f"`{name}`", name)
    if get_flag(body, "background"):
        raise fault("background", "cannot be true here; leave it out")
    tools = read_toolbox(body)
    history = _history(body, tools)
    output = _output(body, notes)
    if get_flag(body, "store"):
        notes.append("dropped:store")
    talk = Conversation(
        model=need_text(body, "model"),
        turns=history.turns(),
        stream=bool(get_flag(body, "stream")),
        tools=tools.tools,
        hosted=tools.hosted,
        tool_choice=_tool_choice(body, tools, notes),
        parallel_tools=get_flag(body, "parallel_tool_calls"),
        limit=get_int(body, "max_output_tokens", least=1),
        temperature=get_number(body, "temperature"),
        top_p=get_number(body, "top_p"),
        logprobs=output.logprobs,
        top_logprobs=get_int(body, "top_logprobs"),
        reasoning=output.reasoning,
        format=output.format,
        verbosity=output.verbosity,
        tier=get_text(body, "service_tier") or "",
        user=get_text(body, "safety_identifier") or get_text(body, "user") or "",
        metadata=_metadata(body),
        cache_key=get_text(body, "prompt_cache_key") or "",
        store=get_flag(body, "store"),
        origin=DIALECT,
        extras=_extras(body),
    )
    return talk, tuple(dict.fromkeys((*notes, *history.notes)))


def _history(body: Mapping[str, Any], tools: Toolbox) -> History:
    history = History(tools)
    instructions = get_text(body, "instructions")
    if instructions:
        history.say("system", (Text(text=instructions),))
    given = body.get("input")
    if isinstance(given, str):
        if given:
            history.say("user", (Text(text=given),))
    else:
        for place, item in objects_in(body, "input"):
            history.add(item, place)
    if all(turn.role in ("system", "developer") for turn in history.turns()):
        raise fault("input", "must say something: a text, or at least one item of the user")
    return history


def _extras(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Members that only Responses knows. What is said of them is the default where it is said at all."""
    found = {name: value for name, value in body.items() if name not in _CANONICAL and value is not None}
    if found.get("truncation") == "disabled":
        del found["truncation"]
    return found


def _metadata(body: Mapping[str, Any]) -> Mapping[str, str] | None:
    found = get_object(body, "metadata")
    if found is None:
        return None
    for name, value in found.items():
        if not isinstance(value, str):
            raise fault(at("metadata", name), "must be a string")
    return found or None


def _output(body: Mapping[str, Any], notes: list[str]) -> _Output:
    text = get_object(body, "text") or {}
    include = texts_in(body, "include")
    if any(name not in (_LOGPROBS, "reasoning.encrypted_content") for name in include):
        notes.append("dropped:include")
    logprobs = True if _LOGPROBS in include or get_int(body, "top_logprobs") else None
    return _Output(_format(text), get_text(text, "verbosity", "text") or "", _reasoning(body, notes), logprobs)


def _format(text: Mapping[str, Any]) -> OutputFormat | None:
    form = get_object(text, "format", "text")
    if form is None:
        return None
    place = "text.format"
    kind = need_choice(need_text(form, "type", place), ("text", "json_object", "json_schema"), f"{place}.type")
    if kind == "json_object":
        return OutputFormat(kind="json_object")
    if kind == "text":
        return OutputFormat(kind="text")
    schema = get_object(form, "schema", place)
    if schema is None:
        raise fault(f"{place}.schema", "is required")
    return OutputFormat(
        kind="json_schema",
        name=need_text(form, "name", place),
        description=get_text(form, "description", place) or "",
        schema=schema,
        strict=get_flag(form, "strict", place),
    )


def _reasoning(body: Mapping[str, Any], notes: list[str]) -> Reasoning | None:
    said = get_object(body, "reasoning")
    if not said:
        return None
    effort = get_text(said, "effort", "reasoning")
    summary = get_text(said, "summary", "reasoning") or get_text(said, "generate_summary", "reasoning") or ""
    if effort is not None:
        need_choice(effort, _EFFORTS, "reasoning.effort")
    for name, plain in (("context", "auto"), ("mode", "standard")):
        if said.get(name) not in (None, plain):
            notes.append(f"dropped:reasoning.{name}")
    return Reasoning(
        enabled=False if effort == "none" else None,
        effort=effort,  # type: ignore[arg-type]  # it is one of them
        show=True if summary else None,
        summary=summary,
    )


def _tool_choice(body: Mapping[str, Any], tools: Toolbox, notes: list[str]) -> ToolChoice | None:
    choice = body.get("tool_choice")
    if choice is None:
        return None
    if isinstance(choice, str):
        mode = need_choice(choice, ("auto", "none", "required"), "tool_choice")
        return ToolChoice(mode=mode)  # type: ignore[arg-type]  # it is one of them
    if not isinstance(choice, Mapping):
        raise fault("tool_choice", "must be a string or an object")
    kind = need_text(choice, "type", "tool_choice")
    if kind in ("auto", "none", "required"):
        return ToolChoice(mode=kind)  # type: ignore[arg-type]  # it is one of them
    if kind == "allowed_tools":
        return _allowed(choice, tools, notes)
    name = _chosen(choice, tools, "tool_choice")
    if name is None:
        notes.append("dropped:tool_choice")
        return None
    return ToolChoice(mode="named", names=(name,))


def _allowed(choice: Mapping[str, Any], tools: Toolbox, notes: list[str]) -> ToolChoice:
    place = "tool_choice"
    mode = need_choice(get_text(choice, "mode", place) or "auto", ("auto", "required"), f"{place}.mode")
    found = [_chosen(tool, tools, where) for where, tool in objects_in(choice, "tools", place)]
    names = tuple(name for name in found if name is not None)
    if len(names) < len(found):
        notes.append("dropped:tool_choice")
    return ToolChoice(mode=mode, names=names)  # type: ignore[arg-type]  # it is one of them


def _chosen(tool: Mapping[str, Any], tools: Toolbox, place: str) -> str | None:
    """The name of the client's tool that is meant, None where the vendor's own is. Raises BadRequest for one that is
    not offered."""
    kind = need_text(tool, "type", place)
    if kind in LOCAL_TOOLS:
        name = tools.local_name(kind)
    elif kind in ("function", "custom"):
        inner = tool.get(kind)  # chat's way of saying it
        asked = need_text(inner if isinstance(inner, Mapping) else tool, "name", place)
        name = tools.name_of(asked, get_text(tool, "namespace", place) or "")
    else:
        return None
    if name not in tools.known:
        raise BadRequest(f"`{place}` names {name[:80]!r}, which is not among the tools", member=place)
    return name
