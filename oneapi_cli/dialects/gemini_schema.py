"""Schemas: Google's own (an OpenAPI subset with upper-case types) → JSON Schema, and JSON Schema → what Gemini takes.

Both `parametersJsonSchema` and `responseJsonSchema` take JSON Schema at AI Studio and on Vertex, but not all of it: no
`const`, no `allOf`, no exclusive bounds, and a `$ref` may have no siblings. What is said with those is said here
otherwise; nothing that a schema asks for is left out where there is another way to ask for it.

Sources: https://ai.google.dev/api/caching#Schema · https://ai.google.dev/gemini-api/docs/structured-output (2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]

MOST_DEPTH = 64

_OWN_NAMES = {
    "any_of": "anyOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "additional_properties": "additionalProperties",
    "property_ordering": "propertyOrdering",
    "defs": "$defs",
    "ref": "$ref",
}
_NUMBERS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions", "patternProperties")
_SINGLES = ("items", "additionalProperties", "not", "contains", "propertyNames")
_UNSAID = frozenset({"$schema", "$id", "discriminator", "examples", "$comment"})
_FORMATS = frozenset({"date-time", "date", "time", "duration", "enum", "int32", "int64", "float", "double"})


def from_google(schema: Any, depth: int = 0) -> Any:
    """Google's Schema → JSON Schema: lower-case types, `nullable` as a type, counts as numbers, properties in their
    `propertyOrdering`. Anything but an object is returned as it is."""
    if not isinstance(schema, Mapping) or depth > MOST_DEPTH:
        return schema
    given: dict[str, Any] = {_OWN_NAMES.get(str(name), str(name)): value for name, value in schema.items()}
    found: dict[str, Any] = _each_below(given, lambda inner: from_google(inner, depth + 1))
    kind = found.get("type")
    if isinstance(kind, str):
        kind = kind.lower()
        if kind == "type_unspecified":
            del found["type"]
        else:
            found["type"] = kind
    for name in _NUMBERS & found.keys():
        if isinstance(found[name], str) and found[name].isdigit():
            found[name] = int(found[name])
    if found.get("format") == "enum":
        del found["format"]
    if (example := found.pop("example", None)) is not None:
        found["examples"] = [example]
    order = found.pop("propertyOrdering", None)
    properties = found.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
        found["properties"] = first | properties
    return _nullable(found)


def _nullable(found: dict[str, Any]) -> dict[str, Any]:
    if found.pop("nullable", None) is not True:
        return found
    if isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
        if isinstance(found.get("enum"), list) and None not in found["enum"]:
            found["enum"] = [*found["enum"], None]
    elif isinstance(found.get("anyOf"), list):
        found["anyOf"] = [*found["anyOf"], {"type": "null"}]
    return found


def for_gemini(schema: Schema) -> dict[str, Any]:
    """JSON Schema → the JSON Schema that Gemini takes."""
    return _Cleaner(schema).clean(schema, 0)


class _Cleaner:
    """One schema with its definitions. open: the definitions being put inline just now, so that none recurses."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._open: list[str] = []

    def clean(self, schema: Schema, depth: int) -> dict[str, Any]:
        if depth > MOST_DEPTH:
            return dict(schema)
        given = {name: value for name, value in schema.items() if name not in _UNSAID}
        if isinstance(definitions := given.pop("definitions", None), Mapping):
            given["$defs"] = {**definitions, **given.get("$defs", {})}
        if isinstance(ref := given.get("$ref"), str):
            return self._referred(ref, given, depth)
        if isinstance(alternatives := given.get("allOf"), list):
            given = self._merged(given, alternatives)
        found = _each_below(given, lambda inner: self.clean(inner, depth + 1) if isinstance(inner, Mapping) else inner)
        _say_const(found)
        _say_bounds(found)
        _say_format(found)
        return found

    def _referred(self, ref: str, given: dict[str, Any], depth: int) -> dict[str, Any]:
        """A reference alone stays one; with siblings, or to anything but a definition, what it names is put inline."""
        siblings = {name: value for name, value in given.items() if not name.startswith("$")}
        kept = {name: value for name, value in given.items() if name.startswith("$") and name != "$ref"}
        path = ref.replace("#/definitions/", "#/$defs/")
        plain = path.startswith("#/$defs/") and "/" not in path.removeprefix("#/$defs/")
        named = self._named(ref)
        if not siblings and (plain or named is None):
            defs = {name: {key: self._below(each, depth) for key, each in inner.items()} for name, inner in _defs(kept)}
            return {**kept, **defs, "$ref": path}
        if named is None or ref in self._open or depth > MOST_DEPTH:
            return {**kept, "$ref": path}
        self._open.append(ref)
        try:
            return self.clean({**named, **siblings, **kept}, depth + 1)
        finally:
            self._open.pop()

    def _below(self, schema: Any, depth: int) -> Any:
        return self.clean(schema, depth + 1) if isinstance(schema, Mapping) else schema

    def _named(self, ref: str) -> Schema | None:
        """What a local reference names, None for any other."""
        if not ref.startswith("#"):
            return None
        node: Any = self._root
        for step in ref.removeprefix("#").strip("/").split("/") if ref not in ("#", "#/") else ():
            if not isinstance(node, Mapping):
                return None
            node = node.get(step.replace("~1", "/").replace("~0", "~"))
        return node if isinstance(node, Mapping) else None

    def _merged(self, given: dict[str, Any], parts: list[Any]) -> dict[str, Any]:
        """`allOf` of objects as one object: their properties together, all their requirements."""
        merged: dict[str, Any] = {}
        rest = {name: value for name, value in given.items() if name != "allOf"}
        for part in [*parts, rest]:
            if not isinstance(part, Mapping):
                continue
            named = self._named(part["$ref"]) if isinstance(part.get("$ref"), str) else None
            if named is not None and part["$ref"] not in self._open:
                part = {**named, **{name: value for name, value in part.items() if name != "$ref"}}
            for name, value in part.items():
                if name in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
                    merged[name] = {**merged.get(name, {}), **value}
                elif name == "required" and isinstance(value, list):
                    merged[name] = list(dict.fromkeys([*merged.get(name, []), *value]))
                else:
                    merged[name] = value
        return merged


