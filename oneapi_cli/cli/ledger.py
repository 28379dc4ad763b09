"""`oneapi ledger`: where it is, whether it balances, and what was charged without evidence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneapi_cli.values.money import format_usd

from .mistakes import Refused
from .options import AsJson, ConfigPath, example, ledger_of, now, whereabouts
from .output import clean, moment, remark, say, say_json, spent, wrapped
from .progress import working
from .token_flags import word
from .usage import since_of

if TYPE_CHECKING:
    from oneapi_cli.ledger.recovery import Orphan
    from oneapi_cli.ledger.store import Connection

DOES_NOT_BALANCE = 3


def register(app: typer.Typer) -> None:
    """`ledger` and its commands."""
    group = typer.Typer(help="The ledger's file.", no_args_is_help=True, rich_markup_mode=None)
    group.command("path", epilog=example("oneapi ledger path"))(path)
    group.command("verify", epilog=example("oneapi ledger verify && echo it balances"))(verify)
    lines = (
        "oneapi ledger orphans",
        "oneapi ledger orphans --release 20261122161427000000000000000000",
        "oneapi ledger orphans --settle 20261122161427000000000000000000 --input 1200 --output 350",
    )
    group.command("orphans", epilog=example(*lines))(orphans)
    group.command("backup", epilog=example("oneapi ledger backup ~/backups/oneapi-2026-11-22.db"))(backup)
    group.command("export", epilog=example("oneapi ledger export --csv requests.csv --since 2026-11-01"))(export)
    group.command("prune", epilog=example("oneapi ledger prune --older-than 90d"))(prune)
    app.add_typer(group, name="ledger")


def path(*, config: ConfigPath = None) -> None:
    """Where the ledger is."""
    say(str(whereabouts(config).ledger))


def verify(*, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """Recompute every balance from its rows. Exit code 3 if anything differs."""
    from oneapi_cli.ledger.verify import verify as differences

    place = whereabouts(config)
    with ledger_of(place) as db:
        found = differences(db)
    if as_json:
        import msgspec

        say_json({"ledger": str(place.ledger), "balances": not found, "differences": msgspec.to_builtins(found)})
    elif found:
        say(*(line for one in found for line in wrapped(one.sentence, "")))
    else:
        say("The ledger balances.")
    if found:
        remark(f"{len(found)} differences; restore a backup, or ask before anything is written to it.")
        raise typer.Exit(DOES_NOT_BALANCE)


def orphans(
    *,
    release: Annotated[
        bool, typer.Option("--release", help="Charge nothing after all, for one id or --all.", show_default=False)
    ] = False,
    settle: Annotated[bool, typer.Option("--settle", help="Charge what the vendor's own page says.")] = False,
    request_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The request, for --release and --settle.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every orphan, for --release.")] = False,
    input_tokens: Annotated[int | None, typer.Option("--input", metavar="N", min=0, help="Input tokens.")] = None,
    output_tokens: Annotated[int | None, typer.Option("--output", metavar="M", min=0, help="Output tokens.")] = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """What was charged, or is still held, without evidence: after a crash, a timeout, a reset. List it, or resolve
    it."""
    tokens = (input_tokens, output_tokens)
    _check_usage(release, settle, request_id, everything, tokens)
    place = whereabouts(config)
    with ledger_of(place) as db:
        if release:
            _release(db, request_id, as_json)
        elif settle and request_id is not None:
            _settle(db, place.path, request_id, (input_tokens or 0, output_tokens or 0), as_json)
        else:
            _list(db, as_json)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that is not there yet.", show_default=False)],
    *,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """Copy the ledger as it is at one moment to one file, while others write. Nothing is overwritten."""
    from oneapi_cli.ledger.retention import backup as copy

    place = whereabouts(config)
    with working("copying the ledger"):
        size = copy(place.ledger, file.expanduser())
    if as_json:
        say_json({"file": str(file.expanduser().absolute()), "bytes": size})
    else:
        say(clean(f"{file}: {size:,} bytes."))


def export(
    *,
    csv: Annotated[Path, typer.Option("--csv", metavar="FILE", help="A new file; - is stdout.", show_default=False)],
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="7d, 2026-11-01 or all.")] = "all",
    config: ConfigPath = None,
) -> None:
    """Every request as a line of CSV, safe to open in a spreadsheet. Nothing is overwritten."""
    from oneapi_cli.ledger.export import export_csv

    start = word("--since", lambda text: since_of(text, now()), since)
    with ledger_of(whereabouts(config)) as db:
        if str(csv) == "-":
            export_csv(db, sys.stdout, start)
            return
        with working("writing the requests"):
            count = export_csv(db, csv.expanduser(), start)
    remark(f"{count} requests are in {csv}.")


def prune(
    *,
    older_than: Annotated[str, typer.Option("--older-than", metavar="AGE", help="Such as 90d.", show_default=False)],
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """Fold what is older into one row per account: balances stay, bills and logs of that time go. Not to be undone."""
    from oneapi_cli.config import words
    from oneapi_cli.ledger.retention import prune as fold

    moment_ = now()
    seconds = word("--older-than", words.parse_duration, older_than)
    with ledger_of(whereabouts(config)) as db, working("folding old rows"):
        done = fold(db, moment_ - seconds, moment_)
    if as_json:
        say_json({"requests": done.requests, "grants": done.grants, "nanos": done.nanos})
    else:
        folded = f"{done.requests} requests of {spent(done.nanos)} and {done.grants} grants are folded"
        say(f"{folded}; balances are as they were.")


def _check_usage(
    release: bool, settle: bool, request_id: str | None, everything: bool, tokens: tuple[int | None, int | None]
) -> None:
    if release and settle:
        raise typer.BadParameter("--release and --settle contradict each other; say one of them")
    if release and (request_id is None) == (not everything):
        raise typer.BadParameter("--release takes one id, or --all")
    if settle and (request_id is None or None in tokens):
        raise typer.BadParameter("--settle takes an id, --input N and --output M")
    if everything and not release:
        raise typer.BadParameter("--all belongs to --release")
    if not settle and any(count is not None for count in tokens):
        raise typer.BadParameter("--input and --output belong to --settle")
    if request_id is not None and not release and not settle:
        raise typer.BadParameter("say what to do with it: --release or --settle")


def _list(db: Connection, as_json: bool) -> None:
    from oneapi_cli.ledger.recovery import orphans as find

    found = find(db)
    if as_json:
        say_json([_document(orphan) for orphan in found])
        return
    if not found:
        say("There are no orphans.")
        return
    for orphan in found:
        what = "held" if orphan.state == "held" else "charged"
        where = f" through {orphan.channel}" if orphan.channel else ""
        head = f"{orphan.request_id}  {what} {spent(orphan.nanos)}  {moment(orphan.created)}"
        about = f"{orphan.token}: {orphan.model}{where}; {orphan.reason}"
        say(*wrapped(head, ""), *wrapped(about, "    "))
    say("", f"{len(found)} in all, {spent(sum(orphan.nanos for orphan in found))}.")


def _document(orphan: Orphan) -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(orphan)


def _release(db: Connection, request_id: str | None, as_json: bool) -> None:
    from oneapi_cli.ledger.recovery import release_all, release_orphan

    if request_id is None:
        count, nanos = release_all(db, now=now())
    else:
        count, nanos = 1, release_orphan(db, request_id, now=now())
    if as_json:
        say_json({"released": count, "nanos": nanos})
    else:
        say(f"{count} released, {format_usd(nanos)} given back.")


def _settle(db: Connection, config: Path, request_id: str, tokens: tuple[int, int], as_json: bool) -> None:
    from oneapi_cli.ledger.receipts import read_receipt
    from oneapi_cli.ledger.recovery import settle_orphan
    from oneapi_cli.values.usage import Usage

    from .orphan_price import price

    receipt = read_receipt(db, request_id)
    if receipt is None:
        raise Refused(f"There is no request {request_id}; `oneapi ledger orphans` lists what can be settled.")
    usage = Usage(counts={"input_tokens": tokens[0], "output_tokens": tokens[1]})
    nanos, origin = price(db, config, receipt, usage)
    change = settle_orphan(db, request_id, nanos, usage, now=now())
    if as_json:
        say_json({"request_id": request_id, "cost_nanos": nanos, "change_nanos": change, "price_origin": origin})
    else:
        say(f"Settled at {format_usd(nanos)} ({format_usd(change)} against before), priced by {origin}.")
