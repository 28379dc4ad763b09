"""Where a call goes: base URL of the channel + path of the dialect. Pure string work.

A row names its builder (`Vendor.url`); "" is the plain join, which also fills `{model}`, `{api_version}` and any
`{option}` of the channel (Cloudflare's `{account_id}`). Whatever is filled in is percent-encoded, so that a model
name can never leave its place in the path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

from ..values.errors import BadRequest, NoChannel
from ..values.vendor import Channel

_MARK = re.compile(r"\{([a-z_]+)\}")

# Azure's undated surface. Dated versions belong to the deployments surface alone.
# Source: https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle (2026-11)
_AZURE_V1 = "/openai/v1"
_AZURE_UNDATED = frozenset({"", "v1", "latest", "preview"})
_AZURE_V1_ONLY = frozenset({"openai_responses"})
_DEPLOYMENT = re.compile(r"/openai/deployments/[^/]+\Z")


def build_url(channel: Channel, dialect: str, model_sent: str, stream: bool = False) -> str:
    """The whole URL for one call in `dialect`, `model_sent` percent-encoded where it stands in the path.

    Raises NoChannel (503) naming the option that the channel lacks, BadRequest for a model that is no name of a path's
    segment, KeyError for a dialect that it does not speak: selection never offers one.
    """
    path = (channel.speaks or channel.vendor.speaks)[dialect]
    return _BUILDERS[channel.vendor.url](channel, dialect, path, model_sent)


def missing_options(channel: Channel) -> tuple[str, ...]:
    """Options that this channel's URLs need and its config does not give, for `config check` and the start of a
    server."""
    paths = (channel.speaks or channel.vendor.speaks).values()
    wanted = dict.fromkeys(mark for text in (channel.base, *paths) for mark in _MARK.findall(text))
    return tuple(mark for mark in wanted if mark != "model" and not _filling(channel, mark, ""))


def _segment(text: str) -> str:
    """A value as one segment of a path. Raises BadRequest for the two that lead elsewhere however they are encoded."""
    if text in (".", ".."):
        raise BadRequest(f"model is invalid: {text!r} is not a name", code="invalid_text_request", member="model")
    return quote(text, safe="")


def _join(channel: Channel, dialect: str, path: str, model: str) -> str:
    def fill(found: re.Match[str]) -> str:
        value = _filling(channel, found[1], model)
        if not value:
            raise NoChannel(
                f"Channel {channel.name} lacks `{found[1]}`, a part of its URL; set it in the channel's config."
            )
        return _segment(value)

    return _MARK.sub(fill, channel.base.rstrip("/") + path)


def _filling(channel: Channel, mark: str, model: str) -> str:
    if mark == "model":
        return model
    if mark == "api_version":
        return channel.api_version
    return channel.options.get(mark, "")


def _azure(channel: Channel, dialect: str, path: str, model: str) -> str:
    """Azure OpenAI, three spellings of the base: the resource, with `/openai`, and with `/openai/v1` (or a whole
    `/openai/deployments/{name}`, which then stands for every model).

    Undated api_version ("", v1, latest, preview) → the v1 surface, where the model's name stands in the body; a date →
    deployments, the deployment's name kept as it is, dots included. Responses exist on v1 alone.
    """
    base = channel.base.rstrip("/")
    version = channel.api_version
    if base.endswith(_AZURE_V1):
        return base + path + _undated_query(version)
    if _DEPLOYMENT.search(base):
        return f"{base}{path}?api-version={quote(version, safe='')}" if version else base + path
    base = base.removesuffix("/openai")
    if version in _AZURE_UNDATED or dialect in _AZURE_V1_ONLY:
        return base + _AZURE_V1 + path + _undated_query(version)
    return f"{base}/openai/deployments/{_segment(model)}{path}?api-version={quote(version, safe='')}"


def _undated_query(version: str) -> str:
    # `v1` is what v1 means without a query; only preview features have to be asked for.
    return "?api-version=preview" if version == "preview" else ""


_BUILDERS: Mapping[str, Callable[[Channel, str, str, str], str]] = {"": _join, "azure": _azure}
