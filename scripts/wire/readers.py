"""The independent reader of each dialect's recordings, and the quirks that a vendor's row has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oneapi_cli.providers.table import VENDORS
from oneapi_cli.values.vendor import Quirks

from . import vendor_openai, vendor_others
from .said import Said

Read = Callable[[bytes], Said]

READERS: Mapping[str, tuple[Read, Read]] = {
    "openai_chat": (vendor_openai.read_chat, vendor_openai.read_chat_stream),
    "openai_responses": (vendor_openai.read_responses, vendor_openai.read_responses_stream),
    "anthropic_messages": (vendor_others.read_anthropic, vendor_others.read_anthropic_stream),
    "gemini": (vendor_others.read_gemini, vendor_others.read_gemini_stream),
    "bedrock_converse": (vendor_others.read_converse, vendor_others.read_converse_stream),
    "cohere_chat": (vendor_others.read_cohere, vendor_others.read_cohere_stream),
    "ollama": (vendor_others.read_ollama, vendor_others.read_ollama),
}
"""dialect → (whole, stream)."""


def quirks_of(provider: str) -> Quirks:
    vendor = VENDORS.get(provider)
    return vendor.quirks if vendor is not None else Quirks()
