"""`oneapi cost`: one bill, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneapi_cli.values.money import format_picos, format_usd

from .mistakes import Refused
from .options import AsJson, ConfigPath, example, ledger_of, whereabouts
from .output import clean, moment, pairs, say, say_json, table, wrapped

if TYPE_CHECKING:
    from oneapi_cli.ledger.receipts import Adjustment, Receipt
    from oneapi_cli.ledger.store import Connection
    from oneapi_cli.values.holds import Attempt, BillLine

_STATES = {
    "held": "still open: nothing is booked yet",
    "settled": "settled",
    "released": "released: nothing was charged",
    "kept": "kept: charged without evidence (see `oneapi ledger orphans`)",
    "refused": "refused: nothing was held or charged",
}


def register(app: typer.Typer) -> None:
    """`cost`."""
    app.command("cost", epilog=example("oneapi cost 20261122161427000000000000000000"))(cost)


def cost(
    request_id: Annotated[
        str,
        typer.Argument(
            metavar="REQUEST_ID", help="The answer's X-Oneapi-Request-Id, or a number of `logs`.", show_default=False
        ),
    ],
    *,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """The bill of a request: every amount, its rate and the rule that chose it. The lines sum to the total exactly."""
    from oneapi_cli.ledger.receipts import read_receipt, receipt_document

    with ledger_of(whereabouts(config)) as db:
        receipt = read_receipt(db, _whole_id(db, request_id))
    if receipt is None:
        raise Refused(f"There is no request {request_id}; its id is in the header X-Oneapi-Request-Id of the answer.")
    if as_json:
        say_json(receipt_document(receipt))
    else:
        say(*_bill(receipt))


def _whole_id(db: Connection, stated: str) -> str:
    """The id behind a number of `oneapi logs`; any other text as it is."""
    number = stated.removeprefix("#")
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        return stated
    from oneapi_cli.ledger.reports import LogFilter, logs

    found = logs(db, LogFilter(ids=(int(number),), limit=1))
    return found[0].request_id if found else stated


def _bill(receipt: Receipt) -> list[str]:
    parts = [
        pairs(_head(receipt)),
        _lines(receipt),
        _adjustments(receipt.adjustments, receipt),
        _attempts(receipt.attempts),
        _usage(receipt),
    ]
    return [
        line for index, part in enumerate(part for part in parts if part) for line in ([""] if index else []) + part
    ]


def _head(receipt: Receipt) -> list[tuple[str, str]]:
    rows = [
        ("request", receipt.request_id),
        ("state", _STATES[receipt.state]),
        ("when", _times(receipt)),
        ("who", f"token {receipt.token} (#{receipt.token_id}), user {receipt.user} (#{receipt.user_id})"),
        ("asked", _asked(receipt)),
        ("channel", receipt.channel or "none"),
        ("status", _status(receipt)),
    ]
    if receipt.state != "refused":
        rows.append(("hold", _hold(receipt)))
    if receipt.lowered:
        rows.append(("limit", f"lowered from {receipt.asked} to {receipt.limit} output tokens, to fit the budget"))
    rows += [("more hold", f"{format_usd(one.nanos)} at {moment(one.created)}") for one in receipt.extensions]
    rows += [("note", note) for note in receipt.notes]
    rows += [(name, text) for name, text in receipt.details.items()]
    rows.append(("prices", receipt.price_origin or "none"))
    return rows


def _asked(receipt: Receipt) -> str:
    if receipt.door == "external":
        return f"external consumption: {receipt.model_asked}"
    sent = f", sent as {receipt.model_sent}" if receipt.model_sent not in ("", receipt.model_asked) else ""
    how = "streamed" if receipt.stream else "not streamed"
    return f"{receipt.model_asked or 'no model'} at {receipt.door}, {how}{sent}"


def _times(receipt: Receipt) -> str:
    said = [moment(receipt.created)]
    if receipt.first_byte is not None:
        said.append(f"{receipt.first_byte - receipt.created:.3f} s to the first byte")
    if receipt.closed is not None:
        said.append(f"{receipt.closed - receipt.created:.3f} s in all")
    return ", ".join(said)


def _status(receipt: Receipt) -> str:
    said = [str(receipt.status) if receipt.status is not None else "none yet"]
    return ", ".join([*said, *(text for text in (receipt.code, receipt.reason) if text)])


def _hold(receipt: Receipt) -> str:
    if receipt.door == "external":
        return format_usd(receipt.hold_nanos)
    bound = "a proven bound" if receipt.bounded else "not a proven bound"
    parts = [f"{format_usd(receipt.hold_nanos)}, {bound}", f"input at most {format_usd(receipt.fixed_nanos)}"]
    if receipt.limit:
        parts.append(f"output limit {receipt.limit}")
    if receipt.waited_seconds:
        parts.append(f"waited {receipt.waited_seconds:.2f} s for it")
    return "; ".join(parts)


def _lines(receipt: Receipt) -> list[str]:
    """amount × rate = cost, and below it the rule; then the total, which the lines sum to exactly."""
    rows = [_row(line) for line in receipt.lines]
    rows.append(("total", "", "", "", "", format_usd(receipt.booked_nanos)))
    header, *body = table(
        ("UNIT", "AMOUNT", "", "RATE", "", "COST"), rows, right=("AMOUNT", "RATE", "COST"), flex="UNIT"
    )
    said = [header]
    for line, text in zip(receipt.lines, body, strict=False):
        said += [text, *wrapped(line.rule, "    ")]
    return [*said, body[-1]]


def _row(line: BillLine) -> tuple[str, str, str, str, str, str]:
    if not line.rate_nanos:
        return line.unit, "", "", "", "", format_picos(line.picos)
    return line.unit, line.amount, "×", _rate(line), "=", format_picos(line.picos)


def _rate(line: BillLine) -> str:
    per = {1: "", 1_000_000: "/M"}.get(line.per, f"/{line.per}")
    return format_usd(line.rate_nanos) + per


def _adjustments(adjustments: tuple[Adjustment, ...], receipt: Receipt) -> list[str]:
    if not adjustments:
        return []
    rows = [(moment(one.created), one.actor, one.reason, format_usd(one.delta_nanos)) for one in adjustments]
    rows.append(("cost with these", "", "", format_usd(receipt.cost_nanos)))
    return table(("ADJUSTED", "BY", "REASON", "CHANGE"), rows, right=("CHANGE",), flex="REASON")


def _attempts(attempts: tuple[Attempt, ...]) -> list[str]:
    said: list[str] = []
    for number, tried in enumerate(attempts, 1):
        status = "no answer" if tried.status is None else str(tried.status)
        seconds = f"{tried.ended - tried.started:.3f} s"
        charged = f"charged {format_usd(tried.charged_nanos)}"
        what = f"attempt {number}: {tried.channel} ({tried.vendor}), {tried.model_sent}: {tried.outcome}, {status}"
        said += wrapped(f"{what}, {seconds}, {charged}", "")
        for text in (tried.detail, f"vendor's id {tried.upstream_id}" if tried.upstream_id else ""):
            said += wrapped(text, "    ")
    return said


def _usage(receipt: Receipt) -> list[str]:
    usage = receipt.usage
    if usage is None:
        metered = receipt.state in ("settled", "kept") and receipt.door != "external"
        return ["usage: none known"] if metered else []
    whose = "estimated by us, from what was seen" if usage.estimated else "reported by the vendor"
    counts = ", ".join(f"{unit} {amount}" for unit, amount in usage.counts.items())
    said = [*wrapped(f"usage ({whose}): {counts}", "")]
    if usage.reasoning_tokens is not None:
        said.append(f"    of the output, {usage.reasoning_tokens} were reasoning")
    if usage.tier:
        said.append(clean(f"    service tier {usage.tier}"))
    if usage.raw:
        said += ["the vendor's own words:", *wrapped(usage.raw, "    ")]
    return said
