"""Where a call goes: base URL of the channel + path of the dialect. Pure string work.

A row names its builder (`Vendor.url`); "" is the plain join, which also fills `{model}`, `{api_version}` and any
`{option}` of the channel (Cloudflare's `{account_id}`). Whatever is filled in is percent-encoded, so that a model
name can never leave its place in the path. A path may be a whole address, where a vendor keeps a dialect outside its
base: a channel with a base of its own has the same place there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

import msgspec

from ..values.errors import BadRequest, NoChannel
from ..values.vendor import Channel
from .bedrock_models import model_id

_MARK = re.compile(r"\{([a-z_]+)\}")
_VERSIONED = re.compile(r"/v\d+(?:alpha|beta)?\d*\Z")
_VERSION = re.compile(r"[0-9a-f]{64}")
_FIRST_SEGMENT = re.compile(r"/v\d+(?:alpha|beta)?\d*(?=/)")
_AWS_HOST = re.compile(r"//bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com")

# Azure's undated surface. Dated versions belong to the deployments surface alone.
# Source: https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle (2026-11)
_AZURE_V1 = "/openai/v1"
_AZURE_UNDATED = frozenset({"", "v1", "latest", "preview"})
_AZURE_V1_ONLY = frozenset({"openai_responses"})
_DEPLOYMENT = re.compile(r"/openai/deployments/[^/]+\Z")


def build_url(channel: Channel, dialect: str, model_sent: str, stream: bool = False) -> str:
    """The whole URL for one call in `dialect`, `model_sent` percent-encoded where it stands in the path. stream: for
    vendors whose streams have an address of their own.

    Raises NoChannel (503) naming the option that the channel lacks, BadRequest for a model that is no name of a path's
    segment, KeyError for a dialect that it does not speak: selection never offers one.
    """
    path = (channel.speaks or channel.vendor.speaks)[dialect]
    url = _BUILDERS[channel.vendor.url](channel, dialect, path, model_sent)
    return _streamed(url) if stream else url


def _streamed(url: str) -> str:
    path, mark, query = url.partition("?")
    for ending, streaming, said in _STREAMED:
        if path.endswith(ending):
            query = "&".join(part for part in (query, said) if part)
            return path.removesuffix(ending) + streaming + ("?" if query else "") + query
    return path + mark + query


# (how an address ends, how that of its stream ends, what its query says besides)
_STREAMED = (
    (":generateContent", ":streamGenerateContent", "alt=sse"),
    (":rawPredict", ":streamRawPredict", ""),
    ("/converse", "/converse-stream", ""),
    ("/invoke", "/invoke-with-response-stream", ""),
)


def missing_options(channel: Channel) -> tuple[str, ...]:
    """Options that this channel's URLs need and its config does not give, for `config check` and the start of a
    server."""
    paths = (channel.speaks or channel.vendor.speaks).values()
    wanted = dict.fromkeys(mark for text in (channel.base, *paths) for mark in _MARK.findall(text))
    filled = {"model", *channel.vendor.fills}
    return tuple(mark for mark in wanted if mark not in filled and not _filling(channel, mark, ""))


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

    return _MARK.sub(fill, _placed(channel, path))


def _placed(channel: Channel, path: str) -> str:
    """Base and path, marks still open. A version that ends the one and begins the other stands there once."""
    base = channel.base.rstrip("/")
    if path.startswith("https://"):
        return path if base == channel.vendor.base else _moved(path, channel.vendor.base, base)
    version = _FIRST_SEGMENT.match(path)
    return base.removesuffix(version[0]) + path if version else base + path


def _moved(address: str, vendor_base: str, base: str) -> str:
    """An address of the vendor's, as it is below another base: same place, another host (and what stands before)."""
    old, new, there = urlsplit(vendor_base), urlsplit(base), urlsplit(address)
    before = new.path.removesuffix(old.path) if new.path.endswith(old.path) else ""
    return f"{new.scheme}://{new.netloc}{before}{there.path}"


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


def _bedrock(channel: Channel, dialect: str, path: str, model: str) -> str:
    """The model is one segment, an ARN's colons and slashes encoded; a bare Claude name gets its id and profile."""
    return _join(channel, dialect, path, upstream_name(channel, model))


