"""A conversation → the body for a vendor that speaks chat completions."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import ConfigDict, TypeAdapter, with_config

from oneapi_cli.dialects.openai_chat import encode_request
from oneapi_cli.values.conversation import (
    AudioFormat,
    CacheMark,
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

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 10).decode()
PDF = base64.b64encode(b"%PDF-1.7 and so on").decode()
PICTURE = Media(kind="image", media_type="image/png", data=PNG, detail="high")
PICTURE_PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "high"}}
CALL = ToolCall(id="call_1", name="look", arguments='{"at":"sky"}')
CALLED = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"sky"}'}}
ASKED = {"role": "assistant", "content": None, "tool_calls": [CALLED]}
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}
LOOK = Tool(name="look", description="Looks", schema=SCHEMA, strict=True)
LOOK_SENT = {
    "type": "function",
    "function": {"name": "look", "description": "Looks", "parameters": SCHEMA, "strict": True},
}
ADAPTER = TypeAdapter(with_config(ConfigDict(extra="allow"))(CompletionCreateParamsNonStreaming))


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=parts)


def model(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=parts)


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def encode(*turns: Turn, quirks: Quirks = Quirks(), traits: Traits = Traits(), **members: Any) -> tuple[Any, Any]:  # noqa: B008 - frozen
    talk = Conversation(model="up", turns=turns or (user(Text(text="Hi")),), **members)
    return encode_request(talk, quirks, traits)


# --- messages -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """Turns and the messages that they become."""

    name: str
    turns: tuple[Turn, ...]
    messages: list[dict[str, Any]]
    notes: tuple[str, ...] = ()
    quirks: Quirks = field(default_factory=Quirks)


CLAUDE = Opaque(dialect="anthropic_messages", data={"signature": "c2ln"})
DETAIL = {"type": "reasoning.encrypted", "data": "x", "index": 0}
OWN = Opaque(dialect="openai_chat", data={"reasoning_details": [DETAIL]})
GOOGLE = {"google": {"thought_signature": "c2ln"}}
SIGNED = Opaque(dialect="openai_chat", data={"extra_content": GOOGLE, "call": "call_1"})
LONG = "toolu_" + "x" * 60

MESSAGES = [
    Sent(
        "system turns, and developer's in the name that everybody knows",
        (
            Turn(role="system", parts=(Text(text="A"), Text(text="B"))),
            Turn(role="developer", parts=(Text(text="C"),), name="dev"),
            user(Text(text="Hi")),
        ),
        [{"role": "system", "content": "A\n\nB"}, {"role": "system", "content": "C", "name": "dev"}, said("Hi")],
    ),
    Sent("texts alone are one string", (user(Text(text="a"), Text(text="b")),), [said("a\n\nb")]),
    Sent(
        "with a picture they are an array",
        (user(Text(text="a"), PICTURE, Media(kind="image", url="https://example.com/a.png")),),
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    PICTURE_PART,
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                ],
            }
        ],
    ),
    Sent(
        "documents, sound, files of the vendor's",
        (
            user(
                Media(kind="document", media_type="application/pdf", data=PDF),
                Media(kind="document", media_type="text/plain", text="Plain", name="a.txt"),
                Media(kind="document", media_type="text/plain", data=base64.b64encode(b"Coded").decode()),
                Media(kind="document", file_id="file-1", origin="openai_responses"),
                Media(kind="audio", media_type="audio/x-wav", data="UklGRg=="),
            ),
        ),
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {"filename": "document.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                    },
                    {"type": "text", "text": "a.txt\n\nPlain"},
                    {"type": "text", "text": "Coded"},
                    {"type": "file", "file": {"file_id": "file-1"}},
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                ],
            }
        ],
    ),
    Sent(
        "calls, results with errors, and what the user says beside them",
        (
            user(Text(text="Hi")),
            model(Text(text="One"), Text(text="Two"), CALL, ToolCall(id="c", name="sh", arguments="ls", custom=True)),
            user(Text(text="Go on"), ToolResult(id="call_1", content=(Text(text="blue"), Text(text="dark")))),
            user(ToolResult(id="c", content=(Text(text="no such file"),), is_error=True)),
        ),
        [
            said("Hi"),
            {
                "role": "assistant",
                "content": "OneTwo",
                "tool_calls": [CALLED, {"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "blue\n\ndark"},
            {"role": "tool", "tool_call_id": "c", "content": "Error: no such file"},
            said("Go on"),
        ],
    ),
    Sent(
        "a picture that a tool came to goes into the user's next message",
        (
            model(CALL),
            user(ToolResult(id="call_1", name="look", content=(PICTURE,))),
            user(Text(text="Well?")),
        ),
        [
            ASKED,
            {"role": "tool", "tool_call_id": "call_1", "content": "The result is in the message after this one."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Result of `look` (call_1):"}, PICTURE_PART],
            },
            said("Well?"),
        ],
    ),
    Sent(
        "a picture that the model made goes there too",
        (user(Text(text="Draw")), model(Text(text="Here"), PICTURE), user(Text(text="Redder"))),
        [
            said("Draw"),
            {"role": "assistant", "content": "Here"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "A picture that the assistant made:"},
                    PICTURE_PART,
                    {"type": "text", "text": "Redder"},
                ],
            },
        ],
        notes=("changed:images",),
    ),
    Sent(
        "and is left out where no user follows",
        (user(Text(text="Draw")), model(Text(text="Here"), PICTURE)),
        [said("Draw"), {"role": "assistant", "content": "Here"}],
        notes=("changed:images", "dropped:images"),
    ),
    Sent(
        "a document in words within a result",
        (model(CALL), user(ToolResult(id="call_1", content=(Media(kind="document", text="Plain", name="a"),)))),
        [ASKED, {"role": "tool", "tool_call_id": "call_1", "content": "a\n\nPlain"}],
    ),
    Sent(
        "refusals are said, what the vendor ran and sources are not",
        (
            model(
                Text(text="See", citations=(Citation(url="https://example.com"),)),
                Hosted(kind="web_search", sealed=CLAUDE),
                Refusal(text="No"),
            ),
        ),
        [{"role": "assistant", "content": "SeeNo"}],
        notes=("dropped:hosted:web_search", "dropped:citations"),
    ),
    Sent(
        "thoughts of others",
        (model(Thinking(text="Hm", sealed=CLAUDE), Thinking(text="Well"), Text(text="Hi")), model(Thinking(text="x"))),
        [{"role": "assistant", "content": "Hi"}],
        notes=("dropped:thinking_signature", "dropped:thinking"),
    ),
    Sent(
        "for a vendor that takes them back",
        (model(Thinking(text="Hm", sealed=CLAUDE), Thinking(text=" well"), Text(text="Hi")),),
        [{"role": "assistant", "content": "Hi", "reasoning_content": "Hm well"}],
        notes=("dropped:thinking_signature",),
        quirks=Quirks(takes=("reasoning_content",)),
    ),
    Sent(
        "and wants them beside calls, be they empty",
        (model(CALL), model(Thinking(text="Hm"), CALL)),
        [{**ASKED, "reasoning_content": ""}, {**ASKED, "reasoning_content": "Hm"}],
        quirks=Quirks(takes=("reasoning_content",)),
    ),
    Sent(
        "names and what this format's other vendors sealed, where they are refused",
        (
            Turn(role="user", name="ann", parts=(Text(text="Hi"),)),
            model(Thinking(sealed=OWN), Thinking(sealed=SIGNED), CALL),
        ),
        [said("Hi"), ASKED],
        notes=("dropped:name", "dropped:thinking_signature"),
        quirks=Quirks(refuses=("name", "reasoning_details", "extra_content")),
    ),
    Sent(
        "documents by Mistral's part",
        (user(Media(kind="document", url="https://a.example/b"), Media(kind="document", data=PDF, name="a.pdf")),),
        [
            {
                "role": "user",
                "content": [
                    {"type": "document_url", "document_url": "https://a.example/b"},
                    {
                        "type": "document_url",
                        "document_url": f"data:application/pdf;base64,{PDF}",
                        "document_name": "a.pdf",
                    },
                ],
            }
        ],
        quirks=Quirks(takes=("document_url",)),
    ),
    Sent(
        "what is this dialect's own returns as it came",
        (model(Thinking(text="Hm", sealed=OWN), Thinking(sealed=SIGNED), CALL),),
        [{**ASKED, "tool_calls": [{**CALLED, "extra_content": GOOGLE}], "reasoning_details": [DETAIL]}],
    ),
    Sent(
        "cache marks are OpenAI's own business",
        (user(Text(text="Hi", cache=CacheMark())),),
        [said("Hi")],
        notes=("dropped:cache_control",),
    ),
    Sent(
        "unless the vendor takes them",
        (Turn(role="system", parts=(Text(text="A", cache=CacheMark(ttl="1h")),)), user(Text(text="Hi"))),
        [
            {
                "role": "system",
                "content": [
                    {"type": "text", "text": "A", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                ],
            },
            said("Hi"),
        ],
        quirks=Quirks(takes=("cache_control",)),
    ),
    Sent(
        "films and links for a vendor that takes them",
        (
            user(
                Media(kind="video", url="https://example.com/a.mp4"), Media(kind="document", url="https://a.example/b")
            ),
        ),
        [
            {
                "role": "user",
                "content": [
                    {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
                    {"type": "file", "file": {"filename": "document.pdf", "file_data": "https://a.example/b"}},
                ],
            }
        ],
        quirks=Quirks(takes=("video_url", "file_url")),
    ),
    Sent(
        "an assistant's word between a result and a user's",
        (model(CALL), user(ToolResult(id="call_1", content=(Text(text="x"),)), Text(text="Go on"))),
        [
            {**ASKED, "tool_calls": [{**CALLED, "id": "b5e7a9b3d"}]},
            {"role": "tool", "tool_call_id": "b5e7a9b3d", "content": "x"},
            {"role": "assistant", "content": "OK"},
            said("Go on"),
        ],
        quirks=Quirks(answers_tools=True, call_id_length=9),
    ),
]


@pytest.mark.parametrize("case", MESSAGES, ids=lambda case: case.name)
def test_messages(case: Sent) -> None:
    body, notes = encode(*case.turns, quirks=case.quirks)
    wanted = case.messages
    if case.quirks.call_id_length:  # the id is a digest: the same for the call and its result
        (made,) = {message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"}
        assert len(made) == case.quirks.call_id_length and made.isalnum()
        wanted = [{**message, **({"tool_call_id": made} if "tool_call_id" in message else {})} for message in wanted]
        wanted[0] = {**ASKED, "tool_calls": [{**CALLED, "id": made}]}
    assert body["messages"] == wanted
    assert notes == case.notes


def test_long_ids_are_the_same_everywhere_and_short_enough() -> None:
    turns = (model(ToolCall(id=LONG, name="a"), ToolCall(id=LONG + "y", name="b")), user(ToolResult(id=LONG)))
    body, _ = encode(*turns)
    first, second = (call["id"] for call in body["messages"][0]["tool_calls"])
    assert first != second and len(first) <= 40 and len(second) <= 40
    assert body["messages"][1]["tool_call_id"] == first


# --- other members --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Carried:
    """What a conversation asks for and the members that it becomes."""

    name: str
    asked: dict[str, Any]
    members: dict[str, Any]
    notes: tuple[str, ...] = ()
    quirks: Quirks = field(default_factory=Quirks)
    traits: Traits = field(default_factory=Traits)


THINKS = Traits(reasoning=True)


def thinking(reasoning: Reasoning, effort: str = "", *notes: str, origin: str = "", traits: Traits = THINKS) -> Carried:
    members = {"reasoning_effort": effort} if effort else {}
    return Carried(str(reasoning), {"reasoning": reasoning, "origin": origin}, members, notes, traits=traits)


def told(reasoning: Reasoning, members: dict[str, Any], *takes: str) -> Carried:
    return Carried(f"{reasoning} {takes}", {"reasoning": reasoning}, members, quirks=Quirks(takes=takes))


def search(dialect: str, data: Any) -> HostedTool:
    return HostedTool(kind="web_search", own=Opaque(dialect=dialect, data=data))


FORMAT = OutputFormat(kind="json_schema", name="My answer!", schema=SCHEMA, strict=True)

CARRIED = [
    Carried("nothing", {}, {}),
    Carried("a stream", {"stream": True}, {"stream": True}),
    Carried("a limit", {"limit": 5}, {"max_tokens": 5}),
    Carried(
        "a limit by another name",
        {"limit": 5},
        {"max_completion_tokens": 5},
        quirks=Quirks(token_limit_name="max_completion_tokens"),
    ),
    Carried(
        "sampling",
        {"temperature": 0.0, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": 2, "seed": 0, "outputs": 2},
        {"temperature": 0.0, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": 2, "seed": 0, "n": 2},
    ),
    Carried("top_k is not OpenAI's", {"top_k": 4}, {}, ("dropped:top_k",)),
    Carried("top_k where it is taken", {"top_k": 4}, {"top_k": 4}, quirks=Quirks(takes=("top_k",))),
    Carried("seed in Mistral's word", {"seed": 4}, {"random_seed": 4}, quirks=Quirks(takes=("random_seed",))),
    Carried("four stops at most", {"stop": tuple("abcde")}, {"stop": list("abcd")}, ("changed:stop",)),
    Carried(
        "log probabilities",
        {"top_logprobs": 3, "logit_bias": {"5": -1}},
        {"logprobs": True, "top_logprobs": 3, "logit_bias": {"5": -1}},
    ),
    Carried(
        "what the vendor refuses",
        {"seed": 1, "user": "u"},
        {},
        ("dropped:seed", "dropped:user"),
        quirks=Quirks(refuses=("seed", "user", "n")),
    ),
    Carried(
        "sound",
        {"modalities": ("TEXT", "AUDIO")},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    ),
    Carried(
        "sound in a stream",
        {"modalities": ("audio",), "audio": AudioFormat(voice="ash"), "stream": True},
        {"modalities": ["audio"], "audio": {"voice": "ash", "format": "pcm16"}, "stream": True},
    ),
    Carried("a voice without sound", {"audio": AudioFormat(voice="ash")}, {}, ("dropped:audio",)),
    Carried("the plain tier needs no word", {"tier": "auto"}, {}),
    Carried("a tier", {"tier": "flex"}, {"service_tier": "flex"}),
    Carried("a foreign tier", {"tier": "batch"}, {}, ("dropped:service_tier",)),
    Carried(
        "metadata with what is kept",
        {"metadata": {"a": "b"}, "store": True, "user": "u", "cache_key": "k", "verbosity": "low"},
        {"metadata": {"a": "b"}, "store": True, "user": "u", "prompt_cache_key": "k", "verbosity": "low"},
    ),
    Carried("metadata alone", {"metadata": {"a": "b"}, "store": False}, {}, ("dropped:metadata",)),
    Carried(
        "members of another format",
        {"extras": {"safety_settings": []}, "origin": "gemini"},
        {},
        ("dropped:safety_settings",),
    ),
    Carried(
        "members that OpenAI's formats share",
        {"extras": {"prompt_cache_retention": "24h", "include": []}, "origin": "openai_responses"},
        {"prompt_cache_retention": "24h"},
        ("dropped:include",),
    ),
    # tools
    Carried(
        "tools",
        {"tools": (LOOK, Tool(name="now")), "tool_choice": ToolChoice(mode="required"), "parallel_tools": False},
        {
            "tools": [
                LOOK_SENT,
                {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
            ],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        },
    ),
    Carried("no tools, no choice", {"tool_choice": ToolChoice(mode="auto"), "parallel_tools": True}, {}),
    Carried(
        "one of them",
        {"tools": (LOOK,), "tool_choice": ToolChoice(mode="named", names=("look",))},
        {"tools": [LOOK_SENT], "tool_choice": {"type": "function", "function": {"name": "look"}}},
    ),
    Carried(
        "some of them",
        {"tools": (LOOK, Tool(name="now")), "tool_choice": ToolChoice(mode="auto", names=("look",))},
        {"tools": [LOOK_SENT], "tool_choice": "auto"},
        ("changed:tools",),
    ),
    Carried(
        "free text with a grammar",
        {
            "tools": (Tool(name="c", custom=True, grammar={"type": "grammar", "syntax": "regex", "definition": "a+"}),),
            "tool_choice": ToolChoice(mode="named", names=("c",)),
        },
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "c",
                        "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}},
                    },
                }
            ],
            "tool_choice": {"type": "custom", "custom": {"name": "c"}},
        },
    ),
    Carried(
        "marks on tools",
        {"tools": (Tool(name="a", schema=SCHEMA, cache=CacheMark()),)},
        {"tools": [{"type": "function", "function": {"name": "a", "parameters": SCHEMA}}]},
        ("dropped:cache_control",),
    ),
    Carried("a search elsewhere", {"hosted": (search("gemini", {}),)}, {}, ("dropped:tool:web_search",)),
    Carried(
        "a search by a model that searches",
        {"hosted": (search("gemini", {}),)},
        {"web_search_options": {}},
        traits=Traits(agent=True),
    ),
    Carried(
        "a search as it was asked for",
        {"hosted": (search("openai_chat", {"type": "web_search"}), search("openai_chat", {"web_search_options": {}}))},
        {"tools": [{"type": "web_search"}], "web_search_options": {}},
    ),
    # formats
    Carried("plain text is the default", {"format": OutputFormat(kind="text")}, {}),
    Carried("JSON", {"format": OutputFormat(kind="json_object")}, {"response_format": {"type": "json_object"}}),
    Carried(
        "a schema",
        {"format": FORMAT},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "My_answer_", "schema": SCHEMA, "strict": True},
            }
        },
    ),
    # thinking
    thinking(Reasoning(effort="xhigh"), "xhigh"),
    thinking(Reasoning(enabled=True, budget=1024), "low"),
    thinking(Reasoning(enabled=True, budget=4096), "low"),
    thinking(Reasoning(enabled=True, budget=16384), "medium"),
    thinking(Reasoning(enabled=True, budget=32000), "high"),
    thinking(Reasoning(enabled=True, budget=-1)),
    thinking(Reasoning(enabled=True, adaptive=True)),
    thinking(Reasoning(enabled=False), "", "dropped:thinking"),
    thinking(Reasoning(effort="none", enabled=False), "none"),
    thinking(Reasoning(enabled=True, budget=1024), "", "dropped:thinking", traits=Traits()),
    thinking(Reasoning(effort="low"), "", "dropped:thinking", traits=Traits(), origin="anthropic_messages"),
    thinking(Reasoning(effort="low"), "low", traits=Traits(), origin="openai_responses"),
    thinking(Reasoning(effort="low", summary="auto"), "low", "dropped:reasoning.summary"),
    thinking(Reasoning(effort="low", show=False), "low", "dropped:reasoning.exclude"),
    told(Reasoning(enabled=True, budget=1024), {"thinking": {"type": "enabled"}}, "thinking"),
    told(Reasoning(enabled=False), {"thinking": {"type": "disabled"}}, "thinking"),
    told(Reasoning(effort="none", enabled=False), {"thinking": {"type": "disabled"}}, "thinking", "reasoning_effort"),
    told(
        Reasoning(enabled=True, budget=20000),
        {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        *("thinking", "reasoning_effort"),
    ),
    told(Reasoning(effort="low"), {"reasoning_effort": "low"}, "thinking", "reasoning_effort"),
]


@pytest.mark.parametrize("case", CARRIED, ids=lambda case: case.name)
def test_members(case: Carried) -> None:
    body, notes = encode(quirks=case.quirks, traits=case.traits, **case.asked)
    assert body == {"model": "up", "messages": [said("Hi")], **case.members}
    assert notes == case.notes
    if not any(tool.get("type") == "web_search" for tool in body.get("tools", ())):
        ADAPTER.validate_python({name: value for name, value in body.items() if name != "stream"})


def test_a_schema_in_words_for_who_knows_only_json() -> None:
    body, notes = encode(format=FORMAT, quirks=Quirks(refuses=("json_schema",)))
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["role"] == "system"
    assert '"at"' in body["messages"][0]["content"]
    assert notes == ("changed:response_format",)


REFUSED = [
    Media(kind="video", url="https://example.com/a.mp4"),
    Media(kind="audio", url="https://example.com/a.mp3"),
    Media(kind="document", url="https://example.com/a.pdf"),
    Media(kind="document", file_id="file_1", origin="anthropic_messages"),
    Media(kind="image", file_id="file_1", origin="openai_responses"),
]


@pytest.mark.parametrize("media", REFUSED, ids=lambda media: f"{media.kind} {media.origin or media.url}")
def test_what_nobody_wants_left_out_is_refused(media: Media) -> None:
    with pytest.raises(BadRequest) as caught:
        encode(user(media))
    assert caught.value.member == "messages"
