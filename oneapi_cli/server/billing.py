"""`/dashboard/billing/…`: what OpenAI once answered about credit, for clients that show a balance. Reference 4.4."""

from __future__ import annotations

from aiohttp import web

from ..ledger.accounts import TokenRow
from ..values.asks import Ask
from ..values.money import usd_float
from .envelope import json_response

UNLIMITED_USD = 100_000_000
CENTS = 100


def subscription(ask: Ask, token: TokenRow) -> web.Response:
    """The limit in dollars: all that was ever granted and is used or left. access_until: unix seconds, 0 for ever."""
    amount = UNLIMITED_USD if token.unlimited else usd_float(max(0, token.remain) + token.used)
    return json_response(
        ask,
        {
            "object": "billing_subscription",
            "has_payment_method": True,
            "soft_limit_usd": amount,
            "hard_limit_usd": amount,
            "system_hard_limit_usd": amount,
            "access_until": int(token.expires or 0),
        },
    )


def usage(ask: Ask, token: TokenRow) -> web.Response:
    """All that was ever used, in cents. `start_date` and `end_date` are not looked at, as in the original."""
    return json_response(ask, {"object": "list", "total_usage": usd_float(token.used * CENTS)})
