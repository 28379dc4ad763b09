"""Input items → turns.

Items of the assistant that follow each other (thoughts, text, calls) are one turn; a message of anybody else is a turn
of its own. The result of a call stands in the turn right after the one that has the call, wherever the client put it
(Responses takes it anywhere later, most other formats only there).

Source: https://platform.openai.com/docs/api-reference/responses/create#responses-create-input (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ..values.conversation import Hosted, Media, Opaque, Part, Refusal, Role, Text, ToolCall, ToolResult, Turn
from ..values.errors import BadRequest
from .openai_responses_content import DIALECT, read_content, read_reasoning
from .openai_responses_tools import LOCAL_CALLS, LOCAL_OUTPUTS, LOCAL_TOOLS, Toolbox, is_local
from .reading import at, fault, get_text, need_choice, need_text

_ROLES = ("system", "developer", "user", "assistant")
_HOSTED_KINDS = {"code_interpreter": "code_execution"}
_SETTINGS = frozenset({"additional_tools", "configuration_update"})
_CALLS = frozenset({"function_call", "custom_tool_call"})
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_NATIVE_ONLY = frozenset({"item_reference", "compaction_trigger"})


def needs_native(what: str, place: str) -> BadRequest:
    """A 400 for what only OpenAI's own API can do, because it keeps the state that it needs."""
    return BadRequest(
        f"{what} needs a channel that speaks the Responses API itself, and the one that serves this model speaks "
        "another; send the whole conversation in `input` instead",
        member=place,
        code="unsupported_parameter",
    )


class _Turn(Struct, eq=False):
    role: Role
    parts: list[Part]
    results: bool = False


class _Call(Struct):
    name: str
    turn: _Turn
    custom: bool = False


class History:
    """What has been said so far, and the calls that may still be answered."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._turns: list[_Turn] = []
        self._calls: dict[str, _Call] = {}
        self.notes: list[str] = []

    def turns(self) -> tuple[Turn, ...]:
        return tuple(Turn(role=turn.role, parts=tuple(turn.parts)) for turn in self._turns)

    def say(self, role: Role, parts: tuple[Part, ...]) -> None:
        """A message. One that says nothing is none."""
        if role == "assistant":
            for part in parts:
                self._assistant(part)
        elif parts:
            self._turns.append(_Turn(role, list(parts)))

    def add(self, item: Mapping[str, Any], place: str) -> None:
        """One item of `input`. Raises BadRequest naming it."""
        kind = get_text(item, "type", place)
        if kind is None and "role" not in item and "id" in item:
            kind = "item_reference"
        if kind is None or kind == "message":
            role = need_choice(need_text(item, "role", place), _ROLES, at(place, "role"))
            self.say(role, read_content(item.get("content"), at(place, "content")))  # type: ignore[arg-type]
        elif kind == "reasoning":
            thought = read_reasoning(item)
            if thought is not None:
                self._assistant(thought)
        elif kind in _CALLS or (kind in LOCAL_CALLS and is_local(item)):
            self._call(item, kind, place)
        elif kind in _OUTPUTS or (kind in LOCAL_OUTPUTS and is_local(item)):
            self._result(item, kind, place)
        elif kind in _NATIVE_ONLY or (kind == "compaction" and not self._turns):
            raise needs_native(f"`{place}` (`{kind}`)", place)
        elif kind == "configuration_update":
            self.notes.append("dropped:configuration_update")
        elif kind not in _SETTINGS:
            self._assistant(Hosted(kind=hosted_kind(kind), sealed=Opaque(dialect=DIALECT, data=dict(item))))

    def _assistant(self, part: Part) -> None:
        if not self._turns or self._turns[-1].role != "assistant":
            self._turns.append(_Turn("assistant", []))
        self._turns[-1].parts.append(part)

    def _call(self, item: Mapping[str, Any], kind: str, place: str) -> None:
        id = get_text(item, "call_id", place) or need_text(item, "id", place)
        if kind in LOCAL_CALLS:
            local = LOCAL_TOOLS[LOCAL_CALLS[kind]]
            held = item.get(local.holder)
            if local.item == "tool_search_call":
                held = held if isinstance(held, Mapping) else msgspec.json.decode(_arguments(item, place))
            if not isinstance(held, Mapping):
                raise fault(at(place, local.holder), "must be an object")
            name, arguments, custom = self._tools.local_name(LOCAL_CALLS[kind]), local.arguments(held), False
        else:
            namespace = get_text(item, "namespace", place) or ""
            name = self._tools.name_of(need_text(item, "name", place), namespace)
            custom = kind == "custom_tool_call"
            arguments = need_text(item, "input", place, empty=True) if custom else _arguments(item, place)
        self._assistant(ToolCall(id=id, name=name, arguments=arguments, custom=custom))
        self._calls[id] = _Call(name, self._turns[-1], custom)

    def _result(self, item: Mapping[str, Any], kind: str, place: str) -> None:
        id = get_text(item, "call_id", place) or need_text(item, "id", place)
        call = self._calls.get(id)
        if call is None:
            raise fault(at(place, "call_id"), f"is {id[:80]!r}, and no call before it has that id")
        output = item.get("output" if kind != "tool_search_output" else "tools")
        content: tuple[Text | Media, ...]
        if kind in ("shell_call_output", "tool_search_output") or isinstance(output, Mapping):
            content = (Text(text=msgspec.json.encode(output).decode()),)
        else:
            read = read_content(output, at(place, "output"))
            content = tuple(Text(text=part.text) if isinstance(part, Refusal) else part for part in read)
        failed = item.get("status") == "failed"
        if not content and kind == "apply_patch_call_output":
            content = (Text(text="failed" if failed else "completed"),)
        result = ToolResult(id=id, name=call.name, content=content, is_error=failed, custom=call.custom)
        self._results_after(call.turn).parts.append(result)

    def _results_after(self, turn: _Turn) -> _Turn:
        """The turn of results that follows `turn`, made where there is none."""
        place = self._turns.index(turn) + 1
        if place == len(self._turns) or not self._turns[place].results:
            self._turns.insert(place, _Turn("user", [], results=True))
        return self._turns[place]


def _arguments(item: Mapping[str, Any], place: str) -> str:
    """A call's arguments as JSON text of an object; nothing said counts as `{}`."""
    text = get_text(item, "arguments", place)
    if text is None or not text.strip():
        return "{}"
    try:
        whole = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        whole = None
    if not isinstance(whole, dict):
        raise fault(at(place, "arguments"), "must be the JSON text of an object")
    return text


def hosted_kind(kind: str) -> str:
    """In our words: an item's type without what says that it is an item."""
    for end in ("_call_output", "_call", "_output"):
        kind = kind.removesuffix(end)
    return "web_search" if kind.startswith("web_search") else _HOSTED_KINDS.get(kind, kind)
