"""The units that things are counted in, how they lie inside each other, and the names a config prices them by.

A unit is a point in a few dimensions, as genai-prices has it: `cache_read_tokens` is input tokens of token type
`cache_read`, `cache_audio_read_tokens` is that and audio. One unit is part of another when it has all of the other's
dimensions and more, and a total includes its parts. `images` is ours (the catalogue has no unit for a produced image).

The table must agree with the catalogue's own, unit by unit; a test holds them together.
Source: genai-prices 0.2.3, `genai_prices/data_units.py` (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import cached_property

from msgspec import Struct

from .vendor import PriceLine

PER_MILLION = 1_000_000
MAX_USD = 1_000_000
MAX_DECIMALS = 18

_MODALITIES = ("", "text", "audio", "image", "video")
_CACHE_TYPES = (("read", "cache_read", ""), ("write", "cache_write", ""), ("write_5m", "cache_write", "5m"))
_CACHED = (*_CACHE_TYPES, ("write_1h", "cache_write", "1h"))


class Unit(Struct, frozen=True, dict=True):
    """One unit: its key in `Usage.counts` and its dimensions (`family`, `direction`, `modality`, `token_type`…)."""

    key: str
    dimensions: Mapping[str, str]

    @cached_property
    def place(self) -> frozenset[tuple[str, str]]:
        """The dimensions as a set: inclusion of sets is inclusion of units."""
        return frozenset(self.dimensions.items())

    def includes(self, other: Unit) -> bool:
        """Whether every one of `other` is one of these too (a unit includes itself)."""
        return self.place <= other.place

    def overlaps(self, other: Unit) -> bool:
        """Whether one thing could be counted by both: no dimension says otherwise."""
        return all(other.dimensions.get(key, value) == value for key, value in self.dimensions.items())


class RateName(Struct, frozen=True):
    """A name a config prices by: `dollars` there are for `per` of `unit`."""

    name: str
    unit: str
    per: int


def _tokens(key: str, direction: str, modality: str, token_type: str = "", cache_ttl: str = "") -> Unit:
    given = {"direction": direction, "modality": modality, "token_type": token_type, "cache_ttl": cache_ttl}
    return Unit(key, {"family": "tokens"} | {name: value for name, value in given.items() if value})


def _token_units() -> Iterator[Unit]:
    for modality in _MODALITIES:
        infix = f"_{modality}" if modality else ""
        yield _tokens(f"input{infix}_tokens", "input", modality)
        yield _tokens(f"output{infix}_tokens", "output", modality)
        yield _tokens(f"input{infix}_tool_tokens", "input", modality, "tool")
        for kind in ("reasoning", "citation"):
            yield _tokens(f"output{infix}_{kind}_tokens", "output", modality, kind)
        for suffix, token_type, cache_ttl in _CACHED:
            yield _tokens(f"cache{infix}_{suffix}_tokens", "input", modality, token_type, cache_ttl)


_OTHERS = (
    Unit("input_characters", {"family": "characters", "direction": "input"}),
    Unit("input_text_messages", {"family": "messages", "direction": "input", "modality": "text"}),
    Unit("audio_seconds", {"family": "durations", "modality": "audio"}),
    Unit("input_audio_seconds", {"family": "durations", "direction": "input", "modality": "audio"}),
    Unit("output_audio_seconds", {"family": "durations", "direction": "output", "modality": "audio"}),
    Unit("input_pixels", {"family": "pixels", "direction": "input"}),
    Unit("input_document_pages", {"family": "document_pages", "direction": "input"}),
    Unit(
        "input_annotated_document_pages",
        {"family": "document_pages", "direction": "input", "page_type": "annotated"},
    ),
    Unit("rerank_searches", {"family": "rerank"}),
    Unit("web_searches", {"family": "tool_calls", "tool_type": "web_search"}),
    Unit("social_searches", {"family": "tool_calls", "tool_type": "social_search"}),
    Unit("storage_searches", {"family": "tool_calls", "tool_type": "storage_search"}),
    Unit("code_executions", {"family": "tool_calls", "tool_type": "code_execution"}),
    Unit("requests", {"family": "requests"}),
    Unit("images", {"family": "images", "direction": "output"}),
)

UNITS: Mapping[str, Unit] = {unit.key: unit for unit in (*_token_units(), *_OTHERS)}
UNITS_BY_PLACE: Mapping[frozenset[tuple[str, str]], Unit] = {unit.place: unit for unit in UNITS.values()}

# A singular noun is the price of one; what is not a noun of its own is tokens, per million.
_SINGLE = (
    RateName("image", "images", 1),
    RateName("request", "requests", 1),
    RateName("page", "input_document_pages", 1),
    RateName("annotated_page", "input_annotated_document_pages", 1),
    RateName("character", "input_characters", 1),
    RateName("million_characters", "input_characters", PER_MILLION),
    RateName("message", "input_text_messages", 1),
    RateName("megapixel", "input_pixels", PER_MILLION),
    RateName("web_search", "web_searches", 1),
    RateName("social_search", "social_searches", 1),
    RateName("storage_search", "storage_searches", 1),
    RateName("rerank_search", "rerank_searches", 1),
    RateName("code_execution", "code_executions", 1),
    *(
        RateName(f"{side}audio_{name}", f"{side}audio_seconds", seconds)
        for side in ("", "input_", "output_")
        for name, seconds in (("second", 1), ("minute", 60), ("hour", 3600))
    ),
)
_SHORT = (
    RateName("reasoning", "output_reasoning_tokens", PER_MILLION),
    RateName("citation", "output_citation_tokens", PER_MILLION),
)

RATE_NAMES: Mapping[str, RateName] = {
    rate.name: rate
    for rate in (
        *(RateName(key.removesuffix("_tokens"), key, PER_MILLION) for key in UNITS if key.endswith("_tokens")),
        *_SHORT,
        *_SINGLE,
    )
}
"""`input`, `output`, `cache_read`, `cache_write_1h`, `input_audio`, `reasoning`…: dollars per million tokens. `image`,
`request`, `page`, `character`, `web_search`, `audio_minute`…: dollars for one of it. `million_characters`, `megapixel`.
"""

# Where somebody would look first for what is called otherwise here.
_MISTAKEN = {
    "prompt": "input",
    "completion": "output",
    "cached": "cache_read",
    "cached_input": "cache_read",
    "search": "web_search",
    "minute": "audio_minute",
    "second": "audio_second",
    "per_request": "request",
    "per_image": "image",
    "characters": "million_characters",
    "images": "image",
}


def usd_text(value: object) -> str:
    """A price as YAML gave it → the decimal text of dollars, nothing lost: 3, 3.0 and "3.00" are all read.

    Raises ValueError with a sentence for whatever is not a plain amount from 0 to a million dollars.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"{value!r} is not a price: write dollars, such as 2.50")
    text = repr(value) if isinstance(value, float) else str(value).strip().removeprefix("$")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a price: write dollars, such as 2.50") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{value!r} is not a price: it must be 0 or more")
    if amount > MAX_USD:
        raise ValueError(f"{value!r} is more than ${MAX_USD:,}: prices are in dollars")
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_DECIMALS:
        raise ValueError(f"{value!r} has more than {MAX_DECIMALS} decimals")
    return f"{amount:f}"