def _gemini(channel: Channel, dialect: str, path: str, model: str) -> str:
    """`v1beta`, unless `api_version` says otherwise; a base that names a version already keeps it."""
    base = channel.base.rstrip("/")
    version = channel.api_version or "v1beta"
    if _VERSIONED.search(base):
        base, version = base.rpartition("/")[0], base.rpartition("/")[2]
    settled = msgspec.structs.replace(channel, base=base, api_version=version)
    return _join(settled, dialect, path, model.removeprefix("models/"))


def _vertex(channel: Channel, dialect: str, path: str, model: str) -> str:
    """A location's host: its own, one for each of the two that are several regions, and one without any for `global`.
    Without a project the express address, by API key. Google's own models by `v1beta1`, as its SDK has it.
    """
    location, project = location_of(channel), project_of(channel)
    base = channel.base.rstrip("/")
    version = channel.api_version or ("v1beta1" if dialect == "gemini" else "v1")
    if _VERSIONED.search(base):
        base, version = base.rpartition("/")[0], base.rpartition("/")[2]
    if not project and channel.keys:
        path, location = path.replace("/projects/{project}/locations/{location}", ""), "global"
    if location == "global":
        base = base.replace("{location}-", "")
    elif location in _SEVERAL_REGIONS:
        base = base.replace("{location}-aiplatform", "aiplatform.{location}.rep")
    options = {**channel.options, "location": location, "project": project}
    settled = msgspec.structs.replace(channel, base=base, options=options, api_version=version)
    return _join(settled, dialect, path, model)


_SEVERAL_REGIONS = frozenset({"us", "eu"})


def _replicate(channel: Channel, dialect: str, path: str, model: str) -> str:
    """An official model has predictions of its own; a version is named in the body."""
    base = channel.base.rstrip("/").removesuffix("/v1")
    if replicate_version(model):
        return f"{base}/v1/predictions"
    owner, _, name = model.partition("/")
    if not name:
        raise BadRequest(
            f"model is invalid: Replicate's models are named owner/name, not {model[:60]!r}",
            code="invalid_text_request",
            member="model",
        )
    return f"{base}/v1/models/{_segment(owner)}/{_segment(name)}/predictions"


def replicate_version(model: str) -> str:
    """The version that a name asks for (`owner/name:version`, or a version alone), which then stands in the body as
    `version`; "" where the model's own latest is meant."""
    version = model.rpartition(":")[2] if ":" in model else model
    return version if _VERSION.fullmatch(version) else ""


def upstream_name(channel: Channel, model: str) -> str:
    """The name under which the vendor serves, and bills, what the config calls `model`."""
    name = _NAMES.get(channel.vendor.url)
    return name(channel, model) if name is not None else model


def region_of(channel: Channel) -> str:
    """The AWS region of a channel: its option, else what its host says; "" where neither does."""
    if region := channel.options.get("region", ""):
        return region
    found = _AWS_HOST.search(channel.base)
    return found[1] if found else ""


def location_of(channel: Channel) -> str:
    """Google's word for a region; `global` where the config gives none."""
    return channel.options.get("location", "") or channel.options.get("region", "") or "global"


def project_of(channel: Channel) -> str:
    """The project to be billed: the option, else the service account's own where it stands in the config inline."""
    return channel.options.get("project", "") or _project_in(channel.options.get("credentials", ""))


def _project_in(credentials: str) -> str:
    if not credentials.lstrip().startswith("{"):
        return ""
    try:
        return str(msgspec.json.decode(credentials.encode(), type=dict[str, object]).get("project_id") or "")
    except msgspec.DecodeError:
        return ""


_BUILDERS: Mapping[str, Callable[[Channel, str, str, str], str]] = {
    "": _join,
    "azure": _azure,
    "bedrock": _bedrock,
    "gemini": _gemini,
    "vertex": _vertex,
    "replicate": _replicate,
}

_NAMES: Mapping[str, Callable[[Channel, str], str]] = {
    "bedrock": lambda channel, model: model_id(model, region_of(channel)),
}
