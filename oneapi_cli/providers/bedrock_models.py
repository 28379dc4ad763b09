"""Bedrock's names of models: a bare Claude name → its id there, with the inference profile that serves a region.

An ARN, a name with a profile's prefix (`us.`, `global.`…) and an id of Bedrock's own are used as they are. Newer Claude
models can only be called through a profile: the world-wide one where there is one, else that of the region's part of
the world. Pure.

Sources: the facts of One API's own table; https://docs.aws.amazon.com/bedrock/latest/userguide/models-regions.html ·
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_DATED: Mapping[str, str] = {
    "claude-instant-1.2": "anthropic.claude-instant-v1",
    "claude-2.0": "anthropic.claude-v2",
    "claude-2.1": "anthropic.claude-v2:1",
    "claude-3-haiku": "anthropic.claude-3-haiku-20240307-v1:0",
    "claude-3-haiku-20240307": "anthropic.claude-3-haiku-20240307-v1:0",
    "claude-3-sonnet": "anthropic.claude-3-sonnet-20240229-v1:0",
    "claude-3-sonnet-20240229": "anthropic.claude-3-sonnet-20240229-v1:0",
    "claude-3-opus": "anthropic.claude-3-opus-20240229-v1:0",
    "claude-3-opus-20240229": "anthropic.claude-3-opus-20240229-v1:0",
    "claude-3-5-sonnet-20240620": "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "claude-3-5-sonnet": "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "claude-3-5-sonnet-20241022": "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "claude-3-5-haiku": "anthropic.claude-3-5-haiku-20241022-v1:0",
    "claude-3-5-haiku-20241022": "anthropic.claude-3-5-haiku-20241022-v1:0",
    "claude-3-7-sonnet": "anthropic.claude-3-7-sonnet-20250219-v1:0",
    "claude-3-7-sonnet-20250219": "anthropic.claude-3-7-sonnet-20250219-v1:0",
    "claude-sonnet-4": "anthropic.claude-sonnet-4-20250514-v1:0",
    "claude-sonnet-4-0": "anthropic.claude-sonnet-4-20250514-v1:0",
    "claude-sonnet-4-20250514": "anthropic.claude-sonnet-4-20250514-v1:0",
    "claude-opus-4": "anthropic.claude-opus-4-20250514-v1:0",
    "claude-opus-4-0": "anthropic.claude-opus-4-20250514-v1:0",
    "claude-opus-4-20250514": "anthropic.claude-opus-4-20250514-v1:0",
    "claude-opus-4-1": "anthropic.claude-opus-4-1-20250805-v1:0",
    "claude-opus-4-1-20250805": "anthropic.claude-opus-4-1-20250805-v1:0",
    "claude-sonnet-4-5": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "claude-sonnet-4-5-20250929": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "claude-haiku-4-5": "anthropic.claude-haiku-4-5-20251001-v1:0",
    "claude-haiku-4-5-20251001": "anthropic.claude-haiku-4-5-20251001-v1:0",
    "claude-opus-4-5": "anthropic.claude-opus-4-5-20251101-v1:0",
    "claude-opus-4-5-20251101": "anthropic.claude-opus-4-5-20251101-v1:0",
    "claude-opus-4-6": "anthropic.claude-opus-4-6-v1",
    "llama3-8b-8192": "meta.llama3-8b-instruct-v1:0",
    "llama3-70b-8192": "meta.llama3-70b-instruct-v1:0",
}
# From here on a model's id is its name: Sonnet 4.6, Opus 4.7, and the families of generation 5 and later.
_UNDATED = re.compile(
    r"claude-(?:sonnet-4-[6-9]|opus-4-[7-9]|(?:opus|sonnet|haiku|fable|mythos)-(?:[5-9]|[1-9]\d)(?:-\d{1,2})?)\Z"
)
_LATEST = re.compile(r"-latest\Z")

# Which profiles there are, by part of the world. `global` serves every commercial region.
_US, _EU, _APAC = "us", "eu", "apac"
_PROFILES: Mapping[str, frozenset[str]] = {
    "anthropic.claude-3-haiku-20240307-v1:0": frozenset({_US, "us-gov", _EU, _APAC}),
    "anthropic.claude-3-sonnet-20240229-v1:0": frozenset({_US, _EU, _APAC}),
    "anthropic.claude-3-opus-20240229-v1:0": frozenset({_US}),
    "anthropic.claude-3-5-sonnet-20240620-v1:0": frozenset({_US, "us-gov", _EU, _APAC}),
    "anthropic.claude-3-5-sonnet-20241022-v2:0": frozenset({_US, _APAC}),
    "anthropic.claude-3-5-haiku-20241022-v1:0": frozenset({_US}),
    "anthropic.claude-3-7-sonnet-20250219-v1:0": frozenset({_US, "us-gov", _EU, _APAC}),
    "anthropic.claude-sonnet-4-20250514-v1:0": frozenset({_US, _EU, _APAC, "global"}),
    "anthropic.claude-opus-4-20250514-v1:0": frozenset({_US}),
    "anthropic.claude-opus-4-1-20250805-v1:0": frozenset({_US}),
    "anthropic.claude-sonnet-4-5-20250929-v1:0": frozenset({_US, "us-gov", _EU, "jp", "au", "global"}),
    "anthropic.claude-haiku-4-5-20251001-v1:0": frozenset({_US, _EU, "jp", "au", "global"}),
    "anthropic.claude-opus-4-5-20251101-v1:0": frozenset({_US, _EU, "global"}),
    "anthropic.claude-opus-4-6-v1": frozenset({_US, _EU, _APAC, "global"}),
}
_UNDATED_PROFILES = frozenset({_US, _EU, "jp", "au", "global"})

_NO_GLOBAL = ("us-gov-", "cn-")


def model_id(name: str, region: str) -> str:
    """What stands in the path of a call from `region` ("" where it is not known: then without a profile)."""
    bare = _LATEST.sub("", name)
    if bare in _DATED:
        known = _DATED[bare]
        profiles = _PROFILES.get(known, frozenset())
    elif _UNDATED.match(bare):
        known, profiles = f"anthropic.{bare}", _UNDATED_PROFILES
    else:
        return name
    prefix = next((each for each in _prefixes(region) if each in profiles), "")
    return f"{prefix}.{known}" if prefix else known


def _prefixes(region: str) -> tuple[str, ...]:
    """Profiles to try from a region, first preferred."""
    if not region:
        return ()
    whole = () if region.startswith(_NO_GLOBAL) else ("global",)
    if region.startswith("us-gov-"):
        return ("us-gov",)
    if region.startswith(("us-", "ca-", "sa-", "mx-")):
        return (*whole, _US)
    if region.startswith("eu-"):
        return (*whole, _EU)
    if region in ("ap-northeast-1", "ap-northeast-3"):
        return (*whole, "jp", _APAC)
    if region in ("ap-southeast-2", "ap-southeast-4"):
        return (*whole, _APAC, "au")
    return (*whole, _APAC) if region.startswith("ap-") else whole
