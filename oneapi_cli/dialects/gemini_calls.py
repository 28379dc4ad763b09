"""A call whose arguments come in pieces: `partialArgs`, each with the JSONPath of the value that it continues.

Only Vertex sends them, and only when asked (`streamFunctionCallArguments`).
Source: https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from .vendor_values import objects_of, text_of

MOST_PLACES = 4096

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")


class PartialCall(Struct, kw_only=True):
    """id, name and signature of a call, and its arguments as far as they are known."""

    id: str
    name: str
    signature: str = ""
    args: dict[str, Any] = {}

    def add(self, call: Mapping[str, Any]) -> None:
        """One more `functionCall` object of it."""
        self.name = self.name or text_of(call.get("name"))
        if isinstance(whole := call.get("args"), dict):
            self.args.update(whole)
        for piece in objects_of(call.get("partialArgs")):
            self._set(_steps(text_of(piece.get("jsonPath"))), piece)

    def arguments(self) -> str:
        return msgspec.json.encode(self.args).decode()

    def _set(self, steps: list[str | int], piece: Mapping[str, Any]) -> None:
        node: Any = self.args
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            empty: Any = None if following is None else [] if isinstance(following, int) else {}
            if isinstance(node, dict) and isinstance(step, str):
                held = node.get(step, empty)
                node[step] = _value(held, piece) if following is None else held
                node = node[step]
            elif isinstance(node, list) and isinstance(step, int) and step < MOST_PLACES:
                node += [None] * (step + 1 - len(node))
                held = empty if node[step] is None else node[step]
                node[step] = _value(held, piece) if following is None else held
                node = node[step]
            else:
                return  # a path through something else: what is there stands


def _steps(path: str) -> list[str | int]:
    """`$.a.b[0]['c']` → ["a", "b", 0, "c"]."""
    found: list[str | int] = []
    for step in _STEP.finditer(path.removeprefix("$")):
        name = next((group for group in (step[1], step[3], step[4]) if group is not None), None)
        found.append(int(step[2]) if name is None else name)
    return found


def _value(held: Any, piece: Mapping[str, Any]) -> Any:
    """Strings grow, other values are said once."""
    if isinstance(text := piece.get("stringValue"), str):
        return held + text if isinstance(held, str) else text
    if isinstance(flag := piece.get("boolValue"), bool):
        return flag
    if isinstance(number := piece.get("numberValue"), int | float):
        return int(number) if isinstance(number, float) and number.is_integer() else number
    return held if "nullValue" not in piece else None
