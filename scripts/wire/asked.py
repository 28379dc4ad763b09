"""What a request asks for, whatever its format, and what of it another format has lost.

Texts are looked for as passages: formats join, split and wrap them, so that each of the original must be found, in
order, in what the target says in that role. A result's content is compared by its leaves, since formats disagree on
whether it is a text or an object. A tool's schema is compared by what it asks for: properties, types, required ones,
enums and descriptions, references followed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .said import cut

Object = Mapping[str, Any]


@dataclass(frozen=True)
class MadeCall:
    name: str
    arguments: Any
    id: str = ""


@dataclass(frozen=True)
class GivenResult:
    """name: of the tool, "" where only the id says which. leaves: the scalars of its content, as texts."""

    id: str
    name: str
    leaves: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """A picture or another medium: base64 data, a URL, or the vendor's own id of a file."""

    kind: str
    ref: str


@dataclass(frozen=True)
class Described:
    description: str
    schema: Object | None


@dataclass
class Asked:
    """choice: auto, none, required, or `named:NAME`; "" for nothing said. roles: the turns' roles in order."""

    system: list[str] = field(default_factory=list)
    user: list[str] = field(default_factory=list)
    assistant: list[str] = field(default_factory=list)
    calls: list[MadeCall] = field(default_factory=list)
    results: list[GivenResult] = field(default_factory=list)
    media: list[Seen] = field(default_factory=list)
    tools: dict[str, Described] = field(default_factory=dict)
    hosted: list[str] = field(default_factory=list)
    choice: str = ""
    limit: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    schema: Object | None = None


_JSON = re.compile(r"[\[{]")


def leaves_of(value: Any) -> tuple[str, ...]:
    """The scalars of a value as texts; JSON inside a text is opened."""
    if isinstance(value, str):
        text = value.strip()
        start = _JSON.search(text)
        if start is not None:
            try:
                inner = leaves_of(json.loads(text[start.start() :]))
            except ValueError:
                return (value,)
            return (*leaves_of(text[: start.start()]), *inner)
        return (value,) if text else ()
    if isinstance(value, Mapping):
        return tuple(leaf for inner in value.values() for leaf in leaves_of(inner))
    if isinstance(value, Sequence):
        return tuple(leaf for inner in value for leaf in leaves_of(inner))
    return (json.dumps(value),)


def lost(asked: Asked, sent: Asked, tiny: Mapping[str, str], notes: Sequence[str]) -> Iterator[str]:
    """What is not there any more. tiny: kind of medium → what URLs were replaced by. notes: what is said to be."""
    yield from _texts_lost(asked, sent)
    wish, have = [(c.name, c.arguments) for c in asked.calls], [(c.name, c.arguments) for c in sent.calls]
    if wish != have and not (
        _noted("tool_search", notes) and [call for call in wish if call[0] != "tool_search"] == have
    ):
        yield f"calls {cut(wish)} became {cut(have)}"
    yield from _results_lost(asked, sent)
    yield from _media_lost(asked, sent, tiny, notes)
    yield from _tools_lost(asked, sent, notes)
    yield from _choice_lost(asked, sent, notes)
    for name in ("limit", "temperature", "top_p", "stop"):
        wish_, have_ = getattr(asked, name), getattr(sent, name)
        if name == "temperature" and wish_ == 1 and have_ is None:
            continue  # the default, everywhere
        if wish_ not in (None, ()) and wish_ != have_ and not _noted(name, notes):
            yield f"{name} {wish_!r} became {have_!r}, without a note"
    if asked.schema is not None:
        missing = facts_of(asked.schema) - facts_of(sent.schema or {})
        if missing and not _noted("format", notes):
            yield f"the output's schema lost {cut(sorted(map(str, missing)))}"


_NAMES = {
    "limit": ("max_tokens", "max_output_tokens", "max_completion_tokens", "maxOutputTokens", "limit"),
    "stop": ("stop", "stop_sequences", "stopSequences"),
    "top_p": ("top_p", "topP"),
    "format": ("response_format", "format", "output_config.format", "text.format", "responseSchema"),
    "choice": ("tool_choice", "toolConfig"),
}


def _noted(name: str, notes: Sequence[str]) -> bool:
    return any(note.endswith(tuple(f":{each}" for each in _NAMES.get(name, (name,)))) for note in notes)


def _texts_lost(asked: Asked, sent: Asked) -> Iterator[str]:
    for role in ("system", "user", "assistant"):
        said = "\n".join(getattr(sent, role))
        elsewhere = "\n".join([*sent.system, *sent.user])
        at = 0
        for text in getattr(asked, role):
            passage = text.strip()
            found = said.find(passage, at)
            if found >= 0:
                at = found + len(passage)
            elif not (role == "system" and passage in elsewhere):
                yield f"{role} text {cut(passage)} is {'out of order' if passage in said else 'lost'}"


def _results_lost(asked: Asked, sent: Asked) -> Iterator[str]:
    if len(asked.results) != len(sent.results):
        yield f"{len(asked.results)} results became {len(sent.results)}"
        return
    wish_names, have_names = _tool_names(asked), _tool_names(sent)
    for number, (wish, have) in enumerate(zip(asked.results, sent.results, strict=True)):
        if wish_names[number] != have_names[number]:
            yield f"result {number} of {wish_names[number]} became one of {have_names[number]}"
        said = "\n".join(have.leaves)
        missing = [leaf for leaf in wish.leaves if leaf.strip() not in said]
        if missing:
            yield f"result {number} lost {cut(missing)}"


