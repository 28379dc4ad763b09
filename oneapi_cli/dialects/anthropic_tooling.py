"""Tools of a conversation → `tools` and `tool_choice`.

A tool that takes free text becomes one with a single member (note `changed:tool:custom`). `strict` is said only where
the schema can be enforced as it stands. Tools that the vendor runs are those that Anthropic has too. Where a history
has calls and the request no tools, the API still wants them declared: they are, and may not be called unless the client
says `auto` outright.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from ..values.conversation import Conversation, HostedTool, Tool, ToolChoice
from ..values.errors import BadRequest
from .anthropic_names import CUSTOM_INPUT, NAME
from .anthropic_schemas import fits, object_schema

Entry = dict[str, Any]

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")

_OF_KIND: Mapping[str, Entry] = {
    "web_search": {"type": "web_search_20250305", "name": "web_search"},
    "code_execution": {"type": "code_execution_20250825", "name": "code_execution"},
    "url_context": {"type": "web_fetch_20250910", "name": "web_fetch"},
}


class Tooling(Struct, kw_only=True):
    """choice: `tool_choice`, None to leave it unsaid; is_forced: it demands a call."""

    tools: list[Entry]
    choice: Entry | None = None
    is_forced: bool = False
    notes: list[str] = []


def write_tools(talk: Conversation, called: Sequence[str], *, stand_in: Entry | None, structured: bool) -> Tooling:
    """called: names of tools in the history; stand_in: the tool that an output format became, which must then be
    called, or another one. Raises BadRequest for a name that the API does not take."""
    notes: list[str] = []
    allowed = talk.tool_choice.names if talk.tool_choice is not None and talk.tool_choice.mode == "required" else ()
    wanted = [tool for tool in talk.tools if not allowed or tool.name in allowed]
    tools = [_entry(tool, notes, structured=structured) for tool in wanted]
    for hosted in talk.hosted:
        tools += _hosted(hosted, notes)
    if not tools and not stand_in and called:
        blank: Entry = {"type": "object", "properties": {}}
        says_auto = talk.tool_choice is not None and talk.tool_choice.mode == "auto"
        declared: list[Entry] = [{"name": name, "input_schema": blank} for name in called]
        return Tooling(tools=declared, choice=None if says_auto else {"type": "none"})
    choice = _choice(talk.tool_choice)
    if stand_in is not None:
        free = tools and (choice is None or choice["type"] != "none")
        choice = {"type": "any"} if free else {"type": "tool", "name": stand_in["name"]}
        tools.append(stand_in)
    elif not tools:
        choice = None
    if talk.parallel_tools is False and tools:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    forced = choice is not None and choice["type"] in ("any", "tool")
    return Tooling(tools=tools, choice=choice, is_forced=forced, notes=notes)


def _choice(choice: ToolChoice | None) -> Entry | None:
    if choice is None:
        return None
    if choice.mode == "named" and choice.names:
        return {"type": "tool", "name": choice.names[0]}
    return {"type": {"auto": "auto", "none": "none"}.get(choice.mode, "any")}


def _entry(tool: Tool, notes: list[str], *, structured: bool) -> Entry:
    if _NAME.match(tool.name) is None:
        raise BadRequest(f"`tools` has a name that this model does not take: {tool.name[:64]!r}", member="tools")
    entry: Entry = {"name": tool.name}
    if tool.description:
        entry["description"] = tool.description
    if tool.custom:
        notes.append("changed:tool:custom")
        described = {"type": "string", "description": _grammar(tool)}
        entry["input_schema"] = {
            "type": "object",
            "properties": {CUSTOM_INPUT: described},
            "required": [CUSTOM_INPUT],
        }
    else:
        entry["input_schema"] = object_schema(tool.schema)
        if tool.schema and entry["input_schema"].keys() < dict(tool.schema).keys():
            notes.append("changed:tool_schema")
    if tool.strict:
        if structured and fits(entry["input_schema"]):
            entry["strict"] = True
        else:
            notes.append("dropped:strict")
    if tool.cache is not None:
        mark = {"type": "ephemeral"}
        entry["cache_control"] = mark | ({"ttl": tool.cache.ttl} if tool.cache.ttl else {})
    return entry


def _grammar(tool: Tool) -> str:
    """What free text must look like, in words."""
    definition = (tool.grammar or {}).get("definition")
    return f"Free text of this grammar:\n{definition}" if isinstance(definition, str) else "Free text."


def _hosted(tool: HostedTool, notes: list[str]) -> list[Entry]:
    own = tool.own.data
    if tool.own.dialect == NAME and isinstance(own, Mapping):
        if tool.kind == "mcp" and "url" in own:
            notes.append("dropped:mcp_servers")
            return []
        return [dict(own)]
    entry = _OF_KIND.get(tool.kind)
    if entry is None:
        notes.append(f"dropped:tool:{tool.kind}")
        return []
    return [{**entry, **(_search_options(own) if tool.kind == "web_search" else {})}]


def _search_options(own: object) -> Entry:
    """Where the user is and which sites count, as OpenAI's tool has them."""
    if not isinstance(own, Mapping):
        return {}
    found: Entry = {}
    place = own.get("user_location")
    if isinstance(place, Mapping):
        inner = place.get("approximate")
        near = inner if isinstance(inner, Mapping) else place
        known = {name: near[name] for name in ("city", "region", "country", "timezone") if near.get(name)}
        found = {"user_location": {"type": "approximate", **known}} if known else {}
    filters = own.get("filters")
    domains = filters.get("allowed_domains") if isinstance(filters, Mapping) else None
    return found | ({"allowed_domains": list(domains)} if isinstance(domains, list) and domains else {})
