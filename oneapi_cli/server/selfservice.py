"""The answers that need no vendor: health, status and what a request cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from .. import __version__
from ..gateway.authenticate import authenticate
from ..gateway.gate import Gate
from ..gateway.ids import new_request_id
from ..ledger.receipts import Receipt, receipt_document
from ..values.asks import Ask
from ..values.errors import Forbidden
from ..values.money import QUOTA_PER_USD, quota_up, usd_float
from .envelope import json_response
from .management import is_admin


class Service:
    """Self-service endpoints of one process. started and now() are unix seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._started = int(now())

    def new_id(self) -> str:
        return new_request_id(self.now())

    def health(self, ask: Ask) -> web.Response:
        return json_response(ask, {"status": "ok", "version": __version__})

    def status(self, ask: Ask, config: Mapping[str, object] | None = None) -> web.Response:
        """`/api/status`: third-party clients of One API read `quota_per_unit` here. config: for the admin alone."""
        data: dict[str, object] = {
            "version": __version__,
            "start_time": self._started,
            "system_name": "oneapi",
            "quota_per_unit": QUOTA_PER_USD,
            "display_in_currency": True,
        }
        if config is not None:
            data["config"] = config
        return json_response(ask, {"success": True, "message": "", "data": data})

    async def cost(self, ask: Ask, request_id: str, gate: Gate, admin_key: str) -> web.Response:
        """What a request cost: six fields for whoever knows its id; the whole bill for its key or the admin."""
        explain = ask.query.get("explain", "") not in ("", "0", "false")
        receipt = await gate.book.receipt(request_id)
        if explain:
            await _check_reader(ask, receipt, gate, admin_key)
        if receipt is None:
            message = "failed to get cost by request id: record not found"
            return json_response(ask, {"success": False, "message": message})
        if receipt.state == "held":
            message = "pending: this request is still running, or its settlement could not be written yet"
            return json_response(ask, {"success": False, "message": message})
        if explain:
            return json_response(ask, receipt_document(receipt))
        return json_response(ask, _six_fields(receipt))


async def _check_reader(ask: Ask, receipt: Receipt | None, gate: Gate, admin_key: str) -> None:
    """The whole bill is for the key that made the request, an admin's key, or the `admin_key`. Raises Forbidden."""
    if is_admin(ask, admin_key):
        return
    caller = await authenticate(ask, gate, fresh=True)
    if receipt is not None and receipt.token_id != caller.principal.token.id and not caller.principal.admin:
        raise Forbidden("This request was made by another key; its bill is for that key or the admin", code="not_yours")


def _six_fields(receipt: Receipt) -> dict[str, object]:
    return {
        "id": receipt.id,
        "created_time": int(receipt.created),
        "user_id": receipt.user_id,
        "request_id": receipt.request_id,
        "quota": quota_up(receipt.cost_nanos),
        "cost_usd": usd_float(receipt.cost_nanos),
    }
