"""Usage in the spellings of those who speak OpenAI's format: totals include their parts, whoever counts how."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from oneapi_cli.dialects import DIALECTS
from oneapi_cli.values.vendor import Quirks


@dataclass(frozen=True)
class Case:
    name: str
    usage: Any
    counts: dict[str, int] | None
    reasoning: int | None = None
    dialect: str = "openai_chat"
    quirks: Quirks = field(default_factory=Quirks)


CASES = [
    Case(
        "plain",
        {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        {"input_tokens": 5, "output_tokens": 2},
    ),
    Case(
        "details",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {
                "cached_tokens": 30,
                "audio_tokens": 10,
                "image_tokens": 5,
                "cache_write_tokens": 7,
            },
            "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 4, "rejected_prediction_tokens": 3},
        },
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "cache_read_tokens": 30,
            "cache_write_tokens": 7,
            "input_audio_tokens": 10,
            "input_image_tokens": 5,
            "output_audio_tokens": 4,
        },
        20,
    ),
    Case(
        "responses",
        {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 12,
        },
        {"input_tokens": 9, "output_tokens": 3, "cache_read_tokens": 4},
        0,
        "openai_responses",
    ),
    Case(
        "deepseek",
        {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 6},
        {"input_tokens": 9, "output_tokens": 1, "cache_read_tokens": 6},
    ),
    Case(
        "mistral",
        {"prompt_tokens": 9, "completion_tokens": 1, "num_cached_tokens": 6},
        {"input_tokens": 9, "output_tokens": 1, "cache_read_tokens": 6},
    ),
    Case(
        "moonshot",
        {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 6},
        {"input_tokens": 9, "output_tokens": 1, "cache_read_tokens": 6},
    ),
    Case(
        "hidden reasoning only in the total",
        {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
        {"input_tokens": 35, "output_tokens": 74},
    ),
    Case(
        "reasoning beside output",
        {
            "prompt_tokens": 5,
            "completion_tokens": 2,
            "total_tokens": 17,
            "completion_tokens_details": {"reasoning_tokens": 10},
        },
        {"input_tokens": 5, "output_tokens": 12},
        10,
    ),
    Case(
        "reasoning beside output, no total",
        {"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 10}},
        {"input_tokens": 5, "output_tokens": 12},
        10,
    ),
    Case(
        "cache beside input, by the total",
        {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 3}},
        {"input_tokens": 8, "output_tokens": 2, "cache_read_tokens": 3},
    ),
    Case(
        "cache beside input, by quirk",
        {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 3}},
        {"input_tokens": 8, "output_tokens": 2, "cache_read_tokens": 3},
        quirks=Quirks(cached_in_prompt=False),
    ),
    Case(
        "cache above input",
        {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 30}},
        {"input_tokens": 35, "output_tokens": 2, "cache_read_tokens": 30},
    ),
    Case(
        "searches",
        {"prompt_tokens": 5, "completion_tokens": 2, "server_tool_use_details": {"web_search_requests": 2}},
        {"input_tokens": 5, "output_tokens": 2, "web_searches": 2},
    ),
    Case(
        "zeros are reported",
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"input_tokens": 0, "output_tokens": 0},
    ),
    Case(
        "cache and reasoning both explain the total",
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "total_tokens": 155,
            "prompt_tokens_details": {"cached_tokens": 50},
            "completion_tokens_details": {"reasoning_tokens": 50},
        },
        {"input_tokens": 100, "output_tokens": 55, "cache_read_tokens": 50},
        50,
    ),
    Case(
        "cache and reasoning both beside",
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "total_tokens": 195,
            "prompt_tokens_details": {"cached_tokens": 50},
            "completion_tokens_details": {"reasoning_tokens": 40},
        },
        {"input_tokens": 150, "output_tokens": 45, "cache_read_tokens": 50},
        40,
    ),
    Case(
        "cache above input is added once",
        {
            "prompt_tokens": 5,
            "completion_tokens": 2,
            "total_tokens": 67,
            "prompt_tokens_details": {"cached_tokens": 30},
        },
        {"input_tokens": 35, "output_tokens": 32, "cache_read_tokens": 30},
    ),
    Case(
        "perplexity's deep research",
        {
            "prompt_tokens": 33,
            "completion_tokens": 7000,
            "total_tokens": 7033,
            "citation_tokens": 20000,
            "num_search_queries": 28,
            "reasoning_tokens": 5000,
        },
        {"input_tokens": 33, "output_tokens": 32000, "output_citation_tokens": 20000, "web_searches": 28},
        5000,
    ),
    Case(
        "perplexity's sonar",
        {
            "prompt_tokens": 9,
            "completion_tokens": 7,
            "total_tokens": 16,
            "citation_tokens": 99,
            "num_search_queries": 1,
        },
        {"input_tokens": 9, "output_tokens": 7, "web_searches": 1},
    ),
    Case(
        "anthropic's names",
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "total_tokens": 105,
            "cache_read_input_tokens": 40,
            "cache_creation_input_tokens": 30,
        },
        {"input_tokens": 100, "output_tokens": 5, "cache_read_tokens": 40, "cache_write_tokens": 30},
    ),
    Case(
        "a zero in one place, the cache in another",
        {
            "prompt_tokens": 9,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 0},
            "prompt_cache_hit_tokens": 6,
        },
        {"input_tokens": 9, "output_tokens": 1, "cache_read_tokens": 6},
    ),
    # Nobody said what was produced (or read): we count, rather than bill nothing for it.
    Case("only a total", {"total_tokens": 8}, None),
    Case("no output", {"prompt_tokens": 5}, None),
    Case("no input", {"completion_tokens": 5}, None),
    Case(
        "nulls and nonsense",
        {
            "prompt_tokens": 5,
            "completion_tokens": None,
            "prompt_tokens_details": None,
            "completion_tokens_details": [],
            "total_tokens": "many",
        },
        None,
    ),
    Case("negative", {"prompt_tokens": 5, "completion_tokens": -2}, None),
    Case("absurd", {"prompt_tokens": 5, "completion_tokens": 10**18}, None),
    Case("an absurd float", {"prompt_tokens": 5, "completion_tokens": 1e300}, None),
    Case("a total tells the rest", {"prompt_tokens": 5, "total_tokens": 9}, {"input_tokens": 5, "output_tokens": 4}),
    Case("scored alone", {"prompt_tokens": 5, "total_tokens": 5}, {"input_tokens": 5, "output_tokens": 0}),
    Case("input by the total", {"completion_tokens": 5, "total_tokens": 9}, {"input_tokens": 4, "output_tokens": 5}),
    Case("in quotes", {"prompt_tokens": "5", "completion_tokens": "2"}, {"input_tokens": 5, "output_tokens": 2}),
    Case("whole floats", {"prompt_tokens": 5.0, "completion_tokens": 2.0}, {"input_tokens": 5, "output_tokens": 2}),
    Case("elsewhere", None, {"input_tokens": 5, "output_tokens": 2}, quirks=Quirks(usage_member="x_groq.usage")),
    Case("null", None, None),
    Case("empty", {}, None),
    Case("text", "none", None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_usage(case: Case) -> None:
    payload: dict[str, Any] = {"id": "x", "service_tier": "flex", "usage": case.usage}
    if case.name == "elsewhere":
        payload["x_groq"] = {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    read = DIALECTS[case.dialect].read_usage
    for usage in (read(payload, case.quirks), read(json.dumps(payload).encode(), case.quirks)):
        if case.counts is None:
            assert usage is None
            continue
        assert usage is not None
        assert dict(usage.counts) == case.counts
        assert (usage.reasoning_tokens, usage.tier, usage.estimated) == (case.reasoning, "flex", False)


def test_an_event_of_responses_carries_its_usage_inside() -> None:
    event = {"type": "response.completed", "response": {"usage": {"input_tokens": 1, "output_tokens": 2}}}
    read = DIALECTS["openai_responses"].read_usage
    for usage in (read(event, Quirks()), read(json.dumps(event).encode(), Quirks())):
        assert usage is not None
        assert dict(usage.counts) == {"input_tokens": 1, "output_tokens": 2}


def test_embeddings_produce_no_tokens() -> None:
    body = b'{"data":[],"usage":{"prompt_tokens":5,"total_tokens":9}}'
    usage = DIALECTS["openai_embeddings"].read_reply(body, Quirks()).usage
    assert usage is not None
    assert dict(usage.counts) == {"input_tokens": 9}


def test_embeddings_with_a_total_alone() -> None:
    usage = DIALECTS["openai_embeddings"].read_reply(b'{"data":[],"usage":{"total_tokens":9}}', Quirks()).usage
    assert usage is not None
    assert dict(usage.counts) == {"input_tokens": 9}