def _defs(kept: Schema) -> list[tuple[str, Schema]]:
    return [(name, kept[name]) for name in ("$defs",) if isinstance(kept.get(name), Mapping)]


def _each_below(schema: Schema, change: Callable[[Any], Any]) -> dict[str, Any]:
    """The same with every schema inside it changed. Names of properties are no keywords."""
    found = dict(schema)
    for name in _LISTS:
        if isinstance(found.get(name), list):
            found[name] = [change(inner) for inner in found[name]]
    for name in _MAPS:
        if isinstance(found.get(name), Mapping):
            found[name] = {key: change(inner) for key, inner in found[name].items()}
    for name in _SINGLES:
        if isinstance(found.get(name), Mapping):
            found[name] = change(found[name])
    return found


_TYPES: tuple[tuple[type, str], ...] = ((bool, "boolean"), (str, "string"), (int, "integer"), (float, "number"))


def _say_const(found: dict[str, Any]) -> None:
    if "const" not in found:
        return
    value = found.pop("const")
    if value is None:
        found.setdefault("type", "null")
        return
    found["enum"] = [value]
    kind = next((word for each, word in _TYPES if isinstance(value, each)), None)
    if kind is not None:
        found.setdefault("type", kind)


def _say_bounds(found: dict[str, Any]) -> None:
    """Exclusive bounds: the next whole number for integers, the bound itself for others."""
    for name, bound, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        value = found.pop(name, None)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.setdefault(bound, value + step if found.get("type") == "integer" else value)


def _say_format(found: dict[str, Any]) -> None:
    """A string's format that Gemini does not know, in the words of its description."""
    kind, kept = found.get("type"), found.get("format")
    if not isinstance(kept, str) or kept in _FORMATS or kind not in ("string", None, ["string", "null"]):
        return
    del found["format"]
    said = found.get("description")
    found["description"] = f"{said} (format: {kept})" if isinstance(said, str) and said else f"Format: {kept}"
