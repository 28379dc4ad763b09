"""What was spent on what: sums over requests, and the log, row by row.

Read from the request rows themselves, with every adjustment in the cost: there is no second book of statistics that
could disagree with the first. What retention has folded is in balances, and in no report. Time ranges walk the index
of a token's requests by time (tokens are few), the newest rows the table from its end.

Callers see one moment (`store.snapshot`). Money in nanos, times in unix seconds, counts in tokens.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from datetime import tzinfo
from functools import cache
from typing import Literal

import msgspec
from msgspec import Struct

from .periods import local_day
from .rows import usage_of
from .store import snapshot

By = Literal["day", "model", "token", "user", "channel"]
MOST_ROWS = 1_000
QUARTER_SECONDS = 900
"""Every zone's midnight lies on a quarter of an hour, so quarters add up to days whatever the zone."""


class UsageRow(Struct, frozen=True, kw_only=True):
    """requests: all that were admitted, released ones too. cost_nanos: adjustments included."""

    key: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost_nanos: int


class LogFilter(Struct, frozen=True, kw_only=True):
    """Which rows of the log. after_id: only later ones, the oldest `limit` of them; else the newest. ids: just these.

    token: a name, or `#` and an id; model: as asked or as sent; errors: refused, answered with a status of 400
    up, or broken off in the middle of a stream.
    """

    limit: int = 20
    after_id: int | None = None
    ids: tuple[int, ...] = ()
    token: str | None = None
    model: str | None = None
    channel: str | None = None
    errors: bool = False


class LogRow(Struct, frozen=True, kw_only=True):
    """One request in the log. None where nobody counted; status None while it is open.

    An external consumption has the door `external` and its reason as model.
    """

    id: int
    request_id: str
    state: str
    created: float
    closed: float | None
    token_id: int
    token: str
    user_id: int
    user: str
    door: str
    model_asked: str
    model_sent: str
    channel: str
    stream: bool
    status: int | None
    code: str
    reason: str
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int
    hold_nanos: int
    cost_nanos: int
    estimated: bool
    bounded: bool
    waited_seconds: float
    first_byte: float | None
    peer: str


class LogWindow(Struct, frozen=True, kw_only=True):
    """start and end: when the request was made, both included."""

    start: float | None = None
    end: float | None = None
    model: str | None = None


class LogPage(Struct, frozen=True):
    """Some of a token's requests, newest first, and how many there are."""

    rows: list[LogRow]
    total: int


# --- sums -----------------------------------------------------------------------------------------------------------


def usage(db: sqlite3.Connection, since: float | None, by: By, zone: tzinfo) -> list[UsageRow]:
    """What was used since a moment. By day (`2026-11-22`, local): oldest first; by anything else: the dearest first.

    Requests count where they began. model: as asked; external consumption is under its reason. channel: "" for what
    never reached one.
    """
    name = _day_names(zone) if by == "day" else str
    start = 0.0 if since is None else since
    sums: dict[str, list[int]] = {}
    with snapshot(db):
        for sql in (_USED.format(key=_KEYS[by]), _ADJUSTED.format(key=_KEYS[by])):
            for key, *figures in db.execute(sql, (start,)):
                entry = sums.setdefault(name(key), [0, 0, 0, 0])
                for place, figure in enumerate(figures):
                    entry[place] += figure
    rows = [
        UsageRow(key=key, requests=requests, input_tokens=into, output_tokens=out, cost_nanos=cost)
        for key, (requests, into, out, cost) in sums.items()
    ]
    return sorted(rows, key=_by_day if by == "day" else _by_cost)


def models_used(db: sqlite3.Connection, since: float | None = None) -> list[str]:
    """The names of models that were asked for and admitted, by name; no external reasons among them."""
    with snapshot(db):
        rows = db.execute(_MODELS, (0.0 if since is None else since,)).fetchall()
    return [model for (model,) in rows]


def _day_names(zone: tzinfo) -> Callable[[int], str]:
    return cache(lambda quarter: local_day(quarter * QUARTER_SECONDS, zone))


def _by_day(row: UsageRow) -> str:
    return row.key


def _by_cost(row: UsageRow) -> tuple[int, int, str]:
    return -row.cost_nanos, -row.requests, row.key


_KEYS: dict[By, str] = {
    "day": f"CAST(r.created / {QUARTER_SECONDS} AS INTEGER)",
    "model": "r.model_asked",
    "token": "(SELECT name FROM tokens WHERE id = r.token_id)",
    "user": "(SELECT name FROM users WHERE id = r.user_id)",
    "channel": "r.channel",
}
_ADMITTED = "r.token_id IN (SELECT id FROM tokens) AND r.created >= ? AND r.state <> 'refused'"
# Absurd counts are cut off, so that no sum goes beyond 64 bits.
_USED = (
    "SELECT {key}, count(*), sum(min(coalesce(r.input_tokens, 0), 1000000000000)),"  # noqa: S608 - names are ours
    f" sum(min(coalesce(r.output_tokens, 0), 1000000000000)), sum(r.cost_nanos) FROM requests r WHERE {_ADMITTED}"
    " GROUP BY 1"
)
_ADJUSTED = (
    "SELECT {key}, 0, 0, 0, sum(a.delta_nanos) FROM adjustments a JOIN requests r ON r.id = a.request"
    " WHERE r.created >= ? GROUP BY 1"
)
_MODELS = f"SELECT DISTINCT r.model_asked FROM requests r WHERE {_ADMITTED} AND r.door <> 'external' ORDER BY 1"  # noqa: S608


