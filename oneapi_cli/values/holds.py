"""The words between the gateway and the ledger: what a request needs, what it got, and how it ended.

A `Need` is a price function rather than a number, because admission may lower the output limit inside its transaction:
`fixed_nanos` (input bound, per-call fees) + limit × `outputs` × the output rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from .accounts import Principal
from .usage import Usage


class Need(Struct, frozen=True, kw_only=True):
    """The worst case of one request, as a function of its output limit.

    asked: output tokens asked for (0: nothing to lower). floor: the lowest limit worth sending; == asked when it must
    not be lowered. rate_nanos_per_mtok: dearest output rate reachable, multiplier included. outputs: n × best_of.
    bound_tokens: input bound + outputs × asked, for tpm.
    """

    fixed_nanos: int
    rate_nanos_per_mtok: int = 0
    outputs: int = 1
    asked: int = 0
    floor: int = 0
    bound_tokens: int = 0

    def nanos(self, limit: int) -> int:
        """The hold that covers this request at `limit` output tokens each, rounded up."""
        return self.fixed_nanos + -(-limit * self.outputs * self.rate_nanos_per_mtok // 1_000_000)

    def affordable(self, free_nanos: int) -> int:
        """The greatest limit ≤ asked whose hold fits in `free_nanos`; -1 if not even the fixed part does."""
        if self.nanos(self.asked) == 0:
            return self.asked  # what costs nothing fits any balance, an overdrawn one too
        if self.nanos(0) > free_nanos:
            return -1
        if self.rate_nanos_per_mtok == 0 or self.nanos(self.asked) <= free_nanos:
            return self.asked
        return (free_nanos - self.fixed_nanos) * 1_000_000 // (self.outputs * self.rate_nanos_per_mtok)


class HoldAsk(Struct, frozen=True, kw_only=True):
    """One admission. final False: answer `TooTight` at once instead of lowering, waiting or refusing (the gateway then
    counts the input exactly and asks again)."""

    request_id: str
    principal: Principal
    door: str
    model_asked: str
    stream: bool
    need: Need
    wait_seconds: float
    final: bool = True
    bounded: bool = True
    peer: str = ""


class Allowance(Struct, frozen=True, kw_only=True):
    """What one rate still allows within the minute that ends now. reset_seconds: until it allows more than that."""

    limit: int
    remaining: int
    reset_seconds: float


class RateLimits(Struct, frozen=True, kw_only=True):
    """The rates of a caller as they stand after this request, each of the tighter of token and user; None: no limit."""

    requests: Allowance | None = None
    tokens: Allowance | None = None


class Hold(Struct, frozen=True, kw_only=True):
    """An admitted hold, committed to disk. limit: the output limit to send (== asked unless lowered). rates: None where
    neither rpm nor tpm is set."""

    request_id: str
    nanos: int
    limit: int
    lowered: bool = False
    waited_seconds: float = 0.0
    rates: RateLimits | None = None


class TooTight(Struct, frozen=True):
    """The need as given does not fit what is free now; nothing was held, nothing was written."""

    free_nanos: int


Outcome = Literal["served", "refused", "unreachable", "unknown", "died", "left", "abandoned"]


class Attempt(Struct, frozen=True, kw_only=True):
    """One try at one channel, as it stands in the receipt. Times are unix seconds; detail is public text."""

    channel: str
    vendor: str
    model_sent: str
    started: float
    ended: float
    status: int | None
    outcome: Outcome
    charged_nanos: int = 0
    detail: str = ""
    upstream_id: str = ""


class BillLine(Struct, frozen=True, kw_only=True):
    """One line of a bill. amount × rate_nanos / per, in picos, rounded towards zero; the line `rounding` takes up the
    rest.

    rule says which rate was chosen and where it comes from ("genai-prices openai/gpt-4o, cache_read_mtok, tier
    >200000")."""

    unit: str
    amount: str
    rate_nanos: int
    per: int
    rule: str
    picos: int


class Closing(Struct, frozen=True, kw_only=True):
    """How a request ended. state `released` costs 0; `kept` is money charged without evidence (unknown outcome,
    abandoned without usage). cost_nanos is exact and rounded up once; sum(lines) == cost_nanos × 1000 picos.
    response_id: of a response that the vendor keeps, "" for none.
    """

    state: Literal["settled", "released", "kept"]
    cost_nanos: int
    status: int
    usage: Usage | None = None
    lines: tuple[BillLine, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    channel: str = ""
    model_sent: str = ""
    price_origin: str = ""
    bounded: bool = True
    reason: str = ""
    first_byte: float | None = None
    notes: tuple[str, ...] = ()
    response_id: str = ""


class Settlement(Struct, frozen=True, kw_only=True):
    """What closing did. pending: it could not be written yet and is being retried."""

    state: str
    cost_nanos: int
    pending: bool = False


class Refusal(Struct, frozen=True, kw_only=True):
    """An authenticated request that was refused before any hold: a row of cost 0."""

    request_id: str
    principal: Principal
    door: str
    status: int
    code: str
    message: str
    model_asked: str = ""
    stream: bool = False
    peer: str = ""
    attempts: tuple[Attempt, ...] = ()
    details: Mapping[str, str] = {}
