"""Members of a JSON document, edited in its raw text.

A relay must not re-encode what it does not understand: numbers keep their spelling (1.0 is not 1), strings their
escapes, objects their order and white space. So a change here replaces exactly the bytes of one value, or adds one
member at the end of one object, and every other byte stays.

msgspec does the heavy part: it checks the syntax and measures each value (`Raw`) in C; we only walk over names, colons
and commas. Where a name stands twice that walk cannot follow, and a slower scan takes over. The invariant: whatever
this module says of positions holds for the document as another parser reads it; what it cannot be sure of is a
BadRequest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

import msgspec
from msgspec import Raw, Struct

from ..values.errors import BadRequest

MAX_DEPTH = 512

Path = tuple[str | int, ...]


class Set(Struct, frozen=True):
    """Give the value at `path` these JSON bytes; a member that is not there is added at the end of its object."""

    path: Path
    value: bytes


class Remove(Struct, frozen=True):
    """Take the member at `path` out; nothing happens where there is none."""

    path: Path


class Rename(Struct, frozen=True):
    """Give the member at `path` another name, in its place; nothing happens where there is none."""

    path: Path
    name: str


Edit = Set | Remove | Rename


class Member(Struct, frozen=True):
    """Offsets of one member: its name's opening quote, its value's first byte, and the byte after its value."""

    name: str
    at: int
    start: int
    end: int


_SPACE = rb"[ \t\n\r]*"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_NAME = re.compile(_SPACE + rb"(" + _STRING + rb")" + _SPACE + rb":" + _SPACE, re.DOTALL)
_AFTER = re.compile(_SPACE + rb"([,\]}])")
_COMMA = re.compile(_SPACE + rb"," + _SPACE)
_GAP = re.compile(_SPACE)
_TOKEN = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}]+")
_FLAT_STRING = re.compile(rb'"[^"]*"')
_NOT_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_ROUND = bytes.maketrans(b"[]{}", b"()()")

_object = msgspec.json.Decoder(dict[str, Raw])
_array = msgspec.json.Decoder(list[Raw])
_text = msgspec.json.Decoder(str)


def members(body: bytes) -> list[Member]:
    """The members of the JSON object `body`, in order, with every repetition.

    Raises BadRequest when it is not UTF-8, not JSON, not an object, has something after its end or nests deeper than
    512.
    """
    check_text(body)
    try:
        values = _object.decode(body)
    except msgspec.ValidationError:
        raise BadRequest("The request body must be a JSON object", code="invalid_json") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"The request body is not valid JSON ({error})", code="invalid_json") from None
    except RecursionError:
        raise too_deep() from None
    if nests_deeper(body, MAX_DEPTH):
        raise too_deep()
    return _walk(body, 0, len(body), values)


def check_text(body: bytes) -> None:
    """Raises BadRequest when `body` is not UTF-8. msgspec does not look inside the strings that it passes over."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise BadRequest(f"The request body is not valid UTF-8 (byte {error.start})", code="invalid_json") from None


def too_deep() -> BadRequest:
    return BadRequest(f"The request body nests more than {MAX_DEPTH} levels deep", code="invalid_json")


def nests_deeper(text: bytes, depth: int) -> bool:
    """Whether valid JSON nests deeper than `depth`. Only C-level passes: brackets are taken out pair by pair, inmost
    first.

    A first look takes brackets inside strings for brackets too, which is five times cheaper and enough to clear all
    ordinary text. Strings made to mislead it gain a depth that msgspec's own recursion guard still bounds.
    """
    if text.count(b"[") + text.count(b"{") <= depth:
        return False
    layers, rest = _layers(text.translate(_ROUND, _NOT_BRACKET), depth)
    if layers + len(rest) <= depth:
        return False
    # Exactly: escapes go first (pairs of backslashes, then escaped quotes), then all but quotes and brackets, then
    # strings.
    bare = text.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ROUND, _NOT_STRUCTURE)
    return bool(_layers(_FLAT_STRING.sub(b"", bare), depth)[1])


def _layers(brackets: bytes, most: int) -> tuple[int, bytes]:
    """How often inmost pairs can be taken out of a row of round brackets, at most `most` times, and what is left
    then."""
    for layers in range(most):
        fewer = brackets.replace(b"()", b"")
        if len(fewer) == len(brackets):
            return layers, brackets
        brackets = fewer
    return most, brackets


