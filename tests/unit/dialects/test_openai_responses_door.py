"""A Responses client's request → the conversation: items, tools, and what is refused with the member's name."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest

from oneapi_cli.dialects.openai_responses import decode_request
from oneapi_cli.dialects.sealing import seal
from oneapi_cli.values.conversation import (
    CacheMark,
    Citation,
    Conversation,
    Hosted,
    Media,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi_cli.values.errors import BadRequest

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
PDF = base64.b64encode(b"%PDF-1.7 " + bytes(24)).decode()
NOTE = base64.b64encode("Grüße".encode()).decode()
SIGNED = Opaque(dialect="anthropic_messages", data={"signature": "c2ln"})
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
SITE = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}


def own(data: Any) -> Opaque:
    return Opaque(dialect="openai_responses", data=data)


def asked(input: Any = "Hi", **more: Any) -> Conversation:
    return decode_request({"model": "m", "input": input, **more})[0]


def notes_of(input: Any = "Hi", **more: Any) -> tuple[str, ...]:
    return decode_request({"model": "m", "input": input, **more})[1]


def call(id: str = "c1", name: str = "weather", arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": id, "name": name, "arguments": arguments, **more}


def output(id: str = "c1", output: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": id, "output": output, **more}


def user(*content: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


HELLO = {"role": "user", "content": "Hi"}


@dataclass(frozen=True)
class Said:
    """Items, and the turns that they are."""

    id: str
    input: Any
    turns: tuple[tuple[Role, tuple[Part, ...]], ...]


def result(id: str = "c1", name: str = "weather", text: str = "ok", **more: Any) -> ToolResult:
    return ToolResult(id=id, name=name, content=(Text(text=text),), **more)


SAID = [
    Said("a string", "Hi", (("user", (Text(text="Hi"),)),)),
    Said("a message without a type", [HELLO], (("user", (Text(text="Hi"),)),)),
    Said(
        "every role where it stands",
        [
            {"role": "developer", "content": "D"},
            HELLO,
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "S"}]},
            {"role": "assistant", "content": "A"},
            HELLO,
        ],
        (
            ("developer", (Text(text="D"),)),
            ("user", (Text(text="Hi"),)),
            ("system", (Text(text="S"),)),
            ("assistant", (Text(text="A"),)),
            ("user", (Text(text="Hi"),)),
        ),
    ),
    Said(
        "what the assistant said is one turn",
        [
            HELLO,
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm"}]},
            {
                "type": "message",
                "id": "msg",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {"type": "output_text", "text": "So", "annotations": [SITE]},
                    {"type": "refusal", "refusal": "No"},
                ],
            },
            call(),
            output(),
        ],
        (
            ("user", (Text(text="Hi"),)),
            (
                "assistant",
                (
                    Thinking(text="Hm"),
                    Text(
                        text="So",
                        citations=(Citation(url="https://a.example", title="A", start=0, end=2, raw=own(SITE)),),
                    ),
                    Refusal(text="No"),
                    ToolCall(id="c1", name="weather", arguments="{}"),
                ),
            ),
            ("user", (result(),)),
        ),
    ),
    Said(
        "seals: our wrapping of another dialect's, and OpenAI's own",
        [
            HELLO,
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "Hm"}],
                "encrypted_content": seal(SIGNED),
            },
            {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA"},
            {"type": "reasoning", "id": "r2", "summary": [], "content": [{"type": "reasoning_text", "text": "Open"}]},
            {"type": "reasoning", "id": "r3", "summary": []},
        ],
        (
            ("user", (Text(text="Hi"),)),
            (
                "assistant",
                (
                    Thinking(text="Hm", sealed=SIGNED),
                    Thinking(text="", sealed=own({"id": "rs", "encrypted_content": "gAAA"})),
                    Thinking(text="Open", sealed=own({"id": "r2", "encrypted_content": "", "content": True})),
                ),
            ),
        ),
    ),
    Said(
        "results stand behind their calls, wherever they came",
        [
            HELLO,
            call("c1"),
            call("c2", "other", '{"a":1}'),
            {"role": "user", "content": "Wait"},
            output(
                "c2", [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "https://a.example"}]
            ),
            {"role": "assistant", "content": "Yes"},
            output("c1"),
        ],
        (
            ("user", (Text(text="Hi"),)),
            (
                "assistant",
                (ToolCall(id="c1", name="weather"), ToolCall(id="c2", name="other", arguments='{"a":1}')),
            ),
            (
                "user",
                (
                    ToolResult(
                        id="c2",
                        name="other",
                        content=(Text(text="x"), Media(kind="image", url="https://a.example")),
                    ),
                    result(),
                ),
            ),
            ("user", (Text(text="Wait"),)),
            ("assistant", (Text(text="Yes"),)),
        ),
    ),
    Said(
        "free text",
        [
            HELLO,
            {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
        ],
        (
            ("user", (Text(text="Hi"),)),
            ("assistant", (ToolCall(id="c1", name="patch", arguments="*** Begin", custom=True),)),
            ("user", (result(name="patch", custom=True),)),
        ),
    ),
    Said(
        "tools that only OpenAI's models know are calls",
        [
            HELLO,
            {
                "type": "local_shell_call",
                "id": "ls",
                "call_id": "c1",
                "status": "completed",
                "action": {"type": "exec", "command": ["ls"], "env": {}},
            },
            {"type": "local_shell_call_output", "id": "c1", "output": "a.txt"},
            {"type": "shell_call", "call_id": "c2", "action": {"commands": ["pwd"]}},
            {"type": "shell_call_output", "call_id": "c2", "output": [{"stdout": "/"}]},
            {
                "type": "apply_patch_call",
                "call_id": "c3",
                "status": "completed",
                "operation": {"type": "delete_file", "path": "a"},
            },
            {"type": "apply_patch_call_output", "call_id": "c3", "status": "failed"},
        ],
        (
            ("user", (Text(text="Hi"),)),
            ("assistant", (ToolCall(id="c1", name="local_shell", arguments='{"command":["ls"]}'),)),
            ("user", (result(name="local_shell", text="a.txt"),)),
            ("assistant", (ToolCall(id="c2", name="shell", arguments='{"commands":["pwd"]}'),)),
            ("user", (result("c2", "shell", '[{"stdout":"/"}]'),)),
            ("assistant", (ToolCall(id="c3", name="apply_patch", arguments='{"type":"delete_file","path":"a"}'),)),
            ("user", (result("c3", "apply_patch", "failed", is_error=True),)),
        ),
    ),
    Said(
        "searches for tools: the client's are calls, the vendor's its own",
        [
            HELLO,
            {"type": "tool_search_call", "call_id": "c1", "execution": "client", "arguments": {"q": "pay"}},
            {"type": "tool_search_output", "call_id": "c1", "execution": "client", "tools": []},
            {"type": "tool_search_call", "call_id": "c2", "execution": "server", "arguments": {}},
        ],
        (
            ("user", (Text(text="Hi"),)),
            ("assistant", (ToolCall(id="c1", name="tool_search", arguments='{"q":"pay"}'),)),
            ("user", (result(name="tool_search", text="[]"),)),
            (
                "assistant",
                (
                    Hosted(
                        kind="tool_search",
                        sealed=own(
                            {"type": "tool_search_call", "call_id": "c2", "execution": "server", "arguments": {}}
                        ),
                    ),
                ),
            ),
        ),
    ),
    Said(
        "what the vendor ran",
        [HELLO, {"type": "web_search_call", "id": "ws"}, {"type": "code_interpreter_call", "id": "ci"}],
        (
            ("user", (Text(text="Hi"),)),
            (
                "assistant",
                (
                    Hosted(kind="web_search", sealed=own({"type": "web_search_call", "id": "ws"})),
                    Hosted(kind="code_execution", sealed=own({"type": "code_interpreter_call", "id": "ci"})),
                ),
            ),
        ),
    ),
    Said(
        "media",
        [
            user(
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "high"},
                {"type": "input_image", "image_url": {"url": "https://a.example/x.png"}},
                {"type": "input_image", "file_id": "file-1"},
                {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
                {"type": "input_file", "file_url": "https://a.example/a.pdf"},
                {"type": "input_file", "filename": "n.txt", "file_data": NOTE},
                {"type": "input_file", "filename": "x", "file_data": PNG},
                {"type": "input_file", "file_id": "file-2"},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            )
        ],
        (
            (
                "user",
                (
                    Media(kind="image", media_type="image/png", data=PNG, detail="high"),
                    Media(kind="image", url="https://a.example/x.png"),
                    Media(kind="image", file_id="file-1", origin="openai_responses"),
                    Media(kind="document", media_type="application/pdf", data=PDF, name="a.pdf"),
                    Media(kind="document", media_type="application/pdf", data=PDF, name="a.pdf"),
                    Media(kind="document", url="https://a.example/a.pdf"),
                    Media(kind="document", media_type="text/plain", text="Grüße", name="n.txt"),
                    Media(kind="image", media_type="image/png", data=PNG, name="x"),
                    Media(kind="document", file_id="file-2", origin="openai_responses"),
                    Media(kind="audio", media_type="audio/mpeg", data="AAAA"),
                ),
            ),
        ),
    ),
    Said(
        "a cache mark",
        [user({"type": "input_text", "text": "Long", "prompt_cache_breakpoint": {"mode": "explicit"}})],
        (("user", (Text(text="Long", cache=CacheMark()),)),),
    ),
]


@pytest.mark.parametrize("case", SAID, ids=lambda case: case.id)
def test_items(case: Said) -> None:
    assert tuple((turn.role, turn.parts) for turn in asked(case.input).turns) == case.turns


def test_instructions_come_first() -> None:
    assert [(turn.role, turn.parts) for turn in asked(instructions="Be brief.").turns] == [
        ("system", (Text(text="Be brief."),)),
        ("user", (Text(text="Hi"),)),
    ]


def test_empty_arguments_are_an_empty_object() -> None:
    part = asked([HELLO, call(arguments="")]).turns[1].parts[0]
    assert isinstance(part, ToolCall)
    assert part.arguments == "{}"


def test_members() -> None:
    talk = asked(
        stream=True,
        max_output_tokens=300,
        temperature=0.25,
        top_p=0.5,
        top_logprobs=3,
        parallel_tool_calls=False,
        service_tier="flex",
        safety_identifier="u1",
        user="u2",
        metadata={"a": "b"},
        prompt_cache_key="k",
        reasoning={"effort": "high", "summary": "concise"},
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
        store=False,
        truncation="auto",
        max_tool_calls=4,
    )
    assert talk == Conversation(
        model="m",
        turns=talk.turns,
        stream=True,
        limit=300,
        temperature=0.25,
        top_p=0.5,
        logprobs=True,
        top_logprobs=3,
        parallel_tools=False,
        tier="flex",
        user="u1",
        metadata={"a": "b"},
        cache_key="k",
        reasoning=Reasoning(effort="high", show=True, summary="concise"),
        format=OutputFormat(kind="json_schema", name="n", schema={"type": "object"}, strict=True),
        store=False,
        origin="openai_responses",
        extras={"truncation": "auto", "max_tool_calls": 4},
    )


def test_effort_none_is_off() -> None:
    assert asked(reasoning={"effort": "none"}).reasoning == Reasoning(enabled=False, effort="none")


@dataclass(frozen=True)
class Noted:
    member: str
    value: Any
    note: str | None


@pytest.mark.parametrize(
    "case",
    [
        Noted("store", True, "dropped:store"),
        Noted("store", False, None),
        Noted("include", ["reasoning.encrypted_content", "message.output_text.logprobs"], None),
        Noted("include", ["web_search_call.action.sources"], "dropped:include"),
        Noted("reasoning", {"context": "all_turns"}, "dropped:reasoning.context"),
        Noted("tool_choice", {"type": "web_search_preview"}, "dropped:tool_choice"),
        Noted("stream_options", {"include_obfuscation": False}, None),
        Noted("truncation", "disabled", None),
    ],
    ids=lambda case: f"{case.member}={json.dumps(case.value)}",
)
def test_notes(case: Noted) -> None:
    assert notes_of(**{case.member: case.value}) == (() if case.note is None else (case.note,))


def test_tools() -> None:
    talk = asked(
        tools=[
            {**WEATHER, "description": "d", "strict": True},
            {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "s: A"}},
            {"type": "custom", "name": "free", "format": {"type": "text"}},
            {"type": "local_shell"},
            {"type": "shell", "environment": {"type": "local"}},
            {"type": "shell", "environment": {"type": "container_auto"}},
            {"type": "web_search_preview_2025_03_11"},
            {"type": "code_interpreter", "container": {"type": "auto"}},
            {"type": "computer_use_preview"},
            {"type": "mcp", "server_label": "s"},
            {"type": "tool_search"},
            {"type": "function", "function": {"name": "chatty"}},
        ]
    )
    assert [(tool.name, tool.custom, tool.strict) for tool in talk.tools] == [
        ("weather", False, True),
        ("patch", True, None),
        ("free", True, None),
        ("local_shell", False, None),
        ("shell", False, None),
        ("chatty", False, None),
    ]
    assert talk.tools[1].grammar == {"type": "grammar", "syntax": "lark", "definition": "s: A"}
    assert talk.tools[2].grammar is None
    kinds = ["shell", "web_search", "code_execution", "computer", "mcp", "tool_search"]
    assert [tool.kind for tool in talk.hosted] == kinds
    assert talk.hosted[4].own == own({"type": "mcp", "server_label": "s"})


def test_names_in_namespaces() -> None:
    """A name that is told apart by itself stays as it is; else it carries its namespace. Calls follow."""
    inside = [WEATHER, {**WEATHER, "name": "only"}]
    namespace = {"type": "namespace", "name": "eu", "description": "", "tools": inside}
    talk = asked(
        [HELLO, call("c1", "weather", namespace="eu"), call("c2", "only", namespace="eu"), call("c3", "weather")],
        tools=[WEATHER, namespace],
        tool_choice={"type": "function", "name": "only"},
    )
    assert [tool.name for tool in talk.tools] == ["weather", "eu__weather", "only"]
    assert [part.name for part in talk.turns[1].parts if isinstance(part, ToolCall)] == [
        "eu__weather",
        "only",
        "weather",
    ]
    assert talk.tool_choice == ToolChoice(mode="named", names=("only",))


def test_tools_that_items_bring() -> None:
    brought = {"type": "additional_tools", "role": "developer", "tools": [WEATHER, {**WEATHER, "name": "found"}]}
    talk = asked([HELLO, brought, call("c1", "found", namespace="found"), output()], tools=[WEATHER])
    assert [tool.name for tool in talk.tools] == ["weather", "found"]
    assert isinstance(part := talk.turns[1].parts[0], ToolCall)
    assert part.name == "found"


@dataclass(frozen=True)
class Choosing:
    said: Any
    choice: ToolChoice


@pytest.mark.parametrize(
    "case",
    [
        *(Choosing(mode, ToolChoice(mode=mode)) for mode in ("auto", "none", "required")),
        Choosing({"type": "function", "name": "weather"}, ToolChoice(mode="named", names=("weather",))),
        Choosing({"type": "function", "function": {"name": "weather"}}, ToolChoice(mode="named", names=("weather",))),
        Choosing({"type": "custom", "name": "patch"}, ToolChoice(mode="named", names=("patch",))),
        Choosing({"type": "apply_patch"}, ToolChoice(mode="named", names=("apply_patch",))),
        Choosing(
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]},
            ToolChoice(mode="required", names=("weather",)),
        ),
    ],
    ids=lambda case: json.dumps(case.said),
)
def test_tool_choice(case: Choosing) -> None:
    tools = [WEATHER, {"type": "custom", "name": "patch"}, {"type": "apply_patch"}]
    assert asked(tools=tools, tool_choice=case.said).tool_choice == case.choice


@dataclass(frozen=True)
class Wrong:
    """A body, the member that is at fault, and a word of the sentence."""

    id: str
    body: dict[str, Any]
    member: str
    word: str


WRONG = [
    Wrong("no model", {"model": None}, "model", "required"),
    Wrong("nothing said", {"input": ""}, "input", "must say something"),
    Wrong("no items", {"input": []}, "input", "must say something"),
    Wrong("only a system", {"input": [{"role": "system", "content": "S"}]}, "input", "must say something"),
    Wrong("no array", {"input": 3}, "input", "array"),
    Wrong("no object", {"input": ["x"]}, "input[0]", "object"),
    Wrong("role", {"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "one of"),
    Wrong("part", {"input": [user({"type": "input_video"})]}, "input[0].content[0].type", "input_video"),
    Wrong("image", {"input": [user({"type": "input_image"})]}, "input[0].content[0]", "image_url"),
    Wrong(
        "scheme",
        {"input": [user({"type": "input_image", "image_url": "file:///etc/passwd"})]},
        "input[0].content[0].image_url",
        "http",
    ),
    Wrong(
        "base64",
        {"input": [user({"type": "input_image", "image_url": "data:image/png;base64,@@"})]},
        "input[0].content[0].image_url",
        "base64",
    ),
    Wrong("a result of no call", {"input": [HELLO, output("zz")]}, "input[1].call_id", "no call"),
    Wrong("arguments", {"input": [HELLO, call(arguments="{")]}, "input[1].arguments", "JSON"),
    Wrong("arguments that are a list", {"input": [HELLO, call(arguments="[]")]}, "input[1].arguments", "object"),
    Wrong("previous", {"previous_response_id": "resp_1"}, "previous_response_id", "speaks the Responses API"),
    Wrong("conversation", {"conversation": "conv_1"}, "conversation", "speaks the Responses API"),
    Wrong("prompt", {"prompt": {"id": "p"}}, "prompt", "speaks the Responses API"),
    Wrong(
        "reference", {"input": [HELLO, {"type": "item_reference", "id": "x"}]}, "input[1]", "speaks the Responses API"
    ),
    Wrong("bare reference", {"input": [HELLO, {"id": "x"}]}, "input[1]", "speaks the Responses API"),
    Wrong("compacted away", {"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]", "Responses"),
    Wrong("background", {"background": True}, "background", "leave it out"),
    Wrong("choice", {"tool_choice": {"type": "function", "name": "no"}}, "tool_choice", "not among the tools"),
    Wrong("effort", {"reasoning": {"effort": "huge"}}, "reasoning.effort", "one of"),
    Wrong("schema", {"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema", "required"),
    Wrong("limit", {"max_output_tokens": 0}, "max_output_tokens", "from 1"),
    Wrong("tool", {"tools": [{"type": "function"}]}, "tools[0].name", "required"),
    Wrong("metadata", {"metadata": {"a": 1}}, "metadata.a", "string"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_refused(case: Wrong) -> None:
    with pytest.raises(BadRequest) as caught:
        decode_request({"model": "m", "input": "Hi", **case.body})
    assert caught.value.member == case.member
    assert case.word in caught.value.message
