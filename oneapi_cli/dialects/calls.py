"""Tools and calls for formats like OpenAI's: ids for calls that have none, names for results that do not say theirs,
arguments as text or object, and what takes free text as a function with one member, `input`.

Formats differ in what a call must have. A client's format may know calls by name and place alone (Gemini's does), and
a vendor's wants ids; or the other way round.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..values.conversation import Tool, ToolCall, ToolResult, Turn

_anything = msgspec.json.Decoder()


class CallIds:
    """Ids and names of all calls and results of a conversation. Those without an id are numbered in their order, and
    their results belong to them by name, first come first served.
    """

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._ids: dict[int, str] = {}
        self._names: dict[str, str] = {}
        nameless: dict[str, deque[str]] = defaultdict(deque)
        parts = [part for turn in turns for part in turn.parts if isinstance(part, ToolCall | ToolResult)]
        for number, part in enumerate(parts):
            if isinstance(part, ToolCall):
                made = part.id or f"call_{number}"
                self._names[made] = part.name
                if not part.id:
                    nameless[part.name].append(made)
            else:
                waiting = nameless[part.name] if part.name else next((each for each in nameless.values() if each), None)
                made = part.id or (waiting.popleft() if waiting else f"call_{number}")
            self._ids[id(part)] = made
        self._parts = parts  # kept alive: they are known by their identity

    def of(self, part: ToolCall | ToolResult) -> str:
        """Its id, never ""."""
        return self._ids[id(part)]

    def name_of(self, result: ToolResult) -> str:
        """The tool's name, "" where no call of this id says it."""
        return result.name or self._names.get(self._ids[id(result)], "")


def merged(turns: Sequence[Turn]) -> list[Turn]:
    """Neighbouring turns of the user, and of the assistant, as one each: what answers calls then stands in the turn
    right after all of them."""
    found: list[Turn] = []
    for turn in turns:
        if found and found[-1].role == turn.role and turn.role in ("user", "assistant"):
            found[-1] = Turn(role=turn.role, parts=(*found[-1].parts, *turn.parts), name=found[-1].name)
        else:
            found.append(turn)
    return found


def function_tool(tool: Tool) -> dict[str, Any]:
    """`{"type": "function", "function": {"name", "description", "parameters"}}`, the latter always an object schema."""
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.custom:
        text = {"type": "string", "description": _grammar(tool)}
        function["parameters"] = {"type": "object", "properties": {"input": text}, "required": ["input"]}
    else:
        function["parameters"] = {"type": "object", "properties": {}, **(tool.schema or {})}
    return {"type": "function", "function": function}


def _grammar(tool: Tool) -> str:
    definition = (tool.grammar or {}).get("definition")
    return f"Free text of this grammar:\n{definition}" if isinstance(definition, str) else "Free text."


def arguments_text(call: ToolCall) -> str:
    """The arguments as the text of a JSON object; free text becomes its only member, `input`."""
    if call.custom:
        return msgspec.json.encode({"input": call.arguments}).decode()
    return call.arguments.strip() or "{}"


def arguments_object(call: ToolCall) -> Mapping[str, Any]:
    """The same decoded; text that is no object becomes the only member, `input`."""
    if not call.custom:
        try:
            found = _anything.decode(call.arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
    return {"input": call.arguments}
