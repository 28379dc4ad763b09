"""What clients upload as forms: a table of contents, and the file in which the bytes lie.

A form of 20 MB is never in memory: `Upload` is where it is kept, and what is sent on is `Assembled`, runs of the
client's own bytes with a few of ours between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from msgspec import Struct

from .errors import BadRequest

_CHUNK = 1 << 18


class Span(Struct, frozen=True):
    """Bytes `start` to `end` (not included) of an upload."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


Piece = bytes | Span
"""A run of bytes of a body: given, or lying in the upload that it was made from."""


class Part(Struct, frozen=True, kw_only=True):
    """One part. file: its file name, None for a plain field. value: the bytes of a plain field, None for a file.
    whole: from its boundary line to the boundary that ends it; content: what it holds."""

    name: str
    file: str | None
    type: str
    whole: Span
    content: Span
    value: bytes | None = None


class Form(Struct, frozen=True, kw_only=True):
    """A whole upload, read. Names with `[]` behind them are the same name without: `image[]` is `image`."""

    boundary: str
    size: int
    parts: tuple[Part, ...]

    @property
    def content_type(self) -> str:
        return f'multipart/form-data; boundary="{self.boundary}"'

    def named(self, name: str) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.name == name)

    def names(self) -> tuple[str, ...]:
        """Every name once, in order."""
        return tuple(dict.fromkeys(part.name for part in self.parts))

    def check(self, read: frozenset[str]) -> None:
        """Raises BadRequest where a name that we read stands in other capitals: upstream may take it for the same."""
        for name in self.names():
            if name not in read and (meant := name.strip().lower()) in read:
                raise _bad(f"`{name[:64]}` is not a member; write it as `{meant}`", "unknown_member", meant)

    def text(self, name: str) -> str | None:
        """The value of a field, None where it is absent or empty. Raises BadRequest: given twice, a file, not UTF-8."""
        found = self.named(name)
        if len(found) > 1:
            raise _bad(f"`{name}` is given twice in the form; leave one out", "duplicate_member", name)
        if not found:
            return None
        value = found[0].value
        if value is None:
            raise _bad(f"`{name}` must be a field of the form, not a file", member=name)
        try:
            return value.decode() or None
        except UnicodeDecodeError:
            raise _bad(f"`{name}` is not UTF-8", member=name) from None

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of a field that may be given several times. Raises BadRequest: a file, not UTF-8."""
        try:
            values = [part.value for part in self.named(name)]
            return tuple(value.decode() for value in values if value is not None)
        except UnicodeDecodeError:
            raise _bad(f"`{name}` is not UTF-8", member=name) from None

    def files(self, name: str) -> tuple[Part, ...]:
        """The files under a name. Raises BadRequest where one is a plain field."""
        found = self.named(name)
        if any(part.file is None for part in found):
            raise _bad(f"`{name}` must be a file: give it a file name", member=name)
        return found


def size_of(pieces: Sequence[Piece]) -> int:
    """The length of a body made of these."""
    return sum(piece.size if isinstance(piece, Span) else len(piece) for piece in pieces)


class Upload(Struct, frozen=True):
    """A form that was received. file: seekable, its positions are the form's offsets; whoever reads it seeks first."""

    form: Form
    file: BinaryIO

    def content(self, part: Part) -> bytes:
        """A part's own bytes, in memory."""
        self.file.seek(part.content.start)
        return self.file.read(part.content.size)


class Assembled(Struct, frozen=True):
    """A body made of runs of bytes, some of which lie in a file. Can be read any number of times."""

    pieces: tuple[Piece, ...]
    file: BinaryIO

    @property
    def size(self) -> int:
        return size_of(self.pieces)

    def chunks(self) -> Iterator[bytes]:
        """Its bytes in order, at most 256 KiB at a time."""
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            at = piece.start
            while at < piece.end:
                self.file.seek(at)
                chunk = self.file.read(min(_CHUNK, piece.end - at))
                if not chunk:
                    raise OSError("the upload's file is shorter than it was")
                at += len(chunk)
                yield chunk


def _bad(message: str, code: str = "invalid_form", member: str | None = None) -> BadRequest:
    return BadRequest(message, code=code, member=member)
