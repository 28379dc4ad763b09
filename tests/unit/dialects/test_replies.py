"""Whole replies: usage, texts, errors inside a 200, and what is no reply at all."""

from __future__ import annotations

import pytest

from oneapi_cli.dialects import DIALECTS
from oneapi_cli.values.errors import Malformed
from oneapi_cli.values.vendor import Quirks

CHAT = b"""{"choices":[
  {"index":0,"message":{"content":"hi","reasoning_content":"hm","refusal":null,
    "tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"custom":{"name":"g","input":"x"}}]},
   "finish_reason":"tool_calls"},
  {"index":1,"message":{"content":[{"type":"text","text":"parts"}]},"finish_reason":null}]"""

FAMILY = ("openai_chat", "openai_completions", "openai_embeddings", "openai_moderations", "openai_responses")
"""Those with OpenAI's JSON on both sides; forms, sounds and other makers' formats have tests of their own."""


def test_texts_where_there_is_no_usage() -> None:
    reading = DIALECTS["openai_chat"].read_reply(CHAT + b"}", Quirks())
    assert reading.usage is None
    assert reading.finished
    assert reading.texts == ("hi", "hm", "f", "{}", "g", "x", "parts")


def test_usage_makes_texts_needless() -> None:
    body = CHAT + b',"usage":{"prompt_tokens":1,"completion_tokens":2},"service_tier":"default"}'
    reading = DIALECTS["openai_chat"].read_reply(body, Quirks())
    assert reading.usage is not None
    assert reading.usage.raw == '{"prompt_tokens":1,"completion_tokens":2}'
    assert reading.usage.tier == "default"
    assert reading.texts == ()


def test_completions() -> None:
    reading = DIALECTS["openai_completions"].read_reply(
        b'{"choices":[{"text":"a","finish_reason":"length"}]}', Quirks()
    )
    assert (reading.texts, reading.finished) == (("a",), True)


def test_responses() -> None:
    body = b"""{"status":"incomplete","error":null,"output":[
        {"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},
        {"type":"message","content":[{"type":"output_text","text":"hi"},{"type":"refusal","refusal":"no"}]},
        {"type":"function_call","name":"f","arguments":"{}"},
        {"type":"web_search_call","id":"ws"}]"""
    reading = DIALECTS["openai_responses"].read_reply(body + b"}", Quirks())
    assert (reading.texts, reading.finished, reading.error) == (("hm", "hi", "no", "f", "{}"), True, None)
    reading = DIALECTS["openai_responses"].read_reply(
        body + b',"usage":{"input_tokens":1,"output_tokens":2}}', Quirks()
    )
    assert reading.usage is not None
    assert dict(reading.usage.counts) == {"input_tokens": 1, "output_tokens": 2, "web_searches": 1}


def test_a_response_that_failed() -> None:
    body = b'{"status":"failed","output":[],"usage":null,"error":{"code":"server_error","message":"it broke"}}'
    reading = DIALECTS["openai_responses"].read_reply(body, Quirks())
    assert reading.error is not None
    assert (reading.error.message, reading.error.code, reading.finished) == ("it broke", "server_error", False)


@pytest.mark.parametrize("dialect", FAMILY)
@pytest.mark.parametrize(
    ("body", "message", "status"),
    [
        (b'{"error":{"message":"no credit","type":"billing","code":402}}', "no credit", 402),
        (b'{"error":"overloaded"}', "overloaded", None),
        (b'{"code":1113,"msg":"no balance","success":false}', "no balance", None),
    ],
)
def test_an_error_inside_a_200(dialect: str, body: bytes, message: str, status: int | None) -> None:
    reading = DIALECTS[dialect].read_reply(body, Quirks())
    assert reading.error is not None
    assert (reading.error.message, reading.error.status) == (message, status)
    assert reading.usage is None


@pytest.mark.parametrize("dialect", FAMILY)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"choices":', b'{"a":"\xff"}', b'{"data":{}}', b"[" * 99_999]
)
def test_what_is_no_reply(dialect: str, body: bytes) -> None:
    with pytest.raises(Malformed):
        DIALECTS[dialect].read_reply(body, Quirks())


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_embeddings", b'{"data":[{"embedding":[0.1]}]}'),
        ("openai_moderations", b'{"results":[{"flagged":false}]}'),
    ],
)
def test_tasks_without_usage(dialect: str, body: bytes) -> None:
    reading = DIALECTS[dialect].read_reply(body, Quirks())
    assert (reading.usage, reading.error, reading.finished) == (None, None, True)
