"""What a request costs, exactly, and the most it can cost. Pure: a usage and a sheet in, integers and lines out.

A reported total includes its parts, so each rate is charged for its unit's amount less what the rates of its parts
have taken already ("leaves", most specific first); what has no rate of its own stays in the nearest total that has
one. The sum is a rational number, rounded up to whole nano-dollars once, after the multiplier. No floats, and no
decimal context that could round: amounts are ints, or fractions where a duration has decimals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from oneapi_cli.values.holds import BillLine
from oneapi_cli.values.money import PICOS_PER_NANO
from oneapi_cli.values.units import PER_MILLION, UNITS, Unit
from oneapi_cli.values.usage import Count, Usage

from .price_card import Card, Rate, Sheet, nearest

Mode = Literal[
    "cache_write", "cache_write_1h", "audio_in", "image_in", "video_in", "audio_out", "image_out", "video_out"
]
"""What a request may use beyond text: cache writes (five minutes, one hour), other modalities on the way in or out."""

_ONE = Decimal(1)
_SECONDS = ("audio_seconds", "input_audio_seconds")
_MEASURES = frozenset({"characters", "durations", "images", "pixels"})
_AmountMap = Mapping[str, int | Fraction]


class Cost(Struct, frozen=True, kw_only=True):
    """nanos: rounded up once. lines: what explains it; the last is `rounding`, and their picos sum to nanos × 1000.

    uncovered: units that were used and that nothing here prices; whoever refused the unpriced beforehand finds it
    empty.
    """

    nanos: int
    lines: tuple[BillLine, ...]
    uncovered: tuple[str, ...] = ()


class _Leaf(Struct, frozen=True):
    """amount of a rate's own; nanos at the tier chosen; note: what was odd about the amounts."""

    rate: Rate
    amount: int | Fraction
    nanos: int
    factor: int
    note: str


