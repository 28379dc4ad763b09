"""What one model costs, as plain values: rates, the sheet that holds at one moment, the card of all its sheets.

Rates are integers: nano-dollars per `per` units. Where a price is not a whole number of nano-dollars per million (the
catalogue has a few with sixteen decimals), `per` grows by powers of ten until it is, so nothing is ever rounded here.
A card is resolved once and needs no library afterwards; choosing a sheet is comparing a few dates and strings.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from itertools import combinations

from msgspec import Struct, field
from msgspec.structs import replace

from oneapi_cli.values.units import UNITS, UNITS_BY_PLACE, Unit

_PLACES_OF_NANO = 9


class Rate(Struct, frozen=True):
    """nanos per `per` of `unit`. tiers: (start, nanos) ascending, a cliff: the whole amount is at the rate of the last
    tier whose start the request's input tokens exceed. rule: where this rate comes from, for people."""

    unit: str
    per: int
    nanos: int
    tiers: tuple[tuple[int, int], ...] = ()
    rule: str = ""

    def at(self, input_tokens: int | Fraction) -> tuple[int, int]:
        """(nanos, start of the tier chosen or -1) for a request with that many input tokens."""
        for start, nanos in reversed(self.tiers):
            if input_tokens > start:
                return nanos, start
        return self.nanos, -1

    def dearest(self, input_tokens: int) -> int:
        """The most nanos that any request of at most `input_tokens` input tokens pays."""
        return max(self.nanos, *(nanos for start, nanos in self.tiers if input_tokens > start), 0)


class Step(Struct, frozen=True):
    """One rate in the order of settling: `parts` are the positions, before this one, of the rates for its parts;
    `factor` brings `nanos` to the sheet's common scale."""

    rate: Rate
    parts: tuple[int, ...]
    factor: int


class Sheet(Struct, frozen=True):
    """The rates of one model at one moment. steps: most specific first, so that a total is reached after its parts.

    scale: the common multiple of every `per`. tiered: whether any rate has tiers. free: said outright, everything
    costs 0. least_seconds: shorter audio is billed as this long.
    """

    steps: tuple[Step, ...]
    scale: int = 1
    tiered: bool = False
    free: bool = False
    least_seconds: int = 0

    @property
    def rates(self) -> tuple[Rate, ...]:
        return tuple(step.rate for step in self.steps)

    def covers(self, unit: str) -> bool:
        """Whether amounts of this unit have a price: its own, or that of something it is a part of."""
        return self.free or nearest(self, unit) is not None

    def lacks(self, units: Iterable[str]) -> tuple[str, ...]:
        """Those of `units` that nothing here prices."""
        return tuple(unit for unit in units if not self.covers(unit))


class Condition(Struct, frozen=True):
    """When a price holds: from a UTC date on, or daily between two UTC times (over midnight if the end is earlier)."""

    start: date | None = None
    window: tuple[time, time] | None = None

    def active(self, at: datetime) -> bool:
        """Whether it holds at `at` (without a zone: UTC)."""
        moment = at.astimezone(UTC) if at.tzinfo is not None else at
        if self.start is not None:
            return moment.date() >= self.start
        if self.window is None:
            return True
        begin, end = self.window
        now = moment.time()
        return now >= begin or now < end if end < begin else begin <= now < end

    def __str__(self) -> str:
        if self.start is not None:
            return f"from {self.start.isoformat()}"
        return f"{self.window[0]:%H:%M}–{self.window[1]:%H:%M} UTC" if self.window is not None else ""


ALWAYS = Condition()


class Base(Struct, frozen=True):
    """A whole set of rates and when it holds; the last one that does wins, else the first."""

    rates: tuple[Rate, ...]
    condition: Condition = ALWAYS


class Variant(Struct, frozen=True):
    """Rates that replace the base's for requests whose context has all of `when`; the first to name a unit wins."""

    when: Mapping[str, str]
    rates: tuple[Rate, ...]
    condition: Condition = ALWAYS

    def fits(self, at: datetime, context: Mapping[str, str]) -> bool:
        return self.condition.active(at) and all(context.get(key) == value for key, value in self.when.items())


