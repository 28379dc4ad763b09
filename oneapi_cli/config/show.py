"""A loaded config as a person may see it: every value that is in force, secrets and whatever came from `${}` masked.

The mask goes by provenance: what a variable held may be a secret in any place, so its key path decides, not its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import msgspec
from msgspec import Struct

from oneapi_cli.values.vendor import PriceLine, Timeouts

from . import words
from .channels import timeouts
from .loaded import Loaded
from .read import Shape, shapes
from .tree import step_to

MASK = "…"
# Header values carry credentials as often as not.
_MASKED_TEXTS = frozenset({"headers"})


def shown(loaded: Loaded) -> dict[str, Any]:
    """The config as mappings, lists and scalars, ready for YAML or JSON; no secret is in it."""
    masked = {path for path, source in loaded.sources.items() if source.variables}
    seen = _struct(loaded.config, "", masked)
    in_force = msgspec.structs.asdict(timeouts(Timeouts(), loaded.config.timeouts))
    seen["timeouts"] = {name: f"{value:g}s" for name, value in in_force.items()} | seen["timeouts"]
    return seen


def _struct(value: Struct, path: str, masked: Set[str]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, shape in shapes(type(value)).items():
        stated = getattr(value, name)
        # Of a channel or token only what differs: twenty lines of defaults each would hide it.
        if stated is not None and not ("[" in path and _is_default(value, name, stated)):
            seen[name] = _value(stated, shape, path + step_to(name) if path else name, masked)
    return seen


def _is_default(value: Struct, name: str, stated: object) -> bool:
    field = next(field for field in msgspec.structs.fields(type(value)) if field.name == name)
    return bool(field.default == stated or stated == () or stated == {})


def _value(value: Any, shape: Shape, path: str, masked: Set[str]) -> Any:
    if isinstance(value, Mapping):
        hidden = path.rpartition(".")[2] in _MASKED_TEXTS
        return {
            str(key): MASK if hidden else _member(item, path + step_to(str(key)), masked) for key, item in value.items()
        }
    if isinstance(value, tuple):
        items = enumerate(value)
        return [
            _value(item, shape, f"{path}[{index}]" if _indexed(path, masked) else path, masked) for index, item in items
        ]
    if path in masked:
        return MASK
    if shape.secret:
        return MASK if value else ""
    if isinstance(value, Struct) and not isinstance(value, words.Address | words.Budget):
        return _struct(value, path, masked)
    return _text(value, shape)


def _member(value: Any, path: str, masked: Set[str]) -> Any:
    if isinstance(value, PriceLine):
        rates = {name: MASK if path + step_to(name) in masked else rate for name, rate in value.rates.items()}
        return {"free": True} if value.free else rates
    return MASK if path in masked else value


def _indexed(path: str, masked: Set[str]) -> bool:
    """Whether the items of a list have paths of their own; a list written as its only item has none."""
    return path not in masked


def _text(value: Any, shape: Shape) -> Any:
    if value is None:
        return "keep" if shape.read is words.parse_retention else None
    if shape.read is words.parse_duration or shape.read is words.parse_retention:
        return f"{value:g}s"
    if shape.read is words.parse_size:
        return _size(value)
    return str(value) if isinstance(value, words.Address | words.Budget) else value


def _size(count: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)