def cost_of(usage: Usage, sheet: Sheet, multiplier: Decimal = _ONE) -> Cost:
    """The bill of one request. multiplier: the user's, not negative, applied to the exact sum before it is rounded up.

    Amounts that contradict each other (more cached tokens than prompt) never make a leaf negative: the part is charged
    as reported, the rest of the total as nothing, and the part's line says so.
    """
    amounts = _amounts(usage, sheet)
    leaves = _leaves(amounts, sheet)
    exact = sum(leaf.amount * leaf.nanos * leaf.factor for leaf in leaves)
    scale = sheet.scale
    lines = [_line(leaf) for leaf in leaves if leaf.amount]
    if multiplier != _ONE:
        up, down = multiplier.as_integer_ratio()
        lines.append(_multiplier_line(Fraction(exact) * (up - down) / (down * scale), multiplier))
        exact, scale = exact * up, scale * down
    nanos = -int(-exact // scale)
    rest = nanos * PICOS_PER_NANO - sum(line.picos for line in lines)
    rounding = BillLine(unit="rounding", amount="1", rate_nanos=0, per=1, rule="up to a whole nano-dollar", picos=rest)
    return Cost(nanos=nanos, lines=(*lines, rounding), uncovered=_uncovered(amounts, leaves, sheet))


def exact_of(usage: Usage, sheet: Sheet) -> Fraction:
    """The cost in nano-dollars before the multiplier and before rounding."""
    leaves = _leaves(_amounts(usage, sheet), sheet)
    return Fraction(sum(leaf.amount * leaf.nanos * leaf.factor for leaf in leaves)) / sheet.scale


def dearest(
    card: Card,
    at: datetime,
    *,
    tokens_in: int,
    context: Mapping[str, str] | None = None,
    modes: Set[Mode] = frozenset(),
) -> tuple[int, int]:
    """(input, output) nano-dollars per million tokens that no token of this request can exceed, rounded up.

    tokens_in: a bound of the input, which bounds the tiers. context: what was asked for, such as {"service_tier":
    "flex"}; the vendor may fall back to standard, so both count, and for `auto` every value the card knows does.
    Reasoning is output.
    """
    rates_in, rates_out = 0, 0
    for sheet in _reachable(card, at, context or {}):
        for step in sheet.steps:
            unit = UNITS[step.rate.unit]
            if unit.dimensions["family"] != "tokens" or not _can_occur(unit, modes):
                continue
            nanos = -(-step.rate.dearest(tokens_in) * PER_MILLION // step.rate.per)
            if unit.dimensions["direction"] == "input":
                rates_in = max(rates_in, nanos)
            else:
                rates_out = max(rates_out, nanos)
    return rates_in, rates_out


def fee_nanos(card: Card, at: datetime, unit: str, count: Count, *, context: Mapping[str, str] | None = None) -> int:
    """The most that `count` of a unit outside the token rates can cost: `requests`, `web_searches`, `images`,
    `audio_seconds`, `input_characters`… 0 where nothing prices it (`Sheet.covers` tells that from a price of 0)."""
    return max(_fee(sheet, UNITS[unit], count) for sheet in _reachable(card, at, context or {}))


def _fee(sheet: Sheet, unit: Unit, count: Count) -> int:
    amount = _fraction(count)
    if sheet.least_seconds and amount and unit.key in _SECONDS:
        amount = max(amount, sheet.least_seconds)
    rates = [step.rate for step in sheet.steps if unit.includes(UNITS[step.rate.unit])]
    if (own := nearest(sheet, unit.key)) is not None:
        rates.append(own)
    each = [(max(rate.nanos, *(nanos for _, nanos in rate.tiers), 0), rate.per) for rate in rates]
    return max((-int(-amount * nanos // per) for nanos, per in each), default=0)


def _reachable(card: Card, at: datetime, context: Mapping[str, str]) -> Iterator[Sheet]:
    """The sheets that a request in this context may be billed by."""
    yield card.sheet(at, {})
    if not context:
        return
    yield card.sheet(at, context)
    for name, value in context.items():
        if value == "auto":
            for served in card.known(name):
                yield card.sheet(at, {**context, name: served})


def _can_occur(unit: Unit, modes: Set[Mode]) -> bool:
    dimensions = unit.dimensions
    if dimensions.get("token_type") == "cache_write":
        longest = dimensions.get("cache_ttl") == "1h"
        if "cache_write_1h" not in modes and (longest or "cache_write" not in modes):
            return False
    modality = dimensions.get("modality", "text")
    side = "in" if dimensions["direction"] == "input" else "out"
    return modality == "text" or f"{modality}_{side}" in modes


def _amounts(usage: Usage, sheet: Sheet) -> _AmountMap:
    """The counts as ints and fractions, none negative, with the reasoning tokens where a sheet has a rate for them."""
    counts = {
        unit: max(0, count) if type(count) is int else max(Fraction(0), _fraction(count))
        for unit, count in (usage.counts if usage.billed is None else usage.billed).items()
    }
    if usage.reasoning_tokens is not None:
        counts.setdefault("output_reasoning_tokens", max(0, usage.reasoning_tokens))
    if sheet.least_seconds:
        seconds = max(counts.get(unit, 0) for unit in _SECONDS)
        if seconds:
            counts.update(dict.fromkeys(_SECONDS, max(seconds, sheet.least_seconds)))
    return counts


def _leaves(amounts: _AmountMap, sheet: Sheet) -> list[_Leaf]:
    """The amount that each rate of the sheet is charged for, in the sheet's order."""
    input_tokens = _amount(UNITS["input_tokens"], amounts) if sheet.tiered else 0
    own: list[int | Fraction] = []
    notes: dict[int, str] = {}
    for step in sheet.steps:
        total = 1 if step.rate.unit == "requests" else _amount(UNITS[step.rate.unit], amounts)
        taken = sum(own[i] for i in step.parts)
        if taken > total:
            said = f"; with the other parts {_text(taken)} of {_text(total)} {step.rate.unit}: the rest counts as 0"
            notes.update({i: said for i in step.parts if own[i]})
        own.append(max(0, total - taken))
    return [
        _Leaf(step.rate, amount, *_chosen(step.rate, input_tokens, step.factor, notes.get(i, ""), sheet.least_seconds))
        for i, (step, amount) in enumerate(zip(sheet.steps, own, strict=True))
    ]


def _chosen(
    rate: Rate, input_tokens: int | Fraction, factor: int, note: str, least_seconds: int
) -> tuple[int, int, str]:
    nanos, start = rate.at(input_tokens)
    if start >= 0:
        note = f", tier > {start} input tokens{note}"
    if least_seconds and rate.unit in _SECONDS:
        note = f", at least {least_seconds} s{note}"
    return nanos, factor, note


def _amount(unit: Unit, amounts: _AmountMap) -> int | Fraction:
    """What was reported; where a total was not, the sum of those of its parts that are not parts of each other."""
    amount = amounts.get(unit.key)
    if amount is not None:
        return amount
    parts = [part for key in amounts if (part := UNITS.get(key)) is not None and unit.includes(part)]
    if not parts:
        return 0
    return sum(amounts[p.key] for p in parts if not any(q is not p and q.includes(p) for q in parts))


def _uncovered(amounts: _AmountMap, leaves: list[_Leaf], sheet: Sheet) -> tuple[str, ...]:
    """Used units that lie outside every rate, unless the rates of their parts account for all of them."""
    if sheet.free:
        return ()
    priced = {leaf.rate.unit for leaf in leaves}
    paid_by = {UNITS[leaf.rate.unit].dimensions["family"] for leaf in leaves if leaf.amount}
    found = []
    for key, amount in amounts.items():
        if not amount or key in priced or nearest(sheet, key) is not None:
            continue
        unit = UNITS.get(key)
        if unit is not None and _measured_otherwise(unit.dimensions["family"], paid_by):
            continue
        inside = sum(leaf.amount for leaf in leaves if unit is not None and unit.includes(UNITS[leaf.rate.unit]))
        if amount > inside:
            found.append(key)
    return tuple(found)


def _measured_otherwise(family: str, paid_by: Set[str]) -> bool:
    """Whether the same thing was counted in another way as well, and paid for by that: a picture has a number of
    tokens, a sound has seconds, and a text has characters."""
    if family in _MEASURES:
        return bool(paid_by & (_MEASURES | {"tokens", "requests"}))
    return family == "tokens" and bool(paid_by & _MEASURES)


def _line(leaf: _Leaf) -> BillLine:
    rate = leaf.rate
    return BillLine(
        unit=rate.unit,
        amount=_text(leaf.amount),
        rate_nanos=leaf.nanos,
        per=rate.per,
        rule=f"{rate.rule}{leaf.note}",
        picos=int(leaf.amount * leaf.nanos * PICOS_PER_NANO // rate.per),
    )


def _multiplier_line(nanos: Fraction, multiplier: Decimal) -> BillLine:
    return BillLine(
        unit="multiplier",
        amount=f"{multiplier:f}",
        rate_nanos=0,
        per=1,
        rule=f"the lines above × {multiplier:f}, the user's multiplier",
        picos=int(nanos * PICOS_PER_NANO),
    )


def _fraction(count: Count) -> int | Fraction:
    if isinstance(count, int):
        return count
    exact = Fraction(count)
    return exact.numerator if exact.denominator == 1 else exact


def _text(amount: int | Fraction) -> str:
    """An amount as decimal text, every digit."""
    if isinstance(amount, int):
        return str(amount)
    with localcontext(prec=200):
        return f"{(Decimal(amount.numerator) / Decimal(amount.denominator)).normalize():f}"
