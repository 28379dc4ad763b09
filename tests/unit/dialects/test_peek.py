"""What is read of a request, and the refusals: each names the member at fault."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import pytest
from openai.types import completion_create_params, embedding_create_params, moderation_create_params
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params

from oneapi_cli.dialects import (
    DIALECTS,
    FORMS,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_moderations,
    openai_responses,
)
from oneapi_cli.values.asks import Wanted
from oneapi_cli.values.errors import BadRequest

TEXT = [{"role": "user", "content": "hi"}]
LEAST: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "m", "messages": TEXT},
    "openai_completions": {"model": "m", "prompt": "hi"},
    "openai_embeddings": {"model": "m", "input": "hi"},
    "openai_moderations": {"model": "m", "input": "hi"},
    "openai_responses": {"model": "m", "input": "hi"},
}


def peek(dialect: str, **more: Any) -> Wanted:
    return DIALECTS[dialect].peek(json.dumps({**LEAST[dialect], **more}).encode())


@dataclass(frozen=True)
class Case:
    dialect: str
    more: dict[str, Any]
    wanted: dict[str, Any] = field(default_factory=dict)


BOTH = ("max_tokens", "max_completion_tokens")
VECTORS = (("input_tokens",), ("input_characters",), ("requests",))
CASES = [
    Case("openai_chat", {}),
    Case(
        "openai_chat", {"stream": True, "n": 3, "service_tier": "flex"}, {"stream": True, "outputs": 3, "tier": "flex"}
    ),
    Case("openai_chat", {"stream": None, "n": None, "max_tokens": None, "service_tier": None, "tools": None}),
    Case("openai_chat", {"max_tokens": 5}, {"limit": 5, "limit_members": ("max_tokens",)}),
    Case("openai_chat", {"max_tokens": 5, "max_completion_tokens": 3}, {"limit": 3, "limit_members": BOTH}),
    Case("openai_chat", {"max_tokens": 2**31 - 1}, {"limit": 2**31 - 1, "limit_members": ("max_tokens",)}),
    Case("openai_chat", {"stream_options": {"include_usage": True}}, {"usage_asked": True}),
    Case("openai_chat", {"stream_options": {"include_usage": False}}),
    Case("openai_chat", {"enable_thinking": True, "temperature": 1}, {"unknown": ("enable_thinking",)}),
    Case("openai_chat", {"prediction": {"content": "abc"}}, {"fees": {"output_tokens": 18}}),
    Case("openai_chat", {"tools": [{"type": "function"}, {"type": "custom"}, {}]}),
    Case("openai_chat", {"tools": [{"type": "namespace", "tools": [{"type": "function"}]}]}),
    Case("openai_chat", {"modalities": ["text", "AUDIO"]}, {"modalities": ("text", "audio")}),
    Case("openai_chat", {"audio": {"voice": "alloy"}}, {"modalities": ("audio",)}),
    Case("openai_chat", {"enable_search": False, "models": None}, {"unknown": ("enable_search", "models")}),
    Case("openai_completions", {}),
    Case(
        "openai_completions",
        {"n": 2, "best_of": 3, "max_tokens": 0, "echo": True},
        {"outputs": 6, "limit": 0, "limit_members": ("max_tokens",), "unknown": ("max_tokens",)},
    ),
    Case("openai_completions", {"prompt": ["a", "b"], "n": 2}, {"outputs": 4}),
    Case("openai_completions", {"prompt": [1, 2, 3]}),
    Case("openai_completions", {"prompt": [[1, 2], [3]]}, {"outputs": 2}),
    Case("openai_completions", {"prompt": ""}),
    Case("openai_embeddings", {}, {"fees": {"input_characters": 4}, "counted": VECTORS}),
    Case(
        "openai_embeddings",
        {"input": [[1, 2]], "dimensions": 8, "task": "x"},
        {"unknown": ("task",), "fees": {"input_characters": 8}, "counted": VECTORS},
    ),
    Case("openai_moderations", {}),
    Case("openai_moderations", {"model": None}, {"model": "omni-moderation-latest"}),
    Case("openai_responses", {}, {"usage_asked": True}),
    Case(
        "openai_responses",
        {"max_output_tokens": 9, "stream": True, "background": False},
        {"usage_asked": True, "limit": 9, "limit_members": ("max_output_tokens",), "stream": True},
    ),
    Case(
        "openai_responses",
        {"input": None, "previous_response_id": "resp_1"},
        {"usage_asked": True, "previous": "resp_1", "unknown": ("previous_response_id",)},
    ),
    Case("openai_responses", {"conversation": {"id": "c"}}, {"usage_asked": True, "unknown": ("conversation",)}),
    Case(
        "openai_responses",
        {"tools": [{"type": "function"}, {"type": "shell", "environment": {"type": "local"}}]},
        {"usage_asked": True},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.dialect} {case.more}")
def test_wanted(case: Case) -> None:
    assert peek(case.dialect, **case.more) == Wanted(**{"dialect": case.dialect, "model": "m", **case.wanted})


@pytest.mark.parametrize(
    ("dialect", "more", "member"),
    [
        ("openai_chat", {"web_search_options": {}}, "web_search_options"),
        ("openai_chat", {"tools": [{"type": "function"}, {"type": "web_search"}]}, "tools[1]"),
        ("openai_chat", {"tools": [{"type": "builtin_function", "function": {"name": "$web_search"}}]}, "tools[0]"),
        (
            "openai_chat",
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "messages",
        ),
        ("openai_chat", {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages"),
        ("openai_responses", {"input": [{"content": [{"type": "input_file", "file_url": "https://x"}]}]}, "input"),
        ("openai_responses", {"tools": [{"type": "namespace", "tools": [{"type": "mcp"}]}]}, "tools[0].tools[0]"),
        ("openai_responses", {"tools": [{"type": "namespace", "tools": [{"type": "namespace"}]}]}, "tools[0].tools[0]"),
        *(
            (dialect, {name: value}, name)
            for dialect in ("openai_chat", "openai_responses")
            for name, value in (
                ("models", ["openai/o1-pro"]),
                ("route", "fallback"),
                ("fallbacks", ["o1-pro"]),
                ("plugins", [{"id": "web"}]),
                ("search_parameters", {"mode": "on"}),
                ("enable_search", True),
                ("speed", "fast"),
            )
        ),
        ("openai_responses", {"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, "tools[0]"),
        *(
            ("openai_responses", {"tools": [{"type": kind}]}, "tools[0]")
            for kind in (
                "web_search",
                "web_search_2025_08_26",
                "web_search_preview",
                "file_search",
                "code_interpreter",
                "image_generation",
                "mcp",
                "tool_search",
                "something_new",
            )
        ),
    ],
)
def test_what_nobody_can_price(dialect: str, more: dict[str, Any], member: str) -> None:
    wanted = peek(dialect, **more)
    assert [name for name, _ in wanted.unpriceable] == [member]
    assert all(why for _, why in wanted.unpriceable)


def test_a_schema_that_speaks_of_files_is_no_file() -> None:
    schema = {"type": "object", "properties": {"file_id": {"type": "string"}, "file": {"type": "string"}, "image": {}}}
    wanted = peek("openai_chat", tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])
    assert (wanted.unpriceable, wanted.unknown) == ((), ())


def test_media_that_no_count_bounds() -> None:
    part = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0x"}}
    assert peek("openai_chat", messages=[{"role": "user", "content": [part]}]).unknown == ("messages",)


HUGE = 10**30
WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("openai_chat", {"model": ""}, "model", "model is required"),
    ("openai_chat", {"model": None}, "model", "model is required"),
    ("openai_chat", {"model": 5}, "model", "`model` must be a string"),
    ("openai_chat", {"model": "x" * 257}, "model", "model is invalid"),
    ("openai_chat", {"model": "a\nb"}, "model", "model is invalid"),
    ("openai_chat", {"messages": None}, "messages", "field messages is required"),
    ("openai_chat", {"messages": []}, "messages", "field messages is required"),
    ("openai_chat", {"messages": "hi"}, "messages", "`messages` must be an array"),
    ("openai_chat", {"stream": "true"}, "stream", "`stream` must be true or false"),
    ("openai_chat", {"stream": 1}, "stream", "`stream` must be true or false"),
    ("openai_chat", {"max_tokens": -1}, "max_tokens", "max_tokens is invalid"),
    ("openai_chat", {"max_tokens": 0}, "max_tokens", "max_tokens is invalid"),
    ("openai_chat", {"max_tokens": 2**31}, "max_tokens", "max_tokens is invalid"),
    ("openai_chat", {"max_tokens": HUGE}, "max_tokens", "is invalid"),
    ("openai_chat", {"max_tokens": 1.5}, "max_tokens", "must be an integer"),
    ("openai_chat", {"max_tokens": True}, "max_tokens", "must be an integer"),
    ("openai_chat", {"max_tokens": "5"}, "max_tokens", "must be an integer"),
    ("openai_chat", {"max_completion_tokens": -1}, "max_completion_tokens", "max_completion_tokens is invalid"),
    ("openai_chat", {"n": 0}, "n", "n is invalid"),
    ("openai_chat", {"n": 129}, "n", "n is invalid"),
    ("openai_chat", {"n": [1]}, "n", "must be an integer"),
    ("openai_chat", {"service_tier": 1}, "service_tier", "`service_tier` must be a string"),
    ("openai_chat", {"stream_options": []}, "stream_options", "must be an object"),
    ("openai_chat", {"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "must be true or false"),
    ("openai_chat", {"tools": {}}, "tools", "`tools` must be an array"),
    ("openai_chat", {"tools": [5]}, "tools[0]", "must be an object"),
    ("openai_chat", {"Model": "x"}, "Model", "write `model`"),
    ("openai_chat", {"Models": ["x"]}, "Models", "write `models`"),
    ("openai_chat", {"modalities": "audio"}, "modalities", "must be an array"),
    ("openai_chat", {"Modalities": ["audio"]}, "Modalities", "write `modalities`"),
    ("openai_chat", {"tools": [{"Type": "web_search"}]}, "tools[0].Type", "write `tools[0].type`"),
    ("openai_chat", {"stream_options": {"Include_Usage": True}}, "stream_options.Include_Usage", "include_usage"),
    ("openai_completions", {"prompt": None}, "prompt", "field prompt is required"),
    ("openai_completions", {"prompt": []}, "prompt", "field prompt is required"),
    ("openai_completions", {"prompt": 5}, "prompt", "must be a string or an array"),
    ("openai_completions", {"best_of": 0}, "best_of", "best_of is invalid"),
    ("openai_completions", {"max_tokens": 0}, "max_tokens", "max_tokens is invalid"),
    ("openai_completions", {"max_tokens": -1}, "max_tokens", "max_tokens is invalid"),
    ("openai_embeddings", {"input": None}, "input", "field input is required"),
    ("openai_embeddings", {"input": []}, "input", "field input is required"),
    ("openai_embeddings", {"input": {}}, "input", "must be a string or an array"),
    ("openai_moderations", {"input": None}, "input", "field input is required"),
    ("openai_moderations", {"model": 1}, "model", "`model` must be a string"),
    ("openai_responses", {"input": None}, "input", "field input is required"),
    ("openai_responses", {"input": 5}, "input", "must be a string or an array"),
    ("openai_responses", {"background": True}, "background", "not supported here yet"),
    ("openai_responses", {"max_output_tokens": 0}, "max_output_tokens", "max_output_tokens is invalid"),
]


@pytest.mark.parametrize(("dialect", "more", "member", "says"), WRONG)
def test_refusals(dialect: str, more: dict[str, Any], member: str, says: str) -> None:
    with pytest.raises(BadRequest) as caught:
        peek(dialect, **more)
    assert says in caught.value.message
    assert (caught.value.member, caught.value.status, caught.value.type) == (member, 400, "invalid_request_error")


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name not in FORMS or name == "openai_image_edits"])
@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"null", b'{"model":"\xff"}', b'{"model":"m"', b'{"a":NaN}'])
def test_bodies_that_are_no_object(dialect: str, body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        DIALECTS[dialect].peek(body)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("dialect", LEAST)
@pytest.mark.parametrize("name", ["model", "mod\\u0065l"])
def test_a_model_given_twice(dialect: str, name: str) -> None:
    rest = json.dumps(LEAST[dialect])[1:]
    with pytest.raises(BadRequest, match="twice") as caught:
        DIALECTS[dialect].peek(f'{{"{name}":"other",{rest}'.encode())
    assert caught.value.member == "model"


def test_a_number_too_long_to_read() -> None:
    with pytest.raises(BadRequest, match="integer"):
        DIALECTS["openai_chat"].peek(b'{"model":"m","messages":[{}],"n":' + b"9" * 100_000 + b"}")


@pytest.mark.parametrize(
    ("params", "known", "otherwise"),
    [
        (chat_params.CompletionCreateParamsBase, openai_chat.KNOWN, set()),
        (completion_create_params.CompletionCreateParamsBase, openai_completions.KNOWN, set()),
        (embedding_create_params.EmbeddingCreateParams, openai_embeddings.KNOWN, set()),
        (moderation_create_params.ModerationCreateParams, openai_moderations.KNOWN, set()),
        # Not known on purpose: images and background runs have prices of their own.
        (response_create_params.ResponseCreateParamsBase, openai_responses.KNOWN, {"image", "background_options"}),
    ],
)
def test_every_member_of_the_sdk_is_known(params: Any, known: frozenset[str], otherwise: set[str]) -> None:
    assert set(get_type_hints(params)) - otherwise <= known
    assert not otherwise & known


@pytest.mark.parametrize(
    "tool", ['"type":"web_search","type":"function"', '"type":"function","typ\\u0065":"web_search"']
)
@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses"])
def test_a_tool_with_two_types(dialect: str, tool: str) -> None:
    rest = json.dumps(LEAST[dialect])[1:]
    with pytest.raises(BadRequest, match=r"`tools\[0\].type` is given twice"):
        DIALECTS[dialect].peek(f'{{"tools":[{{{tool}}}],{rest}'.encode())


@pytest.mark.parametrize("number", ["1e999", "9" * 5000])
def test_a_number_out_of_range_where_text_belongs(number: str) -> None:
    body = b'{"model":"m","messages":[{}],"service_tier":[' + number.encode() + b"]}"
    with pytest.raises(BadRequest, match="service_tier"):
        DIALECTS["openai_chat"].peek(body)
