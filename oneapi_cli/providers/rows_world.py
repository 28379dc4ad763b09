"""Rows of OpenAI-format vendors outside China. What each field means stands in `values/vendor.py`."""

from __future__ import annotations

from ..values.vendor import Quirks, Vendor
from .rows_paths import (
    CHAT,
    COMPLETIONS,
    EDITS,
    EMBEDDINGS,
    IMAGES,
    MESSAGES,
    MODERATIONS,
    RERANK,
    RESPONSES,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    VARIATIONS,
)

# Members that a translated request leaves out, because the vendor answers with an error (2026-11).
_SEALED_BY_OTHERS = ("reasoning_details", "extra_content")
_UNKNOWN_TO_MISTRAL = (
    *("audio", "logit_bias", "logprobs", "modalities", "name", "service_tier", "store", "top_logprobs", "user"),
    *("verbosity", "web_search_options", *_SEALED_BY_OTHERS),
)
_UNKNOWN_TO_GROQ = (
    *("logit_bias", "logprobs", "n", "name", "prompt_cache_key", "top_logprobs", "verbosity", "web_search_options"),
    *_SEALED_BY_OTHERS,
)
_UNKNOWN_TO_CEREBRAS = ("frequency_penalty", "logit_bias", "presence_penalty", "service_tier", *_SEALED_BY_OTHERS)

