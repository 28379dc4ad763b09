"""Opening a ledger: what is refused, and with which sentence; transactions; what the tables themselves forbid."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from oneapi_cli.ledger.faults import LedgerError, LedgerUnavailable
from oneapi_cli.ledger.migrations import APPLICATION_ID, LATEST
from oneapi_cli.ledger.store import open_ledger, snapshot, transaction
from tests.ledger.kit import START, add_token


@dataclass(frozen=True)
class Broken:
    """A file that is no ledger for us, and what its owner is told."""

    says: str
    make: Callable[[Path], object]
    told: str
    read_only: bool = False


def _sqlite(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


BROKEN = [
    Broken("missing", lambda path: None, "There is no ledger"),
    Broken("a directory", lambda path: path.mkdir(), "is a directory"),
    Broken("text", lambda path: path.write_text("listen: 127.0.0.1:3000\n" * 100), "not a ledger"),
    Broken("another database", lambda path: _sqlite(path, "CREATE TABLE notes (x)"), "a SQLite file, but not a ledger"),
    Broken(
        "newer",
        lambda path: _sqlite(path, f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {LATEST + 1}"),
        "newer oneapi",
    ),
    Broken("older, only for reading", lambda path: path.touch(), "older format", read_only=True),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.says)
def test_what_is_no_ledger_is_refused_with_a_sentence(case: Broken, tmp_path: Path) -> None:
    path = tmp_path / "oneapi.db"
    case.make(path)
    with pytest.raises(LedgerError, match=case.told) as refused:
        open_ledger(path, read_only=case.read_only)
    assert str(path) in refused.value.sentence
    assert not list(tmp_path.glob("*-wal"))


def test_a_file_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "oneapi.db"
    open_ledger(path, create=True, now=START).close()
    monkeypatch.setattr(os, "access", lambda file, mode: False)  # root may write everything
    with pytest.raises(LedgerError, match="cannot be written by this user"):
        open_ledger(path)
    open_ledger(path, read_only=True).close()


def test_a_locked_file_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneapi_cli.ledger.store.BUSY_MILLISECONDS", 50)
    path = tmp_path / "oneapi.db"
    open_ledger(path, create=True, now=START).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerUnavailable):
        open_ledger(path)
    other.close()


def test_a_new_ledger_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "oneapi.db"
    db = open_ledger(path, create=True, now=START)
    with transaction(db):
        db.execute("UPDATE users SET updated = 2")
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert db.execute("SELECT id, name, unlimited, admin FROM users").fetchall() == [(1, "root", 1, 1)]
    db.close()


def test_every_name_of_a_file_leads_to_one_lock(tmp_path: Path) -> None:
    path, link = tmp_path / "oneapi.db", tmp_path / "link.db"
    open_ledger(path, create=True, now=START).close()
    link.symlink_to(path)
    db = open_ledger(link)
    assert db.path == path
    db.close()


def test_reading_only(tmp_path: Path) -> None:
    path = tmp_path / "oneapi.db"
    open_ledger(path, create=True, now=START).close()
    db = open_ledger(path, read_only=True)
    assert db.execute("SELECT count(*) FROM users").fetchone() == (1,)
    with pytest.raises(LedgerUnavailable, match="read-only"), transaction(db):
        db.execute("UPDATE users SET updated = 2")
    db.close()


def test_a_transaction_is_all_or_nothing_and_nests(tmp_path: Path) -> None:
    db = open_ledger(tmp_path / "oneapi.db", create=True, now=START)
    with pytest.raises(ZeroDivisionError), transaction(db):
        db.execute("UPDATE users SET name = 'gone'")
        raise ZeroDivisionError
    with transaction(db):
        db.execute("UPDATE users SET created = 7")
        with pytest.raises(ZeroDivisionError), transaction(db):
            db.execute("UPDATE users SET name = 'gone'")
            raise ZeroDivisionError
        with transaction(db):
            db.execute("UPDATE users SET updated = 8")
    assert db.execute("SELECT name, created, updated FROM users").fetchall() == [("root", 7.0, 8.0)]
    assert not db.in_transaction
    db.close()


def test_a_snapshot_sees_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "oneapi.db"
    db = open_ledger(path, create=True, now=START)
    reader = open_ledger(path, read_only=True)
    with snapshot(reader):
        before = reader.execute("SELECT updated FROM users").fetchone()
        with transaction(db):
            db.execute("UPDATE users SET updated = updated + 1")
        assert reader.execute("SELECT updated FROM users").fetchone() == before
    assert reader.execute("SELECT updated FROM users").fetchone() != before
    reader.close()
    db.close()


_GRANT = (
    "INSERT INTO grants (delta_nanos, kind, reason, actor, created, user_id, token_id)"
    " VALUES (1, 'add', '', '', 0, {user}, {token})"
)
_ROW = (
    "INSERT INTO requests (request_id, state, token_id, user_id, door, model_asked, stream, created, closed, {more})"
    " VALUES ('1', '{state}', 1, 1, 'd', 'm', 0, 0, {closed}, {value})"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tokens SET granted = 0.5",
        "UPDATE tokens SET granted = 'much'",
        "UPDATE tokens SET granted = 9223372036854775807 + 1",
        "UPDATE tokens SET held = -1",
        "UPDATE tokens SET open_holds = -1",
        "UPDATE tokens SET rpm = 0",
        "UPDATE tokens SET user_id = 99",
        "INSERT INTO users (name, created, updated) VALUES ('root', 0, 0)",
        _GRANT.format(user="NULL", token="NULL"),
        _GRANT.format(user=1, token=1),
        "INSERT INTO extensions (request, nanos, created) VALUES (9, 1, 0)",
        _ROW.format(state="lost", closed=1, more="cost_nanos", value=0),
        _ROW.format(state="settled", closed=1, more="cost_nanos", value=0.5),
        _ROW.format(state="settled", closed="NULL", more="cost_nanos", value=0),
        _ROW.format(state="held", closed=1, more="cost_nanos", value=0),
        _ROW.format(state="held", closed="NULL", more="cost_nanos", value=1),
        _ROW.format(state="released", closed=1, more="cost_nanos", value=1),
        _ROW.format(state="refused", closed=1, more="hold_nanos", value=1),
        _ROW.format(state="kept", closed=1, more="cost_nanos", value=-1),
    ],
)
def test_the_tables_refuse_what_must_not_be(tmp_path: Path, statement: str) -> None:
    db = open_ledger(tmp_path / "oneapi.db", create=True, now=START)
    add_token(db, "laptop", 5)
    with pytest.raises(sqlite3.IntegrityError), transaction(db):
        db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    "change", ["state = 'kept'", "state = 'held', closed = NULL", "cost_nanos = 4", "hold_nanos = 9"]
)
def test_a_closed_request_does_not_change(tmp_path: Path, change: str) -> None:
    db = open_ledger(tmp_path / "oneapi.db", create=True, now=START)
    add_token(db, "laptop", 5)
    with transaction(db):
        db.execute(_ROW.format(state="settled", closed=1, more="cost_nanos", value=3))
    with pytest.raises(sqlite3.IntegrityError, match="closed request"), transaction(db):
        db.execute(f"UPDATE requests SET {change}")
    db.close()


def test_sql_never_reaches_a_sentence(tmp_path: Path) -> None:
    db = open_ledger(tmp_path / "oneapi.db", create=True, now=START)
    with pytest.raises(LedgerError) as refused, transaction(db):
        db.execute("SELECT nothing FROM nowhere")
    assert "nowhere" not in refused.value.sentence
    db.close()
