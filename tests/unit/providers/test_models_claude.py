"""Claude's generations by the names that vendors, clouds and resellers give them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from oneapi_cli.providers.models import traits


@dataclass(frozen=True)
class Case:
    """enforces: an output format; samples: takes temperature and the like."""

    name: str
    thinking: str
    thinks: str = "asked"
    most: int = 128_000
    enforces: bool = True
    samples: bool = False


CASES = [
    Case("claude-haiku-5-5", "adaptive", "default"),
    Case("claude-sonnet-5-5", "adaptive", "between"),
    Case("anthropic.claude-opus-5-5-20261001-v1:0", "adaptive", "always"),
    Case("claude-opus-5-20260801", "adaptive", "default"),
    Case("claude-sonnet-5@20260630", "adaptive", "default"),
    Case("claude-fable-5-2", "adaptive", "always"),
    Case("claude-mythos-preview", "adaptive", "always"),
    Case("claude-sonnet-6", "adaptive", "always"),
    Case("claude-opus-4-8", "adaptive"),
    Case("us.anthropic.claude-opus-4-7", "adaptive"),
    Case("anthropic.claude-opus-4-6-v1", "adaptive", samples=True),
    Case("claude-sonnet-4-6", "adaptive", most=64_000, samples=True),
    Case("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "budget", most=64_000, samples=True),
    Case("anthropic/claude-4.5-sonnet", "budget", most=64_000, samples=True),
    Case("claude-haiku-4-5@20251001", "budget", most=64_000, samples=True),
    Case("claude-opus-4-1", "budget", most=32_000, enforces=False, samples=True),
    Case("claude-opus-4-20250514", "budget", most=32_000, enforces=False, samples=True),
    Case("claude-sonnet-4-0", "budget", most=64_000, enforces=False, samples=True),
    Case("claude-3.7-sonnet", "budget", most=64_000, enforces=False, samples=True),
    Case("claude-3-5-haiku-latest", "", most=8_192, enforces=False, samples=True),
    Case("anthropic.claude-3-haiku-20240307-v1:0", "", most=4_096, enforces=False, samples=True),
    Case("anthropic.claude-v2:1", "", most=4_096, enforces=False, samples=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_traits(case: Case) -> None:
    found = traits(case.name)
    assert (found.thinking, found.thinks, found.max_output) == (case.thinking, case.thinks, case.most)
    assert (found.structured, found.sampling) == (case.enforces, case.samples)
    assert found.image_tokens == (1_600 if case.samples else 4_784)
    assert found.hidden != case.samples
