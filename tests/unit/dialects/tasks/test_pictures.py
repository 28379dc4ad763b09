"""Pictures: what they are, what is wrong with them, and masks from one convention into the other."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from oneapi_cli.dialects.tasks.drawings import nearest_ratio, split
from oneapi_cli.dialects.tasks.pictures import Picture, Slice, flux_mask, look_at, same_size
from oneapi_cli.values.errors import BadRequest


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def noise(size: tuple[int, int] = (60, 40), mode: str = "RGB") -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, size, random.Random(3).randbytes(size[0] * size[1] * bands))


def looked(data: bytes) -> Picture:
    return look_at(io.BytesIO(data), len(data), "image")


@dataclass(frozen=True)
class Known:
    name: str
    data: bytes
    picture: Picture


KNOWN = [
    Known("png", saved(noise()), Picture(60, 40, "image/png", False)),
    Known("png with alpha", saved(noise(mode="RGBA")), Picture(60, 40, "image/png", True)),
    Known("jpeg", saved(noise(), "JPEG"), Picture(60, 40, "image/jpeg", False)),
    Known("progressive jpeg", saved(noise(), "JPEG", progressive=True), Picture(60, 40, "image/jpeg", False)),
    Known("webp", saved(noise(), "WEBP"), Picture(60, 40, "image/webp", False)),
    Known("gif", saved(noise(), "GIF"), Picture(60, 40, "image/gif", False)),
]


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: case.name)
def test_what_it_is(case: Known) -> None:
    assert looked(case.data) == case.picture
    inside = b"front" + case.data + b"behind"
    with Slice(io.BytesIO(inside), 5, len(case.data)) as file:
        assert look_at(file, len(case.data), "image") == case.picture


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: case.name)
def test_cut_short_is_refused(case: Known) -> None:
    for end in (len(case.data) // 2, len(case.data) * 3 // 4, 30, 9, 1):
        with pytest.raises(BadRequest) as caught:
            looked(case.data[:end])
        assert caught.value.member == "image"


def test_a_png_with_a_wrong_bit_is_refused() -> None:
    data = bytearray(saved(noise()))
    data[len(data) // 2] ^= 1
    with pytest.raises(BadRequest, match="damaged"):
        looked(bytes(data))


def test_a_bomb_is_refused_by_its_header() -> None:
    data = saved(Image.new("L", (16, 16)))
    header = data[:16] + (60_000).to_bytes(4, "big") * 2 + data[24:]
    with pytest.raises(BadRequest) as caught:
        looked(header)
    assert caught.value.code in ("image_too_large", "image_unreadable")


@pytest.mark.parametrize("raw", [b"", b"hello", b"%PDF-1.7", b"<svg/>", bytes(5000)])
def test_no_picture(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        looked(raw)


# 0 transparent, 1 faint, 2 opaque white, 3 opaque black
_PIXELS = ((9, 9, 9, 0), (9, 9, 9, 1), (255, 255, 255, 255), (0, 0, 0, 255))


@dataclass(frozen=True)
class Mask:
    name: str
    data: bytes
    white: tuple[bool, ...]


def _rgba() -> Image.Image:
    made = Image.new("RGBA", (4, 1))
    made.putdata(_PIXELS)
    return made


def _palette() -> bytes:
    made = Image.new("P", (4, 1))
    made.putpalette([9, 9, 9, 255, 255, 255, 0, 0, 0, 70, 70, 70])
    made.putdata([0, 1, 2, 3])
    return saved(made, transparency=0)


def _plain(mode: str) -> bytes:
    made = Image.new("RGB", (4, 1))
    made.putdata([(255, 255, 255), (0, 0, 0), (200, 200, 200), (60, 60, 60)])
    return saved(made.convert(mode, dither=Image.Dither.NONE))


MASKS = [
    Mask("transparent is white, all else black", saved(_rgba()), (True, False, False, False)),
    Mask("grey with alpha", saved(_rgba().convert("LA")), (True, False, False, False)),
    Mask("a transparent colour", _palette(), (True, False, False, False)),
    Mask("webp", saved(_rgba(), "WEBP", lossless=True, exact=True), (True, False, False, False)),
    Mask("without alpha it is Flux's already", _plain("RGB"), (True, False, True, False)),
    Mask("grey without alpha", _plain("L"), (True, False, True, False)),
    Mask("one bit", _plain("1"), (True, False, True, False)),
]


@pytest.mark.parametrize("case", MASKS, ids=lambda case: case.name)
def test_masks(case: Mask) -> None:
    mask = Image.open(io.BytesIO(flux_mask(case.data)))
    assert (mask.format, mask.mode, mask.size) == ("PNG", "L", (4, 1))
    assert tuple(mask.getpixel((x, 0)) for x in range(4)) == tuple(255 if white else 0 for white in case.white)


def test_a_mask_that_is_none() -> None:
    with pytest.raises(BadRequest) as caught:
        flux_mask(b"nothing")
    assert caught.value.member == "mask"
    with pytest.raises(BadRequest, match="4x1, the image 60x40"):
        same_size(looked(KNOWN[0].data), looked(saved(_rgba())))


@pytest.mark.parametrize(
    ("size", "ratio"),
    [((1024, 1024), "1:1"), ((1792, 1024), "16:9"), ((1024, 1536), "2:3"), ((100, 1), "21:9"), ((1000, 990), "1:1")],
)
def test_ratios(size: tuple[int, int], ratio: str) -> None:
    assert nearest_ratio(size, ("1:1", "2:3", "3:2", "9:16", "16:9", "21:9")) == ratio


def test_split() -> None:
    assert [split(n, 4) for n in (1, 4, 5, 10)] == [[1], [4], [4, 1], [4, 4, 2]]
