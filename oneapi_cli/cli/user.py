"""`oneapi user`: the owners above tokens. What a user's tokens spend together, its budget bounds; `root` (1) owns what
has no other owner, and is unlimited."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .account_rows import balance_pairs, document, limit_pairs, recurring, remaining, resets
from .options import AsJson, ConfigPath, balances_of, example, ledger_of, now, whereabouts, zone_at
from .output import moment, pairs, remark, say, say_json, spent, table
from .token_flags import (
    BudgetOption,
    ClampOption,
    ConcurrentOption,
    ExpiresOption,
    HoldsOption,
    ModelsOption,
    PassthroughOption,
    RpmOption,
    SubnetOption,
    TpmOption,
    UnlimitedOption,
    balance,
    budget_of,
    flags,
    word,
)

if TYPE_CHECKING:
    from oneapi_cli.ledger.accounts import UserRow

_MULTIPLIER = re.compile(r"\d{1,6}(?:\.\d{1,9})?\Z", re.ASCII)

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Who = Annotated[str, typer.Argument(metavar="NAME|ID", help="A user's name, or its id.", show_default=False)]
AdminOption = Annotated[
    bool | None, typer.Option("--admin/--no-admin", help="May its tokens pin a channel and read every bill?")
]
GroupsOption = Annotated[
    str | None, typer.Option("--groups", metavar="A,B", help="Opens the channels of these groups; '' for none.")
]
MultiplierOption = Annotated[
    str | None, typer.Option("--multiplier", metavar="X", help="Every cost times this: 1.2, 0.5.")
]


def register(app: typer.Typer) -> None:
    """`user` and its commands."""
    group = typer.Typer(help="The owners above tokens.", no_args_is_help=True, rich_markup_mode=None)
    group.command("add", epilog=example("oneapi user add ada --budget '$20' --groups team,beta"))(add)
    lines = ("oneapi user edit ada --add '$5' --multiplier 1.2", "oneapi user edit ada --disable")
    group.command("edit", epilog=example(*lines))(edit)
    group.command("list", epilog=example("oneapi user list --json"))(list_)
    group.command("show", epilog=example("oneapi user show ada"))(show)
    group.command("remove", epilog=example("oneapi user remove ada"))(remove)
    app.add_typer(group, name="user")


def add(
    name: Name,
    *,
    budget: BudgetOption = None,
    unlimited: UnlimitedOption = False,
    admin: AdminOption = None,
    groups: GroupsOption = None,
    multiplier: MultiplierOption = None,
    expires: ExpiresOption = None,
    models: ModelsOption = None,
    subnet: SubnetOption = None,
    rpm: RpmOption = None,
    tpm: TpmOption = None,
    concurrent: ConcurrentOption = None,
    clamp: ClampOption = None,
    holds: HoldsOption = None,
    passthrough: PassthroughOption = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """Make a user. Without a budget of its own, only those of its tokens bound what they spend."""
    from oneapi_cli.ledger.accounts import NewUser, add_user

    if budget is not None and unlimited:
        raise typer.BadParameter("--budget and --unlimited contradict each other; say one of them")
    fields = flags(
        expires=expires,
        models=models,
        subnet=subnet,
        rpm=rpm,
        tpm=tpm,
        concurrent=concurrent,
        clamp=clamp,
        holds=holds,
        passthrough=passthrough,
    )
    fields |= _own_flags(admin, groups, multiplier) | (budget_of(budget) if budget is not None else {"unlimited": True})
    new = NewUser(name=name, **{field: value for field, value in fields.items() if value is not None})
    place = whereabouts(config)
    with ledger_of(place) as db:
        made = add_user(db, new, now=now(), zone=zone_at(place))
    if as_json:
        say_json(document(made))
    else:
        remark(f"User {made.name} (#{made.id}) is made; `oneapi token add NAME --user {made.name}` gives it a key.")


def edit(
    who: Who,
    *,
    remain: Annotated[str | None, typer.Option("--remain", metavar="B", help="Leave exactly this.")] = None,
    add_: Annotated[str | None, typer.Option("--add", metavar="B", help="$2 more; --add=-$1 takes away.")] = None,
    budget: BudgetOption = None,
    unlimited: UnlimitedOption = False,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="May its tokens be used?")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    admin: AdminOption = None,
    groups: GroupsOption = None,
    multiplier: MultiplierOption = None,
    expires: ExpiresOption = None,
    models: ModelsOption = None,
    subnet: SubnetOption = None,
    rpm: RpmOption = None,
    tpm: TpmOption = None,
    concurrent: ConcurrentOption = None,
    clamp: ClampOption = None,
    holds: HoldsOption = None,
    passthrough: PassthroughOption = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """Change a user: balance, limits, rights. A running server takes it with the next request."""
    from oneapi_cli.ledger.accounts import UserEdit, edit_user

    fields = flags(
        expires=expires,
        models=models,
        subnet=subnet,
        rpm=rpm,
        tpm=tpm,
        concurrent=concurrent,
        clamp=clamp,
        holds=holds,
        passthrough=passthrough,
    )
    fields |= balance(remain=remain, add=add_, budget=budget, unlimited=unlimited)
    plain = {"enabled": enable, "name": name, **_own_flags(admin, groups, multiplier)}
    fields |= {field: value for field, value in plain.items() if value is not None}
    if not fields:
        raise typer.BadParameter("say what to change; `oneapi user edit --help` shows what can be")
    place = whereabouts(config)
    with ledger_of(place) as db:
        edited = edit_user(db, who, UserEdit(**fields), now=now(), zone=zone_at(place))
    if as_json:
        say_json(document(edited))
    else:
        _say_row(edited, ())


def list_(*, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """Every user: what is left, used and held by its tokens together."""
    from oneapi_cli.ledger.accounts import list_tokens, list_users

    with balances_of(whereabouts(config)) as db:
        rows, tokens = list_users(db), list_tokens(db)
    owned = {row.id: sum(token.user_id == row.id for token in tokens) for row in rows}
    if as_json:
        say_json([{**document(row), "tokens": owned[row.id]} for row in rows])
        return
    recurs = recurring(rows)
    header = ("ID", "NAME", "STATUS", "REMAIN", "USED", "HELD", *recurs, "×", "TOKENS")
    lines = [
        (
            str(row.id),
            row.name,
            row.status_text(now()),
            remaining(row),
            spent(row.used),
            spent(row.held),
            *(resets(row) for _ in recurs),
            f"{row.multiplier:f}",
            str(owned[row.id]),
        )
        for row in rows
    ]
    say(*table(header, lines, right=("ID", "REMAIN", "USED", "HELD", "×", "TOKENS"), flex="NAME"))


def show(who: Who, *, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """One user, and the tokens it owns."""
    from oneapi_cli.ledger.accounts import get_user, list_tokens

    with balances_of(whereabouts(config)) as db:
        row = get_user(db, who)
        owned = tuple(token.name for token in list_tokens(db) if token.user_id == row.id)
    if as_json:
        say_json({**document(row), "tokens": list(owned)})
    else:
        _say_row(row, owned)


def remove(who: Who, *, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """Remove a user who owns no token any more. What it spent stays in the ledger."""
    from oneapi_cli.ledger.accounts import remove_user

    with ledger_of(whereabouts(config)) as db:
        row = remove_user(db, who, now=now())
    if as_json:
        say_json(document(row))
    else:
        remark(f"User {row.name} is removed; it had used {spent(row.used)}.")


def _own_flags(admin: bool | None, groups: str | None, multiplier: str | None) -> dict[str, Any]:
    """The members that only a user has; those that were not given are None."""
    from oneapi_cli.config import words

    named = None if groups is None else [part.strip() for part in groups.split(",") if part.strip()]
    return {
        "admin": admin,
        "groups": None if named is None else tuple(word("--groups", words.parse_title, name) for name in named),
        "multiplier": None if multiplier is None else _factor(multiplier),
    }


def _factor(text: str) -> Decimal:
    """A multiplier, never through a float."""
    if not _MULTIPLIER.match(text.strip()):
        raise typer.BadParameter(
            f"{text!r} is not a factor: write a number from 0 up, such as 1.2", param_hint="--multiplier"
        )
    return Decimal(text.strip())


def _say_row(row: UserRow, owned: tuple[str, ...]) -> None:
    """A user for people."""
    rows = [
        ("user", f"{row.name} (#{row.id})"),
        ("status", row.status_text(now())),
        *balance_pairs(row),
        ("admin", "yes" if row.admin else "no"),
        ("groups", ", ".join(row.groups) or "none"),
        ("multiplier", f"{row.multiplier:f}"),
        *limit_pairs(row),
        ("created", moment(row.created)),
    ]
    if owned:
        rows.append(("tokens", ", ".join(owned)))
    say(*pairs(rows))
