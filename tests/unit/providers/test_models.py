"""Traits of models: the table's order, prefixes, and OpenAI's whole price list."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
import pytest

from oneapi_cli.providers.models import traits
from oneapi_cli.values.vendor import PredictionInputs

SAMPLING = {
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
}


@dataclass(frozen=True)
class Case:
    model: str
    reasoning: bool
    max_output: int
    vocabulary: str = "o200k_base"
    image: int = 0
    role: str = "developer"
    drops: bool = True


CASES = (
    Case("o1-mini", True, 65_536, role="user"),
    Case("o1-preview-2024-09-12", True, 32_768, role="user"),
    Case("o1", True, 100_000, image=1_275),
    Case("o1-2024-12-17", True, 100_000, image=1_275),
    Case("o3-mini", True, 100_000, image=1_275),
    Case("o4-mini", True, 100_000, image=7_046),
    Case("gpt-5", True, 128_000, image=1_190),
    Case("gpt-5-2025-08-07", True, 128_000, image=1_190),
    Case("gpt-5-mini", True, 128_000, image=6_636),
    Case("gpt-5-pro", True, 272_000, image=1_190),
    Case("gpt-5.1", True, 128_000, image=1_190, drops=False),
    Case("gpt-5.2-pro", True, 128_000, image=4_916),
    Case("gpt-5.4-mini", True, 128_000, image=12_000, drops=False),
    Case("gpt-5.5", True, 128_000, image=12_000),
    Case("gpt-5.6-sol", True, 128_000, image=36_000),
    Case("gpt-6.1-sol", True, 128_000, vocabulary="", image=36_000),
    Case("gpt-6-luna-2026-09-04", True, 128_000, vocabulary="", image=36_000),
    Case("gpt-10", True, 128_000, vocabulary="", image=36_000),
    Case("gpt-5-chat-latest", False, 16_384, image=1_190, role="system", drops=False),
    Case("gpt-5.3-chat-latest", False, 8_192, image=4_916, role="system", drops=False),
    Case("gpt-4o", False, 16_384, image=1_445, role="system", drops=False),
    Case("gpt-4o-2024-05-13", False, 4_096, image=1_445, role="system", drops=False),
    Case("gpt-4o-mini", False, 16_384, image=48_169, role="system", drops=False),
    Case("chatgpt-4o-latest", False, 16_384, image=1_445, role="system", drops=False),
    Case("gpt-4.1", False, 32_768, image=1_536, role="system", drops=False),
    Case("gpt-4-turbo", False, 4_096, "cl100k_base", 1_445, "system", False),
    Case("gpt-4", False, 4_096, "cl100k_base", 0, "system", False),
    Case("gpt-35-turbo", False, 4_096, "cl100k_base", 0, "system", False),
    Case("gpt-3.5-turbo-instruct", False, 2_048, "cl100k_base", 0, "system", False),
    Case("text-embedding-3-small", False, 0, "cl100k_base", 0, "system", False),
    Case("gpt-oss-120b", False, 32_768, "o200k_base", 0, "system", False),
    Case("claude-opus-4-8", False, 128_000, "", 4_784, "system", False),
    Case("claude-3-5-sonnet-20241022", False, 8_192, "", 1_600, "system", False),
    Case("gemini-3.8-flash", False, 65_536, "", 2_240, "system", False),
    Case("gemini-2.5-flash-image", False, 0, "", 0, "system", False),
    Case("deepseek-v4-pro", False, 384_000, "", 0, "system", False),
    Case("glm-5.3", False, 131_072, "", 0, "system", False),
    Case("demo-small", False, 16_384, "", 85, "system", False),
    Case("demo-reasoner", True, 32_768, "", 85),
    Case("nobody-knows-it", False, 0, "", 0, "system", False),
    Case("o1000", False, 0, "", 0, "system", False),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model)
def test_traits(case: Case) -> None:
    found = traits(case.model)
    assert (found.reasoning, found.max_output, found.vocabulary) == (case.reasoning, case.max_output, case.vocabulary)
    assert (found.image_tokens, found.system_role) == (case.image, case.role)
    assert set(found.dropped) == (SAMPLING if case.drops else set())


@pytest.mark.parametrize(
    ("spelling", "plain"),
    [
        ("openai/gpt-4o", "gpt-4o"),
        ("openai/gpt-5-mini:batch", "gpt-5-mini"),
        ("@cf/openai/gpt-oss-20b", "gpt-oss-20b"),
        ("accounts/fireworks/models/gpt-oss-120b", "gpt-oss-120b"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "gpt-4o-mini"),
        ("GPT-4.1", "gpt-4.1"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
    ],
)
def test_names_with_prefixes(spelling: str, plain: str) -> None:
    # What Replicate calls a model's inputs goes by its name there, owner included.
    found, expected = (msgspec.structs.replace(traits(name), inputs=PredictionInputs()) for name in (spelling, plain))
    assert found == expected


def test_every_reasoning_model_of_openais_list_is_known() -> None:
    """A generation that the catalogue learns of and the table does not would lose its traits in silence."""
    from genai_prices import data

    openai = next(provider for provider in data.providers if provider.id == "openai")
    reasoners = re.compile(r"(o\d|gpt-[5-9]|gpt-\d\d)(?!.*(chat|image|search))")
    known = [model.id for model in openai.models if reasoners.match(model.id)]
    assert len(known) > 30
    assert [model for model in known if not traits(model).reasoning or traits(model).max_output == 0] == []


def test_other_models_are_left_alone() -> None:
    from genai_prices import data

    others = [
        model.id
        for provider in data.providers
        if provider.id in {"mistral", "google", "x-ai"}
        for model in provider.models
    ]
    assert [model for model in others if traits(model).reasoning] == []


@pytest.mark.parametrize(
    "model",
    [
        "compound-beta",
        "groq/compound",
        "sonar-pro",
        "gpt-4o-search-preview",
        "o3-deep-research",
        "openai/gpt-4o:online",
    ],
)
def test_agents_are_known_to_read_more_than_they_are_sent(model: str) -> None:
    assert traits(model).agent


@pytest.mark.parametrize("model", ["gpt-4o", "o3", "text-embedding-3-small", "demo-small"])
def test_other_models_read_what_they_are_sent(model: str) -> None:
    assert not traits(model).agent


@pytest.mark.parametrize(
    "model", ["o3", "gpt-5.1", "gemini-2.5-flash", "google/gemini-3.1-pro-preview", "grok-4.7", "sonar-pro"]
)
def test_who_thinks_unseen(model: str) -> None:
    assert traits(model).hidden


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gemini-2.0-flash", "grok-4-1-fast-non-reasoning", "grok-2", "gpt-oss-20b"]
)
def test_who_is_seen_thinking_or_does_not(model: str) -> None:
    assert not traits(model).hidden
