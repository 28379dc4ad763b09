"""What a request for pictures asks for, whichever door it came by: checked by the model's own rules, and bounded.

Source: https://developers.openai.com/api/docs/guides/image-generation; limits of DALL·E as they were last published
(2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from ..values.asks import Wanted
from ..values.errors import BadRequest

COUNTS = frozenset({"num_outputs", "num_images", "number_of_images", "batch_size"})
"""Members by which other vendors' models are told to draw several."""

READ = COUNTS | frozenset(
    {"model", "prompt", "n", "size", "quality", "response_format", "stream", "partial_images", "input"}
)

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})\Z")
_GPT_QUALITIES = ("low", "medium", "high", "xhigh", "max", "auto", "standard")
PARTIAL_TOKENS = 100
"""What each partial picture adds. Source: the guide above, "partial image cost"."""


class Picturing(Struct, frozen=True, kw_only=True):
    """The members that decide about price and possibility. times: how many a vendor's own member asks for on top."""

    model: str
    prompt: str
    size: str
    quality: str
    n: int | None
    times: int = 1
    stream: bool = False
    partials: int = 0
    response_format: str = ""


class _Rules(Struct, frozen=True, kw_only=True):
    """sizes and qualities: () for any that is one. most: of n."""

    sizes: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ()
    prompt: int = 0
    most: int = 10


_FIXED = ("1024x1024", "1536x1024", "1024x1536", "auto")
_RULES: tuple[tuple[re.Pattern[str], _Rules], ...] = (
    (re.compile(r"dall-e-2"), _Rules(sizes=("256x256", "512x512", "1024x1024"), prompt=1_000, qualities=("standard",))),
    (
        re.compile(r"dall-e-3"),
        _Rules(sizes=("1024x1024", "1792x1024", "1024x1792"), qualities=("standard", "hd"), prompt=4_000, most=1),
    ),
    (re.compile(r"gpt-image-1|chatgpt-image"), _Rules(sizes=_FIXED, qualities=_GPT_QUALITIES, prompt=32_000)),
    (re.compile(r"gpt-image-"), _Rules(qualities=_GPT_QUALITIES, prompt=32_000)),
)
_ANY = _Rules()

# Output tokens of one picture (square, not square). The newer models are bounded from their price list: dollars a
# picture over the rate of a token, a little rounded up.
_TOKENS: tuple[tuple[re.Pattern[str], Mapping[str, tuple[int, int]]], ...] = (
    (
        re.compile(r"gpt-image-1-mini"),
        {"low": (640, 770), "medium": (1_400, 1_900), "high": (4_550, 6_550)},
    ),
    (
        re.compile(r"gpt-image-1|chatgpt-image"),
        {"low": (300, 420), "medium": (1_100, 1_600), "high": (4_200, 6_300)},
    ),
)
_PER_MEGAPIXEL: Mapping[str, int] = {"low": 260, "medium": 1_900, "high": 7_300, "xhigh": 15_000, "max": 30_000}
_DEAREST = {"": "high", "auto": "high", "standard": "high", "hd": "high"}


def order_of(dialect: str, asked: Picturing, unknown: tuple[str, ...], images: int = 0) -> Wanted:
    """The request as the gateway knows it. Raises BadRequest: `prompt_too_long`, `size_not_supported`,
    `n_not_within_range`."""
    rules = next((rules for pattern, rules in _RULES if pattern.match(_base(asked.model))), _ANY)
    if rules.prompt and len(asked.prompt) > rules.prompt:
        raise BadRequest(
            f"prompt is too long: this model takes {rules.prompt} characters", code="prompt_too_long", member="prompt"
        )
    if not _is_size(asked.size, rules):
        known = f"; use one of {', '.join(rules.sizes)}" if rules.sizes else ""
        raise BadRequest(f"size not supported for this image model{known}", code="size_not_supported", member="size")
    if rules.qualities and asked.quality and asked.quality not in rules.qualities:
        raise BadRequest(f"quality must be one of {', '.join(rules.qualities)} for this model", member="quality")
    if (asked.n or 1) > rules.most:
        raise BadRequest(
            f"invalid value of n: this model draws {rules.most} at a time", code="n_not_within_range", member="n"
        )
    if asked.response_format not in ("", "url", "b64_json"):
        raise BadRequest("response_format must be url or b64_json", member="response_format")
    outputs = (asked.n or 1) * asked.times
    context = {"size": asked.size or "1024x1024", "quality": asked.quality or "standard"}
    return Wanted(
        dialect=dialect,
        model=asked.model,
        stream=asked.stream,
        outputs=outputs,
        unknown=unknown,
        fees={"images": outputs, "output_tokens": outputs * _tokens(asked)},
        counted=(("images",), ("input_tokens", "output_tokens"), ("requests",), ("input_pixels",)),
        context=context,
        modalities=("image",),
    )


def size_of(text: str) -> tuple[int, int] | None:
    """`1024x1536` → (1024, 1536); None for `auto`, "" and whatever is no size."""
    found = _SIZE.match(text)
    return (int(found[1]), int(found[2])) if found else None


def _is_size(size: str, rules: _Rules) -> bool:
    if rules.sizes:
        return not size or size in rules.sizes
    return size in ("", "auto") or size_of(size) is not None


def _tokens(asked: Picturing) -> int:
    quality = _DEAREST.get(asked.quality, asked.quality)
    width, height = size_of(asked.size) or (1024, 1536)
    table = next((table for pattern, table in _TOKENS if pattern.match(_base(asked.model))), None)
    if table is not None:
        square, other = table.get(quality, table["high"])
        tokens = square if width == height else other
    else:
        tokens = -(-_PER_MEGAPIXEL.get(quality, _PER_MEGAPIXEL["max"]) * max(1 << 20, width * height) >> 20)
    return tokens + asked.partials * PARTIAL_TOKENS


def _base(model: str) -> str:
    return model.rsplit("/", 1)[-1].lower()
