"""Bedrock's names of models, the inference profiles of a region, and what is spoken to whom."""

from __future__ import annotations

import pytest

from oneapi_cli.providers.bedrock_models import model_id
from oneapi_cli.providers.spoken import spoken
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.values.vendor import Channel

SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(
    ("name", "region", "expected"),
    [
        # As they are: ids, profiles, ARNs, other makers.
        (SONNET, "us-east-1", SONNET),
        (f"eu.{SONNET}", "us-east-1", f"eu.{SONNET}"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/x",
            "us-east-1",
            "arn:aws:bedrock:us-east-1:1:inference-profile/x",
        ),
        ("amazon.nova-lite-v1:0", "eu-west-1", "amazon.nova-lite-v1:0"),
        ("claude-of-our-own", "us-east-1", "claude-of-our-own"),
        # Bare names, by region.
        ("claude-sonnet-4-5", "us-east-1", f"global.{SONNET}"),
        ("claude-sonnet-4-5-20250929", "", SONNET),
        ("claude-sonnet-4-5", "us-gov-west-1", f"us-gov.{SONNET}"),
        ("claude-instant-1.2", "us-east-1", "anthropic.claude-instant-v1"),
        ("claude-2.1", "us-east-1", "anthropic.claude-v2:1"),
        ("claude-3-haiku-20240307", "eu-central-1", "eu.anthropic.claude-3-haiku-20240307-v1:0"),
        ("claude-3-5-sonnet-latest", "us-west-2", "us.anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("claude-3-5-sonnet-20241022", "eu-west-1", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("claude-3-7-sonnet-latest", "ap-southeast-2", "apac.anthropic.claude-3-7-sonnet-20250219-v1:0"),
        ("claude-opus-4-1", "ca-central-1", "us.anthropic.claude-opus-4-1-20250805-v1:0"),
        ("claude-opus-4-6", "ap-northeast-1", "global.anthropic.claude-opus-4-6-v1"),
        ("claude-opus-4-7", "eu-west-1", "global.anthropic.claude-opus-4-7"),
        ("claude-sonnet-5", "us-east-1", "global.anthropic.claude-sonnet-5"),
        ("claude-sonnet-5-5", "ap-northeast-1", "global.anthropic.claude-sonnet-5-5"),
        ("claude-fable-5-1", "us-east-1", "global.anthropic.claude-fable-5-1"),
        ("llama3-8b-8192", "us-east-1", "meta.llama3-8b-instruct-v1:0"),
    ],
)
def test_names(name: str, region: str, expected: str) -> None:
    assert model_id(name, region) == expected


def channel(vendor: str, *speaks: str) -> Channel:
    row = VENDORS[vendor]
    return Channel(
        name="c",
        vendor=row,
        base=row.base,
        keys=(),
        models={},
        speaks={name: row.speaks[name] for name in speaks},
    )


@pytest.mark.parametrize(
    ("vendor", "model", "dialects"),
    [
        ("bedrock", "claude-sonnet-4-5", ["bedrock_converse", "anthropic_messages"]),
        ("bedrock", f"us.{SONNET}", ["bedrock_converse", "anthropic_messages"]),
        ("bedrock", "amazon.nova-lite-v1:0", ["bedrock_converse"]),
        ("bedrock", "openai.gpt-oss-120b-1:0", ["bedrock_converse"]),
        ("vertex", "gemini-2.5-pro", ["gemini"]),
        ("vertex", "claude-sonnet-4-5@20250929", ["anthropic_messages"]),
        ("vertex", "meta/llama-3.3-70b-instruct-maas", ["openai_chat"]),
        ("vertex", "deepseek-ai/deepseek-v3.1-maas", ["openai_chat"]),
    ],
)
def test_what_is_spoken(vendor: str, model: str, dialects: list[str]) -> None:
    assert list(spoken(channel(vendor), model)) == dialects


def test_a_channel_narrows_and_orders_it() -> None:
    both = channel("bedrock", "anthropic_messages", "bedrock_converse")
    assert list(spoken(both, "claude-sonnet-4-5")) == ["anthropic_messages", "bedrock_converse"]
    assert list(spoken(channel("bedrock", "anthropic_messages"), "amazon.nova-lite-v1:0")) == []
