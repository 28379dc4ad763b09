"""The flags of `token add` and `token edit`, and what they say: text → the ledger's members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from oneapi_cli.config.problems import WordError

from .options import now

_Text = str | None
_Number = int | None
BudgetOption = Annotated[_Text, typer.Option("--budget", metavar="B", help="5, $5.00, 2500000q, $20/month.")]
UnlimitedOption = Annotated[bool, typer.Option("--unlimited", help="No budget.")]
UserOption = Annotated[_Text, typer.Option("--user", metavar="U", help="The owner above it; root.")]
ExpiresOption = Annotated[_Text, typer.Option("--expires", metavar="WHEN", help="30d, 2027-01-01 or never.")]
ModelsOption = Annotated[_Text, typer.Option("--models", metavar="GLOBS", help="'gpt-*,o1'; '' for all.")]
SubnetOption = Annotated[_Text, typer.Option("--subnet", metavar="CIDR,…", help="Where it may be used; '' for all.")]
RpmOption = Annotated[_Number, typer.Option("--rpm", metavar="N", min=0, help="Requests a minute; 0: any.")]
TpmOption = Annotated[_Number, typer.Option("--tpm", metavar="N", min=0, help="Tokens a minute; 0: any.")]
ConcurrentOption = Annotated[_Number, typer.Option("--concurrent", metavar="N", min=0, help="At once; 0: any.")]
ClampOption = Annotated[
    bool | None, typer.Option("--clamp/--no-clamp", help="May output limits be lowered to fit the budget?")
]
HoldsOption = Annotated[_Text, typer.Option("--holds", metavar="H", help="auto, or worst_case: the hard guarantee.")]
PassthroughOption = Annotated[
    bool | None, typer.Option("--passthrough/--no-passthrough", help="May use /v1/oneapi/proxy where offered.")
]


def flags(
    *,
    expires: str | None,
    models: str | None,
    subnet: str | None,
    rpm: int | None,
    tpm: int | None,
    concurrent: int | None,
    clamp: bool | None,
    holds: str | None,
    passthrough: bool | None,
) -> dict[str, Any]:
    """The members that the flags name; those that were not given are absent, a limit of 0 is none (None)."""
    from oneapi_cli.config import words

    fields: dict[str, Any] = {}
    if expires is not None:
        fields["expires"] = word("--expires", lambda text: words.parse_expiry(text, now()), expires)
    if models is not None:
        fields["models"] = _split(models)
    if subnet is not None:
        fields["subnets"] = tuple(word("--subnet", words.parse_subnet, part) for part in _split(subnet))
    if holds is not None and holds not in ("auto", "worst_case"):
        raise typer.BadParameter(f"{holds!r} is neither auto nor worst_case", param_hint="--holds")
    limits = {"rpm": rpm, "tpm": tpm, "concurrent": concurrent}
    plain = {"clamp": clamp, "holds": holds, "passthrough": passthrough}
    fields |= {name: value or None for name, value in limits.items() if value is not None}
    return fields | {name: value for name, value in plain.items() if value is not None}


def budget_of(text: str) -> dict[str, Any]:
    """`$20/month` → the members of a budget."""
    from oneapi_cli.config import words

    budget = word("--budget", words.parse_budget, text)
    return {"budget_nanos": budget.nanos, "budget_period": budget.period or None}


def balance(*, remain: str | None, add: str | None, budget: str | None, unlimited: bool) -> dict[str, Any]:
    """What an edit does to the balance: one of these at most."""
    given = [name for name, value in (("--remain", remain), ("--add", add), ("--budget", budget)) if value is not None]
    if len(given) + unlimited > 1:
        said = " and ".join([*given, *(["--unlimited"] if unlimited else [])])
        raise typer.BadParameter(f"{said} contradict each other; say one of them")
    if remain is not None:
        nanos = _money("--remain", remain)
        if nanos < 0:
            raise typer.BadParameter("what remains cannot be less than nothing", param_hint="--remain")
        return {"remain_nanos": nanos}
    if add is not None:
        return {"add_nanos": _money("--add", add)}
    if budget is not None:
        return budget_of(budget)
    return {"unlimited": True} if unlimited else {}


def word(flag: str, read: Callable[[str], Any], text: str) -> Any:
    """The value of a flag; a wrong one is wrong usage."""
    try:
        return read(text)
    except WordError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from None


def _money(flag: str, text: str) -> int:
    from oneapi_cli.values.money import parse_money

    try:
        return parse_money(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from None


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
