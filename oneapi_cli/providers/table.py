"""The vendor table: one row per vendor, nothing but data.

`base` is what the vendor's own SDK (or its page on OpenAI compatibility) takes as base URL; `speaks` has only what the
vendor documents; `prices` is its id in the genai-prices catalogue, "" where that has none. Each row names the page that
says so and the month in which it was read. `key_env` is "" where a vendor names no variable, or wants no key: such a
channel may go without one.

Not here, and why (2026-11): resellers of 2023; GitHub Models (retired 2026-07-30); GitHub Copilot (its tokens live
minutes and are handed out by a sign-in of their own); 01.AI (no reference is published any more; `openai-compatible`
serves it); the vendors whose own format is not OpenAI's, which come with their dialects. `gemini-openai` and
`ollama-openai` are the OpenAI-compatible doors of two of those.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..values.vendor import Vendor
from .rows_asia import ASIA
from .rows_native import NATIVE
from .rows_paths import (
    ALL,
    CHAT,
    COMPLETIONS,
    EDITS,
    EMBEDDINGS,
    IMAGES,
    RESPONSES,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
)
from .rows_world import WORLD

DEMO_BASE = "demo://local"
"""What stands for the demo vendor's address, until the transport puts that of a running one in its place."""

_FIRST = (
    Vendor(
        name="openai",
        base="https://api.openai.com/v1",
        speaks=ALL,
        key_env="OPENAI_API_KEY",
        prices="openai",
        example_models=(
            "gpt-6.1-sol",
            "gpt-6-luna",
            "gpt-5.5",
            "gpt-4.1",
            "gpt-4o-mini",
            "text-embedding-3-small",
        ),
        source="https://developers.openai.com/api/reference",
        checked="2026-11",
    ),
    # The base is a resource's own: https://NAME.openai.azure.com, with or without /openai or /openai/v1.
    Vendor(
        name="azure",
        base="",
        speaks=CHAT | COMPLETIONS | EMBEDDINGS | RESPONSES | IMAGES | EDITS | SPEECH | TRANSCRIPTIONS | TRANSLATIONS,
        auth="azure",
        key_env="AZURE_OPENAI_API_KEY",
        prices="azure",
        url="azure",
        example_models=("gpt-5.5", "gpt-5.4-mini", "gpt-4.1", "o3"),
        source="https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle",
        checked="2026-11",
    ),
    Vendor(
        name="openai-compatible",
        base="",
        speaks=ALL,
        source="https://developers.openai.com/api/reference",
        checked="2026-11",
    ),
    Vendor(
        name="demo",
        base=DEMO_BASE,
        speaks=ALL,
        auth="demo",
        example_models=(
            "demo-small",
            "demo-large",
            "demo-reasoner",
            "demo-embedding",
            "demo-image",
            "demo-speech",
            "demo-transcribe",
        ),
        source="oneapi_cli/providers/demo",
        checked="2026-11",
    ),
)

VENDORS: Mapping[str, Vendor] = {row.name: row for row in (*_FIRST, *NATIVE, *WORLD, *ASIA)}
"""Every vendor by name, in the order in which `channel types` lists them."""
