"""Tools as Responses' clients offer them, and under which name another vendor gets to know each.

Three kinds have no counterpart elsewhere and are still the client's to run: what stands in a `namespace`, free-text
(`custom`) tools, and tools that OpenAI's own models were trained on (`local_shell`, `shell`, `apply_patch`). All of
them are offered as ordinary tools; `Toolbox` remembers what each was, so that a call of it goes back to the client as
the item that it waits for.

Source: https://platform.openai.com/docs/guides/tools (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ..values.conversation import HostedTool, Opaque, Tool
from .openai_responses_content import DIALECT
from .reading import at, get_flag, get_object, get_text, need_text, objects_in

_TEXTS = {"type": "array", "items": {"type": "string"}}
_MILLISECONDS = {"type": "integer", "description": "Milliseconds after which it is stopped"}


class LocalTool(Struct, frozen=True, kw_only=True):
    """A tool that OpenAI describes to its own models, described for others. holder: the member of `item` that has what
    the model asked for; fixed: what else stands in it; through: what runs a command given as one text."""

    item: str
    holder: str
    description: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]
    fixed: Mapping[str, Any] = {}
    through: tuple[str, ...] = ()
    is_open: bool = False
    """The client may say itself what its arguments are."""

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": dict(self.properties), "required": list(self.required)}

    def asked(self, arguments: str) -> dict[str, Any] | None:
        """What stands in the holder for a call with these arguments; None where they are no such call."""
        try:
            given = msgspec.json.decode(arguments)
        except (msgspec.DecodeError, RecursionError):
            return None
        if not isinstance(given, dict):
            return None
        if self.is_open:
            return given
        found = dict(self.fixed)
        for name, wanted in self.properties.items():
            value = given.get(name)
            if wanted["type"] == "array" and isinstance(value, str):
                value = [*self.through, value]
            if value is not None:
                found[name] = value
        needed = (*self.required, "diff") if found.get("type") in ("create_file", "update_file") else self.required
        return found if all(_fits(found.get(name), self.properties[name]) for name in needed) else None

    def arguments(self, held: Mapping[str, Any]) -> str:
        """The arguments of a call whose holder is `held`."""
        names = held if self.is_open else self.properties
        return msgspec.json.encode({name: held[name] for name in names if name in held}).decode()


def _fits(value: object, wanted: Mapping[str, Any]) -> bool:
    if wanted["type"] == "array":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, str) and value in wanted.get("enum", (value,))


LOCAL_TOOLS: Mapping[str, LocalTool] = {
    "local_shell": LocalTool(
        item="local_shell_call",
        holder="action",
        description="Run a command on the user's machine and return its output.",
        properties={
            "command": {**_TEXTS, "description": 'The command and its arguments, such as ["bash", "-lc", "ls"]'},
            "working_directory": {"type": "string"},
            "timeout_ms": _MILLISECONDS,
        },
        required=("command",),
        fixed={"type": "exec", "env": {}},
        through=("bash", "-lc"),
    ),
    "shell": LocalTool(
        item="shell_call",
        holder="action",
        description="Run shell commands on the user's machine and return what each of them printed.",
        properties={
            "commands": {**_TEXTS, "description": "Command lines, each run by a shell"},
            "timeout_ms": _MILLISECONDS,
            "max_output_length": {"type": "integer", "description": "Characters of output to return at most"},
        },
        required=("commands",),
    ),
    "apply_patch": LocalTool(
        item="apply_patch_call",
        holder="operation",
        description="Create, change or delete one file. `diff` is in the V4A format: lines of context as they are, "
        "lines to remove after `-`, lines to add after `+`, each hunk after a line `@@`.",
        properties={
            "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
            "path": {"type": "string"},
            "diff": {"type": "string", "description": "Not for delete_file"},
        },
        required=("type", "path"),
    ),
    "tool_search": LocalTool(
        item="tool_search_call",
        holder="arguments",
        description="Search for further tools by what they are to do.",
        properties={"queries": _TEXTS},
        required=("queries",),
        is_open=True,
    ),
}

LOCAL_CALLS: Mapping[str, str] = {tool.item: name for name, tool in LOCAL_TOOLS.items()}
LOCAL_OUTPUTS: Mapping[str, str] = {
    **{f"{item}_output": name for item, name in LOCAL_CALLS.items()},
    "tool_search_output": "tool_search",
}

_HOSTED_KINDS = {
    "code_interpreter": "code_execution",
    "hosted_shell": "shell",
    "hosted_tool_search": "tool_search",
    "computer_use_preview": "computer",
    "computer": "computer",
}


class Known(Struct, frozen=True):
    """What a tool is to the client. kind: `function`, `custom`, or a key of LOCAL_TOOLS."""

    kind: str
    name: str
    namespace: str = ""


class Toolbox(Struct, frozen=True, kw_only=True):
    """known: by the name that another vendor knows a tool by. names: (namespace, name) → that name."""

    tools: tuple[Tool, ...] = ()
    hosted: tuple[HostedTool, ...] = ()
    known: Mapping[str, Known] = {}
    names: Mapping[tuple[str, str], str] = {}

    def name_of(self, name: str, namespace: str = "") -> str:
        """By which name another vendor knows a tool, offered now or not. Calls may name a namespace that the request
        knows nothing of: tools that were found by searching stand in one of their own."""
        return self.names.get((namespace, name), name)

    def local_name(self, kind: str) -> str:
        return next((name for name, known in self.known.items() if known.kind == kind), kind)


def read_toolbox(body: Mapping[str, Any]) -> Toolbox:
    """All tools of a request: `tools`, and those that items of `input` bring along. Raises BadRequest."""
    offered = list(_offered(body))
    plain = {get_text(tool, "name", place) for place, namespace, tool in offered if not namespace}
    shared = [tool.get("name") for _, namespace, tool in offered if namespace]
    tools: dict[str, Tool] = {}
    known: dict[str, Known] = {}
    names: dict[tuple[str, str], str] = {}
    hosted: list[HostedTool] = []
    for place, namespace, tool in offered:
        kind = _kind(tool, place)
        if kind not in ("function", "custom") and kind not in LOCAL_TOOLS:
            hosted.append(HostedTool(kind=_hosted_kind(kind), own=Opaque(dialect=DIALECT, data=dict(tool))))
            continue
        name = kind if kind in LOCAL_TOOLS else need_text(tool, "name", place)
        if (namespace, name) in names:
            continue
        unique = not namespace or (name not in plain and shared.count(name) == 1)
        flat = name if unique else f"{namespace}__{name}"
        flat = f"{flat}_tool" if flat in known or (kind in LOCAL_TOOLS and flat in plain) else flat
        names[namespace, name] = flat
        known[flat] = Known(kind, name, namespace)
        tools[flat] = _tool(tool, kind, flat, place)
    return Toolbox(tools=tuple(tools.values()), hosted=tuple(hosted), known=known, names=names)


def _offered(body: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(place, namespace, tool): tools in namespaces stand for themselves."""
    yield from _in_list(body, "")
    items = body.get("input")
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, Mapping) and item.get("type") in ("additional_tools", "tool_search_output"):
            yield from _in_list(item, at("input", number))


