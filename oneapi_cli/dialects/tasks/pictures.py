"""Uploaded pictures: what they are, whether they are whole, and a mask put into another vendor's convention.

Pillow reads them, loaded on first use. Nothing is decoded that need not be: PNG is checked by its chunks' checksums,
JPEG at an eighth of its size, WebP by its length; and nothing at all beyond `MOST_PIXELS`, however small its file.
"""

from __future__ import annotations

import io
from functools import cache
from types import ModuleType
from typing import Any, BinaryIO

from msgspec import Struct

from ...values.errors import BadRequest

MOST_PIXELS = 64_000_000
KINDS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
_HALF = 128


class Picture(Struct, frozen=True):
    """type: its media type, by its bytes. transparent: whether it has an alpha channel or a transparent colour."""

    width: int
    height: int
    type: str
    transparent: bool

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


class Slice(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data


Readable = Slice | io.BytesIO


def look_at(file: Readable, size: int, member: str) -> Picture:
    """What a picture is. Raises BadRequest naming `member`: empty, no picture, damaged, cut short, too large."""
    if size <= 0:
        raise _bad(member, "is empty; send a picture", "image_empty")
    with _opened(file, member) as picture:
        seen = Picture(picture.width, picture.height, KINDS[picture.format], _is_transparent(picture))
        if picture.format == "JPEG":
            picture.draft("RGB", (max(1, picture.width // 8), max(1, picture.height // 8)))
            _decoded(picture, member)
        elif picture.format == "PNG":
            _verified(picture, member)
        elif picture.format == "WEBP":
            _check_length(file, size, member)
        else:
            _decoded(picture, member)
    return seen


def flux_mask(data: bytes, member: str = "mask") -> bytes:
    """OpenAI's mask (transparent: change) as Flux's, a PNG in black and white (white: change).

    A mask without any transparency is one in Flux's convention already: its light pixels stay white. Everything that is
    neither is black, so that an opaque white area of OpenAI's stays what it is: kept.
    """
    with _opened(io.BytesIO(data), member) as picture:
        _decoded(picture, member)
        if _is_transparent(picture):
            alpha = picture.convert("RGBA").getchannel("A")
            mask = alpha.point([255] + [0] * 255)
        else:
            mask = picture.convert("L").point([0] * _HALF + [255] * (256 - _HALF))
        out = io.BytesIO()
        mask.save(out, "PNG")
        return out.getvalue()


def same_size(picture: Picture, mask: Picture, member: str = "mask") -> None:
    """Raises BadRequest for a mask of another size than the picture."""
    if picture.size != mask.size:
        sizes = f"{mask.width}x{mask.height}, the image {picture.width}x{picture.height}"
        raise _bad(member, f"must be as large as the image: it is {sizes}", "mask_size")


@cache
def _pillow() -> ModuleType:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # it warns, we refuse: see `_opened`
    return Image


def _opened(file: Readable, member: str) -> Any:
    """A PIL image, its header read and nothing more."""
    pil = _pillow()
    try:
        file.seek(0)
        picture = pil.open(file, formats=tuple(KINDS))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _bad(member, "is not a picture that can be read: send png, jpeg or webp", "image_unreadable") from error
    if picture.width * picture.height > MOST_PIXELS:
        raise _bad(member, f"has {picture.width}x{picture.height} pixels; that is too many", "image_too_large")
    return picture


def _verified(picture: Any, member: str) -> None:
    try:
        picture.verify()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _damaged(member) from error


def _decoded(picture: Any, member: str) -> None:
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _damaged(member) from error


def _check_length(file: Readable, size: int, member: str) -> None:
    """A RIFF file says how long it is."""
    file.seek(4)
    if int.from_bytes(file.read(4), "little") + 8 > size:
        raise _damaged(member)


def _is_transparent(picture: Any) -> bool:
    return bool(picture.has_transparency_data)


def _damaged(member: str) -> BadRequest:
    return _bad(member, "is damaged or cut short", "image_unreadable")


def _bad(member: str, what: str, code: str) -> BadRequest:
    return BadRequest(f"`{member}` {what}", code=code, member=member)
