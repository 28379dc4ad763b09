"""The smallest value that satisfies a JSON Schema, for structured output. Covers what vendors accept as strict
schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

_MAX_DEPTH = 32
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/",
}

Schema = Mapping[str, object]


def instance_of(schema: object) -> object:
    """A minimal instance; null where the schema says nothing that we understand."""
    root = _mapping(schema)
    return _instance(root, root, 0)


def _instance(schema: Schema, root: Schema, depth: int) -> object:
    if depth > _MAX_DEPTH:
        return None
    if "$ref" in schema:
        return _instance(_resolve(str(schema["$ref"]), root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if choices := _sequence(schema.get("enum")):
        return choices[0]
    for union in ("anyOf", "oneOf", "allOf"):
        if options := _sequence(schema.get(union)):
            return _instance(_shallowest(options, root), root, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, Sequence) and not isinstance(kind, str):
        kind = kind[0] if kind else None
    if kind == "object" or (kind is None and "properties" in schema):
        return _object(schema, root, depth)
    if kind == "array":
        least = _number(schema.get("minItems"), 0)
        return [_instance(_mapping(schema.get("items")), root, depth + 1) for _ in range(min(int(least), 100))]
    return _scalar(kind, schema)


def _object(schema: Schema, root: Schema, depth: int) -> dict[str, object]:
    properties = _mapping(schema.get("properties"))
    required = _sequence(schema.get("required"))
    return {
        name: _instance(_mapping(properties.get(name)), root, depth + 1) for name in required if isinstance(name, str)
    }


def _scalar(kind: object, schema: Schema) -> object:
    if kind == "string":
        text = _FORMATS.get(str(schema.get("format")), "demo")
        return text.ljust(min(int(_number(schema.get("minLength"), 0)), 10_000), ".")
    if kind == "boolean":
        return False
    if kind in ("integer", "number"):
        least = min(0.0, _number(schema.get("maximum"), 0), _number(schema.get("exclusiveMaximum"), 1) - 1)
        least = max(
            least, _number(schema.get("minimum"), least), _number(schema.get("exclusiveMinimum"), least - 1) + 1
        )
        return int(least) if kind == "integer" else least
    return None


def _shallowest(options: Sequence[object], root: Schema) -> Schema:
    # A recursive schema ends through its plainest branch: prefer one without properties or references.
    schemas = [_mapping(option) for option in options]
    plain = [schema for schema in schemas if "$ref" not in schema and "properties" not in schema]
    return (plain or schemas)[0]


def _resolve(reference: str, root: Schema) -> Schema:
    found: object = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            found = _mapping(found).get(part.replace("~1", "/").replace("~0", "~"))
    return _mapping(found)


def _mapping(value: object) -> Schema:
    return cast(Schema, value) if isinstance(value, Mapping) else {}


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _number(value: object, default: float) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else default
