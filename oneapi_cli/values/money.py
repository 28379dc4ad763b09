"""Money is integer nano-dollars. Other units exist only at the edges, and this module is the edge.

One API's quota unit is 2 000 nano-dollars (500 000 quota = $1). A cost shown as quota is rounded up, what is left is
rounded down, so neither ever flatters. Binary floats never hold money; `Decimal` does while text is read.
"""

from __future__ import annotations

import re
from decimal import Decimal

NANOS_PER_USD = 1_000_000_000
NANOS_PER_QUOTA = 2_000
QUOTA_PER_USD = NANOS_PER_USD // NANOS_PER_QUOTA
PICOS_PER_NANO = 1_000

# SQLite's integers are 64-bit and sums of balances must fit as well: $1 billion leaves a factor of nine.
MAX_NANOS = 10**18

_USD = re.compile(r"([+-]?)\$?(\d{1,10}(?:\.\d{1,9})?|\.\d{1,9})\Z")
_QUOTA = re.compile(r"([+-]?)(\d{1,15})q\Z")


def parse_money(text: str) -> int:
    """`5`, `5.00`, `$5`, `-$1` or `2500000q` → nano-dollars.

    Raises ValueError with a sentence for anything else, also for more than nine decimals or more than $1 billion.
    """
    compact = text.strip().replace("_", "")
    if compact.startswith("$-"):
        compact = "-$" + compact[2:]
    if found := _QUOTA.match(compact):
        nanos = int(found[2]) * NANOS_PER_QUOTA
    elif found := _USD.match(compact):
        nanos = int(Decimal(found[2]) * NANOS_PER_USD)
    else:
        raise ValueError(f"{text!r} is not an amount of money; write 5, 5.00, $5 or 2500000q")
    if nanos > MAX_NANOS:
        raise ValueError(f"{text!r} is more than this ledger can hold ($1,000,000,000)")
    return -nanos if found[1] == "-" else nanos


def format_usd(nanos: int, *, places: int = 2) -> str:
    """Nano-dollars → `$1,234.50`: every digit that matters, at least `places` decimals, never rounded."""
    sign = "-" if nanos < 0 else ""
    whole, rest = divmod(abs(nanos), NANOS_PER_USD)
    decimals = f"{rest:09d}".rstrip("0").ljust(places, "0")
    return f"{sign}${whole:,}.{decimals}" if decimals else f"{sign}${whole:,}"


def format_picos(picos: int) -> str:
    """Pico-dollars (a bill's lines) → `$0.000001234567`, twelve decimals at most, never rounded."""
    sign = "-" if picos < 0 else ""
    whole, rest = divmod(abs(picos), NANOS_PER_USD * PICOS_PER_NANO)
    decimals = f"{rest:012d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole:,}.{decimals}"


def quota_up(nanos: int) -> int:
    """What was spent, in One API quota units, rounded up."""
    return -(-nanos // NANOS_PER_QUOTA)


def quota_down(nanos: int) -> int:
    """What is left, in One API quota units, rounded down and never below zero."""
    return max(0, nanos) // NANOS_PER_QUOTA


def usd_float(nanos: int) -> float:
    """nanos / 1e9, only for JSON members that are numbers of dollars by contract (`cost_usd`)."""
    return nanos / NANOS_PER_USD
