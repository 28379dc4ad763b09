"""What models on Replicate call their inputs, by name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from oneapi_cli.providers.models import traits
from oneapi_cli.providers.replicate_models import prediction_inputs
from oneapi_cli.values.vendor import PredictionInputs


@dataclass(frozen=True)
class Named:
    """limit, system: what the model calls them; system "" where it has none."""

    model: str
    limit: str
    system: str


NAMED = (
    Named("meta/meta-llama-3.1-405b-instruct", "max_tokens", "system_prompt"),
    Named("meta/llama-4-maverick-instruct", "max_tokens", ""),
    Named("anthropic/claude-3.7-sonnet", "max_tokens", "system_prompt"),
    Named("openai/gpt-4o-mini", "max_completion_tokens", "system_prompt"),
    Named("openai/gpt-5", "max_completion_tokens", "system_prompt"),
    Named("openai/gpt-5-nano", "max_completion_tokens", "system_prompt"),
    Named("openai/gpt-5.4", "max_completion_tokens", "system_prompt"),
    Named("openai/o4-mini", "max_completion_tokens", "system_prompt"),
    Named("openai/gpt-oss-120b", "max_tokens", ""),
    Named("google/gemini-2.5-flash", "max_output_tokens", "system_instruction"),
    Named("Google/Gemini-3-Pro:0123", "max_output_tokens", "system_instruction"),
    Named("ibm-granite/granite-3.3-8b-instruct", "max_tokens", "system_prompt"),
    Named("deepseek-ai/deepseek-r1", "max_tokens", ""),
)


@pytest.mark.parametrize("case", NAMED, ids=lambda case: case.model)
def test_names(case: Named) -> None:
    found = prediction_inputs(case.model)
    assert found is not None
    assert (found.limits[0], found.system) == (case.limit, case.system)
    assert traits(case.model).inputs == found


@pytest.mark.parametrize("model", ("someone/something", "gpt-5", "claude-sonnet-4-5", "", "a/openai/gpt-5"))
def test_others_are_given_what_most_share(model: str) -> None:
    assert prediction_inputs(model) is None
    assert traits(model).inputs == PredictionInputs()
