"""Requests as clients write them now and then: each door takes them, and every dialect gets all of them.

Each case is a body in the words of one door. It is translated to every dialect of vendors and must be valid there and
whole, by the readers of `make wire`; where a target has no place for something, the case says that it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from oneapi_cli.dialects import LISTENERS, SPEAKERS
from oneapi_cli.values.errors import BadRequest
from scripts.wire.requests import TEXT_ONLY, TINY, translated

PNG, PDF, MP3 = TINY["image"][1], TINY["document"][1], TINY["audio"][1]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass(frozen=True)
class Odd:
    """takes: the dialects that can carry it, None for all; the others refuse it with a 400."""

    name: str
    door: str
    body: Mapping[str, Any]
    takes: frozenset[str] | None = None


def chat(*messages: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **more}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def called(id: str = "c1", arguments: str = '{"city": "Rome"}', **more: Any) -> dict[str, Any]:
    function = {"name": "look", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": function}], **more}


TOOLS = [{"type": "function", "function": {"name": "look", "parameters": CITY}}]

CHAT = (
    Odd("a text alone", "openai_chat", chat(user("Hello"))),
    Odd(
        "system and developer turns, several, and in the middle",
        "openai_chat",
        chat(
            {"role": "system", "content": "One."},
            {"role": "developer", "content": [{"type": "text", "text": "Two."}, {"type": "text", "text": "Three."}]},
            user("Hello"),
            {"role": "assistant", "content": "Hi"},
            {"role": "system", "content": "Four."},
            user("Bye"),
        ),
    ),
    Odd("a system turn alone", "openai_chat", chat({"role": "system", "content": "Say hello."})),
    Odd(
        "the model began and is to go on",
        "openai_chat",
        chat(user("Count."), {"role": "assistant", "content": "One, two,"}),
    ),
    Odd(
        "the assistant comes first",
        "openai_chat",
        chat({"role": "assistant", "content": "How can I help?"}, user("Tell me of Rome")),
    ),
    Odd(
        "empty texts here and there",
        "openai_chat",
        chat(
            user([{"type": "text", "text": ""}, {"type": "text", "text": "Hello"}]),
            called(content=""),
            {"role": "tool", "tool_call_id": "c1", "content": ""},
            tools=TOOLS,
        ),
    ),
    Odd(
        "results in parts, in another order, and the user goes on",
        "openai_chat",
        chat(
            user("Look twice"),
            {
                "role": "assistant",
                "content": "I shall.",
                "tool_calls": [*called("a")["tool_calls"], *called("b", "{}")["tool_calls"]],
            },
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "second"}]},
            {"role": "tool", "tool_call_id": "a", "content": "first", "name": "look"},
            user("And now?"),
            tools=TOOLS,
        ),
    ),
    Odd(
        "the same id in two rounds",
        "openai_chat",
        chat(
            user("Look"),
            called("call_0"),
            {"role": "tool", "tool_call_id": "call_0", "content": "first"},
            called("call_0", '{"city": "Oslo"}'),
            {"role": "tool", "tool_call_id": "call_0", "content": "second"},
            tools=TOOLS,
        ),
    ),
    Odd(
        "arguments that are nothing, and no text",
        "openai_chat",
        chat(user("Look"), called(arguments="", content=None), {"role": "tool", "tool_call_id": "c1", "content": "x"}),
    ),
    Odd(
        "functions of the old kind",
        "openai_chat",
        chat(
            user("Look"),
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": '{"city": "Rome"}'}},
            {"role": "function", "name": "look", "content": "sunny"},
            functions=[{"name": "look", "parameters": CITY}],
            function_call="auto",
        ),
    ),
    Odd(
        "pictures of every kind",
        "openai_chat",
        chat(
            user(
                [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "text", "text": "and"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "high"}},
                ]
            )
        ),
    ),
    Odd(
        "a document",
        "openai_chat",
        chat(
            user(
                [
                    {
                        "type": "file",
                        "file": {"filename": "a b(1).pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                    },
                    {"type": "text", "text": "What is it?"},
                ]
            )
        ),
        takes=frozenset({"anthropic_messages", "bedrock_converse", "gemini", "openai_responses"}),
    ),
    Odd(
        "a sound",
        "openai_chat",
        chat(
            user(
                [
                    {"type": "text", "text": "Who speaks?"},
                    {"type": "input_audio", "input_audio": {"data": MP3, "format": "mp3"}},
                ]
            )
        ),
        takes=frozenset({"bedrock_converse", "gemini"}),
    ),
    Odd(
        "a refusal in the history",
        "openai_chat",
        chat(user("Do it"), {"role": "assistant", "content": None, "refusal": "I will not."}, user("Please")),
    ),
    Odd(
        "all of its members",
        "openai_chat",
        chat(
            {"role": "user", "content": "Hello", "name": "ann"},
            max_tokens=100,
            temperature=0.3,
            top_p=0.9,
            stop=["a", "b"],
            n=1,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            seed=7,
            user="u-1",
            metadata={"a": "b"},
            store=False,
            logprobs=False,
            parallel_tool_calls=False,
            service_tier="auto",
            verbosity="low",
            reasoning_effort="low",
            prompt_cache_key="k",
            safety_identifier="s",
            tools=TOOLS,
            tool_choice="required",
            stream_options={"include_usage": True},
        ),
    ),
    Odd(
        "nulls",
        "openai_chat",
        chat(user("Hello"), tools=None, tool_choice=None, stop=None, temperature=None, max_tokens=None, n=None),
    ),
    Odd(
        "some tools allowed",
        "openai_chat",
        chat(
            user("Look"),
            tools=TOOLS,
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "look"}}]},
            },
        ),
    ),
)

RESPONSES = (
    Odd(
        "instructions and a text",
        "openai_responses",
        {"model": "m", "input": "Hello", "instructions": "Be brief.", "max_output_tokens": 50},
    ),
    Odd(
        "a loop with its reasoning, items with ids and statuses",
        "openai_responses",
        {
            "model": "m",
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "input": [
                {"role": "user", "content": "Look"},
                {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA", "content": None},
                {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "I shall.", "annotations": [], "logprobs": []}],
                },
                {
                    "id": "fc_1",
                    "type": "function_call",
                    "call_id": "call_1",
                    "name": "look",
                    "arguments": '{"city":"Rome"}',
                    "status": "completed",
                },
                {"type": "function_call_output", "call_id": "call_1", "output": "sunny", "status": None},
            ],
            "tools": [{"type": "function", "name": "look", "parameters": CITY, "strict": True}],
            "text": {"format": {"type": "text"}},
        },
    ),
    Odd(
        "a picture as a result",
        "openai_responses",
        {
            "model": "m",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Look"}]},
                {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
                {
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [
                        {"type": "input_text", "text": "Here:"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                    ],
                },
            ],
        },
    ),
    Odd(
        "what it ran itself, in the history",
        "openai_responses",
        {
            "model": "m",
            "input": [
                {"role": "user", "content": "News?"},
                {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}},
                {"role": "assistant", "content": [{"type": "output_text", "text": "None.", "annotations": []}]},
                {"role": "user", "content": "Sure?"},
            ],
            "tools": [{"type": "web_search"}],
        },
    ),
)

MESSAGES = (
    Odd(
        "cache marks everywhere",
        "anthropic_messages",
        {
            "model": "m",
            "max_tokens": 50,
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            "messages": [
                user([{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]),
                {"role": "assistant", "content": "Hi"},
                user([{"type": "text", "text": "Look", "cache_control": {"type": "ephemeral"}}]),
            ],
            "tools": [{"name": "look", "input_schema": CITY, "type": "custom", "cache_control": {"type": "ephemeral"}}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "metadata": {"user_id": "u"},
        },
    ),
    Odd(
        "results with pictures and errors, and a text after them",
        "anthropic_messages",
        {
            "model": "m",
            "max_tokens": 50,
            "messages": [
                user("Look"),
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "I shall."},
                        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Rome"}},
                        {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}},
                    ],
                },
                user(
                    [
                        {
                            "type": "tool_result",
                            "tool_use_id": "toolu_2",
                            "content": [
                                {"type": "text", "text": "Seen:"},
                                {
                                    "type": "image",
                                    "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                                },
                            ],
                        },
                        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "No such city", "is_error": True},
                        {"type": "text", "text": "Go on."},
                    ]
                ),
            ],
            "tools": [{"name": "look", "input_schema": CITY}],
        },
    ),
    Odd(
        "a result without content",
        "anthropic_messages",
        {
            "model": "m",
            "max_tokens": 50,
            "messages": [
                user("Look"),
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}],
                },
                user([{"type": "tool_result", "tool_use_id": "toolu_1"}]),
            ],
        },
    ),
    Odd(
        "thoughts, shown and redacted, in a loop",
        "anthropic_messages",
        {
            "model": "m",
            "max_tokens": 4000,
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "messages": [
                user("Look"),
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                        {"type": "redacted_thinking", "data": "eA=="},
                        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Rome"}},
                    ],
                },
                user([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]),
            ],
            "tools": [{"name": "look", "input_schema": CITY}],
        },
    ),
    Odd(
        "documents as text",
        "anthropic_messages",
        {
            "model": "m",
            "max_tokens": 50,
            "messages": [
                user(
                    [
                        {
                            "type": "document",
                            "title": "A",
                            "source": {"type": "text", "media_type": "text/plain", "data": "Green is the grass."},
                            "citations": {"enabled": True},
                        },
                        {"type": "text", "text": "What colour?"},
                    ]
                )
            ],
        },
    ),
    Odd(
        "a search of its own, in the history",
        "anthropic_messages",
        {
            "model": "m",
            "max_tokens": 50,
            "messages": [
                user("News?"),
                {
                    "role": "assistant",
                    "content": [
                        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
                        {
                            "type": "web_search_tool_result",
                            "tool_use_id": "srvtoolu_1",
                            "content": [
                                {
                                    "type": "web_search_result",
                                    "url": "https://e.org/",
                                    "title": "E",
                                    "encrypted_content": "eA==",
                                    "page_age": None,
                                }
                            ],
                        },
                        {
                            "type": "text",
                            "text": "None.",
                            "citations": [
                                {
                                    "type": "web_search_result_location",
                                    "url": "https://e.org/",
                                    "title": "E",
                                    "encrypted_index": "eA==",
                                    "cited_text": "none",
                                }
                            ],
                        },
                    ],
                },
                user("Sure?"),
            ],
            "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}],
        },
    ),
)

GEMINI = (
    Odd(
        "snake_case and camelCase, and no roles",
        "gemini",
        {
            "system_instruction": {"role": "user", "parts": [{"text": "Be brief."}]},
            "contents": [{"parts": [{"text": "See "}, {"inline_data": {"mime_type": "image/png", "data": PNG}}]}],
            "generation_config": {"max_output_tokens": 50, "topP": 0.5, "top_k": 4, "stopSequences": ["x"]},
        },
    ),
    Odd(
        "schemas in Google's own spelling",
        "gemini",
        {
            "contents": [{"role": "user", "parts": [{"text": "Look"}]}],
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "look",
                            "description": "Looks.",
                            "parameters": {
                                "type": "OBJECT",
                                "properties": {
                                    "city": {"type": "STRING", "nullable": True, "description": "Where."},
                                    "days": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"},
                                    "unit": {"type": "STRING", "format": "enum", "enum": ["c", "f"]},
                                },
                                "required": ["city"],
                                "propertyOrdering": ["city", "days", "unit"],
                            },
                        },
                        {"name": "wait"},
                    ]
                }
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look", "wait"]}},
        },
    ),
    Odd(
        "a loop without ids, signed",
        "gemini",
        {
            "contents": [
                {"role": "user", "parts": [{"text": "Look twice"}]},
                {
                    "role": "model",
                    "parts": [
                        {"text": "Hm.", "thought": True},
                        {"functionCall": {"name": "look", "args": {"city": "Rome"}}, "thoughtSignature": "c2ln"},
                        {"functionCall": {"name": "look", "args": {"city": "Oslo"}}},
                    ],
                },
                {
                    "role": "user",
                    "parts": [
                        {"functionResponse": {"name": "look", "response": {"output": "sunny"}}},
                        {"functionResponse": {"name": "look", "response": {"error": "No such city"}}},
                    ],
                },
            ],
            "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": CITY}]}],
        },
    ),
    Odd(
        "responses of the role function, with more than a text",
        "gemini",
        {
            "contents": [
                {"role": "user", "parts": [{"text": "Look"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
                {
                    "role": "function",
                    "parts": [
                        {"functionResponse": {"name": "look", "response": {"sky": {"colour": "blue"}, "clouds": 3}}}
                    ],
                },
            ]
        },
    ),
    Odd(
        "an output's schema in Google's own spelling",
        "gemini",
        {
            "contents": [{"role": "user", "parts": [{"text": "Rome?"}]}],
            "generationConfig": {
                "responseMimeType": "application/json",
                "responseSchema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
                "thinkingConfig": {"thinkingBudget": 0},
            },
        },
    ),
    Odd(
        "its own tools",
        "gemini",
        {
            "contents": [{"role": "user", "parts": [{"text": "News?"}]}],
            "tools": [{"googleSearch": {}}, {"codeExecution": {}}, {"urlContext": {}}],
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        },
    ),
)

ODD: Sequence[Odd] = (*CHAT, *RESPONSES, *MESSAGES, *GEMINI)


@pytest.mark.parametrize("dialect", sorted({*SPEAKERS} - TEXT_ONLY))
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd.door}: {odd.name}")
def test_every_dialect_gets_it_whole(odd: Odd, dialect: str) -> None:
    if odd.door not in LISTENERS:
        pytest.skip("this door is not there yet")
    if odd.door == dialect:
        pytest.skip("relayed")
    if odd.takes is not None and dialect not in odd.takes:
        with pytest.raises(BadRequest):
            translated(odd.body, odd.door, dialect, stream=False)
        return
    _, problems = translated(odd.body, odd.door, dialect, stream=False)
    assert problems == []
