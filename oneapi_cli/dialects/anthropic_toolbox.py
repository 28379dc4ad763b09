"""Tools as a client declares them → tools of a conversation.

A tool of a named type that the client runs itself (bash, the text editor, the computer, memory) has a schema that only
Anthropic's models were taught; for a target that was not, the documented one is written out. Toolsets (`…_toolset_…`)
have dozens of members and no single call: they are the vendor's alone. Tools that the vendor runs are `HostedTool`.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/bash-tool · …/text-editor-tool ·
…/computer-use-tool · …/memory-tool (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..values.conversation import HostedTool, Opaque, Tool, ToolChoice
from .anthropic_blocks import cache_mark
from .anthropic_names import NAME
from .reading import Object, at, fault, get_flag, get_object, get_text, need_choice, need_text, objects_in

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_POINT: Schema = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
_RANGE: Schema = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}

_BASH: Schema = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "description": "The command to run. Required unless the tool is restarted."},
        "restart": {"type": "boolean", "description": "True restarts the tool."},
    },
}
_EDITOR: Schema = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert", "undo_edit"]},
        "path": {"type": "string", "description": "Absolute path of a file or folder."},
        "file_text": {"type": "string", "description": "create: what the file is to hold."},
        "old_str": {"type": "string", "description": "str_replace: the text to replace, exactly and once in the file."},
        "new_str": {"type": "string", "description": "str_replace: what to put there. insert: the line to put in."},
        "insert_line": {"type": "integer", "description": "insert: the line after which it goes, 0 for the top."},
        "insert_text": {"type": "string", "description": "insert: the text to put in."},
        "view_range": {**_RANGE, "description": "view: first and last line, -1 for the end."},
    },
    "required": ["command", "path"],
}
_MEMORY: Schema = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
        "path": {"type": "string", "description": "Below /memories."},
        "view_range": _RANGE,
        "file_text": _TEXT,
        "old_str": _TEXT,
        "new_str": _TEXT,
        "insert_line": {"type": "integer"},
        "insert_text": _TEXT,
        "old_path": _TEXT,
        "new_path": _TEXT,
    },
    "required": ["command"],
}
_COMPUTER: Schema = {
    "type": "object",
    "properties": {
        "action": {
            "type": "string",
            "enum": [
                "key",
                "type",
                "mouse_move",
                "left_click",
                "left_click_drag",
                "right_click",
                "middle_click",
                "double_click",
                "triple_click",
                "screenshot",
                "cursor_position",
                "left_mouse_down",
                "left_mouse_up",
                "scroll",
                "hold_key",
                "wait",
                "zoom",
            ],
        },
        "coordinate": {**_POINT, "description": "x and y in pixels from the top left."},
        "start_coordinate": _POINT,
        "text": {"type": "string", "description": "What to type, or the keys to press."},
        "scroll_direction": {"type": "string", "enum": ["up", "down", "left", "right"]},
        "scroll_amount": {"type": "integer"},
        "duration": {"type": "number", "description": "Seconds."},
        "region": {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4},
    },
    "required": ["action"],
}

_TYPED: tuple[tuple[str, str, str, Schema], ...] = (
    ("bash_", "bash", "Runs a command in a shell that lives on between calls.", _BASH),
    ("text_editor_", "str_replace_based_edit_tool", "Views, creates and edits files.", _EDITOR),
    ("memory_", "memory", "Keeps notes in files below /memories, from one conversation to the next.", _MEMORY),
    ("computer_", "computer", "Uses a computer's screen, mouse and keyboard.", _COMPUTER),
)
"""(how its type begins, its name, its description, its schema)"""

_RUN_BY_VENDOR: tuple[tuple[str, str], ...] = (
    ("web_search_", "web_search"),
    ("web_fetch_", "url_context"),
    ("code_execution_", "code_execution"),
    ("tool_search_tool_", "tool_search"),
    ("mcp_toolset", "mcp"),
    ("advisor_", "advisor"),
    ("computer_toolset_", "computer"),
    ("browser_toolset_", "browser"),
)


def read_tools(body: Object) -> tuple[tuple[Tool, ...], tuple[HostedTool, ...]]:
    """`tools`. Raises BadRequest naming the one at fault."""
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    for place, raw in objects_in(body, "tools"):
        kind = get_text(raw, "type", place) or "custom"
        about = next((word for start, word in _RUN_BY_VENDOR if kind.startswith(start)), "")
        if about:
            hosted.append(HostedTool(kind=about, own=Opaque(dialect=NAME, data=dict(raw))))
        else:
            tools.append(_custom(raw, place) if kind == "custom" else _typed(kind, raw, place))
    for place, raw in objects_in(body, "mcp_servers"):
        need_text(raw, "url", place)
        hosted.append(HostedTool(kind="mcp", own=Opaque(dialect=NAME, data=dict(raw))))
    return tuple(tools), tuple(hosted)


def _custom(raw: Object, place: str) -> Tool:
    schema = get_object(raw, "input_schema", place)
    if schema is None:
        raise fault(at(place, "input_schema"), "is required")
    return Tool(
        name=need_text(raw, "name", place),
        description=get_text(raw, "description", place) or "",
        schema=schema,
        strict=get_flag(raw, "strict", place),
        cache=cache_mark(raw, place),
    )


def _typed(kind: str, raw: Object, place: str) -> Tool:
    for start, name, description, schema in _TYPED:
        if kind.startswith(start):
            return Tool(
                name=get_text(raw, "name", place) or name,
                description=description + _screen(raw),
                schema=schema,
                cache=cache_mark(raw, place),
            )
    raise fault(at(place, "type"), f"is not a kind of tool that is known here: {kind[:64]!r}")


def _screen(raw: Object) -> str:
    width, height = raw.get("display_width_px"), raw.get("display_height_px")
    return f" The screen is {width} by {height} pixels." if width and height else ""


def read_choice(body: Object) -> tuple[ToolChoice | None, bool | None]:
    """(`tool_choice`, whether calls may come in parallel: None where that is not said)."""
    choice = get_object(body, "tool_choice")
    if choice is None:
        return None, None
    alone = get_flag(choice, "disable_parallel_tool_use", "tool_choice")
    parallel = None if alone is None else not alone
    kind = need_choice(need_text(choice, "type", "tool_choice"), ("auto", "any", "tool", "none"), "tool_choice.type")
    if kind == "tool":
        name = need_text(choice, "name", "tool_choice")
        return ToolChoice(mode="named", names=(name,)), parallel
    return ToolChoice(mode="required" if kind == "any" else "auto" if kind == "auto" else "none"), parallel
