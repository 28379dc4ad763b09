"""The table of paths."""

from __future__ import annotations

import pytest

from oneapi_cli.server.doors import RELAYED, Kind, find_door


@pytest.mark.parametrize("path", RELAYED)
def test_doors_that_relay(path: str) -> None:
    door = find_door("POST", path)
    assert (door.kind, door.dialect) == ("relay", RELAYED[path])
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        other = find_door(method, path)
        assert (other.kind, other.allow, other.dialect) == ("wrong_method", "POST", RELAYED[path])


@pytest.mark.parametrize(
    ("method", "path", "kind", "param"),
    [
        ("GET", "/v1/models", "models", ""),
        ("HEAD", "/v1/models", "models", ""),
        ("POST", "/v1/models", "wrong_method", ""),
        ("GET", "/v1/models/gpt-4o", "model", "gpt-4o"),
        ("GET", "/v1/models/meta/llama-3", "model", "meta/llama-3"),
        ("GET", "/v1/models/llama3:latest", "model", "llama3:latest"),
        ("GET", "/v1/models/deepseek/r1:free", "model", "deepseek/r1:free"),
        ("GET", "/v1/models/ft:gpt-4o-mini:acme::abc", "model", "ft:gpt-4o-mini:acme::abc"),
        ("POST", "/v1/models/gemini-pro:generateContent", "relay", ""),
        ("POST", "/v1beta/models/gemini-pro:countTokens", "count", "gemini-pro"),
        ("GET", "/v1beta/models/gemini-pro", "model", "gemini-pro"),
        ("GET", "/v1beta/models", "models", ""),
        ("POST", "/v1/messages/count_tokens", "count", ""),
        ("GET", "/v1/responses/resp_1", "stored", "resp_1"),
        ("DELETE", "/v1/responses/resp_1", "stored", "resp_1"),
        ("POST", "/v1/responses/resp_1/cancel", "stored", "resp_1"),
        ("GET", "/v1/responses/resp_1/input_items", "stored", "resp_1"),
        ("POST", "/v1/responses/resp_1", "wrong_method", ""),
        ("POST", "/v1/responses/input_tokens", "count", ""),
        ("POST", "/v1/responses/compact", "relay", ""),
        ("GET", "/api/cost/request/123", "cost", "123"),
        ("GET", "/api/cost/request/", "unknown", ""),
        ("GET", "/api/cost/request/" + "1" * 129, "unknown", ""),
        ("GET", "/api/status", "status", ""),
        ("GET", "/healthz", "health", ""),
        ("GET", "/", "unknown", ""),
        ("POST", "/v1/chat/completions/", "unknown", ""),
        ("POST", "//v1/chat/completions", "unknown", ""),
        ("POST", "/v1/chat/completions\n", "unknown", ""),
    ],
)
def test_doors(method: str, path: str, kind: Kind, param: str) -> None:
    door = find_door(method, path)
    assert (door.kind, door.param) == (kind, param)
