"""Forms that clients upload, as dialects see them: a table of contents, and the file in which the bytes lie."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from msgspec import Struct

from ...framing.multipart import Form, Part, Piece
from ...values.asks import Change, Measure, Wanted


class Upload(Struct, frozen=True):
    """file: seekable, positions in it are the form's offsets. Whoever reads it seeks first."""

    form: Form
    file: BinaryIO

    def content(self, part: Part) -> bytes:
        """A part's own bytes, in memory: for pictures that have to be sent in another form."""
        self.file.seek(part.content.start)
        return self.file.read(part.content.size)


class FormDialect(Protocol):
    """A door that takes forms: module-level functions beside those of `Dialect`, which read what comes back."""

    NAME: str

    def peek_form(self, form: Form) -> Wanted:
        """The fields that we read. Raises BadRequest naming the one at fault."""
        ...

    def measure_form(self, upload: Upload, wanted: Wanted) -> Measure:
        """How large the input can be at most, and what its files measure: reads them, so in a thread.

        Raises BadRequest: what is no picture, or no sound, or (code `audio_unreadable`) of no length that can be read.
        """
        ...

    def rewrite_form(self, form: Form, wanted: Wanted, change: Change) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
        """The body for upstream, as runs of bytes in order, and note codes."""
        ...
