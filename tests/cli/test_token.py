"""`oneapi token`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.cli.serve import mirror
from oneapi_cli.config.load import load
from oneapi_cli.ledger.keys import digest_of
from oneapi_cli.ledger.rows import find_principal
from oneapi_cli.providers.table import VENDORS

from .conftest import KEY, Place, Run

USD = 10**9


def test_add_prints_the_key_alone_and_stores_its_digest(place: Place) -> None:
    done = place.add("phone", "--budget", "$5")
    assert re.fullmatch(r"sk-[0-9A-Za-z]{48}\n", done.out)
    assert "#2" in done.err and done.out.strip() not in done.err
    with place.db() as db:
        found = find_principal(db, digest_of(done.out.strip()))
    assert found is not None and found.token.name == "phone"
    key = done.out.strip()
    for file in place.folder.iterdir():
        assert key.encode() not in file.read_bytes() and key[3:].encode() not in file.read_bytes()


def test_add_as_json_is_one_document_with_the_key(place: Place) -> None:
    done = place.add("phone", "--unlimited", "--json")
    assert done.json["key"].startswith("sk-") and done.json["unlimited"] is True
    assert done.json["key"] not in place.run("token", "show", "phone", "--json").out


def test_add_takes_every_flag(place: Place) -> None:
    before = time.time()
    place.add(
        "phone", "--budget", "2500000q/month", "--expires", "30d", "--models", "gpt-*, o1", "--subnet",
        "10.1.2.3/8,::1", "--rpm", "6", "--tpm", "7", "--concurrent", "8", "--no-clamp", "--passthrough", "--user",
        "root", "--holds", "worst_case",
    )  # fmt: skip
    row = place.token("phone")
    assert (row.budget, row.budget_period, row.remain) == (5 * USD, "month", 5 * USD)
    assert row.expires is not None and before + 30 * 86400 <= row.expires <= time.time() + 30 * 86400
    assert (row.models, row.subnets) == (("gpt-*", "o1"), ("10.0.0.0/8", "::1/128"))
    assert (row.rpm, row.tpm, row.concurrent) == (6, 7, 8)
    assert (row.clamp, row.passthrough, row.holds, row.user) == (False, True, "worst_case", "root")


def test_a_recurring_budget_shows_its_next_reset(place: Place) -> None:
    assert "RESETS" not in place.run("token", "list").out
    place.add("phone", "--budget", "$20/month")
    row = place.token("phone")
    assert row.budget_reset is not None and row.budget_reset > time.time()
    first = time.strftime("%m-%d", time.gmtime(row.budget_reset))
    assert first.endswith("-01")
    header, *_, line = place.run("token", "list").out.splitlines()
    assert "RESETS" in header and f" {first} " in line
    assert "00:00:00 UTC, to $20.00" in place.run("token", "show", "phone").out


@pytest.mark.parametrize(("words", "stdin"), [((KEY,), ""), ((KEY[3:],), ""), (("-",), f"{KEY}\n")])
def test_add_with_a_key_of_ones_own(words: tuple[str, ...], stdin: str, place: Place) -> None:
    done = place.run("token", "add", "phone", "--unlimited", "--key", *words, stdin=stdin)
    assert (done.code, done.out) == (0, f"{KEY}\n")
    with place.db() as db:
        assert find_principal(db, digest_of(KEY)) is not None


@dataclass(frozen=True)
class Wrong:
    """A command that is refused. nothing: it left the ledger as it was."""

    words: tuple[str, ...]
    code: int
    said: str
    stdin: str = field(default="")


@pytest.mark.parametrize(
    "case",
    [
        Wrong(("add", "x"), 2, "--budget or --unlimited"),
        Wrong(("add", "x", "--budget", "1", "--unlimited"), 2, "--budget or --unlimited"),
        Wrong(("add", "x", "--budget", "lots"), 2, "not an amount of money"),
        Wrong(("add", "x", "--budget", "-1"), 2, "below zero"),
        Wrong(("add", "x", "--budget", "1/year"), 2, "/month"),
        Wrong(("add", "x", "--unlimited", "--expires", "soon"), 2, "2027-01-01"),
        Wrong(("add", "x", "--unlimited", "--subnet", "10.0.0.0/99"), 2, "CIDR"),
        Wrong(("add", "x", "--unlimited", "--rpm", "-1"), 2, "--rpm"),
        Wrong(("add", "x", "--unlimited", "--holds", "some"), 2, "worst_case"),
        Wrong(("add", "x", "--unlimited", "--key", "a b"), 2, "spaces"),
        Wrong(("add", "x", "--unlimited", "--key", "sk-"), 1, "empty"),
        Wrong(("add", "x", "--unlimited", "--key", "-"), 1, "empty"),
        Wrong(("add", "first", "--unlimited"), 1, "already"),
        Wrong(("add", " x", "--unlimited"), 1, "printable"),
        Wrong(("add", "x", "--unlimited", "--user", "nobody"), 1, "no user nobody"),
        Wrong(("add", "laptop", "--unlimited"), 1, "config.yaml:5"),
        Wrong(("edit", "first"), 2, "what to change"),
        Wrong(("edit", "first", "--remain", "1", "--add", "1"), 2, "contradict"),
        Wrong(("edit", "first", "--budget", "1", "--unlimited"), 2, "contradict"),
        Wrong(("edit", "first", "--remain", "-1"), 2, "less than nothing"),
        Wrong(("edit", "first", "--add=-$9"), 1, "cannot be taken away"),
        Wrong(("edit", "nobody", "--enable"), 1, "token list"),
        Wrong(("edit", "laptop", "--enable"), 1, "not in the ledger yet"),
        Wrong(("show", "nobody"), 1, "token list"),
        Wrong(("rotate", "nobody"), 1, "token list"),
        Wrong(("remove", "nobody"), 1, "token list"),
        Wrong(("remove",), 2, "NAME|ID"),
        Wrong(("nonsense",), 2, "nonsense"),
    ],
    ids=lambda case: " ".join(case.words),
)
def test_refused(case: Wrong, place: Place) -> None:
    before = place.run("token", "list", "--json").out
    done = place.run("token", *case.words, stdin=case.stdin)
    assert (done.code, done.out) == (case.code, "")
    assert case.said in " ".join(done.err.split()), done.err
    assert place.run("token", "list", "--json").out == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--remain", "$2"), {"remain": 2 * USD}),
        (("--add", "2.50"), {"remain": 7_500_000_000}),
        (("--add=-$1",), {"remain": 4 * USD}),
        (("--budget", "8"), {"remain": 8 * USD, "budget": 8 * USD}),
        (("--unlimited",), {"unlimited": True, "budget": None}),
        (("--disable",), {"status": 2}),
        (("--name", "second"), {"name": "second"}),
        (("--expires", "never"), {"expires": None}),
        (("--expires", "2020-01-01"), {"expires": 1577836800.0}),
        (("--models", ""), {"models": ()}),
        (("--rpm", "0", "--tpm", "9"), {"rpm": None, "tpm": 9}),
        (("--clamp",), {"clamp": True}),
        (("--no-passthrough",), {"passthrough": False}),
    ],
)
def test_edit(words: tuple[str, ...], expected: dict[str, Any], place: Place) -> None:
    place.add("phone", "--budget", "5", "--models", "m", "--rpm", "3", "--expires", "9d", "--passthrough")
    done = place.run("token", "edit", "phone", *words, "--json")
    assert done.code == 0, done.err
    with place.db() as db:
        row = next(row for row in _rows(db) if row.id == 2)
    assert {name: getattr(row, name) for name in expected} == expected


def _rows(db: Any) -> list[Any]:
    from oneapi_cli.ledger.accounts import list_tokens

    return list_tokens(db)


def test_an_id_does_for_a_name(place: Place) -> None:
    assert place.run("token", "show", "1", "--json").json["name"] == "first"


def test_list_and_show(place: Place) -> None:
    place.add("phone", "--unlimited", "--expires", "2031-05-06", "--models", "gpt-*")
    place.hold("1", place.run("token", "rotate", "phone").out.strip(), nanos=1_234)
    listed = place.run("token", "list").out
    assert listed.splitlines()[0].split() == ["ID", "NAME", "KEY", "STATUS", "REMAIN", "USED", "HELD", "EXPIRES"]
    assert "unlimited" in listed and "2031-05-06" in listed and "$0.000002" in listed
    shown = place.run("token", "show", "phone").out
    assert "gpt-*" in shown and "made by command" in shown
    document = place.run("token", "list", "--json").json
    assert [row["name"] for row in document] == ["first", "phone"]
    assert document[1]["held_nanos"] == 1_234 and "key" not in document[1]


def test_rotate_makes_the_old_key_unknown(place: Place) -> None:
    old = place.add("phone", "--unlimited").out.strip()
    new = place.run("token", "rotate", "phone").out.strip()
    with place.db() as db:
        assert find_principal(db, digest_of(old)) is None
        assert find_principal(db, digest_of(new)) is not None


def test_remove(place: Place) -> None:
    key = place.add("phone", "--unlimited").out.strip()
    assert place.run("token", "remove", "phone").code == 0
    with place.db() as db:
        assert find_principal(db, digest_of(key)) is None
    assert place.run("token", "show", "phone").code == 1


def test_names_from_elsewhere_cannot_drive_the_terminal(place: Place) -> None:
    with place.db() as db:
        db.execute("UPDATE tokens SET name = ?, models = ?", ("\x1b[2J\u202e[bold]x", '["\\u001b]0;x\\u0007"]'))
    for words in (("list",), ("show", "1"), ("remove", "1")):
        done = place.run("token", *words)
        assert done.code == 0
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", done.out + done.err)
        assert r"\x1b[2J\u202e[bold]x" in done.out + done.err


def test_tables_fit_eighty_columns(place: Place) -> None:
    place.add("a" * 200, "--budget", "$999999.123456", "--expires", "30d", "--models", ",".join(["gpt-*"] * 60))
    for words in (("list",), ("show", "2")):
        done = place.run("token", *words)
        assert max(map(len, done.out.splitlines())) <= 80, done.out
    assert "…" in place.run("token", "list").out


def test_an_empty_ledger_says_how_to_begin(place: Place) -> None:
    place.run("token", "remove", "first")
    done = place.run("token", "list")
    assert (done.code, done.out) == (0, "") and "token add" in done.err
    assert place.run("token", "list", "--json").json == []


# --- declared tokens ------------------------------------------------------------------------------------------------


@pytest.fixture
def declared(place: Place) -> Place:
    """The same place after a server has taken its config."""
    mirror(load(place.folder / "config.yaml", VENDORS, resolve=True, environ={"NOPE": KEY}))
    return place


@pytest.mark.parametrize(
    "words",
    [
        ("edit", "laptop", "--name", "x"),
        ("edit", "laptop", "--models", "x"),
        ("edit", "laptop", "--budget", "9"),
        ("edit", "laptop", "--unlimited"),
        ("rotate", "laptop"),
        ("remove", "laptop"),
        ("add", "laptop", "--unlimited"),
    ],
    ids=" ".join,
)
def test_the_identity_of_a_declared_token_is_the_configs(words: tuple[str, ...], declared: Place) -> None:
    before = declared.token("laptop")
    done = declared.run("token", *words)
    assert (done.code, done.out) == (1, "")
    assert f"{declared.folder / 'config.yaml'}:5" in done.err
    assert declared.token("laptop") == before


def test_the_balance_of_a_declared_token_is_the_ledgers(declared: Place) -> None:
    assert declared.token("laptop").remain == USD
    assert declared.run("token", "edit", "laptop", "--add", "$2").code == 0
    assert declared.run("token", "edit", "laptop", "--disable").code == 0
    row = declared.token("laptop")
    assert (row.remain, row.status) == (3 * USD, 2)
    assert "declared in" in declared.run("token", "show", "laptop").out


# --- finding the ledger ---------------------------------------------------------------------------------------------


def test_no_config(run: Run) -> None:
    done = run("token", "list")
    assert (done.code, done.out) == (1, "") and "oneapi init" in done.err


def test_no_ledger(run: Run, home: Path) -> None:
    (home / "config.yaml").write_text("ledger: none.db\n")
    done = run("token", "list")
    assert done.code == 1 and "none.db" in done.err and "oneapi init" in done.err
    assert not (home / "none.db").exists()


def test_not_a_ledger(run: Run, home: Path) -> None:
    (home / "config.yaml").write_text("ledger: config.yaml\n")
    done = run("token", "list")
    assert done.code == 1 and "not a ledger" in done.err


def test_a_config_broken_elsewhere_does_not_keep_a_token_alive(place: Place) -> None:
    (place.folder / "config.yaml").write_text("wrokers: 2\nadmin_key: ${NOPE}\nchannels: 5\n")
    assert place.run("token", "edit", "first", "--disable").code == 0
    assert place.token("first").status == 2


def test_the_config_may_be_named(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    config = str(place.folder / "config.yaml")
    assert place.run("token", "show", "first").code == 1
    assert place.run("token", "show", "first", "--config", config).code == 0
    monkeypatch.setenv("ONEAPI_CONFIG", config)
    assert place.run("token", "show", "first").code == 0
    assert place.run("token", "show", "first", "--config", "none.yaml").code == 1
