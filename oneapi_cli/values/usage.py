"""What a request used, by unit, as the vendor reported it or as we counted it.

Units are named as genai-prices names them (`input_tokens`, `cache_read_tokens`, `output_audio_tokens`,
`audio_seconds`, `input_characters`, `images`, `requests`…). **Totals include their parts**: `input_tokens` is every
prompt token, cached and written ones included; `output_tokens` every produced one, reasoning included. A unit that is
absent was not reported, which is not the same as zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

Count = int | Decimal


class Usage(Struct, frozen=True, kw_only=True):
    """Amounts by unit. Tokens are ints; durations may be Decimal seconds.

    `reasoning_tokens` is a part of `output_tokens`, kept for people to read; `tier` is the service tier that the vendor
    says served the request; `raw` is the vendor's own usage block as JSON text; `estimated` says that we counted.
    `billed` is what the vendor says it charges for, where it is not `counts` (Cohere gives its own preamble away).
    """

    counts: Mapping[str, Count]
    reasoning_tokens: int | None = None
    tier: str | None = None
    estimated: bool = False
    raw: str | None = None
    billed: Mapping[str, Count] | None = None

    def get(self, unit: str) -> Count:
        return self.counts.get(unit, 0)
