"""multipart/form-data read on its way in: which part stands where, and the same bytes again with one value changed.

A `FormReader` is fed an upload as it arrives and remembers offsets; of the bytes it keeps only the values of small
fields. So a form is a table of contents over wherever the upload is kept, 20 MB of it cost nothing, and what is sent
on are spans of the client's own bytes: boundary, headers and files stay as they were.

The invariant: another parser reads these bytes as we do. What could be read in two ways (lines that end in LF alone, a
boundary followed by more text, text before the first part, a part named twice where one is meant, an encoded part) is
a BadRequest, because a model's name that upstream finds elsewhere than we did is another price.

Source: RFC 7578, RFC 2046 section 5.1 (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import TypeVar

from msgspec import Struct

from ..values.errors import BadRequest, TooLarge
from ..values.uploads import Form, Part, Piece, Span

MOST_PARTS = 128
HEAD_LIMIT = 16 << 10
FIELD_LIMIT = 1 << 20
"""Bytes of one field that is no file; all of them together may be twice this."""

_BOUNDARY = re.compile(r'(?i)(?:\A|;)\s*boundary=(?:"([^"\\]{1,70})"|([^\s;"]{1,70}))\s*(?=;|\Z)')
_NAMES_ONE = re.compile(r"(?i)boundary\s*=")
_BOUNDARY_CHARS = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]\Z")
_PARAM = re.compile(r';\s*([\w!#$%&\'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s;"]+))\s*')
_PLAIN_ENCODINGS = frozenset({"", "binary", "8bit", "7bit"})
_AFTER = re.compile(rb"[ \t]*\r\n")
_HEAD_END = b"\r\n\r\n"


_T = TypeVar("_T")
_Steps = Generator[None, bytes | None, _T]
"""Yields for more bytes, and is sent them; None where there are no more."""


def rewritten(form: Form, values: Sequence[tuple[str, bytes | None]]) -> tuple[Piece, ...]:
    """The same form with these fields set (None: taken out), as runs of bytes in order; what is not there yet comes
    first. Every other byte is the client's own."""
    wanted = dict(values)
    there = {part.name for part in form.parts}
    boundary = form.boundary.encode()
    new = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name.encode(), value)
        for name, value in values
        if value is not None and name not in there
    )
    pieces: list[Piece] = [new] if new else []
    at = form.parts[0].whole.start
    for part in form.parts:
        if part.name not in wanted:
            continue
        value = wanted[part.name]
        if value is None:
            pieces.append(Span(at, part.whole.start))
            at = part.whole.end
        elif value != part.value:
            pieces += (Span(at, part.content.start), value)
            at = part.content.end
    pieces.append(Span(at, form.size))
    return tuple(piece for piece in pieces if not isinstance(piece, Span) or piece.size)


def boundary_of(content_type: str) -> str:
    """The boundary that a Content-Type names. Raises BadRequest: another type, none, two, one that RFC 2046 forbids."""
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise _bad("The request body must be multipart/form-data", "wrong_content_type", "Content-Type")
    found = _BOUNDARY.findall(";" + parameters)
    names: list[str] = [plain or quoted for quoted, plain in found]
    if len(names) != 1 or not _BOUNDARY_CHARS.match(names[0]) or len(_NAMES_ONE.findall(parameters)) != 1:
        raise _bad("The Content-Type must name one boundary of the form", "invalid_form", "Content-Type")
    return names[0]