def find(body: bytes, names: Collection[str]) -> dict[str, tuple[int, int]]:
    """Where the values of these top-level members stand: name → (start, end). Raises BadRequest as `members`."""
    return {m.name: (m.start, m.end) for m in members(body) if m.name in names}


def elements(array: bytes) -> list[tuple[int, int]]:
    """Where the elements of a valid JSON array stand. Raises LookupError when it is not an array."""
    try:
        values = _array.decode(array)
    except msgspec.DecodeError:
        raise LookupError("not an array") from None
    spans: list[tuple[int, int]] = []
    start = _after_gap(array, _after_gap(array, 0) + 1)
    for value in values:
        end = start + memoryview(value).nbytes
        spans.append((start, end))
        comma = _COMMA.match(array, end)
        start = comma.end() if comma is not None else end
    return spans


def check_members(listed: Iterable[Member], known: frozenset[str], *, inside: str = "") -> None:
    """Raises BadRequest for a member that we read, given twice or in other capitals: another parser might read the
    other one.

    Names are compared as decoded, so `"mod\\u0065l"` is `model`. inside: the object's own path, for the message.
    """
    seen: set[str] = set()
    for member in listed:
        name = member.name
        path = f"{inside}.{name}" if inside else name
        if name in seen and name in known:
            raise BadRequest(f"`{path}` is given twice; leave one out", code="duplicate_member", member=path)
        if name not in known and (folded := name.casefold()) in known:
            right = f"{inside}.{folded}" if inside else folded
            raise BadRequest(f"`{path}` is not a member; write `{right}`", code="unknown_member", member=path)
        seen.add(name)


def edit(body: bytes, edits: Sequence[Edit], listed: Sequence[Member] | None = None) -> bytes:
    """The same document with these changes and no other byte touched; edits of one object are done in their order.

    listed: `members(body)`, where the caller has it already.

    A path's strings are member names and its ints places in arrays. A name that stands twice is changed twice. Raises
    LookupError where a path leads through something that is not there, BadRequest where `body` is not a JSON object.
    """
    if not edits:
        return body
    return _edit_object(body, members(body) if listed is None else listed, [(e.path, e) for e in edits])


_Work = list[tuple[Path, Edit]]


def _edit_value(text: bytes, work: _Work) -> bytes:
    """A nested value (its exact text) with these changes."""
    if all(isinstance(path[0], int) for path, _ in work):
        return _edit_array(text, work)
    if not text.startswith(b"{"):
        raise LookupError("a path leads into something that is not an object")
    return _edit_object(text, _walk(text, 0, len(text), _object.decode(text)), work)


def _edit_array(text: bytes, work: _Work) -> bytes:
    spans = elements(text)
    by_place: dict[int, _Work] = {}
    for path, change in work:
        place = path[0]
        if not isinstance(place, int) or not 0 <= place < len(spans):
            raise LookupError(f"an array has no place {place!r}")
        by_place.setdefault(place, []).append((path[1:], change))
    parts, at = [], 0
    for place in sorted(by_place):
        start, end = spans[place]
        parts += [text[at:start], _changed(text[start:end], by_place[place])]
        at = end
    return b"".join([*parts, text[at:]])


def _changed(value: bytes, work: _Work) -> bytes:
    """A value after its edits: those that end here replace it, those that lead on go into it."""
    deeper: _Work = []
    for path, change in work:
        if path:
            deeper.append((path, change))
        elif isinstance(change, Set):
            value, deeper = change.value, []
    return _edit_value(value, deeper) if deeper else value


class _Piece(Struct):
    """A member while its object is put together again: white space and name, value, white space after."""

    name: str
    before: bytes
    value: bytes
    after: bytes


