"""Requests made up by hypothesis, and how a client of each door would write them.

`Posed` is a request without a format: turns, tools, a choice. The renderers write it in the words of each door, with
the liberties that clients take: a text alone or as parts, several turns of one role after another, results in another
order than the calls, ids in any spelling, schemas with references and unions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from scripts.wire.requests import TINY
from tests.wire.spoken import ARGUMENTS, Draw

PNG = TINY["image"][1]
PDF = TINY["document"][1]

WORDS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=12),
    st.sampled_from(["What is this?", "two\n\nlines ", "  edges  ", '{"a": [1, null]}', "🎉", "<think>", "-1.50"]),
)
IDS = ("call_{}", "toolu_01{}", "call:{}|fc.x y", "chatcmpl-tool-" + "0123456789" * 6 + "{}", "{}")

SCHEMAS: tuple[Mapping[str, Any], ...] = (
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {"city": {"type": "string", "description": "Where."}}, "required": ["city"]},
    {
        "type": "object",
        "properties": {
            "unit": {"type": "string", "enum": ["c", "f"]},
            "when": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}], "default": None},
            "many": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 4},
        },
        "required": ["unit", "many"],
        "additionalProperties": False,
    },
    {
        "type": "object",
        "$defs": {"Leaf": {"type": "object", "properties": {"v": {"type": "number", "description": "Its value."}}}},
        "properties": {"leaf": {"$ref": "#/$defs/Leaf"}, "more": {"type": "array", "items": {"$ref": "#/$defs/Leaf"}}},
        "required": ["leaf"],
    },
    {
        "type": "object",
        "properties": {"any": {"type": ["string", "integer"], "description": "Either."}, "flag": {"const": "on"}},
    },
)


@dataclass(frozen=True)
class Turn:
    """kind: system, user, assistant, results. parts: (kind, value) pairs; calls and results carry their number."""

    kind: str
    parts: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Posed:
    turns: tuple[Turn, ...]
    tools: tuple[tuple[str, str, Mapping[str, Any] | None], ...]
    choice: str
    id_form: str
    plain: bool
    stream: bool
    limit: int
    temperature: float | None
    stop: tuple[str, ...]
    schema: Mapping[str, Any] | None
    effort: str = ""

    def id_of(self, number: int) -> str:
        return self.id_form.format(number)


@st.composite
def posed(draw: Draw, *, media: Sequence[str] = ("image", "link")) -> Posed:
    count = draw(st.integers(0, 3))
    tools = tuple(
        (f"tool_{number}", draw(st.sampled_from(["", "Does something."])), draw(st.sampled_from([None, *SCHEMAS])))
        for number in range(count)
    )
    turns: list[Turn] = [Turn("system", (("text", draw(WORDS)),)) for _ in range(draw(st.integers(0, 2)))]
    number = 0
    for _ in range(draw(st.integers(1, 3))):
        turns.append(Turn("user", draw(_user(media))))
        if draw(st.booleans()):
            turns.append(Turn("user", (("text", draw(WORDS)),)))
        if not draw(st.booleans()):
            continue
        said: list[tuple[str, Any]] = [("text", draw(WORDS))] if draw(st.booleans()) or not tools else []
        calls = [number + each for each in range(draw(st.integers(0 if said else 1, 3)))] if tools else []
        said += [("call", (each, draw(st.sampled_from(tools))[0], draw(ARGUMENTS))) for each in calls]
        turns.append(Turn("assistant", tuple(said)))
        number += len(calls)
        if calls:
            given = [("result", draw(_result(each))) for each in draw(st.permutations(calls))]
            turns.append(Turn("results", tuple(given)))
        if draw(st.booleans()) and number > 20:
            turns.append(Turn("system", (("text", draw(WORDS)),)))
    if turns[-1].kind == "assistant" or draw(st.booleans()):
        turns.append(Turn("user", (("text", draw(WORDS)),)))
    named = [f"named:{tool[0]}" for tool in tools]
    return Posed(
        turns=tuple(turns),
        tools=tools,
        choice=draw(st.sampled_from(["", "auto", "none", "required", *named])) if tools else "",
        id_form=draw(st.sampled_from(IDS)),
        plain=draw(st.booleans()),
        stream=draw(st.booleans()),
        limit=draw(st.integers(16, 4000)),
        temperature=draw(st.sampled_from([None, 0, 0.5, 1])),
        stop=draw(st.sampled_from([(), ("END",), ("a", "b")])),
        schema=draw(st.sampled_from([None, None, None, SCHEMAS[1], SCHEMAS[3]])) if not tools else None,
        effort=draw(st.sampled_from(["", "", "low", "high"])),
    )


@st.composite
def _user(draw: Draw, media: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    parts: list[tuple[str, Any]] = [("text", draw(WORDS))]
    parts += [(kind, None) for kind in draw(st.lists(st.sampled_from(media), max_size=2))]
    return tuple(draw(st.permutations(parts)))


@st.composite
def _result(draw: Draw, number: int) -> tuple[int, str, bool, bool]:
    """(number of the call, text, whether it is an error, whether a picture stands beside it)."""
    text = draw(st.one_of(WORDS, st.just(""), ARGUMENTS.map(json.dumps)))
    return number, text, draw(st.booleans()), draw(st.sampled_from([False, False, True]))


# --- chat -----------------------------------------------------------------------------------------------------------


def _chat_parts(turn: Turn, *, plain: bool) -> Any:
    texts = [value for kind, value in turn.parts if kind == "text"]
    if plain and len(texts) == len([each for each in turn.parts if each[0] != "call"]) == 1:
        return texts[0]
    made: list[dict[str, Any]] = []
    for kind, value in turn.parts:
        if kind == "text":
            made.append({"type": "text", "text": value})
        elif kind == "image":
            made.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}})
        elif kind == "link":
            made.append({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}})
        elif kind == "document":
            file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
            made.append({"type": "file", "file": file})
    return made


def as_chat(posed: Posed) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for turn in posed.turns:
        if turn.kind == "results":
            messages += [
                {"role": "tool", "tool_call_id": posed.id_of(number), "content": text}
                for _, (number, text, _, _) in turn.parts
            ]
            continue
        message: dict[str, Any] = {"role": turn.kind, "content": _chat_parts(turn, plain=posed.plain) or None}
        calls = [value for kind, value in turn.parts if kind == "call"]
        if calls:
            message["tool_calls"] = [
                {"id": posed.id_of(n), "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
                for n, name, args in calls
            ]
        messages.append(message)
    body: dict[str, Any] = {"model": "m", "messages": messages, "max_completion_tokens": posed.limit}
    tools = [
        {"type": "function", "function": {"name": n, "description": d} | ({"parameters": s} if s is not None else {})}
        for n, d, s in posed.tools
    ]
    named = {"type": "function", "function": {"name": posed.choice.removeprefix("named:")}}
    more = {
        "tools": tools,
        "tool_choice": named if posed.choice.startswith("named:") else posed.choice,
        "temperature": posed.temperature,
        "stop": list(posed.stop),
        "stream": posed.stream,
        "reasoning_effort": posed.effort,
        "response_format": posed.schema
        and {"type": "json_schema", "json_schema": {"name": "answer", "schema": posed.schema}},
    }
    return body | {name: value for name, value in more.items() if value not in (None, "", [])}


# --- Responses ------------------------------------------------------------------------------------------------------


def as_responses(posed: Posed) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for turn in posed.turns:
        content: list[dict[str, Any]] = []
        for kind, value in turn.parts:
            if kind == "text":
                content.append({"type": "output_text" if turn.kind == "assistant" else "input_text", "text": value})
            elif kind == "image":
                content.append({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"})
            elif kind == "link":
                content.append({"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"})
            elif kind == "document":
                file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
                content.append({"type": "input_file", **file})
            elif kind == "call":
                if content:
                    items.append({"type": "message", "role": turn.kind, "content": content})
                    content = []
                call = {"call_id": posed.id_of(value[0]), "name": value[1], "arguments": json.dumps(value[2])}
                items.append({"type": "function_call", **call})
            elif kind == "result":
                number, text, _, seen = value
                picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
                output = [{"type": "input_text", "text": text}, picture] if seen else text
                items.append({"type": "function_call_output", "call_id": posed.id_of(number), "output": output})
        role = "developer" if turn.kind == "system" and posed.plain else turn.kind
        if content and posed.plain and len(content) == 1 and content[0]["type"] == "input_text":
            items.append({"role": role, "content": content[0]["text"]})
        elif content:
            items.append({"type": "message", "role": role, "content": content})
    named = {"type": "function", "name": posed.choice.removeprefix("named:")}
    more = {
        "tools": [
            {"type": "function", "name": n, "description": d, "parameters": s or {"type": "object"}, "strict": False}
            for n, d, s in posed.tools
        ],
        "tool_choice": named if posed.choice.startswith("named:") else posed.choice,
        "temperature": posed.temperature,
        "stream": posed.stream,
        "reasoning": posed.effort and {"effort": posed.effort, "summary": "auto"},
        "text": posed.schema and {"format": {"type": "json_schema", "name": "answer", "schema": posed.schema}},
    }
    body: dict[str, Any] = {"model": "m", "input": items, "max_output_tokens": posed.limit}
    return body | {name: value for name, value in more.items() if value not in (None, "", [])}


# --- Messages -------------------------------------------------------------------------------------------------------


def as_messages(posed: Posed) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    system: list[dict[str, Any]] = []
    for turn in posed.turns:
        blocks = [_messages_block(posed, kind, value) for kind, value in turn.parts]
        if posed.effort and turn.kind == "assistant":
            blocks.insert(0, {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJl"})
        if turn.kind == "system":
            system += blocks
            continue
        role = "user" if turn.kind == "results" else turn.kind
        only = blocks[0]["text"] if posed.plain and len(blocks) == 1 and blocks[0]["type"] == "text" else blocks
        messages.append({"role": role, "content": only})
    limit = posed.limit + 2000 if posed.effort else posed.limit
    words = {"": None, "auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}
    named = {"type": "tool", "name": posed.choice.removeprefix("named:")}
    more = {
        "system": system[0]["text"] if posed.plain and len(system) == 1 else system,
        "tools": [
            {"name": n, "description": d, "input_schema": s or {"type": "object", "properties": {}}}
            for n, d, s in posed.tools
        ],
        "tool_choice": words.get(posed.choice, named),
        "temperature": None if posed.effort else posed.temperature,
        "thinking": posed.effort and {"type": "enabled", "budget_tokens": 1024 if posed.effort == "low" else 1500},
        "stop_sequences": list(posed.stop),
        "stream": posed.stream,
        "output_config": posed.schema and {"format": {"type": "json_schema", "schema": posed.schema}},
    }
    body: dict[str, Any] = {"model": "m", "max_tokens": limit, "messages": messages}
    return body | {name: value for name, value in more.items() if value not in (None, "", [])}


def _messages_block(posed: Posed, kind: str, value: Any) -> dict[str, Any]:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    if kind == "text":
        return {"type": "text", "text": value}
    if kind == "image":
        return picture
    if kind == "link":
        return {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    if kind == "document":
        return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
    if kind == "call":
        return {"type": "tool_use", "id": _plain(posed.id_of(value[0])), "name": value[1], "input": value[2]}
    number, text, is_error, seen = value
    content: Any = text if posed.plain and not seen else [{"type": "text", "text": text}] * bool(text)
    return {
        "type": "tool_result",
        "tool_use_id": _plain(posed.id_of(number)),
        "content": [*content, picture] if seen else content,
        "is_error": is_error,
    }


def _plain(id_: str) -> str:
    """The Messages API itself takes these characters alone."""
    return "".join(each if each.isalnum() or each in "_-" else "_" for each in id_)


# --- Gemini ---------------------------------------------------------------------------------------------------------


def as_gemini(posed: Posed) -> dict[str, Any]:
    """plain: snake_case, no ids, and the schemas as `parametersJsonSchema`."""
    contents: list[dict[str, Any]] = []
    system: list[dict[str, Any]] = []
    names = {value[0]: value[1] for turn in posed.turns for kind, value in turn.parts if kind == "call"}
    for turn in posed.turns:
        ordered = sorted(turn.parts, key=lambda part: part[1][0]) if turn.kind == "results" else turn.parts
        parts = [_gemini_part(posed, kind, value, names) for kind, value in ordered]
        if turn.kind == "system":
            system += parts
        else:
            contents.append({"role": "model" if turn.kind == "assistant" else "user", "parts": parts})
    schema = "parametersJsonSchema"
    functions = [{"name": n, "description": d} | ({schema: s} if s is not None else {}) for n, d, s in posed.tools]
    mode = {"": None, "auto": "AUTO", "none": "NONE"}.get(posed.choice, "ANY")
    calling: dict[str, Any] = {"mode": mode}
    if posed.choice.startswith("named:"):
        calling["allowedFunctionNames"] = [posed.choice.removeprefix("named:")]
    config = {
        "maxOutputTokens": posed.limit,
        "temperature": posed.temperature,
        "stopSequences": list(posed.stop),
        "responseMimeType": "application/json" if posed.schema else None,
        "responseJsonSchema": posed.schema,
        "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True} if posed.effort == "low" else None,
    }
    more = {
        "system_instruction" if posed.plain else "systemInstruction": {"parts": system} if system else None,
        "tools": [{"functionDeclarations": functions}] if functions else None,
        "toolConfig": {"functionCallingConfig": calling} if mode else None,
        "generationConfig": {name: value for name, value in config.items() if value not in (None, [])},
    }
    return {"contents": contents} | {name: value for name, value in more.items() if value is not None}


def _gemini_part(posed: Posed, kind: str, value: Any, names: Mapping[int, str]) -> dict[str, Any]:
    if kind == "text":
        return {"text": value}
    if kind in ("image", "document"):
        data = {"mimeType": "image/png" if kind == "image" else "application/pdf"}
        return {"inlineData": {**data, "data": PNG if kind == "image" else PDF}}
    if kind == "link":
        return {"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}}
    ids = {} if posed.plain else {"id": posed.id_of(value[0])}
    if kind == "call":
        name = "function_call" if posed.plain else "functionCall"
        return {name: {"name": value[1], "args": value[2], **ids}}
    number, text, is_error, _ = value
    return {"functionResponse": {"name": names[number], "response": {"error" if is_error else "output": text}, **ids}}


DOORS: Mapping[str, Callable[[Posed], dict[str, Any]]] = {
    "openai_chat": as_chat,
    "openai_responses": as_responses,
    "anthropic_messages": as_messages,
    "gemini": as_gemini,
}
