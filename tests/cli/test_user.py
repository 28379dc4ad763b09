"""`oneapi user`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

import pytest

from oneapi_cli.ledger.accounts import UserRow, get_user

from .conftest import Place

USD = 10**9


def user(place: Place, name: str) -> UserRow:
    with place.db() as db:
        return get_user(db, name)


def test_add_takes_every_flag(place: Place) -> None:
    done = place.run(
        "user", "add", "ada", "--budget", "$20/month", "--admin", "--groups", "team, beta", "--multiplier", "1.2",
        "--expires", "never", "--models", "gpt-*", "--subnet", "10.0.0.0/8", "--rpm", "6", "--tpm", "7",
        "--concurrent", "8", "--clamp", "--holds", "worst_case", "--passthrough", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["multiplier"] == "1.2" and done.json["remain_nanos"] == 20 * USD
    row = user(place, "ada")
    assert (row.budget, row.budget_period, row.remain, row.unlimited) == (20 * USD, "month", 20 * USD, False)
    assert (row.admin, row.groups, row.multiplier) == (True, ("team", "beta"), Decimal("1.2"))
    assert (row.models, row.subnets, row.rpm, row.tpm, row.concurrent) == (("gpt-*",), ("10.0.0.0/8",), 6, 7, 8)
    assert (row.clamp, row.holds, row.passthrough, row.expires) == (True, "worst_case", True, None)


def test_without_a_budget_of_its_own_it_is_unlimited(place: Place) -> None:
    assert place.run("user", "add", "ada").code == 0
    assert user(place, "ada").unlimited is True


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--budget", "$3"), {"budget": 3 * USD, "unlimited": False}),
        (("--no-admin",), {"admin": False}),
        (("--groups", ""), {"groups": ()}),
        (("--multiplier", "0.123456789"), {"multiplier": Decimal("0.123456789")}),
        (("--name", "eve"), {"name": "eve"}),
        (("--disable",), {"status": 2}),
    ],
)
def test_edit(words: tuple[str, ...], expected: dict[str, object], place: Place) -> None:
    place.run("user", "add", "ada", "--admin", "--groups", "team")
    done = place.run("user", "edit", "ada", *words)
    assert done.code == 0, done.err
    row = user(place, "2")
    assert {name: getattr(row, name) for name in expected} == expected


def test_list_and_show_say_what_it_owns(place: Place) -> None:
    place.run("user", "add", "ada", "--budget", "$5/week", "--multiplier", "1.5")
    place.add("phone", "--unlimited", "--user", "ada")
    header, root, ada = place.run("user", "list").out.splitlines()
    assert header.split() == ["ID", "NAME", "STATUS", "REMAIN", "USED", "HELD", "RESETS", "×", "TOKENS"]
    assert root.split()[:4] == ["1", "root", "enabled", "unlimited"] and ada.split()[-2:] == ["1.5", "1"]
    assert [one["tokens"] for one in place.run("user", "list", "--json").json] == [1, 1]
    shown = place.run("user", "show", "ada").out
    assert "phone" in shown and "resets" in shown and "$5.00/week" in shown
    assert place.run("user", "show", "ada", "--json").json["tokens"] == ["phone"]


def test_remove(place: Place) -> None:
    place.run("user", "add", "ada")
    place.add("phone", "--unlimited", "--user", "ada")
    refused = place.run("user", "remove", "ada")
    assert refused.code == 1 and "phone" in refused.err
    place.run("token", "remove", "phone")
    assert place.run("user", "remove", "ada").code == 0
    assert place.run("user", "show", "ada").code == 1


@dataclass(frozen=True)
class Wrong:
    words: tuple[str, ...]
    code: int
    said: str


@pytest.mark.parametrize(
    "case",
    [
        Wrong(("add",), 2, "NAME"),
        Wrong(("add", "x", "--budget", "1", "--unlimited"), 2, "contradict"),
        Wrong(("add", "x", "--budget", "lots"), 2, "not an amount of money"),
        Wrong(("add", "x", "--budget", "9" * 30), 2, "not an amount of money"),
        Wrong(("add", "x", "--budget", "-1"), 2, "below zero"),
        Wrong(("add", "x", "--multiplier", "-1"), 2, "not a factor"),
        Wrong(("add", "x", "--multiplier", "1e9"), 2, "not a factor"),
        Wrong(("add", "x", "--multiplier", "nan"), 2, "not a factor"),
        Wrong(("add", "x", "--multiplier", "9" * 9), 2, "not a factor"),
        Wrong(("add", "x", "--groups", "a\x1b[2J"), 2, "cannot be a name"),
        Wrong(("add", "x" * 300), 1, "printable"),
        Wrong(("add", "a\x1b[2J"), 1, "printable"),
        Wrong(("add", "root"), 1, "already"),
        Wrong(("edit", "root"), 2, "what to change"),
        Wrong(("edit", "root", "--budget", "1"), 1, "always"),
        Wrong(("edit", "root", "--remain", "1", "--add", "1"), 2, "contradict"),
        Wrong(("edit", "nobody", "--disable"), 1, "user list"),
        Wrong(("show", "nobody"), 1, "user list"),
        Wrong(("remove", "root"), 1, "cannot be removed"),
        Wrong(("remove", "nobody"), 1, "user list"),
    ],
    ids=lambda case: " ".join(case.words)[:40],
)
def test_refused(case: Wrong, place: Place) -> None:
    before = place.run("user", "list", "--json").out
    done = place.run("user", *case.words)
    assert (done.code, done.out) == (case.code, ""), done.err
    assert case.said in " ".join(done.err.split()), done.err
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", done.err)
    assert place.run("user", "list", "--json").out == before


def test_names_with_markup_and_formulas_are_only_text(place: Place) -> None:
    for name in ("[red]x[/red]", "=1+1", "-x", "ünïcode"):
        done = place.run("user", "add", "--json", "--", name)
        assert done.code == 0, done.err
    out = place.run("user", "list").out
    assert "[red]x[/red]" in out and "=1+1" in out
    assert max(map(len, out.splitlines())) <= 80
