"""What reaches the terminal: tables, JSON, sentences.

Names, models, reasons and vendors' texts come from elsewhere and may hold escape sequences; whatever is printed goes
through `clean`, which leaves nothing that a terminal acts on. Results go to stdout, remarks to stderr.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from oneapi_cli.values.money import NANOS_PER_USD, format_usd

NARROWEST = 6
_MICRO = NANOS_PER_USD // 1_000_000


def clean(text: str) -> str:
    """The text with control, format and other unprintable characters written as escapes (`\\x1b`, `\\u202e`)."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def say(*lines: str) -> None:
    """A result, on stdout. Lines are clean already, or ours."""
    for line in lines:
        print(line)


def remark(*lines: str) -> None:
    """What a person should know and a program must not read, on stderr."""
    for line in lines:
        print(clean(line), file=sys.stderr)


def complain(text: str) -> None:
    """Why a command did not do what was asked, on stderr."""
    remark(*text.splitlines())


def say_json(document: Any) -> None:
    """Exactly one JSON document, on stdout. Control characters are escaped by JSON itself, others by ASCII."""
    import json

    print(json.dumps(document, indent=2, ensure_ascii=True))


def say_secret(text: str, *about: str) -> None:
    """A key, shown once: alone on stdout; what is said about it goes to stderr, so that `KEY=$(oneapi …)` works."""
    remark(*about)
    print(text)


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), flex: str = ""
) -> list[str]:
    """Aligned lines that fit the terminal (80 columns where there is none): the column `flex` gives way, with an
    ellipsis.

    Cells are cleaned here. `right` names the columns that are aligned to the right.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[index]) for row in cells)]) for index, name in enumerate(header)]
    if flex:
        over = sum(widths) + 2 * (len(widths) - 1) - columns()
        place = header.index(flex)
        widths[place] = max(NARROWEST, widths[place] - max(0, over))
    lines = [_line(header, widths, header, right)]
    return lines + [_line(row, widths, header, right) for row in cells]


def columns() -> int:
    """The width to write for."""
    return shutil.get_terminal_size((80, 24)).columns or 80


def wrapped(text: str, indent: str) -> list[str]:
    """Clean text in lines that fit, each behind `indent`."""
    import textwrap

    width = max(20, columns())
    return textwrap.wrap(clean(text), width, initial_indent=indent, subsequent_indent=indent) or []


def pairs(rows: Sequence[tuple[str, str]]) -> list[str]:
    """`name  value` lines, the values in one column and wrapped there."""
    width = max(len(name) for name, _ in rows) + 2
    lines: list[str] = []
    for name, value in rows:
        first, *rest = wrapped(value, " " * width) or [" " * width]
        lines += [name.ljust(width) + first[width:], *rest]
    return lines


def left(nanos: int) -> str:
    """What is left, in dollars and at most six decimals, rounded down."""
    return format_usd(nanos // _MICRO * _MICRO)


def spent(nanos: int) -> str:
    """What was spent, in dollars and at most six decimals, rounded up."""
    return format_usd(-(-nanos // _MICRO) * _MICRO)


def moment(seconds: float | None, *, never: str = "never") -> str:
    """A time for people, UTC."""
    if seconds is None:
        return never
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day(seconds: float | None) -> str:
    """A time for a narrow column: its day, UTC; `never` for None."""
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _line(row: Sequence[str], widths: Sequence[int], header: Sequence[str], right: Sequence[str]) -> str:
    fitted = [cell if len(cell) <= width else cell[: width - 1] + "…" for cell, width in zip(row, widths, strict=True)]
    placed = [
        cell.rjust(width) if name in right else cell.ljust(width)
        for cell, width, name in zip(fitted, widths, header, strict=True)
    ]
    return "  ".join(placed).rstrip()


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")
