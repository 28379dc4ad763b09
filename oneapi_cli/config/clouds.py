"""What AWS's and Google's own tools would take from the environment, for channels that do not say it themselves.

Both clouds have a region or location and a project in their URLs, which their SDKs look up in variables and in the
credentials' file. Only commands that read the environment do so; others leave it open.

Sources: https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html ·
https://cloud.google.com/docs/authentication/application-default-credentials (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from oneapi_cli.values.vendor import Vendor

AWS_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
GOOGLE_LOCATIONS = ("GOOGLE_CLOUD_LOCATION",)
GOOGLE_PROJECTS = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")
GOOGLE_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"


class _Account(Struct):
    """What a credentials' file says of the project it belongs to."""

    project_id: str | None = None
    quota_project_id: str | None = None


class CloudFault(Exception):
    """key: the key at fault."""

    def __init__(self, key: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.key, self.message, self.remedy = key, message, remedy


def completed(
    options: Mapping[str, str], vendor: Vendor, variables: Mapping[str, str], folder: Path, *, base: str, keyed: bool
) -> dict[str, str]:
    """The options of a channel with what its cloud's own tools would add. folder: the config's, where relative paths
    start; base: its base URL, which may want a region; keyed: it has an API key. Raises CloudFault.
    """
    if vendor.auth == "sigv4":
        found = _with(options, "region", _first(variables, AWS_REGIONS))
        if "{region}" in base and not found.get("region"):
            raise CloudFault("region", "nothing says the AWS region", "write `region: us-east-1`, or set AWS_REGION")
        return found
    if vendor.auth == "google":
        return _google(options, variables, folder, keyed=keyed)
    return dict(options)


def _google(options: Mapping[str, str], variables: Mapping[str, str], folder: Path, *, keyed: bool) -> dict[str, str]:
    found = dict(options)
    stated = found.get("credentials", "")
    if stated and not _is_inline(stated):
        path = folder / Path(stated).expanduser()
        if not path.is_file():
            raise CloudFault("credentials", "this file does not exist", "write the path of a service account's file")
        found["credentials"] = str(path)
    if keyed and not found.get("project"):
        return found  # express mode has neither project nor location
    if not found.get("region"):
        found = _with(found, "location", _first(variables, GOOGLE_LOCATIONS))
    project = _first(variables, GOOGLE_PROJECTS)
    if stated:
        project = _project_of(found["credentials"]) or project
    found = _with(found, "project", project or _project_of(variables.get(GOOGLE_CREDENTIALS, "")))
    if not found.get("project"):
        raise CloudFault(
            "project",
            "nothing says which Google Cloud project pays",
            "write `project:`, or `credentials:` with a service account's file, which names it",
        )
    return found


def _with(options: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    return dict(options) if options.get(name) or not value else {**options, name: value}


def _first(variables: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((variables[name] for name in names if variables.get(name)), "")


def _is_inline(credentials: str) -> bool:
    return credentials.lstrip().startswith("{")


def _project_of(credentials: str) -> str:
    """The project that a file or an inline document names, "" where it names none or cannot be read: whoever needs the
    credentials says so then."""
    try:
        text = credentials if _is_inline(credentials) else Path(credentials).expanduser().read_text(encoding="utf-8")
        account = msgspec.json.decode(text.encode(), type=_Account)
    except (OSError, ValueError):
        return ""
    return account.project_id or account.quota_project_id or ""
