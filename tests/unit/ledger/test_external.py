"""External consumption: the four phases, their texts, expiry, and that nothing lets a limited account go below zero."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.ledger import accounts, external
from oneapi_cli.ledger.accounts import TokenEdit, UserEdit
from oneapi_cli.ledger.external import Charge, External
from oneapi_cli.ledger.faults import LedgerError
from oneapi_cli.ledger.receipts import read_receipt
from oneapi_cli.ledger.recovery import orphans
from oneapi_cli.ledger.store import open_ledger, transaction
from oneapi_cli.ledger.upkeep import Touched, touch
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.money import MAX_NANOS, NANOS_PER_QUOTA
from tests.ledger.kit import START, add_token, add_user, new_id

Q = NANOS_PER_QUOTA


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_ledger(tmp_path / "oneapi.db", create=True, sync="normal", now=START)
    add_user(connection, "alice", 500 * Q)
    add_token(connection, "laptop", 100 * Q, user="alice")
    add_token(connection, "free", None)
    yield connection
    assert [one.sentence for one in verify(connection)] == []
    connection.close()


def charge(quota: int, token_id: int = 1, **more: Any) -> Charge:
    fields: dict[str, Any] = {"reason": "scraping", "request_id": new_id(), **more}
    return Charge(token_id=token_id, nanos=quota * Q, **fields)


def pre(db: sqlite3.Connection, quota: int, now: float = START, **more: Any) -> External:
    return external.pre(db, charge(quota, **more), zone=UTC, now=now)


def single(db: sqlite3.Connection, quota: int, now: float = START, **more: Any) -> External:
    return external.single(db, charge(quota, **more), zone=UTC, now=now)


def post(db: sqlite3.Connection, held: External, quota: int, now: float = START, **more: Any) -> External:
    return external.post(db, held.token_id, held.transaction_id, quota * Q, zone=UTC, now=now, **more)


def balances(db: sqlite3.Connection) -> tuple[int, int, int, int]:
    """(remain, held) of token and user, in quota."""
    token, user = accounts.get_token(db, "laptop"), accounts.get_user(db, "alice")
    return token.remain // Q, token.held // Q, user.remain // Q, user.held // Q


def test_pre_holds_and_post_charges_what_it_came_to(db: sqlite3.Connection) -> None:
    held = pre(db, 30, elapsed_ms=12, peer="10.0.0.1")
    assert balances(db) == (100, 30, 500, 30)
    assert (held.status, held.status_code, held.pre_nanos, held.final_nanos) == ("pending", 1, 30 * Q, None)
    assert (held.created, held.expires, held.elapsed_ms) == (START, START + 600, 12)
    assert len(held.transaction_id) == 32
    assert int(held.transaction_id, 16) >= 0
    done = post(db, held, 20, START + 5, elapsed_ms=900)
    assert balances(db) == (80, 0, 480, 0)
    assert (done.status, done.status_code, done.final_nanos, done.confirmed) == ("confirmed", 2, 20 * Q, START + 5)
    assert (done.transaction_id, done.elapsed_ms, done.auto_confirmed) == (held.transaction_id, 900, False)


def test_it_is_a_row_like_any_other_but_nobodys(db: sqlite3.Connection) -> None:
    held = pre(db, 30)
    row = accounts.get_token(db, "laptop")
    assert row.open_holds == 0, "`concurrent` counts requests, not sums held by a program outside"
    assert orphans(db) == []
    post(db, held, 30)
    receipt = read_receipt(db, held.request_id)
    assert receipt is not None
    assert (receipt.door, receipt.model_asked, receipt.state, receipt.cost_nanos) == (
        "external", "scraping", "settled", 30 * Q,
    )  # fmt: skip
    assert [line.rule for line in receipt.lines] == ["external consumption: scraping"]


def test_cancel_gives_back(db: sqlite3.Connection) -> None:
    held = pre(db, 30)
    done = external.cancel(db, 1, held.transaction_id, now=START + 1, elapsed_ms=5)
    assert (done.status, done.status_code, done.canceled, done.final_nanos) == ("canceled", 4, START + 1, None)
    assert (done.confirmed, done.elapsed_ms) == (None, 5)
    assert balances(db) == (100, 0, 500, 0)


def test_single_charges_at_once(db: sqlite3.Connection) -> None:
    done = single(db, 40)
    assert (done.status, done.pre_nanos, done.final_nanos) == ("confirmed", 40 * Q, 40 * Q)
    assert balances(db) == (60, 0, 460, 0)


def test_amount_0_is_a_row_for_the_record(db: sqlite3.Connection) -> None:
    single(db, 100)
    done = single(db, 0, transaction_id="job-7")
    assert (done.transaction_id, done.status, done.final_nanos) == ("job-7", "confirmed", 0)
    assert single(db, 0).transaction_id != "job-7"
    assert balances(db) == (0, 0, 400, 0)
    with pytest.raises(LedgerError, match="transaction job-7 is already confirmed"):
        single(db, 0, transaction_id="job-7")
    assert single(db, 0, transaction_id="job-7", token_id=2).transaction_id == "job-7", "names are a token's own"


def test_an_unlimited_token_counts_too(db: sqlite3.Connection) -> None:
    pre(db, 10**6, token_id=2)
    single(db, 10**6, token_id=2)
    row = accounts.get_token(db, "free")
    assert (row.used, row.held) == (10**6 * Q, 10**6 * Q)
    assert accounts.get_user(db, "root").used == 10**6 * Q


@pytest.mark.parametrize(
    ("asked", "seconds"), [(None, 600), (0, 600), (-5, 600), (1, 1), (3600, 3600), (10**12, 3600), (float("nan"), 600)]
)  # fmt: skip
def test_how_long_a_hold_may_stay_open(db: sqlite3.Connection, asked: float | None, seconds: float) -> None:
    assert pre(db, 1, timeout_seconds=asked).expires == START + seconds


def test_what_expired_is_confirmed_at_its_hold(db: sqlite3.Connection) -> None:
    one, two = pre(db, 30, timeout_seconds=10), pre(db, 20, timeout_seconds=20)
    assert touch(db, UTC, START + 9.9) == Touched()
    assert touch(db, UTC, START + 10) == Touched(confirmed=1)
    assert balances(db) == (70, 20, 470, 20)
    with pytest.raises(LedgerError, match=f"transaction {one.transaction_id} is already auto_confirmed"):
        post(db, one, 1, START + 10)
    with pytest.raises(LedgerError, match="cannot be canceled because it is auto_confirmed"):
        external.cancel(db, 1, one.transaction_id, now=START + 10)
    found = external.transactions(db, 1, 0, 10).rows
    assert [(row.status, row.status_code, row.auto_confirmed) for row in found] == [
        ("pending", 1, False),
        ("auto_confirmed", 3, True),
    ]
    single(db, 1, START + 20)  # which confirms what else of this token has expired
    assert balances(db) == (49, 0, 449, 0)
    with pytest.raises(LedgerError, match="is already auto_confirmed"):
        post(db, two, 0, START + 20)


def test_an_edit_comes_after_what_expired(db: sqlite3.Connection) -> None:
    pre(db, 30, timeout_seconds=10)
    assert accounts.edit_token(db, "laptop", TokenEdit(remain_nanos=5 * Q), now=START + 10).remain == 5 * Q
    pre(db, 5, timeout_seconds=10)
    edited = accounts.edit_user(db, "alice", UserEdit(remain_nanos=0), now=START + 10)
    assert (edited.remain, edited.held) == (0, 0)
    assert balances(db) == (0, 0, 0, 0)


def test_a_late_post_is_refused_even_if_nobody_has_looked(db: sqlite3.Connection) -> None:
    held = pre(db, 30, timeout_seconds=10)
    with pytest.raises(LedgerError, match="already auto_confirmed"):
        post(db, held, 1, START + 10)
    touch(db, UTC, START + 10)
    assert balances(db) == (70, 0, 470, 0)


def test_a_post_above_the_hold_must_fit_what_is_free(db: sqlite3.Connection) -> None:
    held, other = pre(db, 30), pre(db, 60)
    with pytest.raises(LedgerError, match="required=11, available=10, tokenId=1"):
        post(db, held, 41)
    assert external.transactions(db, 1, 0, 10).rows[1].status == "pending"
    assert post(db, held, 40).final_nanos == 40 * Q
    assert balances(db) == (60, 60, 460, 60)
    accounts.edit_token(db, "laptop", TokenEdit(add_nanos=5 * Q), now=START)
    accounts.edit_user(db, "alice", UserEdit(remain_nanos=60 * Q), now=START)
    with pytest.raises(LedgerError, match="insufficient user quota: required=1, available=0, userId=2"):
        post(db, other, 61)
    post(db, other, 60)
    assert balances(db) == (5, 0, 0, 0)


def test_old_holds_stay_with_their_period(db: sqlite3.Connection) -> None:
    accounts.edit_token(db, "laptop", TokenEdit(budget_nanos=100 * Q, budget_period="day"), now=START, zone=UTC)
    held = pre(db, 60, timeout_seconds=3600)
    reset = accounts.get_token(db, "laptop").budget_reset
    assert reset is not None
    now = reset + 1
    db.execute("UPDATE externals SET expires = ?", (now + 60,))
    single(db, 100, now)  # the new period is whole
    with pytest.raises(
        LedgerError, match="post-consume token quota: insufficient token quota: required=1, available=0"
    ):
        post(db, held, 61, now)
    post(db, held, 60, now)
    assert balances(db)[:2] == (0, 0)
    assert accounts.get_token(db, "laptop").used == 160 * Q


@dataclass(frozen=True)
class Refused:
    says: str
    call: Callable[[sqlite3.Connection], object]
    told: str


UNKNOWN = "f" * 32
PHASE = "pre-consume phase of immediate consume: "
REFUSED = [
    Refused("pre of nothing", lambda db: pre(db, 0), "add_used_quota must be greater than 0 for pre phase"),
    Refused("pre of less", lambda db: pre(db, -1), "add_used_quota must be greater than 0 for pre phase"),
    Refused("single of less", lambda db: single(db, -1), PHASE + "add_used_quota exceeds"),
    Refused(
        "too much of the token",
        lambda db: pre(db, 101),
        "pre-consume token quota: insufficient token quota: required=101, available=100, tokenId=1",
    ),
    Refused(
        "too much at once",
        lambda db: single(db, 101),
        PHASE + "pre-consume token quota: insufficient token quota: required=101,"
        " available=100, tokenId=1",
    ),
    Refused("beyond any ledger", lambda db: pre(db, MAX_NANOS // Q + 1, token_id=2), "add_used_quota exceeds"),
    Refused("no reason", lambda db: pre(db, 1, reason=" \n "), "add_reason cannot be empty"),
    Refused("a reason with an escape", lambda db: pre(db, 1, reason="a\x1b[2J"), "must be printable"),
    Refused("a long reason", lambda db: pre(db, 1, reason="x" * 256), "at most 255"),
    Refused("a lone surrogate", lambda db: pre(db, 1, reason="a\ud800"), "must be printable"),
    Refused("a name with an escape", lambda db: single(db, 0, transaction_id="\x07"), "transaction_id must"),
    Refused("a long transaction's name", lambda db: single(db, 0, transaction_id="x" * 129), "at most 128"),
    Refused("no such token", lambda db: pre(db, 1, token_id=99), "API Key is not enabled"),
    Refused(
        "no such transaction",
        lambda db: external.post(db, 1, UNKNOWN, 1, zone=UTC, now=START),
        "get token transaction for post-consume: failed to fetch token transaction: token_id=1,"
        f" transaction_id={UNKNOWN}: record not found",
    ),
    Refused("nothing to cancel", lambda db: external.cancel(db, 1, "\ud800", now=START), "record not found"),
    Refused(
        "a final amount below 0",
        lambda db: external.post(db, 1, UNKNOWN, -1, zone=UTC, now=START),
        "final_used_quota exceeds supported quota range",
    ),
    Refused("quota below 0", lambda db: external.nanos_of_quota("x", -1), "x exceeds supported quota range"),
    Refused("quota beyond", lambda db: external.nanos_of_quota("x", 2**64), "x exceeds supported quota range"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.says)
def test_what_is_refused_leaves_nothing(db: sqlite3.Connection, case: Refused) -> None:
    with pytest.raises(LedgerError) as refused:
        case.call(db)
    assert case.told in refused.value.sentence
    assert balances(db) == (100, 0, 500, 0)
    assert db.execute("SELECT count(*) FROM requests").fetchone() == (0,)


def test_sums_stay_within_what_a_column_can_hold(db: sqlite3.Connection) -> None:
    most = MAX_NANOS // Q
    single(db, most, token_id=2)
    for call in (pre, single):
        with pytest.raises(LedgerError, match="add_used_quota exceeds supported quota range"):
            call(db, 1, token_id=2)


def test_a_transaction_closes_once(db: sqlite3.Connection) -> None:
    held, other = pre(db, 30), pre(db, 20)
    post(db, held, 30)
    with pytest.raises(LedgerError, match=f"transaction {held.transaction_id} is already confirmed"):
        post(db, held, 30)
    with pytest.raises(LedgerError, match="cannot be canceled because it is confirmed"):
        external.cancel(db, 1, held.transaction_id, now=START)
    external.cancel(db, 1, other.transaction_id, now=START)
    with pytest.raises(LedgerError, match="is already canceled"):
        post(db, other, 1)
    with pytest.raises(LedgerError, match="cannot be canceled because it is canceled"):
        external.cancel(db, 1, other.transaction_id, now=START)
    assert balances(db) == (70, 0, 470, 0)


def test_another_tokens_transaction_is_unknown(db: sqlite3.Connection) -> None:
    held = pre(db, 30)
    with pytest.raises(LedgerError, match="record not found"):
        external.post(db, 2, held.transaction_id, 1, zone=UTC, now=START)


@pytest.mark.parametrize("edit", [TokenEdit(enabled=False), TokenEdit(expires=START - 1)])
def test_who_may_not_spend_may_still_close(db: sqlite3.Connection, edit: TokenEdit) -> None:
    held = pre(db, 30)
    accounts.edit_token(db, "laptop", edit, now=START)
    for call in (pre, single):
        with pytest.raises(LedgerError, match="API Key is not enabled"):
            call(db, 1)
    assert post(db, held, 10).status == "confirmed"


def test_the_owners_state_counts(db: sqlite3.Connection) -> None:
    accounts.edit_user(db, "alice", UserEdit(enabled=False), now=START)
    with pytest.raises(LedgerError, match="User has been banned"):
        pre(db, 1)


def test_at_nothing_left_a_transaction_still_closes(db: sqlite3.Connection) -> None:
    held = pre(db, 100)
    with pytest.raises(LedgerError, match="required=1, available=0"):
        pre(db, 1)
    external.cancel(db, 1, held.transaction_id, now=START)
    assert balances(db) == (100, 0, 500, 0)


def test_a_request_id_names_one_request(db: sqlite3.Connection) -> None:
    held = pre(db, 1)
    with pytest.raises(LedgerError, match="in the ledger already"):
        pre(db, 1, request_id=held.request_id)
    assert balances(db) == (100, 1, 500, 1)


def test_a_page_of_transactions_is_newest_first(db: sqlite3.Connection) -> None:
    made = [single(db, n, START + n).transaction_id for n in range(1, 6)]
    single(db, 1, token_id=2)
    page = external.transactions(db, 1, 1, 2)
    assert ([row.transaction_id for row in page.rows], page.total) == ([made[3], made[2]], 5)
    assert external.transactions(db, 1, 10**30, 10).rows == []
    assert external.transactions(db, 1, -1, -1).rows == []
    assert external.transactions(db, 99, 0, 10).total == 0


def test_inside_a_transaction_it_is_part_of_it(db: sqlite3.Connection) -> None:
    with pytest.raises(ZeroDivisionError), transaction(db):
        pre(db, 30)
        raise ZeroDivisionError
    assert balances(db) == (100, 0, 500, 0)
