"""A chat client's request → a conversation, and what it is told where it cannot be one."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import asdict

from oneapi_cli.dialects.openai_chat import decode_request
from oneapi_cli.dialects.sealing import seal
from oneapi_cli.values.conversation import (
    AudioFormat,
    CacheMark,
    Conversation,
    HostedTool,
    Media,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from oneapi_cli.values.errors import BadRequest

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 10).decode()
PDF = base64.b64encode(b"%PDF-1.7 and so on").decode()
HELLO = {"role": "user", "content": "Hello"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
MADE = ToolCall(id="call_1", name="look", arguments='{"at": "sky"}')


def read(*messages: Any, **members: Any) -> Conversation:
    return decode_request({"model": "m", "messages": list(messages) or [HELLO], **members})[0]


# --- messages -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """Messages and the turns that they are."""

    name: str
    messages: list[dict[str, Any]]
    turns: tuple[Turn, ...]
    notes: tuple[str, ...] = ()


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=parts)


def model(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=parts)


def parts(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(content)}]


GEMINI = Opaque(dialect="gemini", data={"thoughtSignature": "c2ln", "call": "call_1"})
CLAUDE = Opaque(dialect="anthropic_messages", data={"signature": "c2ln"})
ROUTER = {"type": "reasoning.text", "text": "Hm", "signature": "own", "format": "anthropic-claude-v1", "index": 0}
OWN = Opaque(dialect="openai_chat", data={"reasoning_details": [ROUTER]})

MESSAGES = [
    Said("a string", [HELLO], (user(Text(text="Hello")),)),
    Said(
        "system, developer and names stay where they are",
        [
            {"role": "system", "content": "Be brief"},
            {**HELLO, "name": "ann"},
            {"role": "developer", "content": [{"type": "text", "text": "And kind"}]},
        ],
        (
            Turn(role="system", parts=(Text(text="Be brief"),)),
            Turn(role="user", parts=(Text(text="Hello"),), name="ann"),
            Turn(role="developer", parts=(Text(text="And kind"),)),
        ),
    ),
    Said("an empty text says nothing", [HELLO, {"role": "assistant", "content": ""}], (user(Text(text="Hello")),)),
    Said(
        "a picture inside, its type seen in its bytes",
        parts({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{PNG}", "detail": "low"}}),
        (user(Media(kind="image", media_type="image/png", data=PNG, detail="low")),),
    ),
    Said(
        "a picture at an address",
        parts({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}),
        (user(Media(kind="image", url="https://example.com/a.png")),),
    ),
    Said(
        "an address without its object",
        parts({"type": "image_url", "image_url": "https://example.com/a.png"}),
        (user(Media(kind="image", url="https://example.com/a.png")),),
    ),
    Said(
        "sound",
        parts({"type": "input_audio", "input_audio": {"data": PNG, "format": "mp3"}}),
        (user(Media(kind="audio", media_type="audio/mpeg", data=PNG)),),
    ),
    Said(
        "a file inside",
        parts({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}}),
        (user(Media(kind="document", media_type="application/pdf", data=PDF, name="a.pdf")),),
    ),
    Said(
        "a file in bare base64",
        parts({"type": "file", "file": {"file_data": PDF}}),
        (user(Media(kind="document", media_type="application/pdf", data=PDF)),),
    ),
    Said(
        "a plain text is text",
        parts({"type": "file", "file": {"file_data": base64.b64encode(b"Hi there").decode(), "filename": "a.txt"}}),
        (user(Media(kind="document", media_type="text/plain", text="Hi there", name="a.txt")),),
    ),
    Said(
        "a file of the vendor's",
        parts({"type": "file", "file": {"file_id": "file-1"}}),
        (user(Media(kind="document", file_id="file-1", origin="openai_chat")),),
    ),
    Said(
        "a film and a document at addresses",
        parts(
            {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
            {"type": "document_url", "document_url": "https://example.com/a.pdf"},
        ),
        (
            user(
                Media(kind="video", url="https://example.com/a.mp4"),
                Media(kind="document", url="https://example.com/a.pdf"),
            ),
        ),
    ),
    Said(
        "cache marks of a part and of a message",
        [
            {
                "role": "system",
                "content": [{"type": "text", "text": "Long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            },
            {**HELLO, "cache_control": {"type": "ephemeral"}},
        ],
        (
            Turn(role="system", parts=(Text(text="Long", cache=CacheMark(ttl="1h")),)),
            user(Text(text="Hello", cache=CacheMark())),
        ),
    ),
    Said(
        "calls and their results, which are one turn",
        [
            HELLO,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    CALL,
                    {"id": "call_2", "type": "custom", "custom": {"name": "sh", "input": "ls {"}},
                    {"id": "call_3", "function": {"name": "now", "arguments": ""}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_2", "content": "a\nb"},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "blue"}]},
            {"role": "tool", "tool_call_id": "call_3", "content": None},
            HELLO,
        ],
        (
            user(Text(text="Hello")),
            model(
                MADE,
                ToolCall(id="call_2", name="sh", arguments="ls {", custom=True),
                ToolCall(id="call_3", name="now", arguments="{}"),
            ),
            user(
                ToolResult(id="call_2", name="sh", content=(Text(text="a\nb"),), custom=True),
                ToolResult(id="call_1", name="look", content=(Text(text="blue"),)),
                ToolResult(id="call_3", name="now"),
            ),
            user(Text(text="Hello")),
        ),
    ),
    Said(
        "a mark within a result is the result's",
        [
            {"role": "assistant", "tool_calls": [CALL]},
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": [{"type": "text", "text": "blue", "cache_control": {"type": "ephemeral"}}],
            },
        ],
        (model(MADE), user(ToolResult(id="call_1", name="look", content=(Text(text="blue"),), cache=CacheMark()))),
    ),
    Said(
        "functions of the older kind, called twice",
        [
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
            {"role": "function", "name": "look", "content": "one"},
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
            {"role": "function", "name": "look", "content": "two"},
        ],
        (
            model(ToolCall(id="call_0_0", name="look")),
            user(ToolResult(id="call_0_0", name="look", content=(Text(text="one"),))),
            model(ToolCall(id="call_1_2", name="look")),
            user(ToolResult(id="call_1_2", name="look", content=(Text(text="two"),))),
        ),
    ),
    Said(
        "refusals",
        [
            HELLO,
            {"role": "assistant", "content": [{"type": "text", "text": "I"}, {"type": "refusal", "refusal": "won't"}]},
            {"role": "assistant", "content": None, "refusal": "No"},
        ],
        (user(Text(text="Hello")), model(Text(text="I"), Refusal(text="won't")), model(Refusal(text="No"))),
    ),
    Said(
        "a sound that the vendor keeps",
        [HELLO, {"role": "assistant", "content": "Hi", "audio": {"id": "audio_1"}}],
        (user(Text(text="Hello")), model(Text(text="Hi"))),
        notes=("dropped:messages.audio",),
    ),
    Said(
        "a picture that the model made",
        [
            HELLO,
            {
                "role": "assistant",
                "content": "Here",
                "images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
            },
        ],
        (user(Text(text="Hello")), model(Text(text="Here"), Media(kind="image", media_type="image/png", data=PNG))),
    ),
    Said(
        "thoughts as text",
        [{"role": "assistant", "reasoning_content": "Hm", "content": "Hi"}],
        (model(Thinking(text="Hm"), Text(text="Hi")),),
    ),
    Said(
        "thoughts in OpenRouter's member and in Mistral's parts",
        [
            {"role": "assistant", "reasoning": "Hm", "content": "Hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Well"}]},
                    {"type": "text", "text": "Yes"},
                ],
            },
        ],
        (model(Thinking(text="Hm"), Text(text="Hi")), model(Thinking(text="Well"), Text(text="Yes"))),
    ),
    Said(
        "details of the vendor's own",
        [{"role": "assistant", "reasoning": "Hm", "reasoning_details": [ROUTER], "content": "Hi"}],
        (model(Thinking(text="Hm", sealed=OWN), Text(text="Hi")),),
    ),
    Said(
        "what another vendor sealed, with its text",
        [
            {
                "role": "assistant",
                "reasoning_content": "Hm",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "Hm", "signature": seal(CLAUDE), "format": "oneapi-v1"},
                    {"type": "reasoning.encrypted", "data": seal(GEMINI), "format": "oneapi-v1", "index": 1},
                ],
                "content": "Hi",
            }
        ],
        (model(Thinking(text="Hm", sealed=CLAUDE), Thinking(sealed=GEMINI), Text(text="Hi")),),
    ),
    Said(
        "what another vendor sealed, its text only beside it",
        [
            {
                "role": "assistant",
                "reasoning_content": "Hm",
                "reasoning_details": [{"type": "reasoning.encrypted", "data": seal(CLAUDE)}],
            }
        ],
        (model(Thinking(text="Hm", sealed=CLAUDE)),),
    ),
    Said(
        "a signature of Google's OpenAI path",
        [
            {
                "role": "assistant",
                "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "c2ln"}}}],
            }
        ],
        (model(Thinking(sealed=GEMINI), MADE),),
    ),
]


@pytest.mark.parametrize("case", MESSAGES, ids=lambda case: case.name)
def test_messages(case: Said) -> None:
    talk, notes = decode_request({"model": "m", "messages": case.messages})
    assert talk.turns == case.turns
    assert notes == case.notes


# --- everything beside them -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """Members of a request and what of the conversation they set."""

    members: dict[str, Any]
    expected: dict[str, Any]


SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}
GRAMMAR = {"syntax": "lark", "definition": "start: A"}


def tool_choice(value: Any, choice: ToolChoice | None) -> Asked:
    custom = {"type": "custom", "custom": {"name": "sh"}}
    tools = (Tool(name="look", schema={"type": "object"}), Tool(name="sh", custom=True))
    return Asked({"tools": [LOOK, custom], "tool_choice": value}, {"tools": tools, "tool_choice": choice})


def hosted(tool: dict[str, Any], kind: str) -> Asked:
    return Asked({"tools": [tool]}, {"hosted": (HostedTool(kind=kind, own=Opaque(dialect="openai_chat", data=tool)),)})


ASKED = [
    Asked({}, {}),
    Asked({"max_tokens": 10, "max_completion_tokens": 7}, {"limit": 7}),
    Asked({"max_tokens": 10.0, "max_completion_tokens": None}, {"limit": 10}),
    Asked(
        {"temperature": 0, "top_p": 0.5, "top_k": 3, "presence_penalty": 1, "frequency_penalty": -1, "seed": -4},
        {"temperature": 0, "top_p": 0.5, "top_k": 3, "presence_penalty": 1, "frequency_penalty": -1, "seed": -4},
    ),
    Asked({"top_k": -1}, {}),
    Asked({"stop": "END"}, {"stop": ("END",)}),
    Asked({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
    Asked({"n": 3, "logprobs": True, "top_logprobs": 2}, {"outputs": 3, "logprobs": True, "top_logprobs": 2}),
    Asked({"logit_bias": {"50256": -100}}, {"logit_bias": {"50256": -100}}),
    Asked({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    Asked({"user": "u"}, {"user": "u"}),
    Asked({"user": "u", "safety_identifier": "s"}, {"user": "s"}),
    Asked(
        {"metadata": {"a": "b"}, "store": False, "prompt_cache_key": "k", "service_tier": "flex", "verbosity": "low"},
        {"metadata": {"a": "b"}, "store": False, "cache_key": "k", "tier": "flex", "verbosity": "low"},
    ),
    Asked(
        {"modalities": ["text", "audio"], "audio": {"voice": "ash", "format": "mp3"}},
        {"modalities": ("text", "audio"), "audio": AudioFormat(voice="ash", format="mp3")},
    ),
    Asked(
        {"audio": {"voice": {"id": "voice_1"}, "format": "wav"}}, {"audio": AudioFormat(voice="voice_1", format="wav")}
    ),
    Asked({"min_p": 0.1, "plugins": [], "prediction": None}, {"extras": {"min_p": 0.1, "plugins": []}}),
    # tools
    Asked(
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
                    "cache_control": {"type": "ephemeral"},
                }
            ],
            "parallel_tool_calls": False,
        },
        {
            "tools": (Tool(name="f", description="d", schema=SCHEMA, strict=True, cache=CacheMark()),),
            "parallel_tools": False,
        },
    ),
    Asked({"tools": [{"function": {"name": "f"}}]}, {"tools": (Tool(name="f"),)}),
    Asked(
        {
            "tools": [
                {"type": "custom", "custom": {"name": "c", "format": {"type": "grammar", "grammar": GRAMMAR}}},
                {"type": "custom", "custom": {"name": "t", "format": {"type": "text"}}},
            ]
        },
        {"tools": (Tool(name="c", custom=True, grammar={"type": "grammar", **GRAMMAR}), Tool(name="t", custom=True))},
    ),
    Asked(
        {"functions": [{"name": "f", "parameters": SCHEMA}], "function_call": {"name": "f"}},
        {"tools": (Tool(name="f", schema=SCHEMA),), "tool_choice": ToolChoice(mode="named", names=("f",))},
    ),
    hosted({"type": "web_search"}, "web_search"),
    hosted({"type": "web_search_preview_2025_03_11"}, "web_search"),
    hosted({"type": "web_search_20250305", "name": "web_search"}, "web_search"),
    hosted({"type": "openrouter:web_search"}, "web_search"),
    hosted({"type": "code_interpreter", "container": {"type": "auto"}}, "code_execution"),
    Asked(
        {"web_search_options": {"search_context_size": "low"}},
        {
            "hosted": (
                HostedTool(
                    kind="web_search",
                    own=Opaque(dialect="openai_chat", data={"web_search_options": {"search_context_size": "low"}}),
                ),
            )
        },
    ),
    tool_choice("auto", ToolChoice(mode="auto")),
    tool_choice("none", ToolChoice(mode="none")),
    tool_choice("required", ToolChoice(mode="required")),
    tool_choice("any", ToolChoice(mode="required")),
    tool_choice({"type": "any"}, ToolChoice(mode="required")),
    tool_choice({"type": "function", "function": {"name": "look"}}, ToolChoice(mode="named", names=("look",))),
    tool_choice({"type": "custom", "custom": {"name": "sh"}}, ToolChoice(mode="named", names=("sh",))),
    tool_choice(
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [LOOK]}},
        ToolChoice(mode="required", names=("look",)),
    ),
    Asked({"tool_choice": "auto"}, {}),
    # formats
    Asked({"response_format": {"type": "text"}}, {"format": OutputFormat(kind="text")}),
    Asked({"response_format": {"type": "json_object"}}, {"format": OutputFormat(kind="json_object")}),
    Asked(
        {"response_format": {"type": "json_object", "schema": SCHEMA}},
        {"format": OutputFormat(kind="json_schema", schema=SCHEMA)},
    ),
    Asked(
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}},
        {"format": OutputFormat(kind="json_schema", name="n", schema=SCHEMA, strict=True)},
    ),
    # thinking, in everybody's words
    Asked({"reasoning_effort": "low"}, {"reasoning": Reasoning(effort="low")}),
    Asked({"reasoning_effort": "none"}, {"reasoning": Reasoning(effort="none", enabled=False)}),
    Asked({"reasoning_effort": "default"}, {}),
    Asked({"reasoning": {"effort": "high"}}, {"reasoning": Reasoning(effort="high")}),
    Asked(
        {"reasoning": {"max_tokens": 2000, "exclude": True}},
        {"reasoning": Reasoning(enabled=True, budget=2000, show=False)},
    ),
    Asked({"reasoning": {"enabled": False}}, {"reasoning": Reasoning(enabled=False)}),
    Asked(
        {"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning": Reasoning(enabled=True, budget=1024)}
    ),
    Asked({"thinking": {"type": "disabled"}}, {"reasoning": Reasoning(enabled=False)}),
    Asked(
        {"thinking": {"type": "adaptive"}, "reasoning_effort": "max"},
        {"reasoning": Reasoning(enabled=True, adaptive=True, effort="max")},
    ),
    Asked(
        {"enable_thinking": True, "thinking_budget": 50, "include_reasoning": False},
        {"reasoning": Reasoning(enabled=True, budget=50, show=False)},
    ),
    Asked({"chat_template_kwargs": {"enable_thinking": False}}, {"reasoning": Reasoning(enabled=False)}),
]


@pytest.mark.parametrize("case", ASKED, ids=lambda case: ",".join(case.members) or "nothing")
def test_members(case: Asked) -> None:
    plain = asdict(Conversation(model="m", turns=(Turn(role="user", parts=(Text(text="Hello"),)),)))
    assert asdict(read(**case.members)) == {**plain, **case.expected}


def test_what_is_not_read_of_a_template_is_noted() -> None:
    asked = {"model": "m", "messages": [HELLO], "chat_template_kwargs": {"enable_thinking": True, "more": 1}}
    assert decode_request(asked)[1] == ("dropped:chat_template_kwargs",)


# --- what the client is to mend -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """A request and the member that it is told of. says: a part of the sentence."""

    member: str
    body: dict[str, Any]
    says: str = ""


def told(member: str, *messages: Any, says: str = "", **members: Any) -> Fault:
    return Fault(member, {"model": "m", "messages": list(messages) or [HELLO], **members}, says)


def part(member: str, content: Any, says: str = "", role: str = "user") -> Fault:
    return told(f"messages[0].content[0]{member}", {"role": role, "content": [content]}, says=says)


FAULTS = [
    Fault("model", {"messages": [HELLO]}),
    Fault("messages", {"model": "m"}),
    Fault("messages", {"model": "m", "messages": []}, "at least one"),
    Fault("messages", {"model": "m", "messages": "Hello"}, "array"),
    Fault("messages", {"model": "m", "messages": [{"role": "user", "content": ""}]}, "says something"),
    told("messages[0]", "Hello"),
    told("messages[0].role", {"content": "Hello"}),
    told("messages[1].role", HELLO, {"role": "robot", "content": "Hello"}, says="robot"),
    told("messages[0].content", {"role": "user"}, says="required"),
    told("messages[0].content", {"role": "user", "content": 5}),
    part("", 5),
    part(".type", {"text": "Hello"}),
    part(".type", {"type": "hologram"}, says="hologram"),
    part(".type", {"type": "image_url", "image_url": {"url": "https://example.com"}}, says="text alone", role="system"),
    part(".text", {"type": "text"}),
    part(".image_url", {"type": "image_url"}),
    part(".image_url.url", {"type": "image_url", "image_url": {"url": "ftp://example.com/a"}}, says="http"),
    part(".image_url.url", {"type": "image_url", "image_url": {"url": "data:image/png,abc"}}, says="base64"),
    part(".image_url.url", {"type": "image_url", "image_url": {"url": "data:image/png;base64,a?c="}}),
    part(".image_url.url", {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}, says="empty"),
    part(".image_url.url", {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=A"}}),
    part(
        ".image_url.url",
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 65532 + "AAA=" + "AAAA"}},
    ),
    part(".input_audio.data", {"type": "input_audio", "input_audio": {"format": "wav"}}),
    part(".file", {"type": "file", "file": {}}),
    part(
        ".file.file_data",
        {"type": "file", "file": {"file_data": base64.b64encode(b"\xff\xfe").decode() + "", "filename": "a.txt"}},
        says="UTF-8",
    ),
    told("messages[0].tool_calls[0].id", {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}),
    told("messages[0].tool_calls[0].function", {"role": "assistant", "tool_calls": [{"id": "a"}]}),
    told("messages[0].tool_calls[0].type", {"role": "assistant", "tool_calls": [{"id": "a", "type": "x"}]}),
    told(
        "messages[0].tool_calls[0].function.arguments",
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]},
        says="not JSON",
    ),
    told(
        "messages[0].tool_calls[0].function.arguments",
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "[1]"}}]},
        says="object",
    ),
    told(
        "messages[0].tool_calls[0].function.arguments",
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "[" * 5000}}]},
    ),
    told("messages[1].tool_call_id", HELLO, {"role": "tool", "content": "x"}),
    told("messages[1].tool_call_id", HELLO, {"role": "tool", "tool_call_id": "lost", "content": "x"}, says="lost"),
    told("messages[1].name", HELLO, {"role": "function", "name": "lost", "content": "x"}, says="lost"),
    told("messages[0].reasoning_details[0]", {"role": "assistant", "reasoning_details": ["x"]}),
    told("temperature", temperature="hot"),
    told("max_tokens", max_tokens=-1),
    told("max_completion_tokens", max_completion_tokens=True),
    told("n", n=0),
    told("stop", stop=[1]),
    told("logit_bias", logit_bias=[]),
    told("logit_bias.5", logit_bias={"5": "x"}),
    told("metadata.a", metadata={"a": 1}),
    told("verbosity", verbosity="loud"),
    told("reasoning_effort", reasoning_effort="extreme"),
    told("reasoning.effort", reasoning={"effort": "extreme"}),
    told("thinking.type", thinking={"type": "maybe"}),
    told("tools[0].function", tools=[{"type": "function", "name": "f"}]),
    told("tools[0].function.name", tools=[{"type": "function", "function": {"parameters": {}}}]),
    told("tools[0].function.parameters", tools=[{"type": "function", "function": {"name": "f", "parameters": "x"}}]),
    told("tools[0].type", tools=[{"type": "banana"}], says="banana"),
    told("tool_choice", tool_choice="required", says="no tools"),
    told("tool_choice", tool_choice="sometimes", tools=[LOOK]),
    told("tool_choice", tool_choice={"type": "function", "function": {"name": "f"}}, tools=[LOOK], says="'f'"),
    told("tool_choice", tool_choice=5, tools=[LOOK]),
    told("tool_choice.allowed_tools.tools", tool_choice={"type": "allowed_tools", "allowed_tools": {}}, tools=[LOOK]),
    told("response_format.type", response_format={"type": "xml"}),
    told("response_format.json_schema", response_format={"type": "json_schema"}),
]


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: f"{case.member} {case.says}")
def test_faults_name_the_member(case: Fault) -> None:
    with pytest.raises(BadRequest) as caught:
        decode_request(case.body)
    assert caught.value.member == case.member
    assert case.says in caught.value.message


def test_large_inline_data_is_checked_to_its_end() -> None:
    good = base64.b64encode(bytes(200_000)).decode()
    talk = read(
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{good}"}}]}
    )
    assert talk.turns[0].parts == (Media(kind="image", media_type="image/png", data=good),)
    bad = good[:-6] + "*" + good[-5:]
    with pytest.raises(BadRequest):
        read({"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{bad}"}}]})
