"""The config's JSON Schema takes what the loader takes, and describes every key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from oneapi_cli.config.json_schema import config_schema, descriptions
from oneapi_cli.config.read import shapes
from oneapi_cli.config.schema import ChannelConfig, Config, LimitsConfig, TimeoutsConfig, TlsConfig, TokenConfig
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.values.units import RATE_NAMES
from oneapi_cli.values.vendor import Quirks

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = config_schema(VENDORS)
_TYPES: dict[str, Any] = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
    "null": lambda v: v is None,
}
KNOWN = {
    "$schema", "title", "description", "default", "examples", "type", "properties", "additionalProperties", "required",
    "items", "anyOf", "enum", "const", "pattern", "minimum", "maximum", "minProperties", "uniqueItems",
}  # fmt: skip


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is valid, by the keywords of JSON Schema that ours uses; fails on any other keyword."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    types = schema.get("type", [])
    if types and not any(_TYPES[name](value) for name in ([types] if isinstance(types, str) else types)):
        return False
    if "anyOf" in schema and not any(fits(value, one) for one in schema["anyOf"]):
        return False
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        return False
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return False
    if isinstance(value, list):
        return all(fits(item, schema.get("items", {})) for item in value)
    return not isinstance(value, dict) or _members_fit(value, schema)


def _members_fit(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    if not set(schema.get("required", ())) <= set(value) or len(value) < schema.get("minProperties", 0):
        return False
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name, member in value.items():
        allowed = properties.get(name, others)
        if allowed is False or not fits(member, allowed):
            return False
    return True


def test_the_example_config_is_valid() -> None:
    assert fits(yaml.safe_load((ROOT / "config.example.yaml").read_text(encoding="utf-8")), SCHEMA)


@pytest.mark.parametrize(
    "cls",
    [Config, ChannelConfig, TokenConfig, LimitsConfig, TimeoutsConfig, TlsConfig, Quirks],
    ids=lambda c: c.__name__,
)
def test_every_key_is_described(cls: type[msgspec.Struct]) -> None:
    said = descriptions(cls)
    assert set(said) == set(shapes(cls))


def test_every_key_and_rate_can_be_completed() -> None:
    properties = SCHEMA["properties"]
    assert set(properties) == set(shapes(Config))
    channel = properties["channels"]["items"]
    assert set(channel["properties"]) == set(shapes(ChannelConfig)) and set(channel["required"]) == {"name", "type"}
    assert channel["properties"]["type"]["anyOf"][0]["enum"] == list(VENDORS)
    assert set(properties["prices"]["additionalProperties"]["properties"]) == {"free", *RATE_NAMES}
    assert all("description" in one for one in properties.values())
    assert SCHEMA["properties"]["workers"]["default"] == 1


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("workers: 2", True),
        ("workers: ${W}", True),
        ("workers: 0", False),
        ("workers: two", False),
        ("wrokers: 2", False),
        ("holds: worst_case", True),
        ("holds: some", False),
        ("grace: 2m", True),
        ("grace: 2", False),
        ("limits: {body: 32MiB, concurrent: 5}", True),
        ("limits: {body: lots}", False),
        ("retention: keep", True),
        ("retention: 90d", True),
        ("tls: {cert: a}", False),
        ("channels: [{name: a, type: openai, models: [x], api_key: [a, '${B}'], retries: 1}]", False),
        ("channels: [{name: a, type: opnai}]", False),
        ("channels: [{name: a, type: demo, models: {x: y, z: }, priority: -3, speaks: openai_chat}]", True),
        ("channels: [{type: demo}]", False),
        ("tokens: [{name: a, budget: $20/month, subnet: 10.0.0.0/8, clamp: true}]", True),
        ("tokens: [{name: a, budget: 20/year}]", False),
        ("prices: {m: {input: 3.00, output: '$12'}, f: {free: true}}", True),
        ("prices: {m: {inptu: 3}}", False),
        ("prices: {m: {}}", False),
    ],
)
def test_what_is_valid(text: str, valid: bool) -> None:
    assert fits(yaml.safe_load(text), SCHEMA) is valid
