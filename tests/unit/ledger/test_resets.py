"""Recurring budgets: rollovers, missed ones, clocks that jump, holds and corrections of earlier periods, edits."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.accounts import TokenEdit, UserEdit
from oneapi_cli.ledger.admission import Wait
from oneapi_cli.ledger.closing import adjust, close
from oneapi_cli.ledger.declared import DeclaredToken, mirror_declared
from oneapi_cli.ledger.faults import LedgerError
from oneapi_cli.ledger.holding import Moment, extend, reserve
from oneapi_cli.ledger.periods import zone_of
from oneapi_cli.ledger.store import open_ledger, transaction
from oneapi_cli.ledger.upkeep import Touched, touch
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.errors import OutOfCredit
from oneapi_cli.values.holds import Hold
from tests.ledger.kit import add_token, add_user, ask, closing, fixed, key_of, new_id, principal

DAY = 86_400.0
NOON = datetime(2026, 11, 17, 12, tzinfo=UTC).timestamp()  # a Tuesday
MIDNIGHT = NOON + DAY / 2


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_ledger(tmp_path / "oneapi.db", create=True, sync="normal", now=NOON)
    yield connection
    assert [one.sentence for one in verify(connection)] == []
    connection.close()


def daily(db: sqlite3.Connection, budget: int = 100, name: str = "laptop", **more: Any) -> accounts.TokenRow:
    add_token(db, name, budget, budget_period="day", **more)
    touch(db, UTC, NOON)
    return accounts.get_token(db, name)


def hold(db: sqlite3.Connection, nanos: int, now: float, name: str = "laptop") -> str:
    id = new_id()
    with transaction(db):
        found = reserve(db, ask(principal(db, name), fixed(nanos), request_id=id), Moment(owner=None, now=now))
    assert isinstance(found, Hold)
    return id


def settle(db: sqlite3.Connection, id: str, cost: int, now: float) -> None:
    with transaction(db):
        close(db, id, closing(cost), now)


def spend(db: sqlite3.Connection, nanos: int, now: float, name: str = "laptop") -> str:
    id = hold(db, nanos, now, name)
    settle(db, id, nanos, now)
    return id


def laptop(db: sqlite3.Connection) -> tuple[int, int, int]:
    row = accounts.get_token(db, "laptop")
    return row.remain, row.held, row.free


def resets(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return db.execute("SELECT delta_nanos, reason FROM grants WHERE kind = 'reset' ORDER BY id").fetchall()


def test_the_next_reset_is_known_once_somebody_with_a_zone_has_looked(db: sqlite3.Connection) -> None:
    assert add_token(db, "laptop", 100, budget_period="day").budget_reset is None
    assert touch(db, zone_of("Asia/Tokyo"), NOON) == Touched()
    assert accounts.get_token(db, "laptop").budget_reset == MIDNIGHT - 9 * 3600 + 0
    new = accounts.NewToken(name="phone", key_sha256=key_of("phone"), budget_nanos=5, budget_period="week")
    assert accounts.add_token(db, new, now=NOON, zone=UTC).budget_reset == MIDNIGHT + 5 * DAY
    assert resets(db) == []


def test_at_the_boundary_what_remains_is_the_budget(db: sqlite3.Connection) -> None:
    daily(db)
    spend(db, 70, NOON)
    assert touch(db, UTC, MIDNIGHT - 0.001) == Touched()
    assert laptop(db) == (30, 0, 30)
    assert touch(db, UTC, MIDNIGHT) == Touched(resets=1)
    assert touch(db, UTC, MIDNIGHT) == Touched()
    row = accounts.get_token(db, "laptop")
    assert (row.remain, row.used, row.last_reset, row.budget_reset) == (100, 70, MIDNIGHT, MIDNIGHT + DAY)
    assert resets(db) == [(70, "a new day")]


def test_more_than_the_budget_is_cut_too(db: sqlite3.Connection) -> None:
    daily(db)
    accounts.edit_token(db, "laptop", TokenEdit(add_nanos=500), now=NOON)
    touch(db, UTC, MIDNIGHT)
    assert laptop(db) == (100, 0, 100)
    assert resets(db) == [(-500, "a new day")]


def test_several_missed_periods_make_one_row(db: sqlite3.Connection) -> None:
    daily(db)
    spend(db, 100, NOON)
    assert touch(db, UTC, MIDNIGHT + 5.5 * DAY) == Touched(resets=1)
    row = accounts.get_token(db, "laptop")
    assert (row.remain, row.budget_reset) == (100, MIDNIGHT + 6 * DAY)
    assert len(resets(db)) == 1


def test_admission_rolls_over_by_itself(db: sqlite3.Connection) -> None:
    add_user(db, "alice", 80, budget_period="week")
    daily(db, user="alice")
    spend(db, 80, NOON)
    with pytest.raises(OutOfCredit):
        hold(db, 1, MIDNIGHT)
    monday = MIDNIGHT + 5 * DAY
    spend(db, 80, monday)
    assert accounts.get_user(db, "alice").remain == 0
    assert accounts.get_token(db, "laptop").remain == 20
    assert accounts.get_user(db, "alice").budget_reset == monday + 7 * DAY


def test_a_hold_stays_with_the_period_it_began_in(db: sqlite3.Connection) -> None:
    daily(db)
    old = hold(db, 60, NOON)
    assert laptop(db) == (100, 60, 40)
    touch(db, UTC, MIDNIGHT)
    assert laptop(db) == (100, 60, 100), "it weighs on nothing now"
    whole = hold(db, 100, MIDNIGHT)
    assert laptop(db) == (100, 160, 0)
    settle(db, old, 50, MIDNIGHT + 1)
    assert laptop(db) == (100, 100, 0), "nor does its cost"
    settle(db, whole, 100, MIDNIGHT + 2)
    assert laptop(db) == (0, 0, 0)
    assert accounts.get_token(db, "laptop").used == 150
    assert resets(db) == [(0, "a new day"), (50, "belongs to an earlier period")]


@pytest.mark.parametrize("state", ["released", "kept", "settled"])
def test_however_an_old_hold_closes(db: sqlite3.Connection, state: Any) -> None:
    daily(db)
    old = hold(db, 60, NOON)
    touch(db, UTC, MIDNIGHT + 3 * DAY)
    touch(db, UTC, MIDNIGHT + 4 * DAY)
    with transaction(db):
        close(db, old, closing(0 if state == "released" else 60, state), MIDNIGHT + 4 * DAY)
    assert laptop(db) == (100, 0, 100)


def test_what_was_never_held_by_the_old_period_is_paid_by_the_present_one(db: sqlite3.Connection) -> None:
    daily(db)
    old = hold(db, 60, NOON)
    touch(db, UTC, MIDNIGHT)
    with transaction(db):
        assert extend(db, old, 30, MIDNIGHT) == 90
        assert extend(db, old, 71, MIDNIGHT) is None
    assert laptop(db) == (100, 90, 70)
    settle(db, old, 85, MIDNIGHT)
    assert laptop(db) == (75, 0, 75)


def test_an_extension_rolls_over_first(db: sqlite3.Connection) -> None:
    daily(db)
    old = hold(db, 60, NOON)
    with transaction(db):
        assert extend(db, old, 100, MIDNIGHT) == 160
    assert laptop(db) == (100, 160, 0)


def test_two_accounts_have_periods_of_their_own(db: sqlite3.Connection) -> None:
    add_user(db, "alice", 500)
    daily(db, user="alice")
    old = hold(db, 60, NOON)
    touch(db, UTC, MIDNIGHT)
    alice = accounts.get_user(db, "alice")
    assert (alice.free, alice.held_past) == (440, 0)
    settle(db, old, 60, MIDNIGHT)
    assert laptop(db) == (100, 0, 100)
    assert accounts.get_user(db, "alice").remain == 440


@pytest.mark.parametrize("delta", [-30, 20])
def test_a_correction_follows_its_request(db: sqlite3.Connection, delta: int) -> None:
    daily(db)
    old = spend(db, 40, NOON)
    with transaction(db):
        adjust(db, old, delta, reason="r", actor="a", now=NOON + 1)
    assert laptop(db)[0] == 60 - delta, "of this period: it counts"
    touch(db, UTC, MIDNIGHT)
    young = spend(db, 10, MIDNIGHT)
    with transaction(db):
        adjust(db, old, 7, reason="r", actor="a", now=MIDNIGHT)
        adjust(db, young, 5, reason="r", actor="a", now=MIDNIGHT)
    assert laptop(db)[0] == 85
    assert accounts.get_token(db, "laptop").used == 40 + delta + 7 + 15


def test_an_old_hold_that_is_corrected_later(db: sqlite3.Connection) -> None:
    daily(db)
    old = hold(db, 60, NOON)
    touch(db, UTC, MIDNIGHT)
    with transaction(db):
        close(db, old, closing(60, "kept"), MIDNIGHT)
        adjust(db, old, -60, reason="released by hand", actor="a", now=MIDNIGHT)
    assert laptop(db) == (100, 0, 100)


# --- clocks ----------------------------------------------------------------------------------------------------------


def test_a_clock_set_back_never_resets_twice(db: sqlite3.Connection) -> None:
    daily(db)
    touch(db, UTC, MIDNIGHT + 60)
    spend(db, 30, MIDNIGHT + 60)
    for now in (MIDNIGHT - 7200, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 3600, MIDNIGHT - 20 * 3600, MIDNIGHT):
        assert touch(db, UTC, now) == Touched()
    assert laptop(db) == (70, 0, 70)
    assert touch(db, UTC, MIDNIGHT + DAY) == Touched(resets=1)


def test_a_clock_that_was_a_year_ahead_is_forgotten(db: sqlite3.Connection) -> None:
    daily(db)
    assert touch(db, UTC, NOON + 365 * DAY) == Touched(resets=1)
    spend(db, 30, NOON + 1)
    assert touch(db, UTC, NOON + 2) == Touched()
    assert accounts.get_token(db, "laptop").budget_reset == MIDNIGHT
    assert laptop(db) == (70, 0, 70)
    assert len(resets(db)) == 1


def test_a_removed_account_rests(db: sqlite3.Connection) -> None:
    daily(db)
    accounts.remove_token(db, "laptop", now=NOON)
    assert touch(db, UTC, MIDNIGHT) == Touched()


def test_a_ledger_that_may_only_be_read_is_left_alone(db: sqlite3.Connection, tmp_path: Path) -> None:
    daily(db)
    reader = open_ledger(tmp_path / "oneapi.db", read_only=True)
    assert touch(reader, UTC, MIDNIGHT) == Touched()
    reader.close()


# --- edits -----------------------------------------------------------------------------------------------------------


def test_an_edit_comes_after_a_due_rollover(db: sqlite3.Connection) -> None:
    daily(db)
    spend(db, 90, NOON)
    row = accounts.edit_token(db, "laptop", TokenEdit(add_nanos=5), now=MIDNIGHT)
    assert (row.remain, row.budget_reset) == (105, None), "without a zone the next reset is left open"
    assert touch(db, UTC, MIDNIGHT) == Touched()
    assert laptop(db)[0] == 105
    assert accounts.get_token(db, "laptop").budget_reset == MIDNIGHT + DAY


@pytest.mark.parametrize(
    ("edit", "remain", "after"),
    [
        (TokenEdit(remain_nanos=7), 7, 100),
        (TokenEdit(add_nanos=7), 77, 100),
        (TokenEdit(budget_nanos=150, budget_period="day"), 120, 150),
        (TokenEdit(budget_nanos=20, budget_period="day"), 0, 20),
        (TokenEdit(budget_nanos=500, budget_period="week"), 500, 500),
        (TokenEdit(budget_nanos=50), 50, 50),
        (TokenEdit(budget_period=None), 70, 70),
        (TokenEdit(budget_period="month"), 70, 100),
    ],
    ids=str,
)
def test_edits_of_a_recurring_budget(db: sqlite3.Connection, edit: TokenEdit, remain: int, after: int) -> None:
    """$100 a day of which 30 are used: what remains now, and after a month."""
    daily(db)
    spend(db, 30, NOON)
    assert accounts.edit_token(db, "laptop", edit, now=NOON, zone=UTC).remain == remain
    touch(db, UTC, NOON + 40 * DAY)
    assert accounts.get_token(db, "laptop").remain == after


def test_unlimited_ends_the_recurring(db: sqlite3.Connection) -> None:
    daily(db)
    row = accounts.edit_token(db, "laptop", TokenEdit(unlimited=True), now=NOON, zone=UTC)
    assert (row.unlimited, row.budget, row.budget_period, row.budget_reset) == (True, None, None, None)
    assert touch(db, UTC, MIDNIGHT) == Touched()


def test_a_new_period_is_set_out_at_once(db: sqlite3.Connection) -> None:
    daily(db)
    edit = TokenEdit(budget_nanos=5, budget_period="week")
    assert accounts.edit_token(db, "laptop", edit, now=NOON, zone=UTC).budget_reset == MIDNIGHT + 5 * DAY
    add_user(db, "alice", 9)
    row = accounts.edit_user(db, "alice", UserEdit(budget_nanos=5, budget_period="day"), now=NOON, zone=UTC)
    assert (row.budget_reset, row.remain) == (MIDNIGHT, 5)


def test_only_a_budget_can_recur(db: sqlite3.Connection) -> None:
    add_token(db, "laptop", None)
    with pytest.raises(LedgerError, match="Only a budget can recur"):
        accounts.edit_token(db, "laptop", TokenEdit(budget_period="day"), now=NOON)
    with pytest.raises(LedgerError, match="Only a budget can recur"):
        add_token(db, "phone", None, budget_period="day")
    with pytest.raises(LedgerError, match="more than"):
        accounts.edit_token(db, "laptop", TokenEdit(budget_nanos=10**18 + 1, budget_period="day"), now=NOON)


def test_a_declared_budget_recurs_and_changes_with_its_period(db: sqlite3.Connection) -> None:
    def declare(budget: int, period: Any) -> list[str]:
        token = DeclaredToken(
            name="laptop", key_sha256=key_of("laptop"), budget_nanos=budget, budget_period=period, where="c.yaml:1"
        )
        return mirror_declared(db, [token], NOON)

    declare(100, "day")
    touch(db, UTC, NOON)
    spend(db, 30, NOON)
    (notice,) = declare(900, "week")
    assert "until the next week begins" in notice
    touch(db, UTC, MIDNIGHT)
    assert laptop(db) == (70, 0, 70)
    touch(db, UTC, MIDNIGHT + 5 * DAY)
    assert laptop(db) == (900, 0, 900)


# --- whoever waits over midnight --------------------------------------------------------------------------------------


def test_a_waiter_gets_the_new_period(db: sqlite3.Connection) -> None:
    daily(db)
    hold(db, 80, NOON)
    wanted = ask(principal(db, "laptop"), fixed(90), wait=60)
    with transaction(db):
        assert isinstance(reserve(db, wanted, Moment(owner=None, now=MIDNIGHT - 1)), Wait)
        assert isinstance(reserve(db, wanted, Moment(owner=None, now=MIDNIGHT, waited=1)), Hold)
    assert laptop(db) == (100, 170, 10)
