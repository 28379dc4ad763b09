"""Rules of a request that no vendor's model says and that every vendor checks: who may follow whom, and what answers
what. Sources: the vendors' references of their chat endpoints (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

Object = Mapping[str, Any]
Turns = Sequence[tuple[str, Sequence[tuple[str, str]]]]

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_LONG_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_GEMINI_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")


def rule_problems(dialect: str, body: Object) -> Iterator[str]:
    check = _RULES.get(dialect)
    if check is not None:
        yield from check(body)


def _names(pattern: re.Pattern[str], names: Sequence[str]) -> Iterator[str]:
    yield from (f"tool name {name!r} does not match {pattern.pattern}" for name in names if not pattern.fullmatch(name))
    if len(set(names)) != len(names):
        yield f"tool names {names} are not unique"


# --- OpenAI ---------------------------------------------------------------------------------------------------------


def _chat(body: Object) -> Iterator[str]:
    """Calls are answered by the tool messages right after them, every one, and by nothing else."""
    yield from _names(_NAME, [t["function"]["name"] for t in body.get("tools") or () if t["type"] == "function"])
    open_calls: list[str] = []
    for number, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                yield f"messages[{number}] answers {message['tool_call_id']!r}, which is not open"
            else:
                open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            yield f"messages[{number}] comes before {open_calls} are answered"
        open_calls = [call["id"] for call in message.get("tool_calls") or ()]
        if len(set(open_calls)) != len(open_calls) or not all(open_calls):
            yield f"messages[{number}] has call ids {open_calls}"
        if (
            message["role"] == "assistant"
            and not message.get("content")
            and not open_calls
            and not message.get("audio")
        ):
            yield f"messages[{number}] is an assistant's with neither content nor calls"
    if open_calls:
        yield f"{open_calls} are never answered"
    if not body["messages"]:
        yield "messages are empty"


def _responses(body: Object) -> Iterator[str]:
    tools = [tool["name"] for tool in body.get("tools") or () if tool["type"] == "function"]
    yield from _names(_NAME, tools)
    given = body.get("input")
    open_calls: set[str] = set()
    for number, item in enumerate(given if isinstance(given, list) else ()):
        if item.get("type") in ("function_call", "custom_tool_call"):
            if not item["call_id"] or len(item["call_id"]) > 64 or item["call_id"] in open_calls:
                yield f"input[{number}] has call id {item['call_id']!r}"
            open_calls.add(item["call_id"])
        elif item.get("type") in ("function_call_output", "custom_tool_call_output"):
            if item["call_id"] not in open_calls:
                yield f"input[{number}] answers {item['call_id']!r}, which is not open"
            open_calls.discard(item["call_id"])
    if open_calls:
        yield f"{sorted(open_calls)} are never answered"
    if not given:
        yield "input is empty"


# --- Anthropic and Bedrock ------------------------------------------------------------------------------------------


def _anthropic(body: Object) -> Iterator[str]:
    yield from _names(_LONG_NAME, [tool["name"] for tool in body.get("tools") or ()])
    for tool in body.get("tools") or ():
        if "input_schema" in tool and tool["input_schema"].get("type") != "object":
            yield f"tool {tool['name']}'s schema is no object"
    turns = []
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        turns.append((message["role"], [_anthropic_kind(block) for block in blocks]))
    yield from _blocks(turns)
    yield from _thinking(body.get("thinking") or {}, body.get("max_tokens") or 0, turns)
    if _thinks(body.get("thinking") or {}):
        if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
            yield "thinking with a forced tool"
        if body.get("temperature") not in (None, 1) or body.get("top_k") is not None:
            yield f"thinking with temperature {body.get('temperature')} and top_k {body.get('top_k')}"


def _thinks(thinking: Object) -> bool:
    return thinking.get("type") in ("enabled", "adaptive")


def _thinking(thinking: Object, limit: int, turns: Turns) -> Iterator[str]:
    """A budget fits into the limit; with one, while calls are answered, the turn that made them begins with its
    thought (adaptive thinking does not ask for it)."""
    budget = thinking.get("budget_tokens") or 0
    if thinking.get("type") == "enabled" and not 1024 <= budget < limit:
        yield f"thinking budget {budget} with an output limit of {limit}"
    if thinking.get("type") != "enabled" or not turns or not any(kind == "result" for kind, _ in turns[-1][1]):
        return
    last = next((blocks for role, blocks in reversed(turns) if role == "assistant"), ())
    if last and last[0][0] not in ("thinking", "redacted_thinking", "reasoningContent"):
        yield f"thinking, and the turn that is answered begins with {last[0][0]}"


def _anthropic_kind(block: Object) -> tuple[str, str]:
    kind = block["type"]
    if kind == "text":
        return ("text", block["text"])
    return {"tool_use": ("call", block.get("id", "")), "tool_result": ("result", block.get("tool_use_id", ""))}.get(
        kind, (kind, "")
    )


def _bedrock(body: Object) -> Iterator[str]:
    specs = [tool["toolSpec"] for tool in (body.get("toolConfig") or {}).get("tools") or () if "toolSpec" in tool]
    yield from _names(_NAME, [spec["name"] for spec in specs])
    for spec in specs:
        if spec["inputSchema"]["json"].get("type") != "object":
            yield f"tool {spec['name']}'s schema is no object"
        if spec.get("description") == "":
            yield f"tool {spec['name']}'s description is empty"
    turns = [(message["role"], [_bedrock_kind(block) for block in message["content"]]) for message in body["messages"]]
    yield from _blocks(turns)
    more = body.get("additionalModelRequestFields") or {}
    thinking = more.get("thinking") or {}
    yield from _thinking(thinking, (body.get("inferenceConfig") or {}).get("maxTokens") or 0, turns)
    if _thinks(thinking):
        if {"any", "tool"} & set((body.get("toolConfig") or {}).get("toolChoice") or {}):
            yield "thinking with a forced tool"
        if (body.get("inferenceConfig") or {}).get("temperature") not in (None, 1):
            yield "thinking with a temperature"
    roles = [role for role, _ in turns]
    if any(one == other for one, other in pairwise(roles)):
        yield f"roles do not alternate: {roles}"
    if not specs and any(kind in ("call", "result") for _, blocks in turns for kind, _ in blocks):
        yield "calls in the history need a toolConfig"
    for role, blocks in turns:
        if role == "user" and any(kind == "document" for kind, _ in blocks) and not any(k == "text" for k, _ in blocks):
            yield "a document needs a text beside it"


def _bedrock_kind(block: Object) -> tuple[str, str]:
    if "text" in block:
        return ("text", block["text"])
    if "toolUse" in block:
        return ("call", block["toolUse"]["toolUseId"])
    if "toolResult" in block:
        return ("result", block["toolResult"]["toolUseId"])
    return (next(iter(block)), "")


def _blocks(turns: Turns) -> Iterator[str]:
    """Results stand first in the user's turn right after the calls, one for each; texts are not blank."""
    open_calls: list[str] = []
    made = [id_ for _, blocks in turns for kind, id_ in blocks if kind == "call"]
    if len(set(made)) != len(made):
        yield f"call ids {made} are not unique"
    merged: list[tuple[str, list[tuple[str, str]]]] = []
    for role, blocks in turns:
        if merged and merged[-1][0] == role:
            merged[-1][1].extend(blocks)
        else:
            merged.append((role, list(blocks)))
        if not blocks:
            yield f"a turn of {role} is empty"
    for number, (role, blocks) in enumerate(merged):
        results = [id_ for kind, id_ in blocks if kind == "result"]
        if sorted(results) != sorted(open_calls):
            yield f"turn {number} ({role}) answers {results}, {open_calls} were open"
        if results and [kind for kind, _ in blocks[: len(results)]] != ["result"] * len(results):
            yield f"turn {number} has something before its results"
        if any(kind == "text" and not text.strip() for kind, text in blocks):
            yield f"turn {number} ({role}) has a blank text"
        open_calls = [id_ for kind, id_ in blocks if kind == "call"]
        if open_calls and role != "assistant":
            yield f"turn {number} has calls of {role}"
    if open_calls:
        yield f"{open_calls} are never answered"
    if merged and merged[0][0] != "user":
        yield f"the first turn is {merged[0][0]}'s"
    if not merged:
        yield "there are no turns"


# --- Google ---------------------------------------------------------------------------------------------------------


def _gemini(body: Object) -> Iterator[str]:
    """Each turn of calls is followed by one turn with as many responses."""
    functions = [f["name"] for tool in body.get("tools") or () for f in tool.get("functionDeclarations") or ()]
    yield from _names(_GEMINI_NAME, functions)
    open_calls = 0
    turns: list[tuple[str, list[Object]]] = []
    for number, content in enumerate(body["contents"]):
        role, parts = content.get("role"), content.get("parts") or []
        if role not in ("user", "model"):
            yield f"contents[{number}].role is {role!r}"
        if not parts:
            yield f"contents[{number}] has no parts"
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(parts)
        else:
            turns.append((role, list(parts)))
    for number, (_, parts) in enumerate(turns):
        answers = sum("functionResponse" in part for part in parts)
        if answers != open_calls:
            yield f"turn {number} has {answers} responses to {open_calls} calls"
        open_calls = sum("functionCall" in part for part in parts)


_RULES: Mapping[str, Callable[[Object], Iterator[str]]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic_messages": _anthropic,
    "bedrock_converse": _bedrock,
    "cohere_chat": _chat,
    "gemini": _gemini,
}