# --- the log --------------------------------------------------------------------------------------------------------


def logs(db: sqlite3.Connection, wanted: LogFilter) -> list[LogRow]:
    """Rows of the log, the newest last; open requests among them (state `held`)."""
    with snapshot(db):
        terms, values, order = _conditions(db, wanted)
        where = f" WHERE {' AND '.join(terms)}" if terms else ""
        rows = _rows(db, f"{where} ORDER BY {order} LIMIT ?", (*values, min(max(0, wanted.limit), MOST_ROWS)))
    return sorted(rows, key=_by_id)


def _by_id(row: LogRow) -> int:
    return row.id


def _conditions(db: sqlite3.Connection, wanted: LogFilter) -> tuple[list[str], list[object], str]:
    """SQL terms, their values, and the order in which the wanted rows are found soonest."""
    terms: list[str] = []
    values: list[object] = []
    order = "r.id DESC" if wanted.after_id is None else "r.id ASC"

    def narrow(term: str, *more: object) -> None:
        terms.append(term)
        values.extend(more)

    if wanted.after_id is not None:
        narrow("r.id > ?", wanted.after_id)
    if wanted.ids:
        narrow(f"r.id IN ({', '.join('?' * len(wanted.ids))})", *wanted.ids)
    if wanted.token is not None:
        tokens = _tokens_called(db, wanted.token)
        if len(tokens) == 1 and wanted.after_id is None and not wanted.ids:
            order = "r.created DESC, r.id DESC"  # from the end of that token's own index
            narrow("r.token_id = ?", *tokens)
        else:
            # The plus keeps SQLite from sorting all that these tokens ever asked for.
            narrow(f"+r.token_id IN ({', '.join('?' * len(tokens))})", *tokens)
    if wanted.model is not None:
        narrow("(r.model_asked = ? OR r.model_sent = ?)", wanted.model, wanted.model)
    if wanted.channel is not None:
        narrow("r.channel = ?", wanted.channel)
    if wanted.errors:
        # A stream that broke in the middle had its status of 200 long before: its attempt says how it ended.
        died = "EXISTS (SELECT 1 FROM attempts a WHERE a.request = r.id AND a.outcome = 'died')"
        narrow(f"(r.state = 'refused' OR r.status >= 400 OR {died})")
    return terms, values, order


def _tokens_called(db: sqlite3.Connection, name: str) -> list[int]:
    """Every token that has or had this name; where none did, the one with this id."""
    found = [id for (id,) in db.execute("SELECT id FROM tokens WHERE name = ?", (name,))]
    number = name.removeprefix("#")
    if not found and number.isascii() and number.isdecimal() and len(number) < 19:
        found = [id for (id,) in db.execute("SELECT id FROM tokens WHERE id = ?", (int(number),))]
    return found


def token_logs(
    db: sqlite3.Connection, token_id: int, offset: int, limit: int, window: LogWindow | None = None
) -> LogPage:
    """A page of one token's log, newest first."""
    window = window or LogWindow()
    where = " WHERE r.token_id = ? AND r.created BETWEEN ? AND ?"
    values: list[object] = [
        token_id,
        0.0 if window.start is None else window.start,
        float("inf") if window.end is None else window.end,
    ]
    if window.model is not None:
        where += " AND r.model_asked = ?"
        values.append(window.model)
    with snapshot(db):
        total = db.execute(f"SELECT count(*) FROM requests r{where}", values).fetchone()[0]  # noqa: S608 - ours
        page = (min(max(0, limit), MOST_ROWS), min(max(0, offset), total))
        rows = _rows(db, where + " ORDER BY r.created DESC, r.id DESC LIMIT ? OFFSET ?", (*values, *page))
    return LogPage(rows, total)


_COLUMNS = """
SELECT r.id, r.request_id, r.state, r.created, r.closed, r.token_id, t.name, r.user_id, u.name, r.door, r.model_asked,
       r.model_sent, r.channel, r.stream, r.status, r.code, r.reason, r.input_tokens, r.output_tokens, r.usage,
       r.hold_nanos,
       r.cost_nanos + (SELECT coalesce(sum(delta_nanos), 0) FROM adjustments WHERE request = r.id),
       r.bounded, r.waited, r.first_byte, r.peer
FROM requests r JOIN tokens t ON t.id = r.token_id JOIN users u ON u.id = r.user_id
"""
_BEFORE_USAGE = LogRow.__struct_fields__[: LogRow.__struct_fields__.index("cached_tokens")]


def _rows(db: sqlite3.Connection, tail: str, values: Iterable[object]) -> list[LogRow]:
    """`tail` is ours: conditions and order, clients' words only as parameters."""
    with snapshot(db):
        found = db.execute(_COLUMNS + tail, tuple(values)).fetchall()
    return [_row(columns) for columns in found]


def _row(columns: tuple[object, ...]) -> LogRow:
    first = dict(zip(_BEFORE_USAGE, columns, strict=False))
    column, hold, cost, bounded, waited, first_byte, peer = columns[len(_BEFORE_USAGE) :]
    used = usage_of(column if isinstance(column, str) else None)
    fields = {
        **first,
        "stream": bool(first["stream"]),
        "cached_tokens": 0 if used is None else int(used.get("cache_read_tokens")),
        "hold_nanos": hold,
        "cost_nanos": cost,
        "estimated": used is not None and used.estimated,
        "bounded": bool(bounded),
        "waited_seconds": waited,
        "first_byte": first_byte,
        "peer": peer,
    }
    return msgspec.convert(fields, LogRow)
