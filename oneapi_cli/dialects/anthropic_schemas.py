"""JSON Schemas as Anthropic's constrained output takes them.

It knows a part of JSON Schema: objects must say `additionalProperties: false`, and bounds of numbers, strings and
arrays are refused. What it cannot enforce is said to the model in the description instead, as the official clients do;
what it cannot express at all (recursion, open objects, schemas without a type) has no such form.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_KEPT = ("title", "default", "pattern")
_SAID = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
)
_COMMENTS = frozenset({"$schema", "$id", "$comment", "examples", "example", "deprecated", "readOnly", "writeOnly"})
_STRUCTURE = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "oneOf", "allOf"}
)
_KNOWN = {*_STRUCTURE, *_KEPT, *_SAID, *_COMMENTS, "$ref", "$defs", "definitions", "description", "format", "nullable"}


class Inexpressible(Exception):
    """A schema that constrained output has no form for."""


def constrained(schema: Schema) -> dict[str, Any] | None:
    """The schema in the part that is enforced, None where it has no such form."""
    try:
        found = None if _is_recursive(schema) else _node(schema)
    except (Inexpressible, RecursionError):
        return None
    return found if found is not None and (found.get("type") == "object" or "$ref" in found) else None


def fits(schema: Schema) -> bool:
    """Whether it is enforced just as it stands."""
    return constrained(schema) == dict(schema)


def is_object(schema: Schema) -> bool:
    """Whether it describes an object, as far as its root says."""
    return bool(schema.get("type", "object") == "object")


def object_schema(schema: Schema | None) -> dict[str, Any]:
    """A tool's schema as it must be: an object's, whose root is neither a reference nor a choice between schemas. A
    choice becomes one object with the members of all; only what all require is required then."""
    found = dict(schema or {})
    for _ in range(_MOST_HOPS):
        target = _at(found, found["$ref"]) if isinstance(found.get("$ref"), str) else None
        if target is None:
            break
        del found["$ref"]
        found = {**target, **found}
    for name in ("allOf", "anyOf", "oneOf"):
        if isinstance(variants := found.get(name), list):
            del found[name]
            found = _joined(found, [_resolved(found, each) for each in variants], every=name == "allOf")
    found["type"] = "object"
    if not isinstance(found.get("properties"), Mapping):
        found["properties"] = {}
    return found


_MOST_HOPS = 8


def _resolved(root: Schema, variant: object) -> Schema:
    found = variant if isinstance(variant, Mapping) else {}
    for _ in range(_MOST_HOPS):
        target = _at(root, found["$ref"]) if isinstance(found.get("$ref"), str) else None
        if target is None:
            return found
        found = target
    return found


def _at(root: Schema, ref: str) -> Schema | None:
    """What a local reference (`#/$defs/Name`) leads to."""
    node: object = root
    for name in ref.removeprefix("#").split("/")[1:]:
        node = node.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) and node is not root else None


def _joined(base: Schema, variants: list[Schema], *, every: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for each in variants:
        properties |= each.get("properties") or {}
    needed = [set(each.get("required") or ()) for each in variants]
    shared = set().union(*needed) if every else set.intersection(*needed) if needed else set()
    required = dict.fromkeys([*(base.get("required") or ()), *sorted(shared)])
    joined = {**base, "properties": {**properties, **(base.get("properties") or {})}}
    return {**joined, "required": list(required)} if required else joined


def _node(schema: object) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or not schema.keys() <= _KNOWN:
        raise Inexpressible
    found: dict[str, Any] = {}
    for name in ("$defs", "definitions"):
        if isinstance(defs := schema.get(name), Mapping):
            found[name] = {key: _node(value) for key, value in defs.items()}
    if (ref := schema.get("$ref")) is not None:
        if not isinstance(ref, str) or not ref.startswith("#/"):
            raise Inexpressible
        return {**found, "$ref": ref}
    found |= _choices(schema)
    found |= {name: schema[name] for name in _KEPT if name in schema}
    if schema.get("format") in _FORMATS:
        found["format"] = schema["format"]
    if text := _described(schema, found):
        found["description"] = text
    return found


def _choices(schema: Schema) -> dict[str, Any]:
    """What a value may be: one of some values, of some schemas, or of a type."""
    for name, written in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        if isinstance(given := schema.get(name), list):
            if "properties" in schema:
                raise Inexpressible
            return {written: [_node(each) for each in given]}
    found: dict[str, Any] = {name: schema[name] for name in ("enum", "const") if name in schema}
    if any(isinstance(value, dict | list) for value in found.get("enum", ())):
        raise Inexpressible
    kind = schema.get("type")
    if kind is None and not found:
        raise Inexpressible
    if kind is not None:
        found["type"] = [kind, "null"] if schema.get("nullable") is True and isinstance(kind, str) else kind
    if kind == "object" or (isinstance(kind, list) and "object" in kind):
        found |= _members(schema)
    if (kind == "array" or (isinstance(kind, list) and "array" in kind)) and "items" in schema:
        found["items"] = _node(schema["items"])
    return found


def _members(schema: Schema) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or schema.get("additionalProperties") not in (None, False):
        raise Inexpressible  # an open object: its members are not known beforehand
    found: dict[str, Any] = {"properties": {name: _node(value) for name, value in properties.items()}}
    if isinstance(required := schema.get("required"), list):
        found["required"] = list(required)
    return {**found, "additionalProperties": False}


def _described(schema: Schema, found: Mapping[str, Any]) -> str:
    """The description, and what stands beside it only in words."""
    text = schema.get("description")
    said = {name: schema[name] for name in _SAID if name in schema}
    if "format" in schema and "format" not in found:
        said["format"] = schema["format"]
    words = "{" + ", ".join(f"{name}: {value}" for name, value in said.items()) + "}" if said else ""
    return "\n\n".join(each for each in (text if isinstance(text, str) else "", words) if each)


def _is_recursive(schema: Schema) -> bool:
    """Whether a definition leads back to itself."""
    defs: dict[str, object] = {"#": schema}
    for name in ("$defs", "definitions"):
        if isinstance(given := schema.get(name), Mapping):
            defs |= {f"#/{name}/{key}": value for key, value in given.items()}
    bare = {name: value for name, value in schema.items() if name not in ("$defs", "definitions")}
    edges = {key: _refs(bare if key == "#" else value) for key, value in defs.items()}

    done: set[str] = set()

    def leads_back(key: str, path: frozenset[str]) -> bool:
        if key in done:
            return False
        found = key in path or any(leads_back(each, path | {key}) for each in edges.get(key, ()))
        done.add(key)
        return found

    return any(leads_back(key, frozenset()) for key in edges)


def _refs(node: object) -> set[str]:
    found: set[str] = set()
    heap = [node]
    while heap:
        each = heap.pop()
        if isinstance(each, Mapping):
            if isinstance(ref := each.get("$ref"), str):
                found.add(ref)
            heap.extend(each.values())
        elif isinstance(each, list):
            heap.extend(each)
    return found