def _tool_names(asked: Asked) -> list[str]:
    """The tool of each result: of the call with its id, else as it is named."""
    by_id = {call.id: call.name for call in asked.calls if call.id}
    return [by_id.get(result.id) or result.name or "?" for result in asked.results]


def _media_lost(asked: Asked, sent: Asked, tiny: Mapping[str, str], notes: Sequence[str]) -> Iterator[str]:
    have = [(seen.kind, plain(seen.ref)) for seen in sent.media]
    for seen in asked.media:
        known = {(kind, ref) for kind, ref in have if ref in (plain(seen.ref), plain(tiny.get(seen.kind, "-")))}
        if known:
            have.remove(next(each for each in have if each in known))
        elif seen.kind == "image" or not any(word in note for note in notes for word in _OF_FILES):
            yield f"{seen.kind} {cut(seen.ref, 60)} is lost"


_OF_FILES = ("document", "file", "audio", "video", "upload", "media")


def plain(ref: str) -> str:
    """Base64 in its standard alphabet without padding: Google's clients write the other."""
    return ref if "://" in ref else ref.translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")


def _tools_lost(asked: Asked, sent: Asked, notes: Sequence[str]) -> Iterator[str]:
    for name, tool in asked.tools.items():
        other = sent.tools.get(name)
        if other is None:
            if not _is_left_out_by_choice(name, asked, notes):
                yield f"tool {name} is lost"
            continue
        if tool.description.strip() and tool.description.strip() not in other.description:
            yield f"tool {name}'s description became {cut(other.description)}"
        missing = facts_of(tool.schema or {}) - facts_of(other.schema or {})
        if missing:
            yield f"tool {name}'s schema lost {cut(sorted(map(str, missing)))}"
    called = {call.name for call in asked.calls}  # a history with calls needs its tools declared, at some vendors
    known = {*asked.tools, *called}
    extra = [name for name in sent.tools if name not in known and not is_ours(name)]
    if extra:
        yield f"tools {extra} came from nowhere"


def _is_left_out_by_choice(name: str, asked: Asked, notes: Sequence[str]) -> bool:
    """Formats without a choice by name, or without `none`, can say it by what they leave out."""
    if asked.choice == "none":
        return not asked.calls or _noted("choice", notes)
    return asked.choice.startswith("named:") and asked.choice != f"named:{name}" and _noted("choice", notes)


def is_ours(name: str) -> bool:
    """A tool that stands in for structured output."""
    return name.startswith("oneapi_json")


def _choice_lost(asked: Asked, sent: Asked, notes: Sequence[str]) -> Iterator[str]:
    wish, have = asked.choice or "auto", sent.choice or "auto"
    if wish == have or (wish == "auto" and not sent.tools):
        return
    if wish == "none" and not sent.tools:
        return
    if have == "none" and not asked.tools:
        return  # tools that stand there for the history's sake are not to be called
    if not asked.tools and is_ours(have.removeprefix("named:")):
        return
    if wish.startswith("named:") and have == "required" and (len(sent.tools) == 1 or _noted("choice", notes)):
        return
    if _noted("choice", notes) and have == "auto" and (wish != "none" or asked.calls):
        return  # the format knows no other; a history with calls needs its tools
    yield f"tool choice {wish} became {have}"


# --- schemas --------------------------------------------------------------------------------------------------------

_DEEP = 8
_BRANCHES = ("anyOf", "oneOf", "any_of", "one_of", "allOf")


def facts_of(schema: Object) -> set[tuple[str, str, str]]:
    """(place, what, value) of everything that a schema asks for."""
    return set(_facts(schema, schema, "", 0))


def _facts(schema: Any, root: Object, place: str, deep: int) -> Iterator[tuple[str, str, str]]:
    if not isinstance(schema, Mapping) or deep > _DEEP:
        return
    if "$ref" in schema:
        yield from _facts(_target(schema["$ref"], root), root, place, deep + 1)
    kinds = schema.get("type", schema.get("type_"))
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if isinstance(kind, str) and kind.lower() not in ("null", "type_unspecified"):
            yield place, "type", kind.lower()
    for value in [*(schema.get("enum") or ()), *([schema["const"]] if "const" in schema else ())]:
        if value is not None:
            yield place, "enum", str(value)
    if place and schema.get("description"):
        yield place, "description", str(schema["description"]).strip()
    for name in schema.get("required") or ():
        yield place, "required", name
    for name, inner in (schema.get("properties") or {}).items():
        yield f"{place}.{name}", "property", ""
        yield from _facts(inner, root, f"{place}.{name}", deep + 1)
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield from _facts(items, root, f"{place}[]", deep + 1)
    for branch in _BRANCHES:
        for inner in schema.get(branch) or ():
            yield from _facts(inner, root, place, deep + 1)


def _target(ref: str, root: Object) -> Any:
    found: Any = root
    for step in ref.removeprefix("#/").split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found
