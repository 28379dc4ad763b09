"""URL builders: the plain join, what it fills in, Azure's two surfaces, and the clouds' addresses."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from oneapi_cli.providers.table import VENDORS
from oneapi_cli.providers.urls import build_url, missing_options, replicate_version
from oneapi_cli.values.errors import BadRequest, NoChannel
from oneapi_cli.values.vendor import Channel, Vendor


def channel(vendor: str | Vendor, base: str = "", version: str = "", **options: str) -> Channel:
    row = VENDORS[vendor] if isinstance(vendor, str) else vendor
    return Channel(
        name="mine", vendor=row, base=base or row.base, keys=("k",), models={}, api_version=version, options=options
    )


HOME = "https://r.openai.azure.com"


@dataclass(frozen=True)
class Azure:
    name: str
    url: str
    base: str = HOME
    version: str = ""
    dialect: str = "openai_chat"
    model: str = "gpt-4.1"


V1 = HOME + "/openai/v1"
FOUNDRY = "https://r.services.ai.azure.com/openai/v1"
DATED = "2024-10-21"
AZURE = (
    Azure("v1 unless said", V1 + "/chat/completions"),
    Azure("trailing slash", V1 + "/chat/completions", base=HOME + "/"),
    Azure("with /openai", V1 + "/embeddings", HOME + "/openai/", "v1", "openai_embeddings"),
    Azure("whole v1", V1 + "/chat/completions", V1 + "/", DATED),
    Azure("preview", V1 + "/chat/completions?api-version=preview", version="preview"),
    Azure(
        "dated: deployments, dots kept",
        f"https://r.openai.azure.com/openai/deployments/gpt-4.1/chat/completions?api-version={DATED}",
        version=DATED,
    ),
    Azure(
        "dated with /openai",
        f"https://r.openai.azure.com/openai/deployments/gpt-4.1/completions?api-version={DATED}",
        HOME + "/openai",
        DATED,
        "openai_completions",
    ),
    Azure(
        "a name cannot leave its place",
        f"https://r.openai.azure.com/openai/deployments/..%2Fx%3Fy%23z/embeddings?api-version={DATED}",
        version=DATED,
        dialect="openai_embeddings",
        model="../x?y#z",
    ),
    Azure("responses are v1 alone", V1 + "/responses", version=DATED, dialect="openai_responses"),
    Azure(
        "one deployment for all",
        f"https://gate.example/openai/deployments/prod/chat/completions?api-version={DATED}",
        "https://gate.example/openai/deployments/prod",
        DATED,
    ),
    Azure("a gateway's prefix", "https://gate.example/team/openai/v1/chat/completions", "https://gate.example/team"),
    Azure("foundry", FOUNDRY + "/responses", FOUNDRY, dialect="openai_responses"),
)


@pytest.mark.parametrize("case", AZURE, ids=lambda case: case.name)
def test_azure(case: Azure) -> None:
    assert build_url(channel("azure", case.base, case.version), case.dialect, case.model) == case.url


def test_a_base_may_end_in_a_slash() -> None:
    at_home = channel("openai-compatible", "http://127.0.0.1:8080/v1/")
    assert build_url(at_home, "openai_chat", "m") == "http://127.0.0.1:8080/v1/chat/completions"


def test_the_channels_own_paths_win() -> None:
    row = VENDORS["openai"]
    own = Channel(name="mine", vendor=row, base=row.base, keys=(), models={}, speaks={"openai_chat": "/other"})
    assert build_url(own, "openai_chat", "m") == "https://api.openai.com/v1/other"
    with pytest.raises(KeyError):
        build_url(own, "openai_embeddings", "m")


def test_marks_are_filled_and_encoded() -> None:
    row = Vendor(name="x", base="https://h/{region}", speaks={"openai_chat": "/{api_version}/{model}:run"})
    url = build_url(channel(row, version="v2", region="eu/west"), "openai_chat", "a b/ü")
    assert url == "https://h/eu%2Fwest/v2/a%20b%2F%C3%BC:run"


@pytest.mark.parametrize("model", [".", ".."])
def test_no_model_climbs_up_a_path(model: str) -> None:
    row = Vendor(name="x", base="https://h", speaks={"openai_chat": "/models/{model}/chat"})
    for channel_ in (channel("azure", HOME, DATED), channel(row)):
        with pytest.raises(BadRequest):
            build_url(channel_, "openai_chat", model)
    assert "/%252e%252e/" in build_url(channel(row), "openai_chat", "%2e%2e")


def test_cloudflare_wants_its_account() -> None:
    assert missing_options(channel("cloudflare")) == ("account_id",)
    with pytest.raises(NoChannel, match="account_id") as refused:
        build_url(channel("cloudflare"), "openai_chat", "m")
    assert refused.value.status == 503
    whole = channel("cloudflare", account_id="abc")
    assert missing_options(whole) == ()
    assert build_url(whole, "openai_chat", "m").endswith("/accounts/abc/ai/v1/chat/completions")


@pytest.mark.parametrize("name", [name for name in VENDORS if name not in ("cloudflare", "bedrock")])
def test_no_other_row_wants_options(name: str) -> None:
    assert missing_options(channel(name)) == ()


def test_bedrock_wants_its_region() -> None:
    assert missing_options(channel("bedrock")) == ("region",)
    with pytest.raises(NoChannel, match="region"):
        build_url(channel("bedrock"), "bedrock_converse", "amazon.nova-lite-v1:0")


# --- where a dialect stands outside the base ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "base", "url"),
    [
        ("moonshot", "https://api.moonshot.cn/v1", "https://api.moonshot.cn/anthropic/v1/messages"),
        ("minimax", "https://api.minimaxi.com/v1/", "https://api.minimaxi.com/anthropic/v1/messages"),
        ("zai", "https://api.z.ai/api/coding/paas/v4", "https://api.z.ai/api/anthropic/v1/messages"),
        ("zai", "http://127.0.0.1:9/team/api/paas/v4", "http://127.0.0.1:9/team/api/anthropic/v1/messages"),
        (
            "ali",
            "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            "https://dashscope-intl.aliyuncs.com/apps/anthropic/v1/messages",
        ),
    ],
)
def test_a_whole_address_moves_with_the_base(vendor: str, base: str, url: str) -> None:
    assert build_url(channel(vendor, base), "anthropic_messages", "m") == url


@pytest.mark.parametrize(
    ("vendor", "dialect", "base", "url"),
    [
        ("anthropic", "anthropic_messages", "https://gate.example/v1", "https://gate.example/v1/messages"),
        ("cohere", "cohere_chat", "https://gate.example/v2/", "https://gate.example/v2/chat"),
        ("cohere", "cohere_chat", "https://gate.example/v1", "https://gate.example/v1/v2/chat"),
    ],
)
def test_a_version_stands_once(vendor: str, dialect: str, base: str, url: str) -> None:
    assert build_url(channel(vendor, base), dialect, "m") == url


# --- clouds ---------------------------------------------------------------------------------------------------------

EAST = "https://bedrock-runtime.us-east-1.amazonaws.com"
GOOGLE = "https://generativelanguage.googleapis.com"
P1 = "projects/p1/locations"
NOVA = "amazon.nova-lite-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
INLINE = '{"type": "service_account", "project_id": "p9"}'


@dataclass(frozen=True)
class Cloud:
    name: str
    channel: Channel
    dialect: str
    model: str
    whole: str
    stream: str


CLOUDS = (
    Cloud(
        "bedrock: an id, its colon encoded",
        channel("bedrock", region="us-east-1"),
        "bedrock_converse",
        NOVA,
        EAST + "/model/amazon.nova-lite-v1%3A0/converse",
        EAST + "/model/amazon.nova-lite-v1%3A0/converse-stream",
    ),
    Cloud(
        "bedrock: an ARN is one segment",
        channel("bedrock", region="us-east-1"),
        "anthropic_messages",
        PROFILE,
        EAST + "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc/invoke",
        EAST + "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc"
        "/invoke-with-response-stream",
    ),
    Cloud(
        "bedrock: a bare name, the region from the host",
        channel("bedrock", EAST),
        "bedrock_converse",
        "claude-opus-4-1",
        EAST + "/model/us.anthropic.claude-opus-4-1-20250805-v1%3A0/converse",
        EAST + "/model/us.anthropic.claude-opus-4-1-20250805-v1%3A0/converse-stream",
    ),
    Cloud(
        "gemini",
        channel("gemini"),
        "gemini",
        "gemini-2.5-pro",
        GOOGLE + "/v1beta/models/gemini-2.5-pro:generateContent",
        GOOGLE + "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    ),
    Cloud(
        "gemini: another version, a name with its folder",
        channel("gemini", version="v1"),
        "gemini",
        "models/gemini-2.5-pro",
        GOOGLE + "/v1/models/gemini-2.5-pro:generateContent",
        GOOGLE + "/v1/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    ),
    Cloud(
        "gemini: a base with its version",
        channel("gemini", "https://gate.example/g/v1alpha/"),
        "gemini",
        "m",
        "https://gate.example/g/v1alpha/models/m:generateContent",
        "https://gate.example/g/v1alpha/models/m:streamGenerateContent?alt=sse",
    ),
    Cloud(
        "vertex: the world",
        channel("vertex", project="p1"),
        "gemini",
        "gemini-2.5-pro",
        f"https://aiplatform.googleapis.com/v1beta1/{P1}/global/publishers/google/models/gemini-2.5-pro:generateContent",
        f"https://aiplatform.googleapis.com/v1beta1/{P1}/global/publishers/google/models/gemini-2.5-pro"
        ":streamGenerateContent?alt=sse",
    ),
    Cloud(
        "vertex: a region, the project of the service account, Claude",
        channel("vertex", region="us-east5", credentials=INLINE),
        "anthropic_messages",
        "claude-sonnet-4-5@20250929",
        "https://us-east5-aiplatform.googleapis.com/v1/projects/p9/locations/us-east5/publishers/anthropic/models/"
        "claude-sonnet-4-5%4020250929:rawPredict",
        "https://us-east5-aiplatform.googleapis.com/v1/projects/p9/locations/us-east5/publishers/anthropic/models/"
        "claude-sonnet-4-5%4020250929:streamRawPredict",
    ),
    Cloud(
        "vertex: several regions, partners' models",
        channel("vertex", location="eu", project="p1"),
        "openai_chat",
        "meta/llama-4-maverick-17b-128e-instruct-maas",
        f"https://aiplatform.eu.rep.googleapis.com/v1/{P1}/eu/endpoints/openapi/chat/completions",
        f"https://aiplatform.eu.rep.googleapis.com/v1/{P1}/eu/endpoints/openapi/chat/completions",
    ),
    Cloud(
        "vertex: express",
        channel("vertex", location="europe-west4"),
        "gemini",
        "gemini-2.5-pro",
        "https://aiplatform.googleapis.com/v1beta1/publishers/google/models/gemini-2.5-pro:generateContent",
        "https://aiplatform.googleapis.com/v1beta1/publishers/google/models/gemini-2.5-pro"
        ":streamGenerateContent?alt=sse",
    ),
    Cloud(
        "replicate: an official model",
        channel("replicate"),
        "replicate",
        "meta/meta-llama-3-70b-instruct",
        "https://api.replicate.com/v1/models/meta/meta-llama-3-70b-instruct/predictions",
        "https://api.replicate.com/v1/models/meta/meta-llama-3-70b-instruct/predictions",
    ),
    Cloud(
        "replicate: a version",
        channel("replicate", "https://api.replicate.com/v1"),
        "replicate",
        "owner/name:" + "5c7d5dc6" * 8,
        "https://api.replicate.com/v1/predictions",
        "https://api.replicate.com/v1/predictions",
    ),
)


@pytest.mark.parametrize("case", CLOUDS, ids=lambda case: case.name)
def test_clouds(case: Cloud) -> None:
    # `channel` gives a key; the clouds' projects and credentials stand in the config instead.
    keyless = replace(case.channel, keys=case.channel.keys if "express" in case.name else ())
    assert build_url(keyless, case.dialect, case.model) == case.whole
    assert build_url(keyless, case.dialect, case.model, stream=True) == case.stream


def test_vertex_without_a_project_says_so() -> None:
    with pytest.raises(NoChannel, match="project"):
        build_url(replace(channel("vertex"), keys=()), "gemini", "gemini-2.5-pro")


@pytest.mark.parametrize("model", ["llama", "a/b/../c"])
def test_replicate_names_an_owner(model: str) -> None:
    if model == "llama":
        with pytest.raises(BadRequest, match="owner/name"):
            build_url(channel("replicate"), "replicate", model)
    else:
        assert build_url(channel("replicate"), "replicate", model).endswith("/a/b%2F..%2Fc/predictions")


def test_a_version_is_told_from_a_name() -> None:
    version = "5c7d5dc6" * 8
    assert replicate_version(f"owner/name:{version}") == version
    assert replicate_version(version) == version
    assert replicate_version("owner/name") == ""
