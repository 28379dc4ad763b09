"""Every row of the vendor table is complete, reachable by its own base URL and priced where it says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from oneapi_cli.ledger import price_table
from oneapi_cli.providers.table import DEMO_BASE, VENDORS
from oneapi_cli.providers.urls import build_url
from oneapi_cli.values.vendor import Channel, Vendor

ROWS = [pytest.param(row, id=name) for name, row in VENDORS.items()]
WITHOUT_BASE = {"azure", "openai-compatible", "anthropic-compatible"}
OPTIONS = {"account_id": "abc123", "region": "eu-west-1", "location": "us-east5", "project": "p1"}

PROMISED = """
openai azure openai-compatible demo deepseek mistral groq xai openrouter moonshot together fireworks cerebras nvidia zai
baichuan stepfun minimax doubao novita siliconflow baidu xunfei ali zhipu tencent ai360 deepinfra perplexity cloudflare
huggingface sambanova hyperbolic nebius gemini-openai ollama-openai
anthropic anthropic-compatible bedrock gemini vertex replicate cohere ollama voyage jina
"""


@pytest.fixture(scope="module")
def catalogue() -> Mapping[str, object]:
    from genai_prices import data

    return {provider.id: provider for provider in data.providers}


def test_the_rows_that_are_promised_are_there() -> None:
    assert sorted(VENDORS) == sorted(PROMISED.split())


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_complete(row: Vendor) -> None:
    assert VENDORS[row.name] is row
    assert row.speaks
    assert all(path.startswith(("/", "https://")) and not path.endswith("/") for path in row.speaks.values())
    assert row.source
    assert row.checked == "2026-11"
    assert not row.base.endswith("/")
    assert row.example_models or row.name in WITHOUT_BASE
    assert len(set(row.example_models)) == len(row.example_models)
    assert row.quirks.token_limit_name in {"auto", "max_tokens", "max_completion_tokens"}


@pytest.mark.parametrize("row", ROWS)
def test_a_base_is_https_or_at_home(row: Vendor) -> None:
    if row.name in WITHOUT_BASE:
        assert row.base == ""
        return
    address = urlsplit(row.base)
    assert row.base == DEMO_BASE or address.scheme == "https" or address.hostname in ("localhost", "127.0.0.1")
    assert not address.query
    assert not address.username


@pytest.mark.parametrize("row", ROWS)
def test_prices_name_a_list_that_exists(row: Vendor, catalogue: Mapping[str, object]) -> None:
    ours = {book for priced in price_table.ROWS for book in priced.books}
    assert not row.prices or row.prices in catalogue or row.prices in ours


@pytest.mark.parametrize("row", ROWS)
def test_every_path_makes_a_url(row: Vendor) -> None:
    channel = Channel(
        name=row.name,
        vendor=row,
        base=row.base or "https://example.openai.azure.com",
        keys=("k",),
        models={},
        options=OPTIONS,
    )
    for dialect, path in row.speaks.items():
        url = build_url(channel, dialect, "owner/model")
        base = re.sub(r"\{([a-z_]+)\}", lambda mark: OPTIONS[mark[1]], channel.base)
        assert url.startswith(path if path.startswith("https:") else base)
        assert "{" not in url
        assert "//" not in url.split("://", 1)[1]


KNOWN_URLS = {
    ("openai", "openai_chat"): "https://api.openai.com/v1/chat/completions",
    ("openai", "openai_responses"): "https://api.openai.com/v1/responses",
    ("deepseek", "openai_chat"): "https://api.deepseek.com/chat/completions",
    ("deepseek", "openai_completions"): "https://api.deepseek.com/beta/completions",
    ("deepseek", "openai_responses"): "https://api.deepseek.com/responses",
    ("groq", "openai_responses"): "https://api.groq.com/openai/v1/responses",
    ("zai", "openai_chat"): "https://api.z.ai/api/paas/v4/chat/completions",
    ("doubao", "openai_chat"): "https://ark.cn-beijing.volces.com/api/v3/chat/completions",
    ("baidu", "openai_chat"): "https://qianfan.baidubce.com/v2/chat/completions",
    ("ali", "openai_embeddings"): "https://dashscope.aliyuncs.com/compatible-mode/v1/embeddings",
    ("fireworks", "openai_completions"): "https://api.fireworks.ai/inference/v1/completions",
    ("perplexity", "openai_chat"): "https://api.perplexity.ai/chat/completions",
    ("gemini-openai", "openai_chat"): "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    ("demo", "openai_chat"): "demo://local/chat/completions",
    ("anthropic", "anthropic_messages"): "https://api.anthropic.com/v1/messages",
    ("cohere", "cohere_chat"): "https://api.cohere.com/v2/chat",
    ("ollama", "ollama"): "http://127.0.0.1:11434/api/chat",
    ("gemini", "gemini"): "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent",
    ("deepseek", "anthropic_messages"): "https://api.deepseek.com/anthropic/v1/messages",
    ("moonshot", "anthropic_messages"): "https://api.moonshot.ai/anthropic/v1/messages",
    ("zai", "anthropic_messages"): "https://api.z.ai/api/anthropic/v1/messages",
    ("openrouter", "anthropic_messages"): "https://openrouter.ai/api/v1/messages",
    ("stepfun", "anthropic_messages"): "https://api.stepfun.com/v1/messages",
}


@pytest.mark.parametrize(("name", "dialect"), KNOWN_URLS)
def test_urls_as_the_vendors_document_them(name: str, dialect: str) -> None:
    row = VENDORS[name]
    channel = Channel(name=name, vendor=row, base=row.base, keys=(), models={})
    assert build_url(channel, dialect, "m") == KNOWN_URLS[name, dialect]
