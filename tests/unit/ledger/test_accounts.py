"""Tokens and users: every edit, the names, what an edit does to version and balance, what is refused and how."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.accounts import NewToken, NewUser, TokenEdit, UserEdit
from oneapi_cli.ledger.closing import close
from oneapi_cli.ledger.faults import LedgerError
from oneapi_cli.ledger.grants import grant
from oneapi_cli.ledger.holding import Moment, reserve
from oneapi_cli.ledger.rows import find_principal, principal_of
from oneapi_cli.ledger.store import open_ledger, transaction
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.holds import Hold
from tests.ledger.kit import START, add_token, add_user, ask, closing, fixed, key_of, principal

USD = 10**9


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_ledger(tmp_path / "oneapi.db", create=True, sync="normal", now=START)
    yield connection
    assert [one.sentence for one in verify(connection)] == []
    connection.close()


def spend(db: sqlite3.Connection, name: str, nanos: int) -> None:
    with transaction(db):
        hold = reserve(db, ask(principal(db, name), fixed(nanos)), Moment(owner=None, now=START))
        assert isinstance(hold, Hold)
        close(db, hold.request_id, closing(nanos), START)


def grants(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return db.execute("SELECT delta_nanos, kind, reason, actor FROM grants ORDER BY id").fetchall()


def test_a_token_as_it_was_asked_for(db: sqlite3.Connection) -> None:
    add_user(db, "alice", 9 * USD)
    new = NewToken(
        name="laptop", key_sha256=key_of("laptop"), hint="abcd", user="alice", budget_nanos=5 * USD, expires=START + 9,
        models=("gpt-*", "o1"), subnets=("10.0.0.0/8",), rpm=1, tpm=2, concurrent=3, clamp=False, holds="worst_case",
        passthrough=True,
    )  # fmt: skip
    row = accounts.add_token(db, new, now=START)
    assert (
        row
        == accounts.get_token(db, "laptop")
        == accounts.get_token(db, row.id)
        == accounts.get_token(db, f"#{row.id}")
    )
    assert (row.remain, row.free, row.used, row.held, row.granted, row.budget) == (
        5 * USD,
        5 * USD,
        0,
        0,
        5 * USD,
        5 * USD,
    )
    assert (row.user, row.hint, row.source, row.unlimited, row.created) == ("alice", "abcd", "cli", False, START)
    found = find_principal(db, key_of("laptop"))
    assert found is not None
    assert found == principal_of(db, row.id)
    assert (found.token_remain, found.user_remain, found.limited, found.admin) == (5 * USD, 9 * USD, True, False)
    account = found.token
    assert (account.models, account.subnets, account.rpm, account.tpm) == (("gpt-*", "o1"), ("10.0.0.0/8",), 1, 2)
    assert (account.concurrent, account.clamp, account.holds, account.passthrough) == (3, False, "worst_case", True)
    assert (account.expires, account.version, account.status) == (START + 9, 1, 1)
    assert grants(db)[-1] == (5 * USD, "budget", "initial budget", "cli")


def test_a_user_as_it_was_asked_for(db: sqlite3.Connection) -> None:
    new = NewUser(name="alice", unlimited=True, admin=True, groups=("vip", "eu"), multiplier=Decimal("1.20"))
    row = accounts.add_user(db, new, now=START)
    assert (row.admin, row.groups, row.multiplier, row.unlimited) == (True, ("vip", "eu"), Decimal("1.20"), True)
    add_token(db, "laptop", None, user="alice")
    who = principal(db, "laptop")
    assert (who.admin, who.groups, who.multiplier, who.limited) == (True, ("vip", "eu"), Decimal("1.20"), False)
    assert [user.name for user in accounts.list_users(db)] == ["root", "alice"]


@dataclass(frozen=True)
class Edit:
    edit: TokenEdit
    shows: dict[str, Any]
    bumps: bool = True


EDITS = [
    Edit(TokenEdit(name="phone"), {"name": "phone"}),
    Edit(TokenEdit(enabled=False), {"status": 2}),
    Edit(TokenEdit(enabled=True), {"status": 1}),
    Edit(TokenEdit(expires=START - 1), {"expires": START - 1}),
    Edit(TokenEdit(expires=None), {"expires": None}),
    Edit(TokenEdit(models=("a", "b")), {"models": ("a", "b")}),
    Edit(TokenEdit(models=()), {"models": ()}),
    Edit(TokenEdit(subnets=("::1/128",)), {"subnets": ("::1/128",)}),
    Edit(TokenEdit(rpm=5, tpm=6, concurrent=7), {"rpm": 5, "tpm": 6, "concurrent": 7}),
    Edit(TokenEdit(rpm=None, tpm=None, concurrent=None), {"rpm": None, "tpm": None, "concurrent": None}),
    Edit(TokenEdit(clamp=True), {"clamp": True}),
    Edit(TokenEdit(clamp=None), {"clamp": None}),
    Edit(TokenEdit(holds="rolling", passthrough=True), {"holds": "rolling", "passthrough": True}),
    Edit(TokenEdit(user="alice"), {"user": "alice"}),
    Edit(TokenEdit(unlimited=True), {"unlimited": True, "budget": None, "remain": 7 * USD}),
    Edit(TokenEdit(remain_nanos=3 * USD), {"remain": 3 * USD, "used": 3 * USD, "budget": 10 * USD}, bumps=False),
    Edit(TokenEdit(remain_nanos=0), {"remain": 0}, bumps=False),
    Edit(TokenEdit(add_nanos=2 * USD), {"remain": 9 * USD}, bumps=False),
    Edit(TokenEdit(add_nanos=-7 * USD), {"remain": 0}, bumps=False),
    Edit(TokenEdit(budget_nanos=12 * USD), {"remain": 9 * USD, "budget": 12 * USD, "unlimited": False}),
    Edit(TokenEdit(budget_nanos=1 * USD), {"remain": 0, "budget": 1 * USD}),
    Edit(TokenEdit(), {"remain": 7 * USD}, bumps=False),
]


@pytest.mark.parametrize("case", EDITS, ids=lambda case: str(sorted(case.shows.items()))[:50])
def test_edits(db: sqlite3.Connection, case: Edit) -> None:
    """A token with a budget of $10, of which $3 are used."""
    add_user(db, "alice")
    add_token(db, "laptop", 10 * USD)
    spend(db, "laptop", 3 * USD)
    before = accounts.get_token(db, "laptop")
    after = accounts.edit_token(db, "laptop", case.edit, now=START + 5)
    assert {name: getattr(after, name) for name in case.shows} == case.shows
    assert (after.version > before.version) is case.bumps
    assert after == accounts.get_token(db, after.id)


def test_what_becomes_limited_is_not_below_zero(db: sqlite3.Connection) -> None:
    add_token(db, "laptop")
    spend(db, "laptop", 30)
    assert accounts.get_token(db, "laptop").remain == -30
    assert accounts.edit_token(db, "laptop", TokenEdit(unlimited=False), now=START).remain == 0
    assert accounts.edit_token(db, "laptop", TokenEdit(add_nanos=5), now=START).remain == 5


def test_a_budget_for_what_was_unlimited_is_what_remains(db: sqlite3.Connection) -> None:
    add_token(db, "laptop", None)
    spend(db, "laptop", 30)
    row = accounts.edit_token(db, "laptop", TokenEdit(budget_nanos=100, budget_period="month"), now=START)
    assert (row.remain, row.unlimited, row.budget, row.budget_period) == (100, False, 100, "month")


def test_an_edit_may_leave_free_below_zero_until_holds_close(db: sqlite3.Connection) -> None:
    add_token(db, "laptop", 100)
    with transaction(db):
        reserve(db, ask(principal(db, "laptop"), fixed(80), request_id="x"), Moment(owner=None, now=START))
    row = accounts.edit_token(db, "laptop", TokenEdit(remain_nanos=10), now=START)
    assert (row.remain, row.held, row.free) == (10, 80, -70)
    with transaction(db):
        close(db, "x", closing(5), START)
    assert accounts.get_token(db, "laptop").free == 5


def test_every_balance_edit_is_a_row_with_a_reason(db: sqlite3.Connection) -> None:
    add_token(db, "laptop", 100)
    for edit in (
        TokenEdit(remain_nanos=50),
        TokenEdit(add_nanos=5),
        TokenEdit(add_nanos=-5),
        TokenEdit(budget_nanos=150),
        TokenEdit(remain_nanos=100),
    ):
        accounts.edit_token(db, "laptop", edit, now=START, actor="api")
    assert grants(db) == [
        (100, "budget", "initial budget", "cli"),
        (-50, "set", "set remain", "api"),
        (5, "add", "add", "api"),
        (-5, "add", "take away", "api"),
        (50, "budget", "budget changed", "api"),
        (0, "set", "set remain", "api"),
    ]


@dataclass(frozen=True)
class Refused:
    edit: TokenEdit
    told: str


REFUSED = [
    Refused(TokenEdit(name="other"), "named other already"),
    Refused(TokenEdit(name=""), "printable"),
    Refused(TokenEdit(name=" x"), "printable"),
    Refused(TokenEdit(name="a\x1b[2J"), "printable"),
    Refused(TokenEdit(name="x" * 201), "printable"),
    Refused(TokenEdit(remain_nanos=-1), "between"),
    Refused(TokenEdit(remain_nanos=10**18 + 1), "between"),
    Refused(TokenEdit(add_nanos=-101), r"Only \$0.0000001 remain"),
    Refused(TokenEdit(add_nanos=10**18), "cannot be more"),
    Refused(TokenEdit(remain_nanos=1, add_nanos=1), "one of them"),
    Refused(TokenEdit(budget_nanos=1, unlimited=True), "not both"),
    Refused(TokenEdit(budget_nanos=-1), "not possible"),
    Refused(TokenEdit(rpm=0), "not possible"),
    Refused(TokenEdit(holds="maybe"), "not possible"),
    Refused(TokenEdit(user="nobody"), "There is no user nobody"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.told)
def test_what_is_refused_changes_nothing(db: sqlite3.Connection, case: Refused) -> None:
    add_token(db, "laptop", 100)
    add_token(db, "other", 100)
    before = accounts.get_token(db, "laptop")
    with pytest.raises(LedgerError, match=case.told):
        accounts.edit_token(db, "laptop", case.edit, now=START)
    assert accounts.get_token(db, "laptop") == before


def test_names_are_unique_among_the_living(db: sqlite3.Connection) -> None:
    first = add_token(db, "laptop", 100)
    spend(db, "laptop", 40)
    with pytest.raises(LedgerError, match="unique"):
        accounts.add_token(db, NewToken(name="laptop", key_sha256=b"k" * 32, unlimited=True), now=START)
    removed = accounts.remove_token(db, "laptop", now=START)
    assert removed.used == 40
    assert accounts.list_tokens(db) == []
    assert find_principal(db, key_of("laptop")) is None
    assert principal_of(db, first.id) is None
    second = add_token(db, "laptop", 70)
    assert second.id != first.id
    assert second.used == 0
    with pytest.raises(LedgerError, match="There is no token"):
        accounts.get_token(db, first.id)
    with pytest.raises(LedgerError, match="There is no token"):
        grant(db, "token", first.id, 1, reason="r", actor="a", now=START)
    assert db.execute("SELECT count(*) FROM requests").fetchone() == (1,)


def test_a_name_of_digits_is_a_name_first(db: sqlite3.Connection) -> None:
    first, second = add_token(db, "2", 1), add_token(db, "laptop", 1)
    assert second.id == 2
    assert accounts.get_token(db, "2").id == first.id
    assert accounts.get_token(db, 2).id == second.id
    assert accounts.get_token(db, "#2").id == second.id
    for nobody in ("9" * 30, "²", "", -1):
        with pytest.raises(LedgerError, match="There is no token"):
            accounts.get_token(db, nobody)


def test_a_key_belongs_to_one_token(db: sqlite3.Connection) -> None:
    add_token(db, "laptop", 1)
    add_token(db, "phone", 1)
    with pytest.raises(LedgerError, match="has this key already"):
        accounts.add_token(db, NewToken(name="x", key_sha256=key_of("laptop"), unlimited=True), now=START)
    with pytest.raises(LedgerError, match="has this key already"):
        accounts.rotate_token(db, "phone", key_of("laptop"), "", now=START)
    rotated = accounts.rotate_token(db, "phone", key_of("new"), "wxyz", now=START)
    assert (rotated.hint, rotated.version) == ("wxyz", 2)
    assert find_principal(db, key_of("phone")) is None
    assert find_principal(db, key_of("new")) is not None


@pytest.mark.parametrize(("budget", "unlimited"), [(None, False), (5, True)])
def test_a_token_has_a_budget_or_is_unlimited(db: sqlite3.Connection, budget: int | None, unlimited: bool) -> None:
    new = NewToken(name="x", key_sha256=key_of("x"), budget_nanos=budget, unlimited=unlimited)
    with pytest.raises(LedgerError, match="either a budget or"):
        accounts.add_token(db, new, now=START)
    assert accounts.list_tokens(db) == []


@pytest.mark.parametrize(
    ("edit", "now", "text"),
    [
        (TokenEdit(), START, "enabled"),
        (TokenEdit(enabled=False, expires=START - 1), START, "disabled"),
        (TokenEdit(expires=START), START, "enabled"),
        (TokenEdit(expires=START), START + 0.1, "expired"),
        (TokenEdit(remain_nanos=0), START, "exhausted"),
        (TokenEdit(unlimited=True), START, "enabled"),
    ],
)
def test_status_in_words(db: sqlite3.Connection, edit: TokenEdit, now: float, text: str) -> None:
    add_token(db, "laptop", 100)
    assert accounts.edit_token(db, "laptop", edit, now=START).status_text(now) == text


# --- users -----------------------------------------------------------------------------------------------------------


def test_users_are_edited_as_tokens_are(db: sqlite3.Connection) -> None:
    add_user(db, "alice", 100)
    edit = UserEdit(name="bob", admin=True, groups=("a",), multiplier=Decimal("0.5"), add_nanos=5, rpm=3, enabled=False)
    row = accounts.edit_user(db, "alice", edit, now=START)
    assert (row.name, row.admin, row.groups, row.multiplier, row.remain) == ("bob", True, ("a",), Decimal("0.5"), 105)
    assert (row.rpm, row.status, row.version) == (3, 2, 2)


@pytest.mark.parametrize("multiplier", ["-1", "NaN", "Infinity"])
def test_a_multiplier_is_a_number_from_0_up(db: sqlite3.Connection, multiplier: str) -> None:
    add_user(db, "alice", 100)
    with pytest.raises(LedgerError, match="multiplier"):
        accounts.edit_user(db, "alice", UserEdit(multiplier=Decimal(multiplier)), now=START)


@pytest.mark.parametrize(
    "edit",
    [UserEdit(enabled=False), UserEdit(unlimited=False), UserEdit(budget_nanos=5), UserEdit(admin=False),
     UserEdit(name="me"), UserEdit(expires=START)],
)  # fmt: skip
def test_root_stays_who_it_is(db: sqlite3.Connection, edit: UserEdit) -> None:
    with pytest.raises(LedgerError, match="`root`"):
        accounts.edit_user(db, "root", edit, now=START)
    with pytest.raises(LedgerError, match="`root`"):
        accounts.remove_user(db, 1, now=START)
    assert accounts.edit_user(db, "root", UserEdit(rpm=9), now=START).rpm == 9


def test_a_user_with_tokens_is_not_removed(db: sqlite3.Connection) -> None:
    add_user(db, "alice", 100)
    add_token(db, "laptop", 5, user="alice")
    with pytest.raises(LedgerError, match="still owns laptop"):
        accounts.remove_user(db, "alice", now=START)
    accounts.remove_token(db, "laptop", now=START)
    assert accounts.remove_user(db, "alice", now=START).name == "alice"
    assert add_user(db, "alice", 1).id == 3


def test_edits_inside_a_transaction_are_part_of_it(db: sqlite3.Connection) -> None:
    with pytest.raises(ZeroDivisionError), transaction(db):
        add_token(db, "laptop", 5)
        raise ZeroDivisionError
    assert accounts.list_tokens(db) == []
