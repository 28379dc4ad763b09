"""Converse: every request is valid in the service's own model, and replies say the same whole and streamed."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from oneapi_cli.dialects import bedrock_converse as bedrock
from oneapi_cli.dialects.anthropic_names import JSON_TOOL, JSON_VALUE_TOOL
from oneapi_cli.dialects.dialect import VendorError
from oneapi_cli.dialects.parts import collect
from oneapi_cli.framing.sse import Frame
from oneapi_cli.values.conversation import (
    CacheMark,
    Choice,
    Citation,
    Conversation,
    Hosted,
    HostedTool,
    Media,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Reply,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from oneapi_cli.values.errors import BadRequest, Malformed
from oneapi_cli.values.events import Failed, UsageSeen
from oneapi_cli.values.vendor import Quirks, Traits

PNG = "iVBORw0KGgoAAAANSUhEUg=="
PDF = base64.b64encode(b"%PDF-1.4 x").decode()
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
BUDGET = Traits(thinking="budget", max_output=64_000)
ADAPTIVE = Traits(thinking="adaptive", max_output=64_000)
NEWEST = Traits(thinking="adaptive", max_output=128_000, sampling=False, thinks="between")
NOVA = Traits(thinking="level", levels=("low", "medium", "high"), structured=False)
EFFORTS = Traits(levels=("low", "medium", "high"))


@cache
def _input_shape() -> Any:
    return botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def encode(talk: Conversation, traits: Traits = BUDGET) -> tuple[dict[str, Any], tuple[str, ...]]:
    body, notes = bedrock.encode_request(talk, Quirks(), traits)
    report = ParamValidator().validate({"modelId": "m", **body}, _input_shape())
    assert not report.has_errors(), report.generate_report()
    json.dumps(body)
    return body, notes


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=parts)


def assistant(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=parts)


HELLO = user(Text(text="hello"))


def talk(*turns: Turn, **more: Any) -> Conversation:
    return Conversation(model="m", turns=turns or (HELLO,), **more)


WEATHER = Tool(name="weather", description="The weather", schema=SCHEMA)
CALL = ToolCall(id="t1", name="weather", arguments='{"city":"Paris"}')
RESULT = ToolResult(id="t1", name="weather", content=(Text(text="sunny"),))
SPEC = {"toolSpec": {"name": "weather", "description": "The weather", "inputSchema": {"json": SCHEMA}}}


@dataclass(frozen=True)
class Case:
    """expect: members of the body; absent: members that it must not have."""

    name: str
    talk: Conversation
    expect: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    traits: Traits = BUDGET
    absent: tuple[str, ...] = ()


def messages(*found: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in found]}


TURNS = [
    Case(
        "system turns, and one amid the conversation",
        talk(
            Turn(role="system", parts=(Text(text="Be brief."),)),
            HELLO,
            Turn(role="developer", parts=(Text(text="Be kind."),)),
            user(Text(text="again")),
        ),
        messages(("user", [{"text": "hello"}, {"text": "again"}]))
        | {"system": [{"text": "Be brief."}, {"text": "Be kind."}]},
        ("changed:system_position",),
    ),
    Case(
        "nothing but system turns",
        talk(Turn(role="system", parts=(Text(text="Be brief."),))),
        messages(("user", [{"text": "Be brief."}])),
        ("changed:system_position",),
        absent=("system",),
    ),
    Case(
        "it begins with the user",
        talk(assistant(Text(text="Hi")), HELLO),
        messages(("user", [{"text": "."}]), ("assistant", [{"text": "Hi"}]), ("user", [{"text": "hello"}])),
        ("changed:first_turn",),
    ),
    Case(
        "blank texts are left out",
        talk(user(Text(text=" "), Text(text="hello"), Text(text=""))),
        messages(("user", [{"text": "hello"}])),
    ),
    Case(
        "nothing but blanks", talk(user(Text(text=" "))), messages(("user", [{"text": "."}])), ("changed:empty_text",)
    ),
    Case(
        "half an answer, without white space at its end",
        talk(HELLO, assistant(Text(text="It is "))),
        messages(("user", [{"text": "hello"}]), ("assistant", [{"text": "It is"}])),
    ),
    Case(
        "no half an answer where that is refused",
        talk(HELLO, assistant(Text(text="It is"))),
        messages(("user", [{"text": "hello"}]), ("assistant", [{"text": "It is"}]), ("user", [{"text": "Continue."}])),
        ("changed:prefill",),
        ADAPTIVE,
    ),
    Case(
        "calls and results, results first, turns joined",
        talk(
            HELLO,
            assistant(Text(text="Let me see."), CALL, ToolCall(id="t 2", name="weather", arguments="")),
            user(Text(text="and?"), RESULT),
            user(ToolResult(id="t 2", content=(), is_error=True)),
            tools=(WEATHER,),
        ),
        messages(
            ("user", [{"text": "hello"}]),
            (
                "assistant",
                [
                    {"text": "Let me see."},
                    {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Paris"}}},
                    {"toolUse": {"toolUseId": "t_2_fd555bee", "name": "weather", "input": {}}},
                ],
            ),
            (
                "user",
                [
                    {"toolResult": {"toolUseId": "t1", "content": [{"text": "sunny"}]}},
                    {
                        "toolResult": {
                            "toolUseId": "t_2_fd555bee",
                            "content": [{"text": "(no output)"}],
                            "status": "error",
                        }
                    },
                    {"text": "and?"},
                ],
            ),
        )
        | {"toolConfig": {"tools": [SPEC]}},
    ),
    Case(
        "Claude's thoughts go back as they came",
        talk(
            HELLO,
            assistant(
                Thinking(text="Hm", sealed=Opaque(dialect="anthropic_messages", data={"signature": "c2ln"})),
                Thinking(sealed=Opaque(dialect="anthropic_messages", data={"redacted": "RXRr"})),
                Thinking(sealed=Opaque(dialect="anthropic_messages", data={"redacted_content": "/w=="})),
                Text(text="Hi"),
            ),
            user(Text(text="go on")),
        ),
        messages(
            ("user", [{"text": "hello"}]),
            (
                "assistant",
                [
                    {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
                    {"reasoningContent": {"redactedContent": base64.b64encode(b"RXRr").decode()}},
                    {"reasoningContent": {"redactedContent": "/w=="}},
                    {"text": "Hi"},
                ],
            ),
            ("user", [{"text": "go on"}]),
        ),
    ),
    Case(
        "foreign thoughts do not",
        talk(
            HELLO,
            assistant(
                Thinking(text="Hm", sealed=Opaque(dialect="gemini", data={"thoughtSignature": "x"})),
                Thinking(text="plain"),
                Refusal(text="No."),
            ),
            user(Text(text="why")),
        ),
        messages(("user", [{"text": "hello"}]), ("assistant", [{"text": "No."}]), ("user", [{"text": "why"}])),
        ("dropped:thinking_signature", "dropped:thinking"),
    ),
    Case(
        "tools that the vendor ran go back to it alone",
        talk(
            HELLO,
            assistant(
                Hosted(kind="web_search", sealed=Opaque(dialect="anthropic_messages", data={})),
                Hosted(
                    kind="code_execution",
                    sealed=Opaque(
                        dialect="bedrock_converse",
                        data={"toolUse": {"toolUseId": "s", "name": "n", "input": {}, "type": "server_tool_use"}},
                    ),
                ),
                Text(text="42", citations=(Citation(url="https://example.com"),)),
            ),
            user(Text(text="why")),
        ),
        messages(
            ("user", [{"text": "hello"}]),
            (
                "assistant",
                [
                    {"toolUse": {"toolUseId": "s", "name": "n", "input": {}, "type": "server_tool_use"}},
                    {"text": "42"},
                ],
            ),
            ("user", [{"text": "why"}]),
        )
        | {"toolConfig": {"tools": [{"systemTool": {"name": "n"}}]}},
        ("dropped:hosted:web_search", "dropped:citations"),
    ),
]

MEDIA = [
    Case(
        "pictures",
        talk(
            user(
                Media(kind="image", media_type="image/jpeg", data="/9j/"),
                Media(kind="image", data=PNG),
                Media(kind="image", url="s3://bucket-1/a.webp"),
            )
        ),
        messages(
            (
                "user",
                [
                    {"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}},
                    {"image": {"format": "png", "source": {"bytes": PNG}}},
                    {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket-1/a.webp"}}}},
                ],
            )
        ),
    ),
    Case(
        "documents have fit and different names, and a text beside them",
        talk(
            user(
                Media(kind="document", media_type="application/pdf", data=PDF, name="Q3: report_v2.pdf", cites=True),
                Media(kind="document", data=PDF, name="Q3  report v2.pdf"),
                Media(kind="document", text="a,b", name="data.csv"),
                Media(kind="document", media_type="application/json", data="e30="),
            )
        ),
        messages(
            (
                "user",
                [
                    {"text": "The document is attached."},
                    {
                        "document": {
                            "name": "Q3 report v2",
                            "format": "pdf",
                            "source": {"bytes": PDF},
                            "citations": {"enabled": True},
                        }
                    },
                    {"document": {"name": "Q3 report v2 2", "format": "pdf", "source": {"bytes": PDF}}},
                    {"document": {"name": "data", "format": "csv", "source": {"bytes": "YSxi"}}},
                    {"document": {"name": "Document", "format": "txt", "source": {"bytes": "e30="}}},
                ],
            )
        ),
    ),
    Case(
        "sound and film",
        talk(
            user(
                Media(kind="audio", media_type="audio/wav", data="UklG"),
                Media(kind="video", media_type="video/mp4", data="AAAA"),
            )
        ),
        messages(
            (
                "user",
                [
                    {"audio": {"format": "wav", "source": {"bytes": "UklG"}}},
                    {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
                ],
            )
        ),
    ),
    Case(
        "media in results, and the assistant's pictures in the user's turn",
        talk(
            HELLO,
            assistant(Media(kind="image", media_type="image/png", data=PNG), CALL),
            user(
                ToolResult(
                    id="t1",
                    content=(
                        Media(kind="image", media_type="image/png", data=PNG),
                        Media(kind="document", data=PDF),
                    ),
                )
            ),
            tools=(WEATHER,),
        ),
        messages(
            ("user", [{"text": "hello"}]),
            ("assistant", [{"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Paris"}}}]),
            (
                "user",
                [
                    {
                        "toolResult": {
                            "toolUseId": "t1",
                            "content": [
                                {"image": {"format": "png", "source": {"bytes": PNG}}},
                                {"document": {"name": "Document", "format": "pdf", "source": {"bytes": PDF}}},
                            ],
                        }
                    },
                    {"image": {"format": "png", "source": {"bytes": PNG}}},
                ],
            ),
        ),
        ("changed:media_position",),
    ),
]

POINT = {"cachePoint": {"type": "default"}}
HOUR = {"cachePoint": {"type": "default", "ttl": "1h"}}
CACHE = [
    Case(
        "breakpoints stand behind what they belong to",
        talk(
            Turn(role="system", parts=(Text(text="Be brief.", cache=CacheMark(ttl="1h")),)),
            user(Text(text="long", cache=CacheMark()), Text(text="hello")),
            tools=(Tool(name="weather", schema=SCHEMA, cache=CacheMark(ttl="1h")),),
        ),
        {
            "system": [{"text": "Be brief."}, HOUR],
            "toolConfig": {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}, HOUR]},
        }
        | messages(("user", [{"text": "long"}, POINT, {"text": "hello"}])),
    ),
    Case(
        "four at most, an hour's first",
        talk(
            user(*(Text(text=str(number), cache=CacheMark(ttl="1h" if number == 5 else "")) for number in range(6))),
        ),
        messages(
            (
                "user",
                [
                    {"text": "0"},
                    POINT,
                    {"text": "1"},
                    {"text": "2"},
                    {"text": "3"},
                    POINT,
                    {"text": "4"},
                    POINT,
                    {"text": "5"},
                    POINT,
                ],
            )
        ),
        ("dropped:cache_control", "changed:cache_control"),
    ),
    Case(
        "none for a model that knows none",
        talk(user(Text(text="hello", cache=CacheMark()))),
        messages(("user", [{"text": "hello"}])),
        ("dropped:cache_control",),
        Traits(),
    ),
]

TOOLS = [
    Case(
        "any tool",
        talk(tools=(WEATHER,), tool_choice=ToolChoice(mode="required")),
        {"toolConfig": {"tools": [SPEC], "toolChoice": {"any": {}}}},
    ),
    Case(
        "a named tool",
        talk(tools=(WEATHER,), tool_choice=ToolChoice(mode="named", names=("weather",))),
        {"toolConfig": {"tools": [SPEC], "toolChoice": {"tool": {"name": "weather"}}}},
    ),
    Case(
        "strict",
        talk(tools=(Tool(name="weather", schema=SCHEMA, strict=True),)),
        {"toolConfig": {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}, "strict": True}}]}},
    ),
    Case("no tool", talk(tools=(WEATHER,), tool_choice=ToolChoice(mode="none")), absent=("toolConfig",)),
    Case(
        "no tool, and a history with calls",
        talk(HELLO, assistant(CALL), user(RESULT), tools=(WEATHER,), tool_choice=ToolChoice(mode="none")),
        {"toolConfig": {"tools": [SPEC]}},
        ("changed:tool_choice",),
    ),
    Case(
        "calls of tools that are not declared any more",
        talk(HELLO, assistant(CALL), user(RESULT)),
        {
            "toolConfig": {
                "tools": [
                    {"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
                ]
            }
        },
        ("changed:tool_choice",),
    ),
    Case(
        "tools that Nova runs",
        talk(hosted=(HostedTool(kind="web_search", own=Opaque(dialect="openai_chat", data={})),)),
        {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}},
        traits=NOVA,
    ),
    Case(
        "tools that nobody runs here",
        talk(hosted=(HostedTool(kind="web_search", own=Opaque(dialect="openai_chat", data={})),)),
        {},
        ("dropped:tool:web_search",),
        absent=("toolConfig",),
    ),
    Case(
        "one at a time cannot be said",
        talk(tools=(WEATHER,), parallel_tools=False),
        {"toolConfig": {"tools": [SPEC], "toolChoice": {"auto": {}}}},
        ("dropped:parallel_tool_calls",),
    ),
    Case(
        "no call can be demanded",
        talk(tools=(WEATHER,), tool_choice=ToolChoice(mode="required")),
        {"toolConfig": {"tools": [SPEC], "toolChoice": {"auto": {}}}},
        ("changed:tool_choice",),
        NEWEST,
    ),
]

HIGH = Reasoning(enabled=True, effort="high")
SETTINGS = [
    Case(
        "inference",
        talk(limit=100, temperature=0.5, stop=("END", ""), top_k=5),
        {
            "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "stopSequences": ["END"]},
            "additionalModelRequestFields": {"top_k": 5},
            "additionalModelResponseFieldPaths": ["/stop_sequence"],
        },
        ("dropped:stop",),
    ),
    Case(
        "Claude takes one of temperature and top_p",
        talk(temperature=1.5, top_p=0.5),
        {"inferenceConfig": {"topP": 0.5}},
        ("changed:temperature",),
    ),
    Case(
        "others take both",
        talk(temperature=1, top_p=0.5),
        {"inferenceConfig": {"temperature": 1, "topP": 0.5}},
        traits=Traits(),
    ),
    Case(
        "what there is no member for",
        talk(seed=1, presence_penalty=0.5, user="u", logit_bias={"1": 2.0}, extras={"foo": 1}),
        {},
        ("dropped:presence_penalty", "dropped:seed", "dropped:logit_bias", "dropped:user", "dropped:foo"),
        absent=("inferenceConfig", "additionalModelRequestFields"),
    ),
    Case(
        "tier and metadata",
        talk(tier="flex", metadata={"team": "a-1", "bad": "ü"}),
        {"serviceTier": {"type": "flex"}, "requestMetadata": {"team": "a-1"}},
        ("dropped:metadata",),
    ),
    Case(
        "a thinking budget",
        talk(reasoning=Reasoning(enabled=True, budget=2048), limit=4096, temperature=0.5, top_k=3),
        {
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            "inferenceConfig": {"maxTokens": 4096},
        },
        ("dropped:temperature", "dropped:top_k"),
    ),
    Case(
        "adaptive thinking",
        talk(reasoning=HIGH),
        {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}},
        traits=ADAPTIVE,
    ),
    Case(
        "levels",
        talk(reasoning=HIGH),
        {"additionalModelRequestFields": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}},
        traits=NOVA,
    ),
    Case(
        "the highest level takes no limit",
        talk(reasoning=HIGH, limit=100, top_k=3),
        {
            "additionalModelRequestFields": {
                "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"},
                "inferenceConfig": {"topK": 3},
            },
            "inferenceConfig": {"maxTokens": 100},
        },
        ("changed:reasoning_effort",),
        NOVA,
    ),
    Case(
        "efforts",
        talk(reasoning=Reasoning(effort="minimal")),
        {"additionalModelRequestFields": {"reasoning_effort": "low"}},
        ("changed:reasoning_effort",),
        EFFORTS,
    ),
    Case(
        "no thinking at all",
        talk(reasoning=HIGH),
        {},
        ("dropped:reasoning",),
        Traits(),
        ("additionalModelRequestFields",),
    ),
    Case(
        "a demanded call goes before thoughts",
        talk(tools=(WEATHER,), tool_choice=ToolChoice(mode="required"), reasoning=HIGH),
        {},
        ("dropped:reasoning",),
        absent=("additionalModelRequestFields",),
    ),
]

FORMAT = OutputFormat(kind="json_schema", name="city", description="A city", schema=SCHEMA)
TEXT_FORMAT = {
    "type": "json_schema",
    "structure": {
        "jsonSchema": {
            "schema": json.dumps(SCHEMA, separators=(",", ":")),
            "name": "city",
            "description": "A city",
        }
    },
}
OUTPUT = [
    Case("a schema", talk(format=FORMAT), {"outputConfig": {"textFormat": TEXT_FORMAT}}),
    Case(
        "a schema and an effort stand together",
        talk(format=FORMAT, reasoning=HIGH),
        {
            "outputConfig": {"textFormat": TEXT_FORMAT, "effort": "high"},
            "additionalModelRequestFields": {"thinking": {"type": "adaptive"}},
        },
        traits=ADAPTIVE,
    ),
    Case(
        "a tool in its place",
        talk(format=FORMAT),
        {
            "toolConfig": {
                "tools": [{"toolSpec": {"name": JSON_TOOL, "description": "A city", "inputSchema": {"json": SCHEMA}}}],
                "toolChoice": {"tool": {"name": JSON_TOOL}},
            }
        },
        ("changed:response_format",),
        Traits(structured=False),
    ),
    Case("text", talk(format=OutputFormat(kind="text")), absent=("outputConfig", "toolConfig")),
]


@pytest.mark.parametrize("case", [*TURNS, *MEDIA, *CACHE, *TOOLS, *SETTINGS, *OUTPUT], ids=lambda case: case.name)
def test_requests(case: Case) -> None:
    body, notes = encode(case.talk, case.traits)
    assert {name: body.get(name) for name in case.expect} == case.expect
    assert not [name for name in case.absent if name in body]
    assert notes == case.notes


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (talk(user(Media(kind="image", url="https://example.com/a.png"))), "neither inline nor"),
        (talk(user(Media(kind="image", media_type="image/bmp", data="Qk0="))), "image/bmp"),
        (talk(user(Media(kind="document", media_type="application/zip", data="UEs="))), "application/zip"),
        (talk(user(Media(kind="video", media_type="video/x-odd", data="AAAA"))), "video/x-odd"),
        (talk(user(Media(kind="document", file_id="file-1", origin="openai_chat"))), "another vendor"),
        (talk(Turn(role="system", parts=(Media(kind="image", data=PNG),))), "system"),
        (talk(tools=(Tool(name="a.b", schema=SCHEMA),)), "a.b"),
        (talk(tools=(Tool(name="n" * 65, schema=SCHEMA),)), "64"),
        (talk(outputs=2), "`n`"),
        (talk(modalities=("text", "audio")), "sound"),
    ],
)
def test_what_it_cannot_take(asked: Conversation, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        bedrock.encode_request(asked, Quirks(), BUDGET)


# --- replies --------------------------------------------------------------------------------------------------------


def reply(*content: dict[str, Any], stop: str = "end_turn", **more: Any) -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
        **more,
    }


def streamed(payload: dict[str, Any]) -> list[Frame]:
    """A whole reply as ConverseStream would say it."""
    frames = [frame("messageStart", role="assistant")]
    for index, block in enumerate(payload["output"]["message"]["content"]):
        frames += [frame(name, contentBlockIndex=index, **said) for name, said in _pieces(block)]
        frames.append(frame("contentBlockStop", contentBlockIndex=index))
    extra = {name: payload[name] for name in ("additionalModelResponseFields",) if name in payload}
    frames.append(frame("messageStop", stopReason=payload["stopReason"], **extra))
    rest = {name: payload[name] for name in ("usage", "serviceTier", "trace") if name in payload}
    return [*frames, frame("metadata", metrics={"latencyMs": 1}, **rest)]


def frame(event: str, **payload: Any) -> Frame:
    return Frame(event, json.dumps({**payload, "p": "abcdef"}).encode())


def _pieces(block: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    def delta(**said: Any) -> tuple[str, dict[str, Any]]:
        return "contentBlockDelta", {"delta": said}

    if "text" in block:
        return [delta(text=letter) for letter in block["text"]]
    if "toolUse" in block:
        used = {name: value for name, value in block["toolUse"].items() if name != "input"}
        text = json.dumps(block["toolUse"]["input"], separators=(",", ":"))
        pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
        return [("contentBlockStart", {"start": {"toolUse": used}}), *(delta(toolUse={"input": p}) for p in pieces)]
    if "toolResult" in block:
        result = {name: value for name, value in block["toolResult"].items() if name != "content"}
        return [
            ("contentBlockStart", {"start": {"toolResult": result}}),
            *(delta(toolResult=[piece]) for piece in block["toolResult"]["content"]),
        ]
    if "citationsContent" in block:
        cited = block["citationsContent"]
        texts = [delta(text=piece["text"]) for piece in cited.get("content", ())]
        return [*texts, *(delta(citation=each) for each in cited["citations"])]
    if "reasoningContent" in block:
        thought = block["reasoningContent"]
        if "redactedContent" in thought:
            return [delta(reasoningContent={"redactedContent": thought["redactedContent"]})]
        said = thought["reasoningText"]
        signed = [delta(reasoningContent={"signature": said["signature"]})] if "signature" in said else []
        return [*(delta(reasoningContent={"text": letter}) for letter in said["text"]), *signed]
    start = {"start": {"image": {"format": block["image"]["format"]}}}
    return [("contentBlockStart", start), delta(image={"source": block["image"]["source"]})]


def sealed(**data: str) -> Opaque:
    return Opaque(dialect="anthropic_messages", data=data)


SERVER_CALL = {
    "toolUse": {"toolUseId": "s1", "name": "nova_code_interpreter", "type": "server_tool_use", "input": {"code": "1"}}
}
SERVER_RESULT = {
    "toolResult": {
        "toolUseId": "s1",
        "type": "nova_code_interpreter_result",
        "status": "success",
        "content": [{"text": "2"}],
    }
}
WEB = {"location": {"web": {"url": "https://example.com/a", "domain": "example.com"}}}
PAGE = {"title": "Doc", "sourceContent": [{"text": "said"}], "location": {"documentPage": {"start": 1, "end": 2}}}


def used(name: str, given: Any, id: str = "t1") -> dict[str, Any]:
    return {"toolUse": {"toolUseId": id, "name": name, "input": given}}


@dataclass(frozen=True)
class Answer:
    name: str
    payload: dict[str, Any]
    parts: tuple[Part, ...]
    finish: str = "stop"
    stop_sequence: str = ""
    explanation: str = ""


ANSWERS = [
    Answer("text", reply({"text": "Hello"}), (Text(text="Hello"),)),
    Answer(
        "thoughts with and without a seal",
        reply(
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": base64.b64encode(b"RXRr").decode()}},
            {"reasoningContent": {"redactedContent": "/w=="}},
            {"reasoningContent": {"reasoningText": {"text": "So"}}},
            {"text": "Hi"},
        ),
        (
            Thinking(text="Hm", sealed=sealed(signature="sig")),
            Thinking(sealed=sealed(redacted="RXRr")),
            Thinking(sealed=sealed(redacted_content="/w==")),
            Thinking(text="So"),
            Text(text="Hi"),
        ),
    ),
    Answer(
        "calls, whatever the stop reason says",
        reply({"text": "Wait"}, used("weather", {"city": "Paris"}), used("clock", {}, "t2")),
        (
            Text(text="Wait"),
            ToolCall(id="t1", name="weather", arguments='{"city":"Paris"}'),
            ToolCall(id="t2", name="clock", arguments="{}"),
        ),
        "tool_calls",
    ),
    Answer(
        "a call that was cut off",
        reply(used("weather", {"city": "Paris"}), stop="max_tokens"),
        (ToolCall(id="t1", name="weather", arguments='{"city":"Paris"}'),),
        "length",
    ),
    Answer(
        "tools that the vendor ran",
        reply(SERVER_CALL, SERVER_RESULT, {"text": "2"}, stop="tool_use"),
        (
            Hosted(kind="code_execution", sealed=Opaque(dialect="bedrock_converse", data=SERVER_CALL)),
            Hosted(kind="code_execution", sealed=Opaque(dialect="bedrock_converse", data=SERVER_RESULT)),
            Text(text="2"),
        ),
    ),
    Answer(
        "citations",
        reply({"citationsContent": {"content": [{"text": "It is so."}], "citations": [PAGE, WEB]}}),
        (
            Text(
                text="It is so.",
                citations=(
                    Citation(title="Doc", quoted="said", raw=Opaque(dialect="bedrock_converse", data=PAGE)),
                    Citation(
                        url="https://example.com/a",
                        title="example.com",
                        raw=Opaque(dialect="bedrock_converse", data=WEB),
                    ),
                ),
            ),
        ),
    ),
    Answer(
        "the tool that stands for a format",
        reply(used(JSON_TOOL, {"city": "Paris"}), stop="tool_use"),
        (Text(text='{"city":"Paris"}'),),
    ),
    Answer(
        "the tool that stands for a value",
        reply(used(JSON_VALUE_TOOL, {"value": [1, 2]}), stop="tool_use"),
        (Text(text="[1,2]"),),
    ),
    Answer(
        "a picture",
        reply({"image": {"format": "png", "source": {"bytes": PNG}}}),
        (Media(kind="image", media_type="image/png", data=PNG),),
    ),
    Answer(
        "a stop sequence",
        reply({"text": "a"}, stop="stop_sequence", additionalModelResponseFields={"stop_sequence": "END"}),
        (Text(text="a"),),
        "stop_sequence",
        "END",
    ),
    Answer(
        "a guardrail",
        reply({"text": "Sorry"}, stop="guardrail_intervened", trace={"guardrail": {"actionReason": "Blocked."}}),
        (Text(text="Sorry"),),
        "content_filter",
        explanation="Blocked.",
    ),
    Answer("a filter", reply(stop="content_filtered"), (), "content_filter"),
    Answer("a malformed call", reply(stop="malformed_tool_use"), (), "error"),
    Answer("the window", reply({"text": "a"}, stop="model_context_window_exceeded"), (Text(text="a"),), "context"),
    Answer("a reason nobody knows", reply({"text": "a"}, stop="new_one"), (Text(text="a"),), "unknown"),
]


def _one(found: Reply | VendorError) -> Choice:
    assert isinstance(found, Reply)
    return found.choices[0]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_replies(answer: Answer) -> None:
    choice = _one(bedrock.decode_reply(answer.payload, Quirks()))
    assert (choice.parts, choice.finish) == (answer.parts, answer.finish)
    assert (choice.stop_sequence, choice.explanation) == (answer.stop_sequence, answer.explanation)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_streams_say_the_same(answer: Answer) -> None:
    decoder = bedrock.decode_stream(Quirks())
    events = [event for frame in streamed(answer.payload) for event in decoder.feed(frame)]
    assert decoder.close() == []
    choice = collect(events).choices[0]
    assert (choice.parts, choice.finish) == (answer.parts, answer.finish)
    assert (choice.stop_sequence, choice.explanation) == (answer.stop_sequence, answer.explanation)
    assert isinstance(events[-2], UsageSeen)


def test_citations_without_text_belong_to_the_text_before() -> None:
    payload = reply({"text": "It is so."}, {"citationsContent": {"citations": [WEB]}})
    part = _one(bedrock.decode_reply(payload, Quirks())).parts[0]
    assert isinstance(part, Text)
    assert part.text == "It is so."
    assert part.citations[0].url == "https://example.com/a"


def test_a_stream_without_its_end_is_not_finished() -> None:
    decoder = bedrock.decode_stream(Quirks())
    events = [event for frame in streamed(reply({"text": "Hello"}))[:-2] for event in decoder.feed(frame)]
    assert collect([*events, *decoder.close()]).choices[0].finish == "unknown"


def test_a_stream_without_usage_is_finished_all_the_same() -> None:
    decoder = bedrock.decode_stream(Quirks())
    events = [event for frame in streamed(reply({"text": "Hello"}))[:-1] for event in decoder.feed(frame)]
    assert collect([*events, *decoder.close()]).choices[0].finish == "stop"


def test_unknown_events_are_passed_over_and_malformed_ones_are_not() -> None:
    decoder = bedrock.decode_stream(Quirks())
    assert decoder.feed(Frame("newEvent", b"{}")) == []
    for bad in (Frame("contentBlockDelta", b"x"), Frame("messageStop", b"[]")):
        with pytest.raises(Malformed):
            decoder.feed(bad)


@pytest.mark.parametrize(
    ("event", "payload", "failed"),
    [
        ("throttlingException", {"message": "slow"}, Failed(message="slow", type="throttlingException", status=429)),
        (
            "modelStreamErrorException",
            {"message": "broke", "originalStatusCode": 529},
            Failed(message="broke", type="modelStreamErrorException", status=529),
        ),
        (
            "newException",
            {},
            Failed(message="The upstream ended its stream with newException", type="newException", status=None),
        ),
    ],
)
def test_exceptions_inside_a_stream(event: str, payload: dict[str, Any], failed: Failed) -> None:
    found = bedrock.decode_stream(Quirks()).feed(Frame(f"exception:{event}", json.dumps(payload).encode()))
    assert found == [failed]


def test_usage_counts_what_was_cached() -> None:
    block = {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 145,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 30,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 10}],
    }
    usage = bedrock.read_usage({"usage": block, "serviceTier": {"type": "flex"}}, Quirks())
    assert usage is not None
    assert usage.counts == {
        "input_tokens": 140,
        "output_tokens": 5,
        "cache_read_tokens": 100,
        "cache_write_tokens": 30,
        "cache_write_5m_tokens": 10,
        "cache_write_1h_tokens": 20,
    }
    assert usage.tier == "flex"
    assert bedrock.read_usage(b"{}", Quirks()) is None


@pytest.mark.parametrize(
    ("body", "message", "kind"),
    [
        (b'{"message":"no such model"}', "no such model", None),
        (
            b'{"Message":"denied","__type":"com.amazon.coral.service#AccessDeniedException"}',
            "denied",
            "AccessDeniedException",
        ),
    ],
)
def test_errors(body: bytes, message: str, kind: str | None) -> None:
    found = bedrock.decode_error(400, body)
    assert (found.message, found.type, found.is_vendor_body) == (message, kind, True)


def test_a_proxys_page_is_no_vendors_error() -> None:
    assert not bedrock.decode_error(502, b"<html>bad gateway</html>").is_vendor_body


def test_a_reply_that_is_none() -> None:
    with pytest.raises(Malformed):
        bedrock.decode_reply({}, Quirks())
    assert isinstance(bedrock.decode_reply({"message": "no"}, Quirks()), VendorError)