def _in_list(holder: Mapping[str, Any], place: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for where, tool in objects_in(holder, "tools", place):
        if tool.get("type") == "namespace":
            namespace = need_text(tool, "name", where)
            for inner, each in objects_in(tool, "tools", where):
                yield inner, namespace, each
        elif tool.get("type") == "function" and isinstance(tool.get("function"), Mapping):  # chat's way of saying it
            yield at(where, "function"), "", {"type": "function", **tool["function"]}
        else:
            yield where, "", tool


def _kind(tool: Mapping[str, Any], place: str) -> str:
    kind = need_text(tool, "type", place)
    if kind == "shell":
        environment = get_object(tool, "environment", place)
        return "hosted_shell" if environment is not None and environment.get("type") != "local" else kind
    return "hosted_tool_search" if kind == "tool_search" and tool.get("execution") != "client" else kind


def is_local(item: Mapping[str, Any]) -> bool:
    """Whether an item of input is of a tool that the client ran itself: searches may be the vendor's."""
    return not str(item.get("type")).startswith("tool_search") or item.get("execution") == "client"


def _hosted_kind(kind: str) -> str:
    if kind.startswith("web_search"):
        return "web_search"
    return _HOSTED_KINDS.get(kind, kind)


def _tool(tool: Mapping[str, Any], kind: str, name: str, place: str) -> Tool:
    if kind in LOCAL_TOOLS:
        local = LOCAL_TOOLS[kind]
        schema, said = get_object(tool, "parameters", place), get_text(tool, "description", place)
        return Tool(name=name, description=said or local.description, schema=schema or local.schema)
    description = get_text(tool, "description", place) or ""
    if kind == "custom":
        form = get_object(tool, "format", place)
        grammar = form if form is not None and form.get("type") != "text" else None
        return Tool(name=name, description=description, custom=True, grammar=grammar)
    schema = get_object(tool, "parameters", place)
    return Tool(name=name, description=description, schema=schema, strict=get_flag(tool, "strict", place))


def free_text(arguments: str) -> str:
    """What a free-text tool is given by a model that knows only tools with arguments: the text in `input`, or in the
    only member there is; else the arguments as they stand."""
    try:
        given = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    if isinstance(given, str):
        return given
    if not isinstance(given, dict):
        return arguments
    found = given.get("input", next(iter(given.values())) if len(given) == 1 else None)
    return found if isinstance(found, str) else arguments
