"""`oneapi usage`: what was spent on what, as a table, as bars and day by day."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson, ConfigPath, example, ledger_of, now, whereabouts, zone_at
from .output import clean, columns, remark, say, say_json, spent, table
from .token_flags import word

if TYPE_CHECKING:
    from oneapi_cli.ledger.reports import UsageRow

DAY_SECONDS = 86_400
MOST_BARS = 20
LINE_ROWS = 4
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_PARTS = " ▏▎▍▌▋▊▉█"


class By(StrEnum):
    """What sums are made over."""

    day = "day"
    model = "model"
    token = "token"
    user = "user"
    channel = "channel"


def register(app: typer.Typer) -> None:
    """`usage`."""
    lines = ("oneapi usage --since 30d --by model", "oneapi usage --plot")
    app.command("usage", epilog=example(*lines))(usage)


def usage(
    *,
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="7d, 2026-11-01 or all.")] = "7d",
    by: Annotated[By, typer.Option("--by", help="What to sum over.")] = By.day,
    plot: Annotated[bool, typer.Option("--plot", help="Bars, and a line day by day.")] = False,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """What was spent since then, adjustments and external consumption included."""
    from oneapi_cli.ledger.reports import usage as sums
    from oneapi_cli.ledger.store import snapshot

    start = word("--since", lambda text: since_of(text, now()), since)
    place = whereabouts(config)
    with ledger_of(place) as db, snapshot(db):
        rows = sums(db, start, by.value, zone_at(place))
        days = rows if by is By.day else (sums(db, start, "day", zone_at(place)) if plot else [])
    if as_json:
        import msgspec

        say_json([{by.value: row.key, **_without_key(msgspec.structs.asdict(row))} for row in rows])
        return
    if not rows:
        remark("Nothing was used since then.")
        return
    if plot:
        say(*_bars(rows, newest=by is By.day), "", *_line(days))
    else:
        say(*_table(rows, by))


def since_of(text: str, moment: float) -> float | None:
    """`7d` → that long ago; a date → its first second; `all` → None. Raises WordError."""
    from oneapi_cli.config import words
    from oneapi_cli.config.problems import WordError, show

    if text.strip() == "all":
        return None
    try:
        return moment - words.parse_duration(text)
    except WordError:
        pass
    try:
        found = words.parse_moment(text)
    except WordError:
        found = None
    if found is None:
        raise WordError(f"{show(text)} is not a time", "write 7d, a date such as 2026-11-01, or all")
    return found


def _without_key(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name != "key"}


def _table(rows: Sequence[UsageRow], by: By) -> list[str]:
    header = (by.value.upper(), "REQUESTS", "INPUT", "OUTPUT", "COST")
    total = [sum(getattr(row, name) for row in rows) for name in ("requests", "input_tokens", "output_tokens")]
    lines: list[tuple[str, ...]] = [
        (
            row.key or "none",
            f"{row.requests:,}",
            f"{row.input_tokens:,}",
            f"{row.output_tokens:,}",
            spent(row.cost_nanos),
        )
        for row in rows
    ]
    cost = spent(sum(row.cost_nanos for row in rows))
    lines.append(("total", *(f"{figure:,}" for figure in total), cost))
    return table(header, lines, right=header[1:], flex=header[0])


def _bars(rows: Sequence[UsageRow], *, newest: bool) -> list[str]:
    """A bar a row, as long as its share of the dearest. newest: of many rows the last ones, else the first."""
    shown = rows[-MOST_BARS:] if newest else rows[:MOST_BARS]
    costs = [spent(row.cost_nanos) for row in shown]
    names = [clean(row.key or "none") for row in shown]
    beside = max(map(len, costs))
    wide = min(max(map(len, names)), max(10, columns() // 3))
    room = max(10, columns() - wide - beside - 4)
    most = max((row.cost_nanos for row in shown), default=0)
    lines = []
    for name, row, cost in zip(names, shown, costs, strict=True):
        fitted = name if len(name) <= wide else name[: wide - 1] + "…"
        lines.append(f"{fitted.ljust(wide)}  {_bar(row.cost_nanos, most, room).ljust(room)}  {cost.rjust(beside)}")
    if len(rows) > len(shown):
        lines.append(f"and {len(rows) - len(shown)} more")
    return lines


def _bar(amount: int, most: int, room: int) -> str:
    """Whole blocks and an eighth: integers only."""
    eighths = max(0, amount) * room * 8 // most if most > 0 else 0
    if amount > 0:
        eighths = max(1, eighths)
    return "█" * (eighths // 8) + (_PARTS[eighths % 8] if eighths % 8 else "")


def _line(days: Sequence[UsageRow]) -> list[str]:
    """The cost day by day, days of nothing included; several days share a column where there are more than fit."""
    costs = _filled(days)
    beside = max(len(spent(cost)) for cost in costs)
    room = max(10, columns() - beside - 2)
    each = -(-len(costs) // room)
    sums = [sum(costs[start : start + each]) for start in range(0, len(costs), each)]
    wide = max(1, min(8, room // len(sums)))
    most = max(sums)
    levels = [0 if most <= 0 else max(1 if cost > 0 else 0, max(0, cost) * LINE_ROWS * 8 // most) for cost in sums]
    lines = []
    for row in reversed(range(LINE_ROWS)):
        marks = "".join(_EIGHTHS[min(8, max(0, level - row * 8))] * wide for level in levels)
        label = spent(most) if row == LINE_ROWS - 1 else ("$0.00" if row == 0 else "")
        lines.append(f"{label.rjust(beside)}  {marks}".rstrip())
    first, last = days[0].key, days[-1].key
    axis = first if first == last else f"{first} to {last}"
    per = f", {each} days a column" if each > 1 else ""
    return [*lines, f"{' ' * beside}  {clean(axis)}{per}"]


def _filled(days: Sequence[UsageRow]) -> list[int]:
    """The cost of each day from the first to the last, in order."""
    from datetime import date, timedelta

    known = {row.key: row.cost_nanos for row in days}
    first, last = date.fromisoformat(days[0].key), date.fromisoformat(days[-1].key)
    return [known.get((first + timedelta(days=index)).isoformat(), 0) for index in range((last - first).days + 1)]
