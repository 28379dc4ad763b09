"""The config's JSON Schema, for editors: what may stand where, with the words of `schema.py` as descriptions.

Made from the same tables that read the file, so it cannot fall behind. Wherever a scalar is taken, a text with `${` in
it is taken too, since that is expanded before it is read. Draft 2020-12; VS Code's YAML extension completes from it by
`# yaml-language-server: $schema=…`.
"""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import msgspec
from msgspec import Struct

from oneapi_cli.values.units import RATE_NAMES
from oneapi_cli.values.vendor import Vendor

from . import words
from .read import Shape, shapes
from .schema import Config

Schema = dict[str, Any]

VARIABLE = {"type": "string", "pattern": r"\$\{"}
_AMOUNT: Schema = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\$?[0-9.]+$"}, VARIABLE]
}
_DURATION = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d|w)$"
_FLAG: Schema = {"anyOf": [{"type": "boolean"}, VARIABLE]}
_TEXT: Schema = {"type": ["string", "number", "boolean"]}
# What is read by a word of its own → what it takes besides a variable.
_WORDS: Mapping[Any, Sequence[Schema]] = {
    words.parse_duration: ({"type": "string", "pattern": _DURATION},),
    words.parse_retention: ({"const": "keep"}, {"type": "string", "pattern": _DURATION}),
    words.parse_size: (
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": r"^[0-9]+ ?(B|[KMG]B|[KMG]iB)?$"},
    ),
    words.parse_budget: (
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^\$?[0-9_.]+q?(/(day|week|month))?$"},
    ),
    words.parse_flag: ({"type": "boolean"},),
    words.parse_moment: ({"type": "string"},),
}


def config_schema(vendors: Mapping[str, Vendor]) -> Schema:
    """The whole file's schema. vendors: what `type:` may be, and `speaks:`, `priced_as:`."""
    whole = _struct(Config, vendors)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "oneapi config.yaml",
        **whole,
    }


def _struct(cls: type[Struct], vendors: Mapping[str, Vendor]) -> Schema:
    """A mapping whose keys are the fields of `cls` and no others."""
    said, hints = descriptions(cls), {field.name: field for field in msgspec.structs.fields(cls)}
    properties: Schema = {}
    for name, shape in shapes(cls).items():
        properties[name] = _described(_value(name, shape, hints[name].type, vendors), said.get(name, ""), hints[name])
    document: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if required := [name for name, shape in shapes(cls).items() if shape.required]:
        document["required"] = required
    if about := inspect.getdoc(cls):
        document["description"] = _joined(about)
    return document


def _described(schema: Schema, text: str, field: Any) -> Schema:
    described = {**schema, **({"description": _joined(text)} if text else {})}
    # Secrets are texts of a type of their own: their default is never said.
    if type(field.default) in (bool, int, str) and field.default != "":
        described["default"] = field.default
    return described


def _value(name: str, shape: Shape, hint: Any, vendors: Mapping[str, Vendor]) -> Schema:
    match shape.form:
        case "entries" if shape.cls:
            return {"type": "array", "items": _struct(shape.cls, vendors)}
        case "struct" | "members" if shape.cls:
            return _struct(shape.cls, vendors)
        case "models":
            return _models(vendors)
        case "prices":
            return {"type": "object", "additionalProperties": _price_line()}
        case "texts":
            return {"type": "object", "additionalProperties": _TEXT}
        case "list":
            item = _scalar(name, shape, hint, vendors)
            return {"anyOf": [{"type": "array", "items": item}, item]}
    return _scalar(name, shape, hint, vendors)


def _scalar(name: str, shape: Shape, hint: Any, vendors: Mapping[str, Vendor]) -> Schema:
    if choices := _choices(name, hint, vendors):
        return {"anyOf": [{"enum": list(choices)}, VARIABLE]}
    if isinstance(shape.read, words.Whole):
        bounds = {"type": "integer", "minimum": shape.read.least, "maximum": shape.read.most}
        return {"anyOf": [bounds, VARIABLE]}
    if shape.read in _WORDS:
        return {"anyOf": [*_WORDS[shape.read], VARIABLE]}
    return dict(_TEXT)


def _choices(name: str, hint: Any, vendors: Mapping[str, Vendor]) -> tuple[str, ...]:
    """The closed set that a value is one of, or ()."""
    if name == "type":
        return tuple(vendors)
    if name == "speaks":
        return tuple(dict.fromkeys(dialect for vendor in vendors.values() for dialect in vendor.speaks))
    for part in (hint, *typing.get_args(hint)):
        if typing.get_origin(part) is Literal:
            return typing.get_args(part)
    return ()


def _models(vendors: Mapping[str, Vendor]) -> Schema:
    """A list of names, or names to names; the vendors' own examples are offered."""
    examples = list(dict.fromkeys(model for vendor in vendors.values() for model in vendor.example_models))
    names = {"type": "string", "examples": examples}
    renamed = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
    return {"anyOf": [{"type": "array", "items": names, "uniqueItems": True}, renamed, names]}


@cache
def _price_line() -> Schema:
    rates: Schema = {name: {**_AMOUNT, "description": _priced(name)} for name in RATE_NAMES}
    return {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {"free": {**_FLAG, "description": "It costs nothing; the only way to say so."}, **rates},
    }


def _priced(name: str) -> str:
    per = RATE_NAMES[name].per
    return f"Dollars for {'a million' if per == 1_000_000 else per} of {RATE_NAMES[name].unit.replace('_', ' ')}."


@cache
def descriptions(cls: type[Struct]) -> Mapping[str, str]:
    """Field → the docstring under it. Python keeps no docstrings of fields, so they are read from the source."""
    tree = ast.parse(inspect.getsource(cls))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    found: dict[str, str] = {}
    for node, after in pairwise(body):
        says = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and says:
            found[node.target.id] = str(ast.literal_eval(ast.unparse(after)))
    return found


def _joined(text: str) -> str:
    return " ".join(text.split())