class FormReader:
    """Fed an upload in any pieces; `close` gives the form. Raises BadRequest as soon as the bytes are no such form."""

    def __init__(self, content_type: str, *, most_parts: int = MOST_PARTS, field_limit: int = FIELD_LIMIT) -> None:
        self._boundary = boundary_of(content_type)
        self._most, self._limit, self._left = most_parts, field_limit, 2 * field_limit
        self._delimiter = b"\r\n--" + self._boundary.encode("ascii")
        self._held = b"\r\n"  # as if the form began after a line: its first boundary is then like all the others
        self._at = -2  # where in the upload `_held` begins
        self._parts: list[Part] = []
        self._steps = self._read()
        next(self._steps)

    def feed(self, chunk: bytes) -> None:
        self._steps.send(chunk)

    def close(self) -> Form:
        """The upload has ended. Raises BadRequest: it ended inside a part, or there was none."""
        try:
            self._steps.send(None)
        except StopIteration:
            return Form(boundary=self._boundary, size=self._at, parts=tuple(self._parts))
        raise AssertionError("the last step ends it")

    # -- one generator, whose place in the code is the place in the form ---------------------------------------------

    def _read(self) -> _Steps[None]:
        yield from self._to_first()
        while (yield from self._part_follows()):
            if len(self._parts) == self._most:
                raise _bad(f"The form has more than {self._most} parts", "too_many_parts")
            start = self._at
            head = yield from self._head()
            content, value = yield from self._content(head)
            whole = Span(start - len(self._delimiter), content.end + 2)
            self._parts.append(_part(head, whole, content, value))
        yield from self._epilogue()

    def _more(self) -> _Steps[None]:
        """Waits for more bytes. Raises BadRequest where there are no more."""
        chunk = yield
        if chunk is None:
            raise _bad("The form ended early: the boundary that ends it is missing", "bad_body")
        self._held += chunk

    def _at_least(self, count: int) -> _Steps[None]:
        while len(self._held) < count:
            yield from self._more()

    def _skip(self, count: int) -> None:
        self._held = self._held[count:]
        self._at += count

    def _to_first(self) -> _Steps[None]:
        """To behind the first boundary. Raises BadRequest for text before it (one line end is harmless)."""
        yield from self._at_least(len(self._delimiter) + 2)
        if self._held.startswith(b"\r\n\r\n"):
            self._skip(2)
            yield from self._at_least(len(self._delimiter))
        if not self._held.startswith(self._delimiter):
            raise _bad("The form does not begin with the boundary that its Content-Type names")
        self._skip(len(self._delimiter))

    def _part_follows(self) -> _Steps[bool]:
        """Behind a boundary: to the part that begins there, or False behind the form's last dashes."""
        yield from self._at_least(2)
        if self._held.startswith(b"--"):
            if not self._parts:
                raise _bad("The form has no part")
            self._skip(2)
            return False
        while b"\n" not in self._held:
            if len(self._held) > HEAD_LIMIT:
                break
            yield from self._more()
        line = _AFTER.match(self._held)
        if line is None:
            raise _bad("A boundary in the form is followed by something that is no line end")
        self._skip(line.end())
        return True

    def _head(self) -> _Steps[_Head]:
        while (end := self._held.find(_HEAD_END)) < 0:
            if len(self._held) > HEAD_LIMIT:
                raise _bad(f"A part of the form has more than {HEAD_LIMIT} bytes of headers")
            yield from self._more()
        if end > HEAD_LIMIT:
            raise _bad(f"A part of the form has more than {HEAD_LIMIT} bytes of headers")
        head = _read_head(self._held[:end])
        self._skip(end + len(_HEAD_END))
        return head

    def _content(self, head: _Head) -> _Steps[tuple[Span, bytes | None]]:
        """To behind the next boundary: where the content stood, and a field's value."""
        start, kept = self._at, [b""]
        tail = len(self._delimiter) - 1
        while (found := self._held.find(self._delimiter[1:]) - 1) == -2:
            if (passed := len(self._held) - tail) > 0:
                self._pass(head, kept, passed, start)
            yield from self._more()
        if found < 0 or self._held[found : found + 1] != b"\r":
            raise _bad("A boundary in the form stands after a line that ends in LF alone")
        self._pass(head, kept, found, start)
        end = self._at
        self._skip(len(self._delimiter))
        return Span(start, end), None if head.file is not None else b"".join(kept)

    def _pass(self, head: _Head, kept: list[bytes], count: int, start: int) -> None:
        if head.file is None:
            kept.append(self._held[:count])
            self._left -= count
            if self._at + count - start > self._limit or self._left < 0:
                raise TooLarge(
                    f"The field `{head.name}` of the form is larger than {self._limit} bytes", member=head.name
                )
        self._skip(count)

    def _epilogue(self) -> _Steps[None]:
        """Only white space may follow the last boundary."""
        while True:
            if self._held.strip():
                raise _bad("Something follows the last boundary of the form")
            self._skip(len(self._held))
            chunk = yield
            if chunk is None:
                return
            self._held = chunk


class _Head(Struct, frozen=True):
    name: str
    file: str | None
    type: str


def _part(head: _Head, whole: Span, content: Span, value: bytes | None) -> Part:
    return Part(name=head.name, file=head.file, type=head.type, whole=whole, content=content, value=value)


def _read_head(raw: bytes) -> _Head:
    """The headers of a part. Raises BadRequest for what two readers could read in two ways."""
    headers: dict[str, str] = {}
    for line in raw.decode("utf-8", "surrogateescape").split("\r\n"):
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or name != name.strip() or "\n" in line or "\r" in line:
            raise _bad("A part of the form has a malformed header")
        if name in headers:
            raise _bad(f"A part of the form has two headers {name!r}")
        headers[name] = value.strip()
    kind, semicolon, rest = headers.get("content-disposition", "").partition(";")
    parameters = _parameters(semicolon + rest)
    if kind.strip().lower() != "form-data" or not parameters.get("name"):
        raise _bad("A part of the form has no Content-Disposition: form-data with a name")
    if headers.get("content-transfer-encoding", "").lower() not in _PLAIN_ENCODINGS:
        raise _bad("A part of the form is encoded; send it as it is", member=parameters["name"])
    name = parameters["name"].removesuffix("[]")
    file = parameters.get("filename", parameters.get("filename*"))
    return _Head(name, file, headers.get("content-type", "").partition(";")[0].strip().lower())


def _parameters(text: str) -> dict[str, str]:
    """`; name="image"; filename="a.png"` → a dict. Raises BadRequest for one given twice and for anything else."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAM.match(text, at)
        name = match[1].lower() if match is not None else ""
        if match is None or name in found or name == "name*":
            raise _bad("A part of the form has a malformed Content-Disposition")
        found[name] = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        at = match.end()
    return found


def _bad(message: str, code: str = "invalid_form", member: str | None = None) -> BadRequest:
    return BadRequest(message, code=code, member=member)
