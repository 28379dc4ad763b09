"""What the language models on Replicate call their inputs: pattern of `owner/name` → names, the first match counts.

Each was read on the model's own schema page, `https://replicate.com/{owner}/{name}/api/schema` (2026-11). A model that
is not here is given the names that most share; inputs that a model does not know are ignored by Replicate.
"""

from __future__ import annotations

import re

from ..values.vendor import PredictionInputs

_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty")

_CLAUDE = PredictionInputs(
    system="system_prompt",
    limits=("max_tokens",),
    sampling=(),
    stop="",
    thinks="extended_thinking",
    budget="thinking_budget_tokens",
)
_GPT = PredictionInputs(
    system="system_prompt",
    limits=("max_completion_tokens",),
    sampling=_SAMPLING,
    media={"image": "image_input[]"},
    messages="messages",
    stop="",
)
_GPT_5 = PredictionInputs(
    system="system_prompt",
    limits=("max_completion_tokens",),
    sampling=(),
    media={"image": "image_input[]"},
    messages="messages",
    stop="",
    effort="reasoning_effort",
    efforts=("minimal", "low", "medium", "high"),
    verbosity="verbosity",
)
_GPT_5_1 = PredictionInputs(
    system="system_prompt",
    limits=("max_completion_tokens",),
    sampling=(),
    media={"image": "image_input[]"},
    messages="messages",
    stop="",
    effort="reasoning_effort",
    efforts=("none", "low", "medium", "high"),
    verbosity="verbosity",
)
_O_SERIES = PredictionInputs(
    system="system_prompt",
    limits=("max_completion_tokens",),
    sampling=(),
    media={"image": "image_input[]"},
    stop="",
    effort="reasoning_effort",
    efforts=("low", "medium", "high"),
)
_GEMINI_2 = PredictionInputs(
    system="system_instruction",
    limits=("max_output_tokens",),
    sampling=("temperature", "top_p"),
    media={"image": "images[]", "video": "videos[]"},
    stop="",
    budget="thinking_budget",
)
_GEMINI_3 = PredictionInputs(
    system="system_instruction",
    limits=("max_output_tokens",),
    sampling=("temperature", "top_p"),
    media={"image": "images[]", "video": "videos[]", "audio": "audio"},
    stop="",
    effort="thinking_level",
    efforts=("low", "high"),
)
_LLAMA_2 = PredictionInputs(
    system="system_prompt",
    limits=("max_tokens", "max_new_tokens"),
    sampling=("temperature", "top_p", "top_k", "seed"),
    media={},
)
_LLAMA_3 = PredictionInputs(
    system="system_prompt",
    limits=("max_tokens",),
    sampling=(*_SAMPLING, "top_k"),
    media={},
)
_GRANITE = PredictionInputs(
    system="system_prompt",
    limits=("max_tokens",),
    sampling=(*_SAMPLING, "top_k", "seed"),
    media={},
    stop="stop",
)
# Hosted alike: a prompt and the common sampling, no system prompt of its own.
_PLAIN = PredictionInputs(limits=("max_tokens",), sampling=_SAMPLING, media={}, stop="")

_TABLE: tuple[tuple[str, PredictionInputs], ...] = (
    (r"anthropic/claude-", _CLAUDE),
    (r"openai/gpt-oss-", _PLAIN),
    (r"openai/gpt-5(?:-|\Z)", _GPT_5),
    (r"openai/gpt-(?:5\.|[6-9]|[12]\d)", _GPT_5_1),
    (r"openai/o\d", _O_SERIES),
    (r"openai/(?:chat)?gpt-", _GPT),
    (r"google/gemini-2", _GEMINI_2),
    (r"google/gemini-", _GEMINI_3),
    (r"meta/(?:meta-)?llama-2", _LLAMA_2),
    (r"meta/(?:meta-)?llama-3", _LLAMA_3),
    (r"meta/(?:meta-)?llama-", _PLAIN),
    (r"ibm-granite/granite-", _GRANITE),
    (r"(?:deepseek-ai|moonshotai|qwen|xai)/", _PLAIN),
)
_PATTERNS = tuple((re.compile(pattern), inputs) for pattern, inputs in _TABLE)


def prediction_inputs(model: str) -> PredictionInputs | None:
    """By the name sent upstream, `owner/name` or `owner/name:version`; None where no row matches."""
    name = model.lower()
    return next((inputs for pattern, inputs in _PATTERNS if pattern.match(name)), None)
