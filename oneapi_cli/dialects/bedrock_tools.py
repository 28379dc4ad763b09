"""Tools of a conversation → `toolConfig`.

A history with calls or results demands a `toolConfig`, and there is no choice `none`: tools that may not be called are
left out where the history allows it, else they stay (note `changed:tool_choice`). Of the tools that the vendor runs,
Nova's are asked for by name; others have none.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html ·
https://docs.aws.amazon.com/nova/latest/userguide/tool-built-in.html (2026-11)
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..values.conversation import CacheMark, Conversation
from ..values.errors import BadRequest
from ..values.vendor import Traits
from .anthropic_tooling import Entry, Tooling
from .anthropic_tooling import write_tools as _written
from .bedrock_names import SYSTEM_TOOLS
from .bedrock_turns import TurnWriter, cache_point

_MOST_NAME = 64


class ToolConfig(Struct, kw_only=True):
    """config: None where none is to be sent; forced: it demands a call."""

    config: dict[str, Any] | None
    forced: bool = False
    notes: list[str]


def write_tools(talk: Conversation, turns: TurnWriter, *, stand_in: Entry | None, traits: Traits) -> ToolConfig:
    """turns: of the history, for the tools that were called there; stand_in: the tool that an output format became.
    Raises BadRequest for a name that Converse does not take."""
    called = turns.called_tools()
    written = _written(replace(talk, hosted=()), called, stand_in=stand_in, structured=traits.structured)
    notes = written.notes
    system = _system_tools(talk, turns, notes, traits)
    if talk.parallel_tools is False and talk.tools:
        notes.append("dropped:parallel_tool_calls")
    choice = written.choice["type"] if written.choice is not None else ""
    if choice == "none" and not called and not system:
        return ToolConfig(config=None, notes=notes)
    tools: list[dict[str, Any]] = []
    for entry in written.tools:
        tools += _tool(entry, notes, traits)
    tools += system
    if not tools:
        return ToolConfig(config=None, notes=notes)
    config: dict[str, Any] = {"tools": tools}
    if choice == "none":
        notes.append("changed:tool_choice")
    elif choice:
        config["toolChoice"] = _choice(written, choice)
    return ToolConfig(config=config, forced=choice in ("any", "tool"), notes=notes)


def _choice(written: Tooling, kind: str) -> dict[str, Any]:
    assert written.choice is not None, "there is a choice"
    return {"tool": {"name": written.choice["name"]}} if kind == "tool" else {kind: {}}


def _tool(entry: Entry, notes: list[str], traits: Traits) -> list[dict[str, Any]]:
    """One tool as Anthropic's format has it → as Converse does, with its cache breakpoint."""
    name = entry["name"]
    if len(name) > _MOST_NAME:
        raise BadRequest(f"`tools` has a name of more than {_MOST_NAME} characters: {name!r}", member="tools")
    spec: dict[str, Any] = {"name": name, "inputSchema": {"json": entry["input_schema"]}}
    if entry.get("description"):
        spec["description"] = entry["description"]
    if entry.get("strict"):
        spec["strict"] = True
    mark = entry.get("cache_control")
    if mark is None:
        return [{"toolSpec": spec}]
    if traits.thinking not in ("budget", "adaptive"):  # Nova caches prompts, tools not
        notes.append("dropped:cache_control")
        return [{"toolSpec": spec}]
    return [{"toolSpec": spec}, cache_point(CacheMark(ttl=mark.get("ttl", "")))]


def _system_tools(talk: Conversation, turns: TurnWriter, notes: list[str], traits: Traits) -> list[dict[str, Any]]:
    """Those that were called before must be declared again."""
    found = turns.called_system_tools()
    for hosted in talk.hosted:
        name = SYSTEM_TOOLS.get(hosted.kind) if traits.thinking == "level" else None
        if name is None:
            notes.append(f"dropped:tool:{hosted.kind}")
        else:
            found.append(name)
    return [{"systemTool": {"name": name}} for name in dict.fromkeys(found)]
