"""What a door that takes forms offers beside a `Dialect`."""

from __future__ import annotations

from typing import Protocol

from ...values.asks import Change, Measure, Wanted
from ...values.uploads import Form, Piece, Upload


class FormDialect(Protocol):
    """A door that takes forms: members beside those of `Dialect`, which read what comes back."""

    NAME: str

    def peek_form(self, form: Form) -> Wanted:
        """The fields that we read. Raises BadRequest naming the one at fault."""
        ...

    def measure_form(self, upload: Upload, wanted: Wanted) -> Measure:
        """How large the input can be at most, and what its files measure: reads them, so in a thread.

        Raises BadRequest: what is no picture, or no sound, or (code `audio_unreadable`) of no length that can be read.
        """
        ...

    def guess_form(self, upload: Upload, wanted: Wanted) -> Measure:
        """The same where files cannot be measured, by their sizes."""
        ...

    def rewrite_form(self, form: Form, wanted: Wanted, change: Change) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
        """The body for upstream, as runs of bytes in order, and note codes."""
        ...
