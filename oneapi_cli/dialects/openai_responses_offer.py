"""The tools of a conversation, and which of them may be called, in Responses' words.

Source: https://platform.openai.com/docs/guides/tools (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..values.conversation import Conversation, HostedTool, Tool, ToolChoice
from .openai_responses_content import DIALECT

Json = dict[str, Any]


def tools_of(talk: Conversation, notes: list[str]) -> Json:
    """`tools`, `tool_choice` and `parallel_tool_calls`, as far as there is anything to say."""
    tools = [_tool(tool, notes) for tool in talk.tools]
    for hosted in talk.hosted:
        found = _hosted(hosted, notes)
        if found is None:
            notes.append(f"dropped:tool:{hosted.kind}")
        else:
            tools.append(found)
    if "image" in talk.modalities and not any(tool["type"] == "image_generation" for tool in tools):
        tools.append({"type": "image_generation"})
    if not tools:
        return {}
    body: Json = {"tools": tools}
    if talk.tool_choice is not None:
        body["tool_choice"] = _choice(talk.tool_choice, {tool.name for tool in talk.tools if tool.custom})
    if talk.parallel_tools is not None:
        body["parallel_tool_calls"] = talk.parallel_tools
    return body


def _tool(tool: Tool, notes: list[str]) -> Json:
    """strict is said outright: where it is left out, Responses makes a schema strict by itself and thereby all of its
    members required."""
    found: Json = {"type": "custom" if tool.custom else "function", "name": tool.name}
    if tool.description:
        found["description"] = tool.description
    if tool.cache is not None:
        notes.append("dropped:cache_control")
    if tool.custom:
        if tool.grammar is not None:
            found["format"] = _grammar(tool.grammar)
        return found
    schema = tool.schema
    found["parameters"] = dict(schema) if schema else {"type": "object", "properties": {}}
    found["strict"] = bool(tool.strict)
    return found


def _grammar(grammar: Mapping[str, Any]) -> Json:
    """Chat has the grammar itself in a member of its own; here it stands beside `type`."""
    inner = grammar.get("grammar")
    return {"type": "grammar", **inner} if isinstance(inner, Mapping) else dict(grammar)


def _hosted(tool: HostedTool, notes: list[str]) -> Json | None:
    own = tool.own.data if isinstance(tool.own.data, Mapping) else {}
    if tool.own.dialect == DIALECT:
        return dict(own)
    if tool.kind == "web_search":
        return _web_search(own, notes)
    if tool.kind == "code_execution":
        return {"type": "code_interpreter", "container": {"type": "auto"}}
    return {"type": "image_generation"} if tool.kind == "image_generation" else None


def _web_search(own: Mapping[str, Any], notes: list[str]) -> Json:
    """Anthropic's members stand in the tool, chat's in `web_search_options`; Gemini's has none that count here."""
    found: Json = {"type": "web_search"}
    if own.get("allowed_domains"):
        found["filters"] = {"allowed_domains": own["allowed_domains"]}
    if own.get("search_context_size"):
        found["search_context_size"] = own["search_context_size"]
    where = own.get("user_location")
    if isinstance(where, Mapping):
        inner = where.get("approximate")
        place = inner if isinstance(inner, Mapping) else where
        names = ("city", "country", "region", "timezone")
        found["user_location"] = {"type": "approximate", **{name: place[name] for name in names if place.get(name)}}
    notes += [f"dropped:{name}" for name in ("max_uses", "blocked_domains") if own.get(name)]
    return found


def _choice(choice: ToolChoice, custom: set[str]) -> Any:
    named = [{"type": "custom" if name in custom else "function", "name": name} for name in choice.names]
    if not named or choice.mode == "none":
        return choice.mode if choice.mode != "named" else "required"
    if choice.mode == "named":
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": named}
