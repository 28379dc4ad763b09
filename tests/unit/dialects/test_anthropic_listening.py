"""Requests of Messages clients → conversations, and the refusals: each names the block at fault."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from oneapi_cli.dialects.anthropic_messages import decode_request
from oneapi_cli.dialects.sealing import seal
from oneapi_cli.values.conversation import (
    CacheMark,
    Citation,
    Hosted,
    HostedTool,
    Media,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from oneapi_cli.values.errors import BadRequest

NAME = "anthropic_messages"
PNG = "iVBORw0KGgoAAAAA"
FOREIGN = Opaque(dialect="gemini", data={"thoughtSignature": "eA=="})


def own(data: Any) -> Opaque:
    return Opaque(dialect=NAME, data=data)


def body(**more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **more}


# --- blocks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    block: dict[str, Any]
    parts: tuple[Part, ...]
    role: str = "user"
    notes: tuple[str, ...] = ()


SEARCHED = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
RAN = {"type": "server_tool_use", "id": "s1", "name": "bash_code_execution", "input": {}}
CITED = {"type": "char_location", "cited_text": "q", "document_title": "D", "start_char_index": 0, "end_char_index": 1}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}

BLOCKS = [
    Block({"type": "text", "text": "a"}, (Text(text="a"),)),
    Block({"type": "text", "text": ""}, ()),
    Block(
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        (Text(text="a", cache=CacheMark(ttl="1h")),),
    ),
    Block(
        {"type": "text", "text": "a", "citations": [CITED]},
        (Text(text="a", citations=(Citation(title="D", quoted="q", raw=own(CITED)),)),),
        "assistant",
    ),
    Block(
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
        (Media(kind="image", media_type="image/png", data=PNG),),
    ),
    Block(
        {"type": "image", "source": {"type": "url", "url": "https://a.example/a.png"}},
        (Media(kind="image", url="https://a.example/a.png"),),
    ),
    Block(
        {"type": "image", "source": {"type": "url", "url": f"data:image/png;base64,{PNG}"}},
        (Media(kind="image", media_type="image/png", data=PNG),),
    ),
    Block(
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        (Media(kind="image", file_id="file_1", origin=NAME),),
    ),
    Block(
        {"type": "document", "source": PDF, "title": "T", "citations": {"enabled": True}, "context": "from B"},
        (Text(text="from B"), Media(kind="document", media_type="application/pdf", data="JVBE", name="T", cites=True)),
        notes=("changed:document_context",),
    ),
    Block(
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
        (Media(kind="document", media_type="text/plain", text="d"),),
    ),
    Block(
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "d"}]}},
        (Media(kind="document", media_type="text/plain", text="d"),),
    ),
    Block(
        {"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}},
        (Media(kind="document", media_type="application/pdf", url="https://a.example/a.pdf"),),
    ),
    Block(
        {"type": "search_result", "source": "https://a", "title": "A", "content": [{"type": "text", "text": "t"}]},
        (Text(text="A\nhttps://a\n\nt"),),
        notes=("changed:search_result",),
    ),
    Block(
        {"type": "tool_use", "id": "t1", "name": "n", "input": {"a": [1.5, "x"]}},
        (ToolCall(id="t1", name="n", arguments='{"a":[1.5,"x"]}'),),
        "assistant",
    ),
    Block(
        {"type": "thinking", "thinking": "t", "signature": "s"},
        (Thinking(text="t", sealed=own({"signature": "s"})),),
        "assistant",
    ),
    Block({"type": "thinking", "thinking": "t", "signature": ""}, (Thinking(text="t"),), "assistant"),
    Block({"type": "thinking", "thinking": "", "signature": ""}, (), "assistant"),
    Block(
        {"type": "thinking", "thinking": "t", "signature": seal(FOREIGN)},
        (Thinking(text="t", sealed=FOREIGN),),
        "assistant",
    ),
    Block({"type": "redacted_thinking", "data": "d"}, (Thinking(sealed=own({"redacted": "d"})),), "assistant"),
    Block({"type": "redacted_thinking", "data": seal(FOREIGN)}, (Thinking(sealed=FOREIGN),), "assistant"),
    Block(RAN, (Hosted(kind="code_execution", sealed=own(RAN)),), "assistant"),
    Block(SEARCHED, (Hosted(kind="web_search", sealed=own(SEARCHED)),), "assistant"),
    Block(
        {"type": "container_upload", "file_id": "f"},
        (Hosted(kind="container_upload", sealed=own({"type": "container_upload", "file_id": "f"})),),
    ),
    Block({"type": "compaction", "content": "so far"}, (Text(text="so far"),), "assistant", ("changed:compaction",)),
]


@pytest.mark.parametrize("case", BLOCKS, ids=lambda case: json.dumps(case.block)[:60])
def test_block(case: Block) -> None:
    talk, notes = decode_request(body(messages=[{"role": case.role, "content": [case.block]}]))
    assert talk.turns == ((Turn(role=case.role, parts=case.parts),) if case.parts else ())  # type: ignore[arg-type]
    assert notes == case.notes


def test_results_know_their_call() -> None:
    call = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
    content = [{"type": "text", "text": "a"}, {"type": "image", "source": {"type": "base64", "data": PNG}}]
    result = {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": content}
    talk, _ = decode_request(
        body(messages=[{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}])
    )
    picture = Media(kind="image", media_type="image/png", data=PNG)
    assert talk.turns[1].parts == (ToolResult(id="t1", name="look", content=(Text(text="a"), picture), is_error=True),)


def test_system_turns_stand_where_they_were_put() -> None:
    talk, _ = decode_request(
        body(
            system=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            messages=[{"role": "user", "content": "hi"}, {"role": "system", "content": "now"}, {"role": "system"}],
        )
    )
    assert [turn.role for turn in talk.turns] == ["system", "user", "system"]
    assert talk.turns[0].parts == (Text(text="a"), Text(text="b"))


def test_a_mark_at_the_top_stands_after_the_last_part() -> None:
    talk, _ = decode_request(body(cache_control={"type": "ephemeral", "ttl": "1h"}))
    assert talk.turns[0].parts == (Text(text="hi", cache=CacheMark(ttl="1h")),)


# --- members --------------------------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {}}
MEMBERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 4},
        {"limit": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 4},
    ),
    ({"stop_sequences": ["a", "b"], "metadata": {"user_id": "u"}}, {"stop": ("a", "b"), "user": "u"}),
    ({"service_tier": "standard_only"}, {"tier": "default"}),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
        {"reasoning": Reasoning(enabled=True, budget=2000, show=False)},
    ),
    (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        {"reasoning": Reasoning(enabled=True, adaptive=True, effort="high")},
    ),
    ({"thinking": {"type": "disabled"}}, {"reasoning": Reasoning(enabled=False)}),
    ({"output_config": {"effort": "low"}}, {"reasoning": Reasoning(effort="low")}),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"format": OutputFormat(kind="json_schema", schema=SCHEMA)},
    ),
    (
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
        {"format": OutputFormat(kind="json_schema", schema=SCHEMA)},
    ),
    (
        {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        {"tool_choice": ToolChoice(mode="required"), "parallel_tools": False},
    ),
    ({"tool_choice": {"type": "tool", "name": "n"}}, {"tool_choice": ToolChoice(mode="named", names=("n",))}),
    ({"tool_choice": {"type": "none"}}, {"tool_choice": ToolChoice(mode="none")}),
    (
        {
            "tools": [
                {
                    "name": "n",
                    "description": "d",
                    "input_schema": SCHEMA,
                    "strict": True,
                    "cache_control": {"type": "ephemeral"},
                }
            ]
        },
        {"tools": (Tool(name="n", description="d", schema=SCHEMA, strict=True, cache=CacheMark()),)},
    ),
    (
        {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]},
        {"hosted": (HostedTool(kind="url_context", own=own({"type": "web_fetch_20250910", "name": "web_fetch"})),)},
    ),
    ({"speed": "fast", "container": "c", "betas": ["x"]}, {"extras": {"speed": "fast", "container": "c"}}),
]


@pytest.mark.parametrize(("more", "fields"), MEMBERS, ids=lambda value: str(value)[:50])
def test_member(more: dict[str, Any], fields: dict[str, Any]) -> None:
    talk, _ = decode_request(body(**more))
    assert {name: getattr(talk, name) for name in fields} == fields


@pytest.mark.parametrize("kind", ["bash_20250124", "text_editor_20250728", "memory_20250818", "computer_20251124"])
def test_tools_of_a_named_type_get_their_documented_schema(kind: str) -> None:
    talk, _ = decode_request(
        body(tools=[{"type": kind, "name": "n", "display_width_px": 800, "display_height_px": 600}])
    )
    (tool,) = talk.tools
    assert tool.name == "n"
    assert tool.schema is not None and tool.schema["properties"]


# --- refusals -------------------------------------------------------------------------------------------------------


def asks(*blocks: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(blocks)}]}


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "bot", "content": "hi"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
    ({"messages": ["hi"]}, "messages[0]"),
    (asks({"text": "a"}), "messages[0].content[0].type"),
    (asks({"type": "hologram"}), "messages[0].content[0].type"),
    (asks({"type": "image"}), "messages[0].content[0].source"),
    (asks({"type": "image", "source": {"type": "base64", "data": "no!"}}), "messages[0].content[0].source.data"),
    (asks({"type": "image", "source": {"type": "base64", "data": "A"}}), "messages[0].content[0].source.data"),
    (asks({"type": "image", "source": {"type": "ftp"}}), "messages[0].content[0].source.type"),
    (asks({"type": "tool_result", "tool_use_id": "x"}), "messages[0].content[0].tool_use_id"),
    (asks({"type": "tool_use", "id": "a", "name": "n", "input": []}, role="assistant"), "messages[0].content[0].input"),
    (asks({"type": "tool_use", "id": "a", "name": "n", "input": {}}), "messages[0]"),
    (asks({"type": "tool_use", "name": "n", "input": {}}, role="assistant"), "messages[0].content[0].id"),
    ({"system": 3}, "system"),
    ({"system": [{"type": "image", "source": {"type": "url", "url": "https://a"}}]}, "system"),
    ({"tools": [{"name": "n"}]}, "tools[0].input_schema"),
    ({"tools": [{"type": "laser_20990101", "name": "n"}]}, "tools[0].type"),
    ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"thinking": {"type": "enabled", "budget_tokens": 0}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "deep"}}, "thinking.type"),
    ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ({"temperature": "hot"}, "temperature"),
    ({"stop_sequences": [1]}, "stop_sequences"),
]


@pytest.mark.parametrize(("more", "place"), FAULTS, ids=lambda value: str(value)[:60])
def test_refusals_name_the_place(more: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode_request(body(**more))
    assert refused.value.member == place
