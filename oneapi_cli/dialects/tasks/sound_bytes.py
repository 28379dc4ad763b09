"""Bounded reads of an uploaded file, for those who measure what is in it. Offsets only, never the whole file.

Nothing here believes a length that the file states: every read is clipped to what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Protocol

WINDOW = 1 << 18


class Unmeasurable(Exception):
    """Not a sound that this can measure; says why in a few words."""


class Source(Protocol):
    """Bytes by offset; reads beyond the end are short."""

    size: int

    def read(self, at: int, count: int) -> bytes: ...


class FileSource:
    """A file from `start` on, `size` bytes of it, read in windows."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self.size = file, start, size
        self._window, self._at = b"", 0

    def read(self, at: int, count: int) -> bytes:
        """Up to `count` bytes at `at`; from the window where they lie in it."""
        into = at - self._at
        if into >= 0 and into + count <= len(self._window):
            return self._window[into : into + count]
        if at < 0 or at >= self.size:
            return b""
        self._file.seek(self._start + at)
        self._window = self._file.read(min(max(count, WINDOW), self.size - at))
        self._at = at
        return self._window[:count]


class JoinedSource:
    """Runs of another source, one behind the other: an elementary stream inside a container."""

    def __init__(self, source: Source, runs: Sequence[tuple[int, int]]) -> None:
        self._source, self._runs = source, runs
        self._starts: list[int] = []
        total = 0
        for _, length in runs:
            self._starts.append(total)
            total += length
        self.size = total
        self._window, self._at, self._run = b"", 0, 0

    def read(self, at: int, count: int) -> bytes:
        """Up to `count` bytes at `at`, going forward."""
        into = at - self._at
        if into >= 0 and into + count <= len(self._window):
            return self._window[into : into + count]
        if at < self._at:
            self._run = 0
        while self._run + 1 < len(self._runs) and self._starts[self._run + 1] <= at:
            self._run += 1
        pieces, have, run = [], 0, self._run
        while have < max(count, WINDOW) and run < len(self._runs):
            start, length = self._runs[run]
            skip = max(0, at - self._starts[run])
            piece = self._source.read(start + skip, length - skip)
            pieces.append(piece)
            have, run = have + len(piece), run + 1
        self._window, self._at = b"".join(pieces), at
        return self._window[:count]


def little(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def big(raw: bytes) -> int:
    return int.from_bytes(raw, "big")
