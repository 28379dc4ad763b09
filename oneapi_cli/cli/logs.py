"""`oneapi logs`: the last requests, and those that come."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .mistakes import Refused
from .options import AsJson, ConfigPath, example, ledger_of, whereabouts
from .output import clean, columns, remark, say, say_json, spent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from oneapi_cli.ledger.reports import LogFilter, LogRow
    from oneapi_cli.ledger.store import Connection

LOOK_SECONDS = 0.3
WIDE = 100
MOST = 1_000


def register(app: typer.Typer) -> None:
    """`logs`."""
    lines = ("oneapi logs -n 50 --token phone", "oneapi logs --follow --errors")
    app.command("logs", epilog=example(*lines))(logs)


def logs(
    *,
    count: Annotated[int, typer.Option("-n", "--lines", metavar="N", min=0, max=MOST, help="How many.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with those that come, until Ctrl-C.")] = False,
    token: Annotated[str | None, typer.Option("--token", metavar="T", help="Of this token.")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="M", help="For this model.")] = None,
    channel: Annotated[str | None, typer.Option("--channel", metavar="C", help="Through this channel.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only what was refused or failed.")] = False,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """The last requests, the newest last; `oneapi cost` takes the number or the id of one. A cost with ~ is
    estimated: the vendor reported no usage. With --json --follow, a document a line."""
    from oneapi_cli.ledger.reports import LogFilter
    from oneapi_cli.ledger.reports import logs as read

    with ledger_of(whereabouts(config)) as db:
        who = None if token is None else _whose(db, token)
        wanted = LogFilter(limit=count, token=who, model=model, channel=channel, errors=errors)
        rows = read(db, wanted) if count else []
        if follow:
            _follow(db, wanted, rows, _printer(as_json, errors))
        elif as_json:
            say_json([document(row) for row in rows])
        elif rows:
            say(*_lines(rows, errors))
        else:
            remark("There is no such request.")


def document(row: LogRow) -> dict[str, Any]:
    """One request as JSON: money in nano-dollars, times in unix seconds."""
    import msgspec

    return msgspec.structs.asdict(row)


def _whose(db: Connection, token: str) -> str:
    """What the log knows a token by: one there is by its id, a removed one by its name. Raises Refused."""
    from oneapi_cli.ledger.accounts import get_token, list_tokens
    from oneapi_cli.ledger.reports import LogFilter, logs

    if any(token in (row.name, str(row.id), f"#{row.id}") for row in list_tokens(db)):
        return f"#{get_token(db, token).id}"
    if not logs(db, LogFilter(limit=1, token=token)):
        raise Refused(f"There is no token {token}; `oneapi token list` shows those there are.")
    return token


def _follow(db: Connection, wanted: LogFilter, rows: list[LogRow], tell: Callable[[Iterable[LogRow]], None]) -> None:
    """Tell of each request once it is closed, until somebody presses Ctrl-C."""
    from msgspec.structs import replace

    from oneapi_cli.ledger.reports import LogFilter, logs

    tell(row for row in rows if row.closed is not None or row.state != "held")
    newest = logs(db, LogFilter(limit=1))
    last = max((row.id for row in (*rows, *newest)), default=0)
    pending = {row.id for row in rows if row.state == "held"}
    everything = replace(wanted, errors=False, channel=None, limit=MOST)
    try:
        while True:
            fresh = logs(db, replace(everything, after_id=last))
            last = max((row.id for row in fresh), default=last)
            # Which channel served an open request, and how it ended, is known only when it is closed.
            pending |= {row.id for row in fresh}
            done = logs(db, replace(wanted, ids=tuple(sorted(pending)[:MOST]), limit=MOST)) if pending else []
            states = logs(db, replace(everything, ids=tuple(sorted(pending)[:MOST]))) if pending else []
            tell(row for row in done if row.state != "held")
            pending -= {row.id for row in states if row.state != "held"}
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return


def _printer(as_json: bool, errors: bool) -> Callable[[Iterable[LogRow]], None]:
    day = ""

    def tell(rows: Iterable[LogRow]) -> None:
        nonlocal day
        for row in rows:
            if as_json:
                import json

                print(json.dumps(document(row), ensure_ascii=True), flush=True)
                continue
            if (date := _day(row.created)) != day:
                print(date, flush=True)
                day = date
            print(_text(row, errors), flush=True)

    return tell


def _lines(rows: Iterable[LogRow], errors: bool) -> list[str]:
    said = [_header(errors)]
    day = ""
    for row in rows:
        if (date := _day(row.created)) != day:
            said.append(date)
            day = date
        said.append(_text(row, errors))
    return said


def _header(errors: bool) -> str:
    last = ("REASON",) if errors else ("IN/OUT", "COST")
    return _fit(("#", "TIME", "TOKEN", "MODEL", "CHANNEL", "STATUS", *last), errors)


def _text(row: LogRow, errors: bool) -> str:
    status = row.state if row.status is None or row.state == "held" else str(row.status)
    said = dict.fromkeys(text for text in (row.code, row.reason) if text)
    # A narrow line has room for the code alone; what the start of a sentence says depends on the request.
    about = ": ".join(list(said) if columns() >= WIDE else list(said)[:1])
    tokens = "" if row.input_tokens is None else f"{row.input_tokens}/{row.output_tokens or 0}"
    cost = spent(row.cost_nanos) + ("~" if row.estimated else "")
    last = (about or row.state,) if errors else (tokens, cost)
    model = row.model_asked or ("external" if row.door == "external" else "-")
    when = datetime.fromtimestamp(row.created, UTC).strftime("%H:%M:%S")
    return _fit((str(row.id), when, row.token, model, row.channel or "-", status, *last), errors)


def _fit(cells: tuple[str, ...], errors: bool) -> str:
    """Columns of a fixed width, so that lines which come later stand below the others."""
    widths = [6, 8, 10, 0, 10 if columns() >= WIDE else 0, 8, *((24,) if errors else (12, 11))]
    used = sum(widths) + 2 * sum(width > 0 for width in widths)
    widths[3] = max(8, columns() - used)
    if errors:
        widths[3] = min(20, widths[3])
        widths[-1] = max(10, columns() - sum(widths[:-1]) - 2 * sum(width > 0 for width in widths[:-1]))
    right = (0, 6, 7) if not errors else (0,)
    parts = []
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if width:
            text = clean(cell)
            fitted = text if len(text) <= width else text[: width - 1] + "…"
            parts.append(fitted.rjust(width) if index in right else fitted.ljust(width))
    return "  ".join(parts).rstrip()


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d UTC")