def _edit_object(text: bytes, listed: Sequence[Member], work: _Work) -> bytes:
    opening = text.index(b"{") + 1
    closing = text.rindex(b"}")
    pieces: list[_Piece] = []
    at = opening
    for member in listed:
        stop = _AFTER.match(text, member.end)
        assert stop is not None, "a walked object has a separator after each value"
        comma = stop.start(1)
        pieces.append(
            _Piece(member.name, text[at : member.start], text[member.start : member.end], text[member.end : comma])
        )
        at = comma + 1
    end = b"" if pieces else text[opening:closing]
    for (name, leads_on), group in groupby(work, key=lambda item: (item[0][0], len(item[0]) > 1)):
        if leads_on:  # all at once: an array's elements are found once, however many of them change
            _go_into(pieces, name, [(path[1:], change) for path, change in group])
        else:
            for _, change in group:
                pieces = _apply(pieces, name, change)
    return text[:opening] + b",".join([p.before + p.value + p.after for p in pieces]) + end + text[closing:]


def _go_into(pieces: list[_Piece], name: str | int, work: _Work) -> None:
    hits = [p for p in pieces if p.name == name]
    if not hits:
        raise LookupError(f"there is no member {name!r}")
    for piece in hits:
        piece.value = _edit_value(piece.value, work)


def _apply(pieces: list[_Piece], name: str | int, change: Edit) -> list[_Piece]:
    if not isinstance(name, str):
        raise LookupError(f"an object has no place {name!r}")
    hits = [p for p in pieces if p.name == name]
    if isinstance(change, Remove):
        return [p for p in pieces if p.name != name]
    if isinstance(change, Rename):
        for piece in hits:
            piece.before = _renamed(piece.before, change.name)
            piece.name = change.name
    elif hits:
        for piece in hits:
            piece.value = change.value
    else:
        _append(pieces, name, change.value)
    return pieces


def _append(pieces: list[_Piece], name: str, value: bytes) -> None:
    """A new last member; white space that stood before the closing brace stays there."""
    before = msgspec.json.encode(name) + b":"
    after = b""
    if pieces:
        after, pieces[-1].after = pieces[-1].after, b""
    pieces.append(_Piece(name, before, value, after))


def _renamed(before: bytes, name: str) -> bytes:
    found = _NAME.match(before)
    assert found is not None, "a member begins with its name"
    return before[: found.start(1)] + msgspec.json.encode(name) + before[found.end(1) :]


def _walk(body: bytes, at: int, end: int, values: dict[str, Raw]) -> list[Member]:
    """Members of the object at `at`, led by what msgspec found; by a scan of our own where a name stands twice."""
    opening = at
    at = _after_gap(body, at) + 1
    listed: list[Member] = []
    for name, value in values.items():
        found = _NAME.match(body, at)
        if found is None or _decoded(found[1]) != name:
            return list(_scan(body, opening))
        exact = bytes(value)
        start, stop = found.end(), found.end() + len(exact)
        after = _AFTER.match(body, stop)
        if after is None or stop > end or body[start:stop] != exact:
            return list(_scan(body, opening))
        listed.append(Member(name, found.start(1), start, stop))
        at = after.end()
    ended = body[at - 1 : at] == b"}" if listed else body[_after_gap(body, at) :].startswith(b"}")
    return listed if ended else list(_scan(body, opening))


def _scan(body: bytes, at: int) -> Iterator[Member]:
    """The same by reading every token. `body` is valid JSON with an object at `at`."""
    at = _after_gap(body, at) + 1
    while (found := _NAME.match(body, at)) is not None:
        end = _value_end(body, found.end())
        yield Member(_decoded(found[1]), found.start(1), found.end(), end)
        at = _separator(body, end)


def _value_end(body: bytes, at: int) -> int:
    if body[at : at + 1] not in (b"{", b"[", b'"'):
        scalar = _SCALAR.match(body, at)
        assert scalar is not None, "valid JSON has a value here"
        return scalar.end()
    depth = 0
    for token in _TOKEN.finditer(body, at):
        first = body[token.start()]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
        if depth == 0:
            return token.end()
    raise AssertionError("valid JSON closes what it opens")


def _decoded(name: bytes) -> str:
    return _text.decode(name) if b"\\" in name else name[1:-1].decode()


def _after_gap(text: bytes, at: int) -> int:
    gap = _GAP.match(text, at)
    return gap.end() if gap is not None else at


def _separator(text: bytes, at: int) -> int:
    """The place after the comma or closing bracket that follows `at`."""
    found = _AFTER.match(text, at)
    assert found is not None, "valid JSON has a separator here"
    return found.end()
