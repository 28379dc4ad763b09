"""Rows of vendors with a wire format of their own. What each field means stands in `values/vendor.py`."""

from __future__ import annotations

from ..values.vendor import Quirks, Vendor

_VERTEX = "/{api_version}/projects/{project}/locations/{location}"

NATIVE = (
    Vendor(
        name="anthropic",
        base="https://api.anthropic.com",
        speaks={"anthropic_messages": "/v1/messages"},
        auth="x_api_key",
        key_env="ANTHROPIC_API_KEY",
        prices="anthropic",
        headers={"anthropic-version": "2023-06-01"},
        example_models=("claude-opus-4-7", "claude-sonnet-4-6", "claude-haiku-4-5"),
        source="https://platform.claude.com/docs/en/api/messages",
        checked="2026-11",
    ),
    Vendor(
        name="cohere",
        base="https://api.cohere.com",
        speaks={"cohere_chat": "/v2/chat"},
        key_env="CO_API_KEY",
        prices="cohere",
        example_models=("command-a-03-2025", "command-r7b-12-2024"),
        source="https://docs.cohere.com/reference/chat",
        checked="2026-11",
    ),
    Vendor(
        name="ollama",
        base="http://127.0.0.1:11434",
        speaks={"ollama": "/api/chat"},
        auth="none",
        example_models=("llama3.2", "qwen3"),
        source="https://docs.ollama.com/api/chat",
        checked="2026-11",
    ),
    Vendor(
        name="anthropic-compatible",
        base="",
        speaks={"anthropic_messages": "/v1/messages"},
        auth="x_api_key",
        headers={"anthropic-version": "2023-06-01"},
        source="https://platform.claude.com/docs/en/api/messages",
        checked="2026-11",
    ),
    # Claude is spoken to in its own format by InvokeModel as well; `body_version` is of that body alone.
    Vendor(
        name="bedrock",
        base="https://bedrock-runtime.{region}.amazonaws.com",
        speaks={"bedrock_converse": "/model/{model}/converse", "anthropic_messages": "/model/{model}/invoke"},
        auth="sigv4",
        prices="aws",
        url="bedrock",
        by_model="bedrock",
        quirks=Quirks(body_version="bedrock-2023-05-31"),
        example_models=("claude-sonnet-4-6", "amazon.nova-lite-v1:0", "meta.llama3-3-70b-instruct-v1:0"),
        source="https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html",
        checked="2026-11",
    ),
    Vendor(
        name="gemini",
        base="https://generativelanguage.googleapis.com",
        speaks={"gemini": "/{api_version}/models/{model}:generateContent"},
        auth="x_goog_api_key",
        key_env="GEMINI_API_KEY",
        prices="google",
        url="gemini",
        fills=("api_version",),
        example_models=("gemini-3.8-flash", "gemini-2.5-pro", "gemini-2.5-flash"),
        source="https://ai.google.dev/api/generate-content",
        checked="2026-11",
    ),
    # `body_version` is of Claude's body alone.
    Vendor(
        name="vertex",
        base="https://{location}-aiplatform.googleapis.com",
        speaks={
            "gemini": _VERTEX + "/publishers/google/models/{model}:generateContent",
            "anthropic_messages": _VERTEX + "/publishers/anthropic/models/{model}:rawPredict",
            "openai_chat": _VERTEX + "/endpoints/openapi/chat/completions",
        },
        auth="google",
        prices="google",
        url="vertex",
        fills=("api_version", "location", "project"),
        by_model="vertex",
        quirks=Quirks(body_version="vertex-2023-10-16", server_tool_parts=False),
        example_models=("gemini-2.5-pro", "gemini-2.5-flash", "claude-sonnet-4-5@20250929"),
        source="https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        checked="2026-11",
    ),
    Vendor(
        name="replicate",
        base="https://api.replicate.com",
        speaks={"replicate": "/v1/models/{model}/predictions"},
        key_env="REPLICATE_API_TOKEN",
        prices="replicate",
        url="replicate",
        example_models=("meta/meta-llama-3-70b-instruct", "black-forest-labs/flux-schnell"),
        source="https://replicate.com/docs/reference/http",
        checked="2026-11",
    ),
)