WORLD = (
    # Answers 422 to `max_completion_tokens` and any member it does not know; a stream's last chunk has usage unasked.
    # The rules of call ids and of what may follow a tool's result are its errors 3280 and 3230.
    Vendor(
        name="mistral",
        base="https://api.mistral.ai/v1",
        speaks=CHAT | EMBEDDINGS | MODERATIONS | TRANSCRIPTIONS,
        key_env="MISTRAL_API_KEY",
        prices="mistral",
        quirks=Quirks(
            token_limit_name="max_tokens",
            stream_usage=False,
            takes=("random_seed", "document_url"),
            refuses=_UNKNOWN_TO_MISTRAL,
            call_id_length=9,
            answers_tools=True,
        ),
        example_models=("mistral-large-4", "mistral-medium-latest", "mistral-small-latest", "mistral-embed"),
        source="https://docs.mistral.ai/api",
        checked="2026-11",
    ),
    # Usage stands in `x_groq.usage` and in `usage` of a stream's last chunk; either is enough.
    Vendor(
        name="groq",
        base="https://api.groq.com/openai/v1",
        speaks=CHAT | RESPONSES | SPEECH | TRANSCRIPTIONS | TRANSLATIONS,
        key_env="GROQ_API_KEY",
        prices="groq",
        quirks=Quirks(refuses=_UNKNOWN_TO_GROQ),
        example_models=("openai/gpt-oss-120b", "openai/gpt-oss-20b", "qwen/qwen3.8-27b", "llama-3.3-70b-versatile"),
        source="https://console.groq.com/docs/openai",
        checked="2026-11",
    ),
    # Responses are its first API; chat completions are documented as legacy.
    Vendor(
        name="xai",
        base="https://api.x.ai/v1",
        speaks=RESPONSES | CHAT | IMAGES,
        key_env="XAI_API_KEY",
        prices="x-ai",
        example_models=("grok-4.7", "grok-4.6", "grok-4.3", "grok-build-0.1"),
        source="https://docs.x.ai/docs/api-reference",
        checked="2026-11",
    ),
    # The title is a courtesy for its rankings, which also want an HTTP-Referer: a channel's `headers` may add one.
    Vendor(
        name="openrouter",
        base="https://openrouter.ai/api/v1",
        speaks=CHAT | COMPLETIONS | EMBEDDINGS | RESPONSES | MESSAGES,
        key_env="OPENROUTER_API_KEY",
        prices="openrouter",
        quirks=Quirks(
            takes=("top_k", "cache_control", "reasoning", "reasoning_effort", "video_url", "file_url"),
        ),
        headers={"X-OpenRouter-Title": "oneapi"},
        example_models=(
            "openai/gpt-6.1-sol",
            "anthropic/claude-sonnet-5.5",
            "google/gemini-3.8-flash",
            "deepseek/deepseek-v4.1-flash",
        ),
        source="https://openrouter.ai/docs/api-reference/overview",
        checked="2026-11",
    ),
    Vendor(
        name="together",
        base="https://api.together.ai/v1",
        speaks=CHAT | COMPLETIONS | EMBEDDINGS | RERANK | IMAGES | SPEECH | TRANSCRIPTIONS | TRANSLATIONS,
        key_env="TOGETHER_API_KEY",
        prices="together",
        quirks=Quirks(token_limit_name="max_tokens", takes=("top_k",)),
        example_models=("openai/gpt-oss-120b", "moonshotai/Kimi-K3", "zai-org/GLM-5.3", "Qwen/Qwen3.8-Flash"),
        source="https://docs.together.ai/docs/openai-api-compatibility",
        checked="2026-11",
    ),
    Vendor(
        name="fireworks",
        base="https://api.fireworks.ai/inference/v1",
        speaks=CHAT | COMPLETIONS | EMBEDDINGS | RESPONSES | MESSAGES,
        key_env="FIREWORKS_API_KEY",
        prices="fireworks",
        quirks=Quirks(takes=("top_k",)),
        example_models=(
            "accounts/fireworks/models/gpt-oss-120b",
            "accounts/fireworks/models/kimi-k3",
            "accounts/fireworks/models/glm-5p3",
            "accounts/fireworks/models/deepseek-v4-pro",
        ),
        source="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        checked="2026-11",
    ),
    Vendor(
        name="cerebras",
        base="https://api.cerebras.ai/v1",
        speaks=CHAT,
        key_env="CEREBRAS_API_KEY",
        prices="cerebras",
        quirks=Quirks(token_limit_name="max_completion_tokens", refuses=_UNKNOWN_TO_CEREBRAS),
        example_models=("gpt-oss-120b", "zai-glm-4.7", "qwen-3.8-27b", "gemma-4-31b"),
        source="https://inference-docs.cerebras.ai/resources/openai",
        checked="2026-11",
    ),
    Vendor(
        name="nvidia",
        base="https://integrate.api.nvidia.com/v1",
        speaks=CHAT | EMBEDDINGS,
        key_env="NVIDIA_API_KEY",
        quirks=Quirks(token_limit_name="max_tokens"),
        example_models=("meta/llama-3.3-70b-instruct", "openai/gpt-oss-120b", "nvidia/nv-embedqa-e5-v5"),
        source="https://docs.api.nvidia.com/nim/reference/llm-apis",
        checked="2026-11",
    ),
    # Sonar lives at /chat/completions; `/v1/responses` is the twin of its agent API, with prices and tools of its own.
    Vendor(
        name="perplexity",
        base="https://api.perplexity.ai",
        speaks=CHAT,
        key_env="PERPLEXITY_API_KEY",
        prices="perplexity",
        quirks=Quirks(token_limit_name="max_tokens"),
        example_models=("sonar", "sonar-pro", "sonar-reasoning-pro", "sonar-deep-research"),
        source="https://docs.perplexity.ai/docs/sonar/openai-compatibility",
        checked="2026-11",
    ),
    Vendor(
        name="deepinfra",
        base="https://api.deepinfra.com/v1/openai",
        speaks=CHAT
        | COMPLETIONS
        | EMBEDDINGS
        | {"anthropic_messages": "https://api.deepinfra.com/anthropic/v1/messages"}
        | IMAGES
        | EDITS
        | VARIATIONS
        | SPEECH
        | TRANSCRIPTIONS
        | TRANSLATIONS,
        key_env="DEEPINFRA_API_KEY",
        quirks=Quirks(token_limit_name="max_tokens"),
        example_models=("openai/gpt-oss-120b", "deepseek-ai/DeepSeek-V4-Pro", "BAAI/bge-m3"),
        source="https://docs.deepinfra.com/chat/overview",
        checked="2026-11",
    ),
    Vendor(
        name="cloudflare",
        base="https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1",
        speaks=CHAT | EMBEDDINGS | RESPONSES,
        key_env="CLOUDFLARE_API_TOKEN",
        prices="cloudflare",
        quirks=Quirks(token_limit_name="max_tokens"),
        example_models=("@cf/openai/gpt-oss-120b", "@cf/zai-org/glm-5.3-flash", "@cf/baai/bge-m3"),
        source="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
        checked="2026-11",
    ),
    # A router over other hosts (`model:host`), each with prices of its own, so that none is the router's.
    Vendor(
        name="huggingface",
        base="https://router.huggingface.co/v1",
        speaks=CHAT | RESPONSES,
        key_env="HF_TOKEN",
        example_models=("openai/gpt-oss-120b", "moonshotai/Kimi-K3", "zai-org/GLM-5.3"),
        source="https://huggingface.co/docs/inference-providers",
        checked="2026-11",
    ),
    Vendor(
        name="sambanova",
        base="https://api.sambanova.ai/v1",
        speaks=CHAT | EMBEDDINGS,
        key_env="SAMBANOVA_API_KEY",
        example_models=("gpt-oss-120b", "Meta-Llama-3.3-70B-Instruct", "E5-Mistral-7B-Instruct"),
        source="https://docs.sambanova.ai/docs/en/features/openai-compatibility",
        checked="2026-11",
    ),
    # Its OpenAPI page answers nothing any more; the base is that of its quickstart.
    Vendor(
        name="hyperbolic",
        base="https://api.hyperbolic.xyz/v1",
        speaks=CHAT | COMPLETIONS,
        key_env="HYPERBOLIC_API_KEY",
        quirks=Quirks(token_limit_name="max_tokens"),
        example_models=("openai/gpt-oss-120b", "meta-llama/Llama-3.3-70B-Instruct"),
        source="https://docs.hyperbolic.ai/inference/overview",
        checked="2026-11",
    ),
    # Token Factory, once AI Studio (api.studio.nebius.ai).
    Vendor(
        name="nebius",
        base="https://api.tokenfactory.nebius.com/v1",
        speaks=CHAT | COMPLETIONS | EMBEDDINGS,
        key_env="NEBIUS_API_KEY",
        example_models=("openai/gpt-oss-120b", "moonshotai/Kimi-K3", "BAAI/bge-en-icl"),
        source="https://docs.tokenfactory.nebius.com/",
        checked="2026-11",
    ),
    Vendor(
        name="novita",
        base="https://api.novita.ai/openai/v1",
        speaks=CHAT | COMPLETIONS | EMBEDDINGS | {"anthropic_messages": "https://api.novita.ai/anthropic/v1/messages"},
        key_env="NOVITA_API_KEY",
        prices="novita",
        quirks=Quirks(token_limit_name="max_tokens"),
        example_models=("deepseek/deepseek-v4-pro", "google/gemma-4-31b-it", "meta-llama/llama-3.1-8b-instruct"),
        source="https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion",
        checked="2026-11",
    ),
    Vendor(
        name="gemini-openai",
        base="https://generativelanguage.googleapis.com/v1beta/openai",
        speaks=CHAT | EMBEDDINGS,
        key_env="GEMINI_API_KEY",
        prices="google",
        example_models=("gemini-3.8-flash", "gemini-3.1-pro-preview", "gemini-3.5-flash-lite", "gemini-embedding-2"),
        source="https://ai.google.dev/gemini-api/docs/openai",
        checked="2026-11",
    ),
    # Wants no key at home; https://ollama.com/v1 as base_url does.
    Vendor(
        name="ollama-openai",
        base="http://localhost:11434/v1",
        speaks=CHAT | COMPLETIONS | EMBEDDINGS | RESPONSES | MESSAGES,
        quirks=Quirks(token_limit_name="max_tokens"),
        example_models=("gpt-oss:20b", "gemma4:31b", "qwen3.8:27b"),
        source="https://docs.ollama.com/api/openai-compatibility",
        checked="2026-11",
    ),
)
