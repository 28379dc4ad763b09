"""A vendor table of four rows and a place to write configs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from oneapi_cli.config.load import load
from oneapi_cli.config.loaded import Loaded
from oneapi_cli.values.vendor import Quirks, Vendor

CHAT = {"openai_chat": "/chat/completions", "openai_responses": "/responses"}
VENDORS = {
    row.name: row
    for row in (
        Vendor(
            name="acme",
            base="https://api.acme.example/v1",
            speaks=CHAT,
            key_env="ACME_API_KEY",
            prices="acme-list",
            quirks=Quirks(token_limit_name="max_tokens", stream_usage=False),
            example_models=("a1", "a2"),
        ),
        Vendor(name="open-compatible", base="", speaks=CHAT),
        Vendor(name="parted", base="https://{account_id}.example/v1", speaks=CHAT, prices="acme-list"),
        Vendor(name="demo", base="demo://local", speaks=CHAT, auth="demo", example_models=("demo-small",)),
    )
}

Load = Callable[..., Loaded]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Writes the text to config.yaml and loads it: `load_text(text, environ={}, resolve=True, dotenv=None)`."""

    def read(
        text: str, environ: Mapping[str, str] | None = None, *, resolve: bool = True, dotenv: str | None = None
    ) -> Loaded:
        file = tmp_path / "config.yaml"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
        if dotenv is not None:
            (tmp_path / ".env").write_text(dotenv, encoding="utf-8")
        return load(file, VENDORS, resolve=resolve, environ=environ or {})

    return read
