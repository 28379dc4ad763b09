"""The OpenAPI document promises what the table of doors answers, and nothing else."""

from __future__ import annotations

import re

from oneapi_cli.server.doors import RELAYED, find_door
from oneapi_cli.server.openapi import document, served


def test_every_path_is_a_door_that_is_open() -> None:
    found = document("http://127.0.0.1:3000")
    assert found["openapi"].startswith("3.1") and found["servers"] == [{"url": "http://127.0.0.1:3000"}]
    assert set(RELAYED) <= set(found["paths"])
    for path, operations in found["paths"].items():
        for method in operations:
            concrete = re.sub(r"\{\w+\}", "1", path)
            assert find_door(method.upper(), concrete).kind not in ("unbuilt", "unknown", "wrong_method"), path


def test_operations_are_told_apart_and_their_marks_explained() -> None:
    found = document("http://x")["paths"]
    operations = [(path, one) for path, each in found.items() for one in each.values()]
    names = [one["operationId"] for _, one in operations]
    assert len(set(names)) == len(names) == len(served())
    for path, one in operations:
        assert set(re.findall(r"\{(\w+)\}", path)) == {mark["name"] for mark in one.get("parameters", ())}, path
        assert one["summary"] and one["responses"]["200"]
