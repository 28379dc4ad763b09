"""What reaches the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.cli.output import clean, columns, left, pairs, spent, table


@given(st.text())
def test_clean_leaves_nothing_to_act_on(text: str) -> None:
    assert clean(text).isprintable()


def test_clean_keeps_what_is_harmless() -> None:
    assert clean("größer 模型 [bold]") == "größer 模型 [bold]"
    assert clean("a\x1b[0m\n\u202e\udc80") == r"a\x1b[0m\n\u202e\udc80"


@given(st.lists(st.tuples(st.text(max_size=99), st.text(max_size=12)), max_size=5))
def test_tables_fit(rows: list[tuple[str, str]]) -> None:
    lines = table(("NAME", "VALUE"), [(name, value[:4]) for name, value in rows], flex="NAME")
    assert len(lines) == len(rows) + 1
    assert max(map(len, lines)) <= columns()


def test_table_aligns() -> None:
    assert table(("A", "B"), [("x", "1"), ("yy", "22")], right=("B",)) == ["A    B", "x    1", "yy  22"]


def test_pairs_wrap_in_their_column() -> None:
    lines = pairs([("name", "word " * 40), ("x", "y"), ("empty", "")])
    assert all(len(line) <= columns() for line in lines)
    assert lines[1].startswith("       word") and lines[-2] == "x      y" and lines[-1].rstrip() == "empty"


@pytest.mark.parametrize(
    ("nanos", "remaining", "used"),
    [
        (1, "$0.00", "$0.000001"),
        (1_999, "$0.000001", "$0.000002"),
        (-1, "-$0.000001", "$0.00"),
        (10**9, "$1.00", "$1.00"),
    ],
)
def test_money_never_flatters(nanos: int, remaining: str, used: str) -> None:
    assert (left(nanos), spent(nanos)) == (remaining, used)
