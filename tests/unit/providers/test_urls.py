"""URL builders: the plain join, what it fills in, and Azure's two surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from oneapi_cli.providers.table import VENDORS
from oneapi_cli.providers.urls import build_url, missing_options
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


@pytest.mark.parametrize("name", [name for name in VENDORS if name != "cloudflare"])
def test_no_other_row_wants_options(name: str) -> None:
    assert missing_options(channel(name)) == ()
