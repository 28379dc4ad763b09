"""`oneapi consume`: money of a token that was spent outside of this gateway."""

from __future__ import annotations

from typing import Annotated

import typer

from oneapi_cli.values.money import format_usd, parse_money

from .mistakes import Refused
from .options import AsJson, ConfigPath, balances_of, example, now, whereabouts, zone_at
from .output import left, remark, say_json

LONGEST_REASON = 255


def register(app: typer.Typer) -> None:
    """`consume`."""
    line = "oneapi consume phone --amount '$0.30' --reason 'a night of the GPU box'"
    app.command("consume", epilog=example(line))(consume)


def consume(
    name: Annotated[str, typer.Argument(metavar="NAME|ID", help="Whose money.", show_default=False)],
    *,
    amount: Annotated[str, typer.Option("--amount", metavar="B", help="0.30, $0.30, 150000q.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="On what.", show_default=False)],
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """Charge a token, and its owner, for something outside. What they have must cover it."""
    from oneapi_cli.gateway.ids import new_request_id
    from oneapi_cli.ledger.accounts import get_token, get_user
    from oneapi_cli.ledger.external import Charge, single
    from oneapi_cli.ledger.store import transaction

    nanos = _amount(amount)
    _check_reason(reason)
    place = whereabouts(config)
    with balances_of(place) as db, transaction(db):
        token = get_token(db, name)
        _check_covered(token, get_user(db, token.user_id), nanos)
        charge = Charge(token_id=token.id, nanos=nanos, reason=reason, request_id=new_request_id(now()))
        made = single(db, charge, zone=zone_at(place), now=now())
        token = get_token(db, token.id)
    if as_json:
        say_json(
            {
                "token": token.name,
                "transaction_id": made.transaction_id,
                "request_id": made.request_id,
                "cost_nanos": nanos,
                "remain_nanos": token.remain,
            }
        )
        return
    rest = "it is unlimited" if token.unlimited else f"{left(token.remain)} remain"
    remark(f"{format_usd(nanos)} charged to token {token.name}; {rest}. `oneapi cost {made.request_id}` shows it.")


def _amount(text: str) -> int:
    try:
        nanos = parse_money(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--amount") from None
    if nanos <= 0:
        raise typer.BadParameter(
            "what is charged is more than nothing; `token edit --add` gives money back", param_hint="--amount"
        )
    if nanos % 2_000:
        raise typer.BadParameter("the smallest unit outside is a quota unit, $0.000002", param_hint="--amount")
    return nanos


def _check_reason(text: str) -> None:
    if not text.strip() or len(text) > LONGEST_REASON or not text.isprintable():
        raise typer.BadParameter(
            f"a reason is 1 to {LONGEST_REASON} printable characters on one line", param_hint="--reason"
        )


def _check_covered(token: object, user: object, nanos: int) -> None:
    """The ledger refuses in the units of One API's clients; people think in dollars. Raises Refused."""
    from oneapi_cli.ledger.account_values import AccountRow

    for kind, row in (("Token", token), ("User", user)):
        if isinstance(row, AccountRow) and not row.unlimited and row.free < nanos:
            raise Refused(
                f"{kind} {row.name} has {left(max(0, row.free))} free, which does not cover {format_usd(nanos)};"
                f" `oneapi {kind.lower()} edit {row.name} --add` gives it more."
            )