def price_line_faults(mapping: Mapping[str, object]) -> list[tuple[str, str]]:
    """Everything wrong with one line of `prices:`, as (key at fault or "", a sentence with its remedy)."""
    faults = [(str(key), fault) for key, value in mapping.items() if (fault := _key_fault(key, value))]
    names = [key for key in mapping if key in RATE_NAMES]
    free = mapping.get("free") is True
    if free and names:
        faults.append(("free", "`free: true` and a price contradict each other: keep one of them"))
    elif not free and not names and not faults:
        faults.append(("", "no price is given: write input and output, or `free: true` if it costs nothing"))
    if not faults and not free:
        faults += _whole_line_faults(names, mapping)
    return faults


def parse_line(name: str, mapping: Mapping[str, object]) -> PriceLine:
    """One line of `prices:` → PriceLine with its amounts as decimal text.

    Raises ValueError with a sentence per fault; `price_line_faults` gives the same with the key each belongs to.
    """
    if faults := price_line_faults(mapping):
        raise ValueError(" ".join(f"{name}{'.' + key if key else ''}: {sentence}." for key, sentence in faults))
    rates = {key: usd_text(value) for key, value in mapping.items() if key in RATE_NAMES}
    return PriceLine(rates=rates, free=mapping.get("free") is True)


def nearest_rate_names(name: str) -> list[str]:
    """Up to three names that somebody who wrote `name` may have meant, the likeliest first."""
    compact = re.sub(r"(_tokens?|_per_million|_mtok|_price|_cost)+$", "", name.strip().lower().replace("-", "_"))
    if compact in RATE_NAMES:
        return [compact]
    if compact in _MISTAKEN:
        return [_MISTAKEN[compact]]
    return get_close_matches(compact, RATE_NAMES, n=3, cutoff=0.6)


def _key_fault(key: object, value: object) -> str:
    if key == "free":
        return "" if isinstance(value, bool) else "`free` is true or false"
    if not isinstance(key, str) or key not in RATE_NAMES:
        near = nearest_rate_names(str(key))
        remedy = (
            f"did you mean {' or '.join(near)}?" if near else "known are input, output, cache_read, image, request…"
        )
        return f"{key!r} is not a rate: {remedy}"
    try:
        usd_text(value)
    except ValueError as error:
        return str(error)
    return ""


def _whole_line_faults(names: list[str], mapping: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    units: dict[str, str] = {}
    for name in names:
        unit = RATE_NAMES[name].unit
        if unit in units:
            yield name, f"`{units[unit]}` prices the same thing: keep one of them"
        units.setdefault(unit, name)
    for unit, name in units.items():
        if (total := _total_of(unit)) and total not in units:
            needed = total.removesuffix("_tokens")
            yield name, f"`{name}` is a part of all {needed} tokens, which have no price: give `{needed}` too"
    if "output_tokens" in units and "input_tokens" not in units:
        yield "output", "`input` has no price: give it too (0 if prompts cost nothing)"
    if all(Decimal(usd_text(mapping[name])) == 0 for name in names):
        yield "", "every rate is 0: say `free: true` if it costs nothing"


def _total_of(key: str) -> str:
    """The total without which a part cannot be split off: a price of cached tokens says nothing of the others."""
    dimensions = UNITS[key].dimensions
    total = f"{dimensions['direction']}_tokens" if dimensions["family"] == "tokens" else key
    return "" if total == key else total