class Card(Struct, frozen=True, kw_only=True, eq=False):
    """Everything about one model's price. origin: where it comes from, for people. free: it costs nothing, said
    outright."""

    model: str
    origin: str
    bases: tuple[Base, ...]
    variants: tuple[Variant, ...] = ()
    free: bool = False
    least_seconds: int = 0
    _made: dict[tuple[int, ...], Sheet] = field(default_factory=dict)

    def sheet(self, at: datetime, context: Mapping[str, str]) -> Sheet:
        """The rates for a request made at `at` in this context, such as {"service_tier": "priority"}.

        A context that no variant knows changes nothing; `knows` tells the difference.
        """
        chosen = [self._base(at)]
        if context and self.variants:
            chosen += [i for i, variant in enumerate(self.variants) if variant.fits(at, context)]
        key = tuple(chosen)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._build(key)
        return made

    def knows(self, name: str, value: str) -> bool:
        """Whether some variant has a price for this value of a context member."""
        return value in self.known(name)

    def known(self, name: str) -> tuple[str, ...]:
        """The values of a context member that have a price of their own (`service_tier` → flex, priority)."""
        return tuple(dict.fromkeys(variant.when[name] for variant in self.variants if name in variant.when))

    def _base(self, at: datetime) -> int:
        for index in range(len(self.bases) - 1, 0, -1):
            if self.bases[index].condition.active(at):
                return index
        return 0

    def _build(self, key: tuple[int, ...]) -> Sheet:
        overrides: dict[str, Rate] = {}
        for index in key[1:]:
            for rate in self.variants[index].rates:
                overrides.setdefault(rate.unit, rate)
        rates = {rate.unit: rate for rate in self.bases[key[0]].rates} | overrides
        return make_sheet(rates.values(), free=self.free, least_seconds=self.least_seconds)


def make_rate(unit: str, per: int, prices: Sequence[Decimal], starts: Sequence[int] = (), rule: str = "") -> Rate:
    """prices: dollars per `per` units, the base's and then one for each tier start. Exact, whatever their decimals."""
    exponents = [price.as_tuple().exponent for price in prices]
    decimals = max(-exponent for exponent in exponents if isinstance(exponent, int))
    shift = max(0, decimals - _PLACES_OF_NANO)
    nanos = [_shifted(price, _PLACES_OF_NANO + shift) for price in prices]
    while shift and all(amount % 10 == 0 for amount in nanos):
        shift, nanos = shift - 1, [amount // 10 for amount in nanos]
    tiers = tuple(sorted(zip(starts, nanos[1:], strict=True), key=lambda tier: tier[0]))
    return Rate(unit, per * 10**shift, nanos[0], tiers, rule)


def make_sheet(rates: Iterable[Rate], *, free: bool = False, least_seconds: int = 0) -> Sheet:
    """Rates in any order → a sheet. Where two rates overlap (cached tokens, audio tokens) and what is both has none of
    its own, it gets the dearer of the two, so that amounts always split up into disjoint leaves."""
    by_unit = {rate.unit: rate for rate in rates}
    _add_overlaps(by_unit)
    ordered = sorted(by_unit.values(), key=lambda rate: (-len(UNITS[rate.unit].dimensions), rate.unit))
    units = [UNITS[rate.unit] for rate in ordered]
    scale = math.lcm(1, *(rate.per for rate in ordered))
    steps = tuple(Step(rate, _parts(units, i), scale // rate.per) for i, rate in enumerate(ordered))
    tiered = any(rate.tiers for rate in ordered)
    return Sheet(steps, scale=scale, tiered=tiered, free=free, least_seconds=least_seconds)


def nearest(sheet: Sheet, key: str) -> Rate | None:
    """The most specific rate that includes this unit, or None."""
    unit = UNITS.get(key)
    if unit is None:
        return None
    return next((step.rate for step in sheet.steps if UNITS[step.rate.unit].includes(unit)), None)


def _shifted(price: Decimal, places: int) -> int:
    """price × 10^places, which must be whole. Digit by digit: no decimal context can round it."""
    sign, digits, exponent = price.as_tuple()
    if sign or not isinstance(exponent, int):
        raise ValueError(f"{price} is not a price")
    whole = int("".join(map(str, digits)))
    power = exponent + places
    scale: int = 10 ** abs(power)
    return whole * scale if power >= 0 else whole // scale


def _parts(units: Sequence[Unit], index: int) -> tuple[int, ...]:
    return tuple(i for i in range(index) if units[index].includes(units[i]))


def _add_overlaps(by_unit: dict[str, Rate]) -> None:
    """Every registered unit that is exactly the overlap of two priced ones is priced too."""
    for one, other in combinations(tuple(by_unit.values()), 2):
        first, second = UNITS[one.unit], UNITS[other.unit]
        joint = UNITS_BY_PLACE.get(first.place | second.place) if first.overlaps(second) else None
        if joint is not None and joint.key not in by_unit:
            dearer = max(one, other, key=lambda rate: Fraction(rate.nanos, rate.per))
            rule = f"{dearer.rule}; has no rate of its own and is charged as {dearer.unit}"
            by_unit[joint.key] = replace(dearer, unit=joint.key, rule=rule)
