"""What a vendor that speaks Responses is sent: valid by the official package's types, nothing left out in silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import TypeAdapter

from oneapi_cli.dialects.openai_responses import encode_request
from oneapi_cli.values.conversation import (
    AudioFormat,
    Conversation,
    Hosted,
    HostedTool,
    Media,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from oneapi_cli.values.errors import BadRequest
from oneapi_cli.values.vendor import Quirks, Traits

PARAMS: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsBase)
REASONER = Traits(reasoning=True, system_role="developer", dropped=("temperature", "top_p"))
SIGNED = Opaque(dialect="anthropic_messages", data={"signature": "c2ln"})
LONG = "toolu_" + "x" * 70
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def own(**data: Any) -> Opaque:
    return Opaque(dialect="openai_responses", data=data)


def turn(role: Role, *parts: Part) -> Turn:
    return Turn(role=role, parts=parts)


HELLO = turn("user", Text(text="Hi"))
ASK = {"type": "message", "role": "user", "content": "Hi"}


def talk(*turns: Turn, **more: Any) -> Conversation:
    return Conversation(model="m", turns=turns or (HELLO,), **more)


def sent(conversation: Conversation, traits: Traits = Traits()) -> tuple[dict[str, Any], tuple[str, ...]]:  # noqa: B008 - frozen
    body, notes = encode_request(conversation, Quirks(), traits)
    PARAMS.validate_python(body)
    return body, notes


@dataclass(frozen=True)
class Told:
    """Turns, and the items that they are."""

    id: str
    turns: tuple[Turn, ...]
    items: list[dict[str, Any]]
    notes: tuple[str, ...] = ()


TOLD = [
    Told(
        "systems stay where they are",
        (turn("system", Text(text="S")), HELLO, turn("developer", Text(text="D")), HELLO),
        [
            {"type": "message", "role": "system", "content": "S"},
            ASK,
            {"type": "message", "role": "developer", "content": "D"},
            ASK,
        ],
    ),
    Told(
        "media",
        (
            turn(
                "user",
                Text(text="See"),
                Media(kind="image", data="AAAA", media_type="image/webp", detail="low"),
                Media(kind="image", url="https://a.example/x.png"),
                Media(kind="image", file_id="file-1", origin="openai_chat"),
                Media(kind="document", data="AAAA", media_type="application/pdf"),
                Media(kind="document", url="https://a.example/a.pdf"),
                Media(kind="document", text="Plain", name="Notes"),
            ),
        ),
        [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "See"},
                    {"type": "input_image", "detail": "low", "image_url": "data:image/webp;base64,AAAA"},
                    {"type": "input_image", "detail": "auto", "image_url": "https://a.example/x.png"},
                    {"type": "input_image", "detail": "auto", "file_id": "file-1"},
                    {
                        "type": "input_file",
                        "filename": "document.pdf",
                        "file_data": "data:application/pdf;base64,AAAA",
                    },
                    {"type": "input_file", "file_url": "https://a.example/a.pdf"},
                    {"type": "input_text", "text": "Notes\n\nPlain"},
                ],
            }
        ],
    ),
    Told(
        "calls, results before what else is said, ids that fit",
        (
            HELLO,
            turn(
                "assistant",
                Text(text="Well, "),
                Refusal(text="no."),
                ToolCall(id=LONG, name="weather", arguments='{"a":1}'),
                ToolCall(id="c2", name="patch", arguments="free", custom=True),
            ),
            turn(
                "user",
                ToolResult(id=LONG, content=(Text(text="sunny"),)),
                ToolResult(id="c2", content=(Text(text="a"), Media(kind="image", data="AAAA")), is_error=True),
                Text(text="And?"),
            ),
        ),
        [
            ASK,
            {"type": "message", "role": "assistant", "content": "Well, no."},
            {"type": "function_call", "call_id": "ID", "name": "weather", "arguments": '{"a":1}'},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "free"},
            {"type": "function_call_output", "call_id": "ID", "output": "sunny"},
            {
                "type": "custom_tool_call_output",
                "call_id": "c2",
                "output": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"},
                ],
            },
            {"type": "message", "role": "user", "content": "And?"},
        ],
        notes=("dropped:is_error",),
    ),
    Told(
        "own seals return, foreign ones and bare thoughts do not",
        (
            HELLO,
            turn(
                "assistant",
                Thinking(text="Sum", sealed=own(id="rs", encrypted_content="E")),
                Thinking(text="Open", sealed=own(id="r2", encrypted_content="", content=True)),
                Thinking(text="x", sealed=SIGNED),
                Text(text="So"),
                Thinking(text="y"),
                Text(text="!"),
            ),
            HELLO,
        ),
        [
            ASK,
            {
                "type": "reasoning",
                "id": "rs",
                "summary": [{"type": "summary_text", "text": "Sum"}],
                "encrypted_content": "E",
            },
            {
                "type": "reasoning",
                "id": "r2",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "Open"}],
            },
            {"type": "message", "role": "assistant", "content": "So!"},
            ASK,
        ],
        notes=("dropped:thinking_signature", "dropped:thinking"),
    ),
    Told(
        "what vendors ran",
        (
            HELLO,
            turn(
                "assistant",
                Hosted(
                    kind="mcp",
                    sealed=own(type="mcp_approval_request", id="i", arguments="", name="n", server_label="s"),
                ),
                Hosted(kind="web_search", sealed=SIGNED),
                Text(text="A"),
            ),
            turn("user", Hosted(kind="container_upload", sealed=SIGNED), Text(text="Hi")),
        ),
        [
            ASK,
            {"type": "mcp_approval_request", "id": "i", "arguments": "", "name": "n", "server_label": "s"},
            {"type": "message", "role": "assistant", "content": "A"},
            ASK,
        ],
        notes=("dropped:hosted:web_search", "dropped:hosted:container_upload"),
    ),
    Told(
        "a picture that the assistant made is shown to it",
        (HELLO, turn("assistant", Text(text="Here"), Media(kind="image", data="AAAA", media_type="image/png")), HELLO),
        [
            ASK,
            {"type": "message", "role": "assistant", "content": "Here"},
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"}],
            },
            ASK,
        ],
        notes=("changed:assistant_media",),
    ),
    Told(
        "a result that says nothing",
        (HELLO, turn("assistant", ToolCall(id="c", name="f", arguments="")), turn("user", ToolResult(id="c"))),
        [
            ASK,
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": ""},
        ],
    ),
]


@pytest.mark.parametrize("case", TOLD, ids=lambda case: case.id)
def test_items(case: Told) -> None:
    body, notes = sent(talk(*case.turns))
    made = {item["call_id"] for item in body["input"] if item.get("call_id", "").startswith("call_")}
    assert len(made) <= 1
    assert all(len(id) <= 64 for id in made)
    items = [{**item, "call_id": "ID"} if item.get("call_id") in made else item for item in body["input"]]
    assert items == case.items
    assert notes == case.notes


def test_plain() -> None:
    assert sent(talk()) == ({"model": "m", "input": [ASK], "store": False}, ())


def test_every_member() -> None:
    body, notes = sent(
        talk(
            stream=True,
            limit=99,
            temperature=0.5,
            top_p=0.25,
            top_logprobs=2,
            logprobs=True,
            tier="standard_only",
            user="u",
            metadata={"a": "b"},
            cache_key="k",
            store=True,
            format=OutputFormat(kind="json_schema", schema=SCHEMA, description="d", strict=True),
            verbosity="low",
            extras={"truncation": "auto", "stream_options": {"include_usage": True}, "safe_prompt": True},
        )
    )
    assert notes == ("dropped:safe_prompt",)
    assert body == {
        "model": "m",
        "input": [ASK],
        "store": True,
        "stream": True,
        "max_output_tokens": 99,
        "temperature": 0.5,
        "top_p": 0.25,
        "top_logprobs": 2,
        "include": ["message.output_text.logprobs"],
        "service_tier": "default",
        "user": "u",
        "metadata": {"a": "b"},
        "prompt_cache_key": "k",
        "truncation": "auto",
        "text": {
            "format": {
                "type": "json_schema",
                "name": "answer",
                "schema": SCHEMA,
                "description": "d",
                "strict": True,
            },
            "verbosity": "low",
        },
    }


def test_what_it_has_not_is_noted() -> None:
    body, notes = sent(
        talk(
            top_k=3,
            seed=1,
            stop=("x",),
            presence_penalty=0.5,
            frequency_penalty=0.5,
            logit_bias={"1": 2},
            tier="reserved",
        )
    )
    assert set(body) == {"model", "input", "store"}
    assert set(notes) == {
        *("dropped:top_k", "dropped:seed", "dropped:stop", "dropped:presence_penalty"),
        *("dropped:frequency_penalty", "dropped:logit_bias", "dropped:service_tier"),
    }


@dataclass(frozen=True)
class Thought:
    id: str
    reasoning: Reasoning | None
    sent: dict[str, Any] | None
    traits: Traits = REASONER
    origin: str = "anthropic_messages"
    notes: tuple[str, ...] = ()
    encrypted: bool = True


@pytest.mark.parametrize(
    "case",
    [
        Thought("nothing said", None, None),
        Thought("a small budget", Reasoning(enabled=True, budget=1024), {"effort": "low", "summary": "auto"}),
        Thought("a middling budget", Reasoning(enabled=True, budget=8000), {"effort": "medium", "summary": "auto"}),
        Thought("a large budget", Reasoning(budget=32_000), {"effort": "high", "summary": "auto"}),
        Thought("hidden", Reasoning(effort="high", show=False), {"effort": "high"}),
        Thought(
            "shown in its own way",
            Reasoning(effort="low", summary="detailed"),
            {"effort": "low", "summary": "detailed"},
        ),
        Thought("off", Reasoning(enabled=False), {"effort": "low"}, notes=("changed:reasoning",)),
        Thought("off in its own word", Reasoning(enabled=False, effort="none"), {"effort": "none"}),
        Thought("adaptive", Reasoning(enabled=True, adaptive=True), {"summary": "auto"}),
        Thought(
            "of a model that does not", Reasoning(budget=2000), None, Traits(), "gemini", ("dropped:reasoning",), False
        ),
        Thought("off where it never was", Reasoning(enabled=False), None, Traits(), encrypted=False),
        Thought("OpenAI's client knows", Reasoning(effort="low"), {"effort": "low"}, Traits(), "openai_chat"),
    ],
    ids=lambda case: case.id,
)
def test_reasoning(case: Thought) -> None:
    body, notes = sent(talk(reasoning=case.reasoning, origin=case.origin), case.traits)
    assert body.get("reasoning") == case.sent
    assert notes == case.notes
    assert ("reasoning.encrypted_content" in body.get("include", ())) is case.encrypted


def test_reasoning_models_have_manners_of_their_own() -> None:
    conversation = talk(turn("system", Text(text="S")), HELLO, temperature=0.5, top_p=1.0)
    body, notes = sent(conversation, REASONER)
    assert body["input"][0]["role"] == "developer"
    assert notes == ("dropped:temperature", "dropped:top_p")
    body, notes = encode_request(conversation, Quirks(reasoning_traits=False), REASONER)
    assert (body["input"][0]["role"], body["temperature"], notes) == ("system", 0.5, ())


def hosted(kind: str, **data: Any) -> HostedTool:
    return HostedTool(kind=kind, own=Opaque(dialect="anthropic_messages", data=data))


def test_tools() -> None:
    where = {"type": "approximate", "city": "Rome", "country": "IT"}
    body, notes = sent(
        talk(
            tools=(
                Tool(name="weather", description="d", schema=SCHEMA),
                Tool(name="firm", strict=True, schema=SCHEMA),
                Tool(name="bare"),
                Tool(name="patch", custom=True, grammar={"type": "grammar", "syntax": "lark", "definition": "s"}),
                Tool(
                    name="chat",
                    custom=True,
                    grammar={"type": "grammar", "grammar": {"syntax": "regex", "definition": "a"}},
                ),
            ),
            hosted=(
                hosted("web_search", max_uses=3, allowed_domains=["a.example"], user_location=where),
                hosted("code_execution"),
                hosted("bash"),
                HostedTool(kind="mcp", own=own(type="mcp", server_label="s", server_url="https://a.example")),
            ),
            tool_choice=ToolChoice(mode="auto"),
            parallel_tools=False,
        )
    )
    assert body["tools"] == [
        {"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA, "strict": False},
        {"type": "function", "name": "firm", "parameters": SCHEMA, "strict": True},
        {"type": "function", "name": "bare", "parameters": {"type": "object", "properties": {}}, "strict": False},
        {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "s"}},
        {"type": "custom", "name": "chat", "format": {"type": "grammar", "syntax": "regex", "definition": "a"}},
        {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}, "user_location": where},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "mcp", "server_label": "s", "server_url": "https://a.example"},
    ]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("auto", False)
    assert notes == ("dropped:max_uses", "dropped:tool:bash")


@dataclass(frozen=True)
class Choosing:
    choice: ToolChoice
    sent: Any


@pytest.mark.parametrize(
    "case",
    [
        Choosing(ToolChoice(mode="none"), "none"),
        Choosing(ToolChoice(mode="required"), "required"),
        Choosing(ToolChoice(mode="named", names=("a",)), {"type": "function", "name": "a"}),
        Choosing(ToolChoice(mode="named", names=("b",)), {"type": "custom", "name": "b"}),
        Choosing(
            ToolChoice(mode="auto", names=("a", "b")),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "a"}, {"type": "custom", "name": "b"}],
            },
        ),
    ],
    ids=lambda case: f"{case.choice.mode}-{'-'.join(case.choice.names)}",
)
def test_tool_choice(case: Choosing) -> None:
    body, _ = sent(talk(tools=(Tool(name="a"), Tool(name="b", custom=True)), tool_choice=case.choice))
    assert body["tool_choice"] == case.sent


def test_no_choice_where_there_are_no_tools() -> None:
    body, _ = sent(talk(tool_choice=ToolChoice(mode="auto"), parallel_tools=True))
    assert "tool_choice" not in body
    assert "parallel_tool_calls" not in body


@dataclass(frozen=True)
class Wrong:
    id: str
    conversation: Conversation
    word: str


@pytest.mark.parametrize(
    "case",
    [
        Wrong("several answers", talk(outputs=2), "`n`"),
        Wrong("speech", talk(audio=AudioFormat(voice="a")), "speak"),
        Wrong("sound", talk(turn("user", Media(kind="audio", data="AAAA"))), "audio"),
        Wrong("film", talk(turn("user", Media(kind="video", url="https://a.example"))), "video"),
        Wrong(
            "another's file", talk(turn("user", Media(kind="document", file_id="f", origin="gemini"))), "another vendor"
        ),
        Wrong("a bucket", talk(turn("user", Media(kind="image", url="gs://b/x"))), "cannot be read"),
    ],
    ids=lambda case: case.id,
)
def test_refused(case: Wrong) -> None:
    with pytest.raises(BadRequest, match=case.word):
        encode_request(replace(case.conversation), Quirks(), Traits())
