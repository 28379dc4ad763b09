"""Tokens of the config in the ledger: made, changed, gone and back; what belongs to whom."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.accounts import TokenEdit
from oneapi_cli.ledger.declared import DeclaredToken, mirror_declared
from oneapi_cli.ledger.faults import LedgerError
from oneapi_cli.ledger.rows import find_principal
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.ledger.verify import verify
from tests.ledger.kit import START, add_token, add_user, key_of


def declare(name: str = "laptop", budget: int | None = 100, **more: Any) -> DeclaredToken:
    fields: dict[str, Any] = {"key_sha256": key_of(name), "where": "config.yaml:12", **more}
    return DeclaredToken(name=name, budget_nanos=budget, unlimited=budget is None, **fields)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_ledger(tmp_path / "oneapi.db", create=True, sync="normal", now=START)
    yield connection
    assert [one.sentence for one in verify(connection)] == []
    connection.close()


def test_the_first_time_makes_the_row_and_grants_the_budget(db: sqlite3.Connection) -> None:
    add_user(db, "alice", 10)
    assert mirror_declared(db, [declare(user="alice", models=("gpt-*",), rpm=3, hint="abcd")], START) == []
    row = accounts.get_token(db, "laptop")
    assert (row.source, row.declared_at, row.remain, row.user) == ("declared", "config.yaml:12", 100, "alice")
    assert (row.models, row.rpm, row.hint) == (("gpt-*",), 3, "abcd")
    assert db.execute("SELECT kind, actor FROM grants WHERE token_id = ?", (row.id,)).fetchall() == [
        ("budget", "config")
    ]


def test_the_same_again_changes_nothing(db: sqlite3.Connection) -> None:
    mirror_declared(db, [declare()], START)
    before = accounts.get_token(db, "laptop")
    assert mirror_declared(db, [declare()], START + 1) == []
    assert accounts.get_token(db, "laptop") == before
    mirror_declared(db, [declare(where="config.yaml:99")], START + 1)
    moved = accounts.get_token(db, "laptop")
    assert (moved.declared_at, moved.version) == ("config.yaml:99", before.version)


def test_a_changed_flag_or_key_bites(db: sqlite3.Connection) -> None:
    mirror_declared(db, [declare()], START)
    before = accounts.get_token(db, "laptop")
    assert mirror_declared(db, [declare(models=("o1",), key_sha256=key_of("new"))], START) == []
    after = accounts.get_token(db, "laptop")
    assert (after.models, after.version, after.id) == (("o1",), before.version + 1, before.id)
    assert find_principal(db, key_of("laptop")) is None
    assert find_principal(db, key_of("new")) is not None


def test_a_changed_budget_is_a_notice_and_said_once(db: sqlite3.Connection) -> None:
    mirror_declared(db, [declare(budget=100)], START)
    (notice,) = mirror_declared(db, [declare(budget=500)], START)
    assert "config.yaml:12" in notice
    assert "from $0.0000001 to $0.0000005" in notice
    assert accounts.get_token(db, "laptop").remain == 100
    assert mirror_declared(db, [declare(budget=500)], START) == []
    assert mirror_declared(db, [declare(budget=None)], START) == []
    assert accounts.get_token(db, "laptop").unlimited
    (notice,) = mirror_declared(db, [declare(budget=500)], START)
    assert "from unlimited" in notice
    assert (accounts.get_token(db, "laptop").unlimited, accounts.get_token(db, "laptop").remain) == (False, 100)


def test_gone_it_is_disabled_and_back_it_is_as_it_was(db: sqlite3.Connection) -> None:
    mirror_declared(db, [declare(), declare("phone")], START)
    accounts.edit_token(db, "laptop", TokenEdit(remain_nanos=42), now=START)
    (notice,) = mirror_declared(db, [declare("phone")], START)
    assert "laptop is no longer declared" in notice
    assert mirror_declared(db, [declare("phone")], START) == []
    gone = accounts.get_token(db, "laptop")
    assert (gone.status, gone.absent, gone.remain, gone.status_text(START)) == (2, True, 42, "disabled")
    found = find_principal(db, key_of("laptop"))
    assert found is not None
    assert found.token.status == 2
    with pytest.raises(LedgerError, match="declare it there again"):
        accounts.edit_token(db, "laptop", TokenEdit(enabled=True), now=START)
    assert mirror_declared(db, [declare(), declare("phone")], START) == []
    back = accounts.get_token(db, "laptop")
    assert (back.status, back.absent, back.remain, back.id) == (1, False, 42, gone.id)
    assert back.version > gone.version


def test_disabled_by_hand_it_stays_so(db: sqlite3.Connection) -> None:
    mirror_declared(db, [declare()], START)
    accounts.edit_token(db, "laptop", TokenEdit(enabled=False), now=START)
    mirror_declared(db, [], START)
    mirror_declared(db, [declare()], START)
    assert accounts.get_token(db, "laptop").status == 2
    accounts.edit_token(db, "laptop", TokenEdit(enabled=True), now=START)
    assert accounts.get_token(db, "laptop").status == 1


def test_identity_is_the_configs_and_balance_the_ledgers(db: sqlite3.Connection) -> None:
    mirror_declared(db, [declare()], START)
    add_user(db, "alice", 1)
    for edit in (
        TokenEdit(name="x"),
        TokenEdit(models=("x",)),
        TokenEdit(expires=None),
        TokenEdit(unlimited=True),
        TokenEdit(budget_nanos=5),
        TokenEdit(user="alice"),
        TokenEdit(rpm=1, add_nanos=5),
    ):
        with pytest.raises(LedgerError, match=r"declared in config\.yaml:12; change \w+ there"):
            accounts.edit_token(db, "laptop", edit, now=START)
    with pytest.raises(LedgerError, match="change its key there"):
        accounts.rotate_token(db, "laptop", key_of("new"), "", now=START)
    with pytest.raises(LedgerError, match="change it there"):
        accounts.remove_token(db, "laptop", now=START)
    accounts.edit_token(db, "laptop", TokenEdit(add_nanos=5, enabled=False), now=START)
    row = accounts.get_token(db, "laptop")
    assert (row.remain, row.status) == (105, 2)


def test_one_gone_from_the_config_may_be_removed(db: sqlite3.Connection) -> None:
    mirror_declared(db, [declare()], START)
    mirror_declared(db, [], START)
    accounts.remove_token(db, "laptop", now=START)
    assert accounts.list_tokens(db) == []
    assert mirror_declared(db, [declare()], START) == []
    assert accounts.get_token(db, "laptop").remain == 100


def test_what_the_cli_made_is_not_taken_over(db: sqlite3.Connection) -> None:
    add_token(db, "laptop", 7)
    add_token(db, "phone", 7)
    notices = mirror_declared(db, [declare(budget=100), declare("x", key_sha256=key_of("phone"))], START)
    assert ["another one of that name" in notices[0], "another token has its key" in notices[1]] == [True, True]
    assert {(row.name, row.source, row.remain) for row in accounts.list_tokens(db)} == {
        ("laptop", "cli", 7),
        ("phone", "cli", 7),
    }


def test_two_may_swap_their_keys(db: sqlite3.Connection) -> None:
    one, two = declare("one"), declare("two")
    mirror_declared(db, [one, two], START)
    ids = {row.name: row.id for row in accounts.list_tokens(db)}
    swapped = [
        msgspec.structs.replace(one, key_sha256=two.key_sha256),
        msgspec.structs.replace(two, key_sha256=one.key_sha256),
    ]
    assert mirror_declared(db, swapped, START) == []
    found = find_principal(db, two.key_sha256)
    assert found is not None
    assert found.token.id == ids["one"]


def test_a_key_may_move_to_another_name(db: sqlite3.Connection) -> None:
    mirror_declared(db, [declare("old")], START)
    notices = mirror_declared(db, [declare("new", key_sha256=key_of("old"))], START)
    assert len(notices) == 1
    found = find_principal(db, key_of("old"))
    assert found is not None
    assert found.token.name == "new"


def test_whose_new_key_is_taken_is_not_usable_by_its_old_one(db: sqlite3.Connection) -> None:
    add_token(db, "phone", 7)
    mirror_declared(db, [declare()], START)
    (notice,) = mirror_declared(db, [declare(key_sha256=key_of("phone"))], START)
    assert "another token has its key" in notice
    row = accounts.get_token(db, "laptop")
    assert (row.status, row.remain) == (2, 100), "the config no longer says this key"
    assert mirror_declared(db, [declare()], START) == []
    assert accounts.get_token(db, "laptop").status == 1


def test_one_that_cannot_be_mirrored_is_a_notice_and_the_rest_goes_on(db: sqlite3.Connection) -> None:
    mirror_declared(db, [declare()], START)
    notices = mirror_declared(db, [declare(user="nobody"), declare("phone"), declare("phone")], START)
    assert len(notices) == 2
    assert any("There is no user nobody" in notice for notice in notices)
    assert accounts.get_token(db, "laptop").status == 2, "it may not go on with what the config no longer says"
    assert accounts.get_token(db, "phone").status == 1
