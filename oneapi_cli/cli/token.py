"""`oneapi token`: keys with budgets. Works on the ledger itself, so an edit bites on the next request of a running
server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .account_rows import balance_pairs, document, limit_pairs, recurring, remaining, resets
from .mistakes import Refused
from .options import AsJson, ConfigPath, balances_of, example, ledger_of, now, whereabouts, zone_at
from .output import day, moment, pairs, remark, say, say_json, say_secret, spent, table
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
    UserOption,
    balance,
    budget_of,
    flags,
    word,
)

if TYPE_CHECKING:
    from oneapi_cli.config.files import Whereabouts
    from oneapi_cli.ledger.accounts import TokenRow
    from oneapi_cli.ledger.store import Connection

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
SHORTEST_SAFE_KEY = 16
DECLARED = "declared"

Who = Annotated[str, typer.Argument(metavar="NAME|ID", help="A token's name, or its id.", show_default=False)]


def register(app: typer.Typer) -> None:
    """`token` and its commands."""
    group = typer.Typer(help="Keys for clients, with budgets and limits.", no_args_is_help=True, rich_markup_mode=None)
    group.command("add", epilog=example("oneapi token add phone --budget '$5' --models 'gpt-*' --expires 30d"))(add)
    lines = ("oneapi token edit phone --add '$2'", "oneapi token edit phone --disable")
    group.command("edit", epilog=example(*lines))(edit)
    group.command("list", epilog=example("oneapi token list --json"))(list_)
    group.command("show", epilog=example("oneapi token show phone"))(show)
    group.command("rotate", epilog=example("oneapi token rotate phone"))(rotate)
    group.command("remove", epilog=example("oneapi token remove phone"))(remove)
    app.add_typer(group, name="token")


def add(
    name: Name,
    *,
    budget: BudgetOption = None,
    unlimited: UnlimitedOption = False,
    user: UserOption = None,
    expires: ExpiresOption = None,
    models: ModelsOption = None,
    subnet: SubnetOption = None,
    rpm: RpmOption = None,
    tpm: TpmOption = None,
    concurrent: ConcurrentOption = None,
    clamp: ClampOption = None,
    holds: HoldsOption = None,
    passthrough: PassthroughOption = None,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help="Your own; - reads it from stdin.")] = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """Make a key. It is printed once, and stored as its SHA-256."""
    from oneapi_cli.ledger.accounts import NewToken, add_token
    from oneapi_cli.ledger.keys import digest_of, hint_of, new_key

    if (budget is None) == (not unlimited):
        raise typer.BadParameter("say either --budget or --unlimited")
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
    if budget is not None:
        fields |= budget_of(budget)
    place = whereabouts(config)
    _refuse_declared(place, name)
    text = _own_key(key) if key is not None else new_key()[0]
    fields |= {"user": user, "unlimited": unlimited, "key_sha256": digest_of(text), "hint": hint_of(text)}
    new = NewToken(name=name, **{field: value for field, value in fields.items() if value is not None})
    with ledger_of(place) as db:
        made = add_token(db, new, now=now(), zone=zone_at(place))
    if as_json:
        say_json({**document(made), "key": text})
    else:
        say_secret(text, f"Token {made.name} (#{made.id}) is made. Its key, shown this once:")


def edit(
    who: Who,
    *,
    remain: Annotated[str | None, typer.Option("--remain", metavar="B", help="Leave exactly this.")] = None,
    add_: Annotated[str | None, typer.Option("--add", metavar="B", help="$2 more; --add=-$1 takes away.")] = None,
    budget: BudgetOption = None,
    unlimited: UnlimitedOption = False,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="May it be used?")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    user: UserOption = None,
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
    """Change a key: its balance, its limits, its name. A running server takes it with the next request."""
    from oneapi_cli.ledger.accounts import TokenEdit, edit_token

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
    plain = {"enabled": enable, "name": name, "user": user}
    fields |= {field: value for field, value in plain.items() if value is not None}
    if not fields:
        raise typer.BadParameter("say what to change; `oneapi token edit --help` shows what can be")
    place = whereabouts(config)
    with ledger_of(place) as db:
        _must_exist(db, place, who)
        edited = edit_token(db, who, TokenEdit(**fields), now=now(), zone=zone_at(place))
    if as_json:
        say_json(document(edited))
    else:
        _say_row(edited)


def list_(*, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """Every key: what is left, used and held."""
    from oneapi_cli.ledger.accounts import list_tokens

    with balances_of(whereabouts(config)) as db:
        rows = list_tokens(db)
    if as_json:
        say_json([document(row) for row in rows])
        return
    if not rows:
        remark("There is no token yet; `oneapi token add phone --budget '$5'` makes one.")
        return
    recurs = recurring(rows)
    header = ("ID", "NAME", "KEY", "STATUS", "REMAIN", "USED", "HELD", *recurs, "EXPIRES")
    lines = [
        (
            str(row.id),
            row.name,
            f"…{row.hint}" if row.hint else "",
            row.status_text(now()),
            remaining(row),
            spent(row.used),
            spent(row.held),
            *(resets(row) for _ in recurs),
            day(row.expires),
        )
        for row in rows
    ]
    say(*table(header, lines, right=("ID", "REMAIN", "USED", "HELD"), flex="NAME"))


def show(who: Who, *, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """One key, whole but for its secret."""
    from oneapi_cli.ledger.accounts import get_token

    place = whereabouts(config)
    with balances_of(place) as db:
        _must_exist(db, place, who)
        row = get_token(db, who)
    if as_json:
        say_json(document(row))
    else:
        _say_row(row)


def rotate(who: Who, *, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """A new secret under the same name; the old one is unknown from now on."""
    from oneapi_cli.ledger.accounts import rotate_token
    from oneapi_cli.ledger.keys import hint_of, new_key

    text, digest = new_key()
    place = whereabouts(config)
    with ledger_of(place) as db:
        _must_exist(db, place, who)
        row = rotate_token(db, who, digest, hint_of(text), now=now())
    if as_json:
        say_json({**document(row), "key": text})
    else:
        say_secret(text, f"Token {row.name} has a new key; the old one is refused from now on. Shown this once:")


def remove(who: Who, *, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """Remove a key. What it spent stays in the ledger."""
    from oneapi_cli.ledger.accounts import remove_token

    place = whereabouts(config)
    with ledger_of(place) as db:
        _must_exist(db, place, who)
        row = remove_token(db, who, now=now())
    if as_json:
        say_json(document(row))
    else:
        remark(f"Token {row.name} is removed; it had used {spent(row.used)}.")


def _own_key(stated: str) -> str:
    """The key that somebody brings along. Raises Refused for one that no client could send or anybody could guess."""
    from oneapi_cli.config import words
    from oneapi_cli.ledger.keys import PREFIX

    text: str = word("--key", words.parse_secret, sys.stdin.readline() if stated == "-" else stated)
    bare = text.removeprefix(PREFIX)
    if not bare:
        raise Refused("The key is empty; give one, or leave --key out to have one made.")
    if len(bare) < SHORTEST_SAFE_KEY:
        remark("This key is short enough to be guessed; 32 random characters are not.")
    return text if text.startswith(PREFIX) else PREFIX + text


def _refuse_declared(place: Whereabouts, name: str) -> None:
    if name in place.declared:
        raise Refused(f"Token {name} is declared in {place.path}:{place.declared[name]}; edit it there.")


def _must_exist(db: Connection, place: Whereabouts, who: str) -> None:
    """Of a declared token that no server has taken yet, say so; any other unknown one is the ledger's to refuse."""
    from oneapi_cli.ledger.accounts import list_tokens

    if who in place.declared and all(row.name != who for row in list_tokens(db)):
        where = f"{place.path}:{place.declared[who]}"
        raise Refused(f"Token {who} is declared in {where} and not in the ledger yet; `oneapi serve` takes it there.")


def _say_row(row: TokenRow) -> None:
    """A token for people."""
    rows = [
        ("token", f"{row.name} (#{row.id})"),
        ("status", row.status_text(now())),
        ("key", f"sk-…{row.hint}" if row.hint else "sk-…"),
        ("owner", row.user),
        *balance_pairs(row),
        *limit_pairs(row),
        ("source", f"declared in {row.declared_at}" if row.source == DECLARED else "made by command"),
        ("created", moment(row.created)),
    ]
    say(*pairs(rows))
