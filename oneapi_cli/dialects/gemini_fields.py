"""Members of Gemini requests by either spelling.

Google reads every member as `camelCase` and as `snake_case` (proto3's JSON mapping); its own SDKs mix the two. What is
read here goes by the first. A member in both spellings, or in other capitals, is a 400: another parser might read the
other one. A list that holds one thing may be that thing itself, as Google's parser allows.

Source: https://protobuf.dev/programming-guides/json/ (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import Raw

from ..framing.members import Member, members, too_deep
from ..values.errors import BadRequest
from .reading import Object, at, fault

MOST_TOKENS = 2**31 - 1

_anything = msgspec.json.Decoder()
_array = msgspec.json.Decoder(list[Raw])
_HUMP = re.compile(r"(?<!^)(?=[A-Z])")
_SNAKE = re.compile(r"_+([a-z0-9])")
_COUNT = re.compile(rb'"?(-?[0-9]{1,19})(?:\.0+)?"?')


@cache
def snake(name: str) -> str:
    """`maxOutputTokens` → `max_output_tokens`."""
    return _HUMP.sub("_", name).lower()


@cache
def camel(name: str) -> str:
    """`max_output_tokens` → `maxOutputTokens`; what has no underscore stays as it is."""
    return _SNAKE.sub(lambda found: found[1].upper(), name) if "_" in name else name


def spelled(holder: Object, place: str = "") -> Object:
    """An object of a decoded request with its own members in camelCase; nothing below them is touched.

    Raises BadRequest for a member in both spellings.
    """
    if not any("_" in name for name in holder):
        return holder
    found: dict[str, Any] = {}
    for name, value in holder.items():
        key = camel(name)
        if key in found:
            raise _twice(at(place, key), name)
        found[key] = value
    return found


def objects_at(holder: Object, name: str, place: str = "") -> Iterator[tuple[str, Object]]:
    """(place, object) of each element of a list, in camelCase; of the one object that stands there without a list."""
    value = holder.get(name)
    where = at(place, name)
    if value is None:
        return
    if isinstance(value, Mapping):
        yield where, spelled(value, where)
        return
    if not isinstance(value, list):
        raise fault(where, "must be an array")
    for index, item in enumerate(value):
        here = at(where, index)
        if not isinstance(item, Mapping):
            raise fault(here, "must be an object")
        yield here, spelled(item, here)


def object_at(holder: Object, name: str, place: str = "") -> Object | None:
    """An object member, in camelCase."""
    value = holder.get(name)
    if value is None:
        return None
    where = at(place, name)
    if not isinstance(value, Mapping):
        raise fault(where, "must be an object")
    return spelled(value, where)


class Fields:
    """The members of one object in raw text, by their names in camelCase. Raises BadRequest for what `members` refuses
    and for a member of `read` in two spellings or in other capitals."""

    def __init__(self, body: bytes, read: frozenset[str], inside: str = "") -> None:
        self.body = body
        self.path = inside
        self._spans: dict[str, Member] = {}
        folded = _folded(read)
        for member in members(body):
            name = folded.get(member.name.replace("_", "").casefold())
            if name is None:
                self._spans.setdefault(camel(member.name), member)
                continue
            if member.name not in (name, snake(name)):
                where = at(inside, member.name)
                raise BadRequest(
                    f"`{where}` is not a member; write `{at(inside, name)}`", code="unknown_member", member=where
                )
            if name in self._spans:
                raise _twice(at(inside, name), member.name)
            self._spans[name] = member

    def spelling(self, name: str) -> str:
        """A member's name as the body has it, the name itself where it is absent."""
        found = self._spans.get(name)
        return name if found is None else found.name

    def raw(self, name: str) -> bytes | None:
        """A member's exact bytes, None where it is absent or null."""
        found = self._spans.get(name)
        if found is None:
            return None
        raw = self.body[found.start : found.end]
        return None if raw == b"null" else raw

    def has(self, name: str) -> bool:
        return self.raw(name) is not None

    def value(self, name: str) -> Any:
        raw = self.raw(name)
        try:
            return None if raw is None else _anything.decode(raw)
        except RecursionError:
            raise too_deep() from None
        except msgspec.ValidationError:
            raise fault(at(self.path, name), "holds a number out of range") from None

    def text(self, name: str) -> str | None:
        value = self.value(name)
        if value is not None and not isinstance(value, str):
            raise fault(at(self.path, name), "must be a string")
        return value

    def count(self, name: str, least: int, most: int) -> int | None:
        """An integer within these bounds; proto3's JSON also takes it in quotes, or as 2.0."""
        raw = self.raw(name)
        if raw is None:
            return None
        found = _COUNT.fullmatch(raw)
        if found is None:
            raise fault(at(self.path, name), "must be an integer")
        value = int(found[1])
        if not least <= value <= most:
            raise fault(at(self.path, name), f"must be between {least} and {most}")
        return value

    def object(self, name: str, read: frozenset[str]) -> Fields | None:
        raw = self.raw(name)
        if raw is None:
            return None
        where = at(self.path, name)
        if not raw.startswith(b"{"):
            raise fault(where, "must be an object")
        return Fields(raw, read, where)

    def items(self, name: str) -> list[tuple[str, bytes]]:
        """(place, exact bytes) of a list's elements, or of the one that stands there alone."""
        raw = self.raw(name)
        where = at(self.path, name)
        if raw is None:
            return []
        if raw.startswith(b"{"):
            return [(where, raw)]
        if not raw.startswith(b"["):
            raise fault(where, "must be an array")
        return [(at(where, place), bytes(item)) for place, item in enumerate(_array.decode(raw))]

    def names(self) -> Iterable[str]:
        """In camelCase, where they are not null."""
        return [name for name in self._spans if self.has(name)]

    def unknown(self, known: frozenset[str]) -> tuple[str, ...]:
        return tuple(at(self.path, member.name) for name, member in self._spans.items() if name not in known)


@cache
def _folded(read: frozenset[str]) -> Mapping[str, str]:
    return {name.casefold(): name for name in read}


def _twice(where: str, name: str) -> BadRequest:
    return BadRequest(
        f"`{where}` is given twice (the other time as `{name}`); leave one out", code="duplicate_member", member=where
    )
