"""Tools, the choice among them and the output format, as chat's clients write them and as its vendors take them.

A custom tool's grammar is kept the way Responses writes it (`{"type": "grammar", "syntax", "definition"}`): chat nests
the last two in a `grammar` of their own. A choice among some of the tools is sent as just those tools, which every
vendor of this format understands; `allowed_tools` is OpenAI's alone.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ..values.conversation import Conversation, HostedTool, Opaque, OutputFormat, Tool, ToolChoice
from .openai_chat_media import DIALECT
from .openai_chat_turns import read_mark
from .reading import Object, at, fault, get_flag, get_object, get_text, need_choice, need_text, objects_in

_HOSTED_KINDS = {
    "web_search": "web_search",
    "browser_search": "web_search",
    "google_search": "web_search",
    "live_search": "web_search",
    "code_interpreter": "code_execution",
    "code_execution": "code_execution",
    "web_fetch": "url_context",
    "url_context": "url_context",
    "file_search": "file_search",
    "image_generation": "image_generation",
    "computer": "computer",
    "computer_use": "computer",
    "mcp": "mcp",
}
_DECORATION = re.compile(r"^[a-z]+:|(_preview)?(_\d{4}_?\d{2}_?\d{2})?$")  # `openrouter:…`, `…_preview`, `…_20250305`

_FORMAT_NAME = re.compile(r"[^a-zA-Z0-9_-]+")

NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


# --- what a client sends --------------------------------------------------------------------------------------------


def read_tools(body: Object) -> tuple[tuple[Tool, ...], tuple[HostedTool, ...]]:
    """`tools`, the older `functions`, and `web_search_options`. Raises BadRequest naming the tool."""
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    for place, tool in objects_in(body, "tools"):
        kind = get_text(tool, "type", place) or ("custom" if "custom" in tool else "function")
        if kind == "function":
            holder = get_object(tool, "function", place)
            tools.append(_function(holder, at(place, "function"), tool, place))
        elif kind == "custom":
            tools.append(_custom(tool, place))
        else:
            hosted.append(HostedTool(kind=_hosted_kind(kind, place), own=Opaque(dialect=DIALECT, data=dict(tool))))
    for place, function in objects_in(body, "functions"):
        tools.append(_function(function, place, function, place))
    options = get_object(body, "web_search_options")
    if options is not None:
        own = Opaque(dialect=DIALECT, data={"web_search_options": dict(options)})
        hosted.append(HostedTool(kind="web_search", own=own))
    return tuple(tools), tuple(hosted)


def _function(holder: Object | None, place: str, tool: Object, tool_place: str) -> Tool:
    if holder is None:
        raise fault(place, "is required")
    return Tool(
        name=need_text(holder, "name", place),
        description=get_text(holder, "description", place) or "",
        schema=get_object(holder, "parameters", place),
        strict=get_flag(holder, "strict", place),
        cache=read_mark(tool, tool_place) or read_mark(holder, place),
    )


def _custom(tool: Object, place: str) -> Tool:
    holder, where = get_object(tool, "custom", place), at(place, "custom")
    if holder is None:
        raise fault(where, "is required")
    form = get_object(holder, "format", where)
    grammar: Mapping[str, Any] | None = None
    if form is not None and form.get("type") != "text":
        nested = get_object(form, "grammar", at(where, "format"))
        grammar = {"type": "grammar", **nested} if nested is not None else form
    return Tool(
        name=need_text(holder, "name", where),
        description=get_text(holder, "description", where) or "",
        custom=True,
        grammar=grammar,
        cache=read_mark(tool, place),
    )


def _hosted_kind(word: str, place: str) -> str:
    kind = _HOSTED_KINDS.get(_DECORATION.sub("", word))
    if kind is None:
        raise fault(at(place, "type"), f"is {word[:40]!r}, which is no tool that is known here: say function or custom")
    return kind


def read_choice(body: Object, tools: Iterable[Tool]) -> ToolChoice | None:
    """`tool_choice`, or the older `function_call`. Raises BadRequest, also for a tool that is not offered."""
    name = "tool_choice" if body.get("tool_choice") is not None else "function_call"
    value = body.get(name)
    if value is None:
        return None
    names = {tool.name for tool in tools}
    choice = _word_choice(value, name) if isinstance(value, str) else _named_choice(value, name)
    unknown = next((wanted for wanted in choice.names if wanted not in names), None)
    if unknown is not None:
        raise fault(name, f"names {unknown[:64]!r}, which is not among `tools`")
    if choice.mode == "required" and not names:
        raise fault(name, "asks for a call, and there are no tools")
    return choice if names else None


def _word_choice(word: str, place: str) -> ToolChoice:
    need_choice(word, ("auto", "none", "required", "any"), place)
    modes: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none"}
    return ToolChoice(mode=modes.get(word, "required"))


def _named_choice(value: object, place: str) -> ToolChoice:
    if not isinstance(value, Mapping):
        raise fault(place, "must be a string or an object")
    kind = get_text(value, "type", place) or "function"
    if kind in ("auto", "none", "required", "any"):
        return _word_choice(kind, at(place, "type"))
    if kind == "allowed_tools":
        return _allowed(value, place)
    need_choice(kind, ("function", "custom", "allowed_tools"), at(place, "type"))
    return ToolChoice(mode="named", names=(_name_in(value, kind, place),))


def _allowed(value: Object, place: str) -> ToolChoice:
    holder, where = get_object(value, "allowed_tools", place), at(place, "allowed_tools")
    if holder is None:
        holder, where = value, place
    mode = need_choice(get_text(holder, "mode", where) or "auto", ("auto", "required"), at(where, "mode"))
    names = [
        _name_in(tool, get_text(tool, "type", inner) or "function", inner)
        for inner, tool in objects_in(holder, "tools", where)
    ]
    if not names:
        raise fault(at(where, "tools"), "must name at least one tool")
    return ToolChoice(mode="required" if mode == "required" else "auto", names=tuple(names))


def _name_in(holder: Object, kind: str, place: str) -> str:
    nested = get_object(holder, kind, place)
    return need_text(holder, "name", place) if nested is None else need_text(nested, "name", at(place, kind))


def read_format(body: Object) -> OutputFormat | None:
    """`response_format`. Raises BadRequest."""
    form = get_object(body, "response_format")
    if form is None:
        return None
    place = "response_format"
    kind = need_choice(need_text(form, "type", place), ("text", "json_object", "json_schema"), at(place, "type"))
    if kind == "text":
        return OutputFormat(kind="text")
    if kind == "json_object":
        schema = get_object(form, "schema", place)  # Together, Fireworks: the schema stands beside it
        return OutputFormat(kind="json_object") if schema is None else OutputFormat(kind="json_schema", schema=schema)
    holder, where = get_object(form, "json_schema", place), at(place, "json_schema")
    if holder is None:
        raise fault(where, "is required")
    return OutputFormat(
        kind="json_schema",
        name=get_text(holder, "name", where) or "",
        description=get_text(holder, "description", where) or "",
        schema=get_object(holder, "schema", where),
        strict=get_flag(holder, "strict", where),
    )


# --- what goes to a vendor ------------------------------------------------------------------------------------------


def tool_members(talk: Conversation, notes: list[str], *, marks: bool, searches: bool) -> dict[str, Any]:
    """`tools`, `tool_choice` and the rest of what concerns them. marks: whether cache marks are taken; searches:
    whether the model takes `web_search_options`."""
    choice = talk.tool_choice
    tools = talk.tools
    if choice is not None and choice.names and choice.mode != "named":
        tools = tuple(tool for tool in tools if tool.name in choice.names) or tools
        notes.append("changed:tools")
    sent = [_tool(tool, notes, marks=marks) for tool in tools]
    members = _hosted(talk, sent, notes, searches=searches)
    if sent:
        members["tools"] = sent
    if tools and choice is not None:
        members["tool_choice"] = _choice(choice, tools)
    if tools and talk.parallel_tools is not None:
        members["parallel_tool_calls"] = talk.parallel_tools
    return members


def _tool(tool: Tool, notes: list[str], *, marks: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"name": tool.name}
    if tool.description:
        body["description"] = tool.description
    if tool.custom:
        grammar = tool.grammar
        if grammar is not None and grammar.get("type") == "grammar" and "grammar" not in grammar:
            grammar = {"type": "grammar", "grammar": {name: grammar[name] for name in grammar if name != "type"}}
        if grammar is not None:
            body["format"] = grammar
        sent: dict[str, Any] = {"type": "custom", "custom": body}
    else:
        body["parameters"] = tool.schema or NO_ARGUMENTS
        if tool.strict is not None:
            body["strict"] = tool.strict
        sent = {"type": "function", "function": body}
    if tool.cache is not None and marks:
        sent["cache_control"] = {"type": "ephemeral", **({"ttl": tool.cache.ttl} if tool.cache.ttl else {})}
    elif tool.cache is not None:
        notes.append("dropped:cache_control")
    return sent


def _hosted(talk: Conversation, sent: list[dict[str, Any]], notes: list[str], *, searches: bool) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for tool in talk.hosted:
        own = tool.own.data if tool.own.dialect == DIALECT and isinstance(tool.own.data, dict) else None
        if own is not None and "web_search_options" in own:
            members["web_search_options"] = own["web_search_options"]
        elif own is not None:
            sent.append(own)
        elif tool.kind == "web_search" and searches:
            members["web_search_options"] = {}
        else:
            notes.append(f"dropped:tool:{tool.kind}")
    return members


def _choice(choice: ToolChoice, tools: Iterable[Tool]) -> str | dict[str, Any]:
    if choice.mode != "named":
        return choice.mode
    custom = any(tool.custom and tool.name in choice.names for tool in tools)
    kind = "custom" if custom else "function"
    return {"type": kind, kind: {"name": choice.names[0]}}


def format_member(form: OutputFormat) -> dict[str, Any]:
    """`response_format`. A schema's name is made to fit: letters, digits, `_` and `-`."""
    if form.kind != "json_schema":
        return {"type": form.kind}
    held: dict[str, Any] = {"name": _FORMAT_NAME.sub("_", form.name)[:64] or "response"}
    if form.description:
        held["description"] = form.description
    if form.schema is not None:
        held["schema"] = form.schema
    if form.strict is not None:
        held["strict"] = form.strict
    return {"type": "json_schema", "json_schema": held}
