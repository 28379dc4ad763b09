"""A client's Messages request → a conversation.

`system` is the first turn; a `system` message in the middle stays where it stands. `cache_control` at the top marks the
last part, as the API does. Members that only this format has travel as `extras`.

Source: https://platform.claude.com/docs/en/api/messages (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from ..values.conversation import (
    CacheMark,
    Conversation,
    Effort,
    Media,
    Notes,
    OutputFormat,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from .anthropic_blocks import BlockReader, cache_mark
from .anthropic_names import NAME
from .anthropic_toolbox import read_choice, read_tools
from .reading import (
    Object,
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

_ROLES = ("user", "assistant", "system")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_EXTRAS = (
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallbacks",
    "inference_geo",
    "speed",
    "thread",
)
_TIERS = {"standard_only": "default"}


def decode_request(body: Mapping[str, Any]) -> tuple[Conversation, Notes]:
    """A Messages body, or one of `count_tokens`. Raises BadRequest naming the member."""
    reader = BlockReader()
    turns = _turns(body, reader)
    tools, hosted = read_tools(body)
    choice, parallel = read_choice(body)
    output = get_object(body, "output_config") or {}
    metadata = get_object(body, "metadata") or {}
    tier = get_text(body, "service_tier") or ""
    talk = Conversation(
        model=need_text(body, "model"),
        turns=tuple(turns),
        stream=get_flag(body, "stream") or False,
        tools=tools,
        hosted=hosted,
        tool_choice=choice,
        parallel_tools=parallel,
        limit=get_int(body, "max_tokens"),
        temperature=get_number(body, "temperature"),
        top_p=get_number(body, "top_p"),
        top_k=get_int(body, "top_k"),
        stop=texts_in(body, "stop_sequences"),
        reasoning=_reasoning(body, output, reader),
        format=_format(body, output),
        tier=_TIERS.get(tier, tier),
        user=get_text(metadata, "user_id", "metadata") or "",
        origin=NAME,
        extras=_extras(body, output),
    )
    return talk, tuple(reader.notes)


def _turns(body: Object, reader: BlockReader) -> list[Turn]:
    turns: list[Turn] = []
    if isinstance(system := body.get("system"), str):
        turns += [Turn(role="system", parts=(Text(text=system),))] if system else []
    elif system is not None:
        parts = [part for place, block in objects_in(body, "system") for part in reader.block(block, place)]
        if not all(isinstance(part, Text) for part in parts):
            raise fault("system", "may hold text blocks only")
        turns += [Turn(role="system", parts=tuple(parts))] if parts else []
    given = list(objects_in(body, "messages"))
    if not given:
        raise fault("messages", "must hold at least one message")
    for place, message in given:
        role = need_choice(need_text(message, "role", place), _ROLES, at(place, "role"))
        if parts := _parts(message, role, reader, place):
            turns.append(Turn(role=cast("Role", role), parts=tuple(parts)))
    if mark := cache_mark(body, ""):
        turns = _marked(turns, mark)
    return turns


def _parts(message: Object, role: str, reader: BlockReader, place: str) -> list[Part]:
    if role == "system" and message.get("content") is None:
        return []  # it may carry nothing but an `output_config` of its own
    parts = reader.content(message, place)
    for part in parts:
        if isinstance(part, ToolCall) and role != "assistant":
            raise fault(place, "of the user may hold no `tool_use` block")
        if isinstance(part, ToolResult) and role != "user":
            raise fault(place, f"of the {role} may hold no `tool_result` block")
    return parts


def _marked(turns: list[Turn], mark: CacheMark) -> list[Turn]:
    """The same with a breakpoint after the last part that can carry one."""
    for number in range(len(turns) - 1, -1, -1):
        parts = list(turns[number].parts)
        for place in range(len(parts) - 1, -1, -1):
            part = parts[place]
            if isinstance(part, Text | Media | ToolCall | ToolResult):
                if part.cache is None:
                    parts[place] = msgspec.structs.replace(part, cache=mark)
                turns[number] = msgspec.structs.replace(turns[number], parts=tuple(parts))
                return turns
    return turns


def _reasoning(body: Object, output: Object, reader: BlockReader) -> Reasoning | None:
    effort = get_text(output, "effort", "output_config")
    if effort is not None:
        need_choice(effort, _EFFORTS, "output_config.effort")
    word = cast("Effort | None", effort)
    thinking = get_object(body, "thinking")
    if thinking is None:
        return Reasoning(effort=word) if word else None
    known = ("enabled", "adaptive", "disabled", "between_tools")
    kind = need_choice(need_text(thinking, "type", "thinking"), known, "thinking.type")
    display = get_text(thinking, "display", "thinking")
    show = None if display is None else display != "omitted"
    if kind == "enabled":
        budget = get_int(thinking, "budget_tokens", "thinking", least=1)
        return Reasoning(enabled=True, effort=word, budget=budget, show=show)
    if kind == "disabled":
        return Reasoning(enabled=False, effort=word)
    if kind == "between_tools":
        reader.note("changed:thinking")
    return Reasoning(enabled=True, adaptive=True, effort=word, show=show)


def _format(body: Object, output: Object) -> OutputFormat | None:
    """`output_config.format`, or `output_format` as it was called before."""
    for holder, name, place in ((output, "format", "output_config"), (body, "output_format", "")):
        found = get_object(holder, name, place)
        if found is None:
            continue
        where = at(place, name)
        need_choice(need_text(found, "type", where), ("json_schema",), at(where, "type"))
        schema = get_object(found, "schema", where)
        if schema is None:
            raise fault(at(where, "schema"), "is required")
        return OutputFormat(kind="json_schema", schema=schema)
    return None


def _extras(body: Object, output: Object) -> dict[str, Any]:
    found = {name: value for name in _EXTRAS if (value := body.get(name)) is not None}
    if output.get("task_budget") is not None:
        found["task_budget"] = output["task_budget"]
    return found
