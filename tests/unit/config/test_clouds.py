"""Channels of the clouds: what they take from the environment, and what they say where that is not enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from oneapi_cli.config.load import load
from oneapi_cli.config.loaded import Loaded
from oneapi_cli.config.problems import ConfigError
from oneapi_cli.config.show import shown
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.values.vendor import Channel

ACCOUNT = {"type": "service_account", "project_id": "of-the-file", "private_key": "canary"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "account.json").write_text(json.dumps(ACCOUNT))
    return tmp_path


def loaded(folder: Path, channel: str, environ: Mapping[str, str] | None = None, *, resolve: bool = True) -> Loaded:
    file = folder / "config.yaml"
    file.write_text(f"channels:\n  - {{name: c, models: [m], {channel}}}\n")
    file.chmod(0o600)
    return load(file, VENDORS, resolve=resolve, environ=environ or {})


def only(folder: Path, channel: str, **environ: str) -> Channel:
    (found,) = loaded(folder, channel, environ).channels
    return found


def fault(folder: Path, channel: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as wrong:
        loaded(folder, channel, environ)
    (problem,) = wrong.value.problems
    return f"{problem.key}: {problem.message}; {problem.remedy}"


def test_bedrocks_region(folder: Path) -> None:
    assert only(folder, "type: bedrock, region: eu-west-1", AWS_REGION="us-east-1").options == {"region": "eu-west-1"}
    assert only(folder, "type: bedrock", AWS_DEFAULT_REGION="us-west-2").options == {"region": "us-west-2"}
    assert "AWS_REGION" in fault(folder, "type: bedrock")
    assert only(folder, "type: bedrock, base_url: 'http://127.0.0.1:9'").options == {}


def test_without_an_environment_a_cloud_stays_open(folder: Path) -> None:
    for kind in ("bedrock", "vertex"):
        (found,) = loaded(folder, f"type: {kind}", resolve=False).channels
        assert found.options == {}


def test_an_optional_channel_is_skipped(folder: Path) -> None:
    for kind in ("bedrock", "vertex"):
        found = loaded(folder, f"type: {kind}, optional: true")
        assert found.channels == ()
        assert "skipped" in found.notices[0].message


def test_vertex_project(folder: Path) -> None:
    by_file = only(folder, "type: vertex, credentials: account.json", GOOGLE_CLOUD_PROJECT="of-the-environment")
    assert by_file.options == {"credentials": str(folder / "account.json"), "project": "of-the-file"}
    inline = only(folder, "type: vertex, credentials: '${ACCOUNT}'", ACCOUNT=json.dumps(ACCOUNT))
    assert inline.options["project"] == "of-the-file"
    stated = only(folder, "type: vertex, credentials: account.json, project: own, location: us-east5")
    assert (stated.options["project"], stated.options["location"]) == ("own", "us-east5")
    by_default = only(folder, "type: vertex", GOOGLE_APPLICATION_CREDENTIALS=str(folder / "account.json"))
    assert by_default.options == {"project": "of-the-file"}
    by_environment = only(folder, "type: vertex", GOOGLE_CLOUD_PROJECT="p", GOOGLE_CLOUD_LOCATION="europe-west4")
    assert by_environment.options == {"project": "p", "location": "europe-west4"}
    assert only(folder, "type: vertex, api_key: AIza", GOOGLE_CLOUD_PROJECT="p").options == {}


def test_vertex_faults(folder: Path) -> None:
    assert "which Google Cloud project" in fault(folder, "type: vertex")
    assert fault(folder, "type: vertex, credentials: nowhere.json").startswith("channels[0].credentials: this file")


def test_credentials_are_never_shown(folder: Path) -> None:
    found = loaded(folder, f"type: vertex, credentials: '{json.dumps(ACCOUNT)}'")
    assert "canary" not in str(shown(found))
