"""Folding, backups and exports: balances stay, what must stay stays, files are whole or not there."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import resource
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.ledger import accounts, external, retention
from oneapi_cli.ledger.accounts import TokenEdit
from oneapi_cli.ledger.closing import adjust, close, refuse
from oneapi_cli.ledger.export import COLUMNS, export_csv
from oneapi_cli.ledger.faults import LedgerError
from oneapi_cli.ledger.holding import Moment, reserve
from oneapi_cli.ledger.migrations import APPLICATION_ID, LATEST
from oneapi_cli.ledger.recovery import orphans
from oneapi_cli.ledger.retention import Pruned, backup, prune, prune_batch
from oneapi_cli.ledger.store import open_ledger, transaction
from oneapi_cli.ledger.upkeep import touch
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.holds import Attempt, Refusal
from oneapi_cli.values.usage import Usage
from tests.ledger.kit import START, add_token, add_user, ask, closing, fixed, new_id, principal

DAY = 86_400.0
NOW = START + 100 * DAY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "oneapi.db"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_ledger(path, create=True, sync="normal", now=START)
    add_user(connection, "alice", 5_000)
    add_token(connection, "laptop", 1_000, user="alice")
    add_token(connection, "phone", None)
    yield connection
    assert [one.sentence for one in verify(connection)] == []
    connection.close()


def spend(db: sqlite3.Connection, name: str, cost: int, now: float, state: Any = "settled", **more: Any) -> str:
    id = new_id()
    with transaction(db):
        reserve(db, ask(principal(db, name), fixed(cost), request_id=id), Moment(owner=None, now=now))
        tried = Attempt(channel="c", vendor="v", model_sent="m", started=1, ended=2, status=200, outcome="served")
        close(db, id, closing(0 if state == "released" else cost, state, attempts=(tried,), **more), now)
    return id


def correct(db: sqlite3.Connection, id: str, delta: int, now: float) -> None:
    with transaction(db):
        adjust(db, id, delta, reason="r", actor="a", now=now)


def figures(db: sqlite3.Connection) -> list[tuple[int, int, int]]:
    return [(row.granted, row.used, row.held) for row in (*accounts.list_tokens(db), *accounts.list_users(db))]


def count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# --- prune -----------------------------------------------------------------------------------------------------------


def test_what_is_old_becomes_one_row_per_account(db: sqlite3.Connection) -> None:
    for day in range(10):
        correct(db, spend(db, "laptop", 20, START + day * DAY), -5, START + day * DAY)
    spend(db, "phone", 7, START)
    spend(db, "phone", 3, START, "released")
    spend(db, "phone", 0, NOW)
    before = figures(db)
    done = prune(db, START + 5 * DAY, NOW)
    assert done == Pruned(requests=7, grants=2, nanos=5 * 15 + 7)
    assert figures(db) == before
    assert (count(db, "requests"), count(db, "attempts"), count(db, "adjustments"), count(db, "grants")) == (6, 6, 5, 0)
    assert db.execute(
        "SELECT token_id, user_id, granted, used, requests, through FROM carried ORDER BY 1, 2"
    ).fetchall() == [
        (None, 1, 0, 7, 2, START + 5 * DAY),
        (None, 2, 5_000, 75, 5, START + 5 * DAY),
        (1, None, 1_000, 75, 5, START + 5 * DAY),
        (2, None, 0, 7, 2, START + 5 * DAY),
    ]
    assert verify(db) == []
    assert prune(db, START + 50 * DAY, NOW).requests == 5
    assert figures(db) == before
    assert count(db, "carried") == 4
    assert prune(db, START + 50 * DAY, NOW) == Pruned()


def test_what_must_stay_stays(db: sqlite3.Connection) -> None:
    spend(db, "laptop", 10, START, "kept")
    resolved = spend(db, "laptop", 10, START, "kept")
    correct(db, resolved, -10, START)
    with transaction(db):
        reserve(db, ask(principal(db, "laptop"), fixed(5)), Moment(owner=None, now=START))
    charge = external.Charge(token_id=1, nanos=4, reason="x", request_id=new_id())
    external.pre(db, charge, zone=UTC, now=START)
    with transaction(db):
        refuse(db, refusal(db), START)
    spend(db, "phone", 0, START)
    assert prune(db, NOW, NOW).requests == 2
    states = db.execute("SELECT state FROM requests ORDER BY id").fetchall()
    assert states == [("kept",), ("held",), ("held",), ("settled",)], "the last is the newest"
    assert len(orphans(db)) == 1


def test_a_number_is_never_given_twice(db: sqlite3.Connection) -> None:
    """`oneapi cost 7` and a log that is followed go by the row's number."""
    spend(db, "laptop", 10, START)
    spend(db, "laptop", 10, START)
    assert prune(db, NOW, NOW).requests == 1
    spend(db, "laptop", 10, NOW)
    assert db.execute("SELECT max(id) FROM requests").fetchone() == (3,)


def refusal(db: sqlite3.Connection, **more: Any) -> Refusal:
    fields: dict[str, Any] = {"model_asked": "gpt", "message": "no", **more}
    who = principal(db, "laptop")
    return Refusal(request_id=new_id(), principal=who, door="openai_chat", status=403, code="c", **fields)


def test_the_last_minute_is_left_to_the_rates(db: sqlite3.Connection) -> None:
    accounts.edit_token(db, "laptop", TokenEdit(rpm=2), now=START)
    spend(db, "laptop", 1, NOW - 61)
    spend(db, "laptop", 1, NOW - 59)
    assert prune(db, NOW + DAY, NOW).requests == 1
    assert count(db, "requests") == 1


def test_what_was_given_back_goes_with_its_request(db: sqlite3.Connection) -> None:
    accounts.edit_token(db, "laptop", TokenEdit(budget_nanos=100, budget_period="day"), now=START, zone=UTC)
    with transaction(db):
        reserve(db, ask(principal(db, "laptop"), fixed(60), request_id="old"), Moment(owner=None, now=START))
    touch(db, UTC, START + 2 * DAY)
    with transaction(db):
        close(db, "old", closing(50), START + 2 * DAY)
        adjust(db, "old", -20, reason="r", actor="a", now=START + 3 * DAY)
    young = spend(db, "laptop", 10, START + 9 * DAY)
    before = figures(db)
    assert prune(db, START + 5 * DAY, NOW).requests == 1
    assert (figures(db), verify(db)) == (before, [])
    assert accounts.get_token(db, "laptop").remain == 90
    correct(db, young, 1, START + 10 * DAY)


def test_batches_are_small_and_each_leaves_the_ledger_balanced(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    for n in (*range(7), 0):
        spend(db, "laptop", n, START)
    before, seen = figures(db), []
    assert prune_batch(db, NOW, NOW).more
    assert (figures(db), verify(db), count(db, "requests")) == (before, [], 5)
    assert prune(db, NOW, NOW, progress=lambda done: seen.append(done.requests)) == Pruned(4, 0, 3 + 4 + 5 + 6)
    assert seen == [3, 4]
    assert figures(db) == before


# --- backup ----------------------------------------------------------------------------------------------------------


def test_a_backup_is_one_whole_ledger(db: sqlite3.Connection, path: Path, tmp_path: Path) -> None:
    spend(db, "laptop", 10, START)
    target = tmp_path / "copies" / "monday.db"
    target.parent.mkdir()
    told: list[tuple[int, int]] = []
    size = backup(path, target, progress=lambda done, whole: told.append((done, whole)))
    assert [file.name for file in target.parent.iterdir()] == ["monday.db"]
    assert (target.stat().st_size, stat.S_IMODE(target.stat().st_mode)) == (size, 0o600)
    assert told[-1][0] == told[-1][1] > 0
    spend(db, "laptop", 10, START)
    copy = open_ledger(target)
    assert (verify(copy), count(copy, "requests")) == ([], 1)
    spend(copy, "laptop", 10, START)
    copy.close()


def test_a_backup_of_a_ledger_that_is_being_written(
    db: sqlite3.Connection, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step of the copy sees another commit, and the copy is the moment it began all the same."""
    monkeypatch.setattr(retention, "BACKUP_PAGES", 5)
    spend(db, "laptop", 1, START)
    steps = []

    def write(done: int, whole: int) -> None:
        steps.append(done)
        spend(db, "phone", 1, START)

    backup(path, tmp_path / "b.db", progress=write)
    assert len(steps) > 5
    assert steps == sorted(steps)
    copy = open_ledger(tmp_path / "b.db", read_only=True)
    assert (verify(copy), count(copy, "requests")) == ([], 1)
    copy.close()


# --- export ----------------------------------------------------------------------------------------------------------


def exported(db: sqlite3.Connection, since: float | None = None) -> list[dict[str, str]]:
    out = io.StringIO()
    rows = export_csv(db, out, since)
    found = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert len(found) == rows
    return found


def test_a_row_per_request(db: sqlite3.Connection) -> None:
    usage = Usage(counts={"input_tokens": 20, "output_tokens": 5})
    id = spend(db, "laptop", 30, START, usage=usage, channel="openai", model_sent="gpt-4o")
    correct(db, id, -7, START)
    (row,) = exported(db)
    assert tuple(row) == COLUMNS
    assert row == {
        "request_id": id, "time": "2023-11-14T22:13:20.000Z", "state": "settled", "token": "laptop", "user": "alice",
        "door": "openai_chat", "model_asked": "demo", "model_sent": "gpt-4o", "channel": "openai", "stream": "0",
        "status": "200", "code": "", "input_tokens": "20", "output_tokens": "5", "hold_nanos": "30",
        "cost_nanos": "23", "cost_usd": "0.000000023", "bounded": "1", "closed": "2023-11-14T22:13:20.000Z",
        "reason": "",
    }  # fmt: skip


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_is_a_formula(db: sqlite3.Connection, start: str) -> None:
    text = f'{start}cmd|" /C calc"!A0,\n"x'
    with transaction(db):
        refuse(db, refusal(db, model_asked=text, message=text), START)
    (row,) = exported(db)
    assert (row["model_asked"], row["reason"]) == (f"'{text}", f"'{text}")


def test_since_and_pages(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneapi_cli.ledger.export.PAGE", 3)
    ids = [spend(db, "laptop", 1, START + n) for n in range(8)]
    with transaction(db):
        reserve(db, ask(principal(db, "phone"), fixed(5), request_id="open"), Moment(owner=None, now=START + 8))
    assert [row["request_id"] for row in exported(db)] == [*ids, "open"]
    assert [row["request_id"] for row in exported(db, START + 5)] == [*ids[5:], "open"]
    assert exported(db, START + 9) == []
    assert exported(db)[-1]["closed"] == ""


def test_an_export_to_a_new_file(db: sqlite3.Connection, tmp_path: Path) -> None:
    spend(db, "laptop", 1, START)
    target, told = tmp_path / "all.csv", list[int]()
    assert export_csv(db, target, progress=told.append) == 1
    assert told == [1]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.read_bytes().count(b"\r\n") == 2


# --- what goes wrong -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Faulty:
    says: str
    target: Callable[[Path], Path]
    told: str


FAULTY = [
    Faulty("exists", lambda folder: folder / "there", "exists already"),
    Faulty("a dangling link", lambda folder: folder / "dangling", "exists already"),
    Faulty("no such folder", lambda folder: folder / "nowhere" / "x", "cannot be written"),
    Faulty("below a file", lambda folder: folder / "there" / "x", "cannot be written"),
    Faulty("a folder", lambda folder: folder, "exists already"),
    Faulty("the ledger itself", lambda folder: folder / "oneapi.db", "exists already"),
]  # fmt: skip


@pytest.mark.parametrize("case", FAULTY, ids=lambda case: case.says)
def test_targets_that_will_not_do(db: sqlite3.Connection, path: Path, case: Faulty) -> None:
    folder = path.parent
    (folder / "there").write_text("mine")
    (folder / "dangling").symlink_to("nothing")
    before = sorted(os.listdir(folder))
    with pytest.raises(LedgerError, match=case.told):
        backup(path, case.target(folder))
    with pytest.raises(LedgerError, match=case.told):
        export_csv(db, case.target(folder))
    assert (folder / "there").read_text() == "mine"
    assert sorted(os.listdir(folder)) == before


def test_a_target_that_appears_meanwhile_is_not_written_over(
    db: sqlite3.Connection, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "b.db"

    def appear(done: int, whole: int) -> None:
        target.write_text("first")

    def no_links(source: object, to: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    for links in (True, False):
        if not links:
            monkeypatch.setattr(os, "link", no_links)
        with pytest.raises(LedgerError, match="exists already"):
            backup(path, target, progress=appear)
        assert target.read_text() == "first"
        target.unlink()
    assert backup(path, target) > 0
    assert not list(tmp_path.glob(".b.db.*"))


@contextlib.contextmanager
def no_room(size: int) -> Iterator[None]:
    """Files of this process cannot grow beyond `size`, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing_behind(db: sqlite3.Connection, path: Path, tmp_path: Path) -> None:
    for _ in range(40):
        spend(db, "laptop", 1, START)
    before = sorted(os.listdir(tmp_path))
    with no_room(4_096), pytest.raises(LedgerError, match="cannot be copied to"):
        backup(path, tmp_path / "b.db")
    with no_room(4_096), pytest.raises(LedgerError, match="cannot be written"):
        export_csv(db, tmp_path / "b.csv")
    assert sorted(os.listdir(tmp_path)) == before


def test_what_cannot_be_copied(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("listen: here\n" * 100)
    newer = sqlite3.connect(tmp_path / "newer")
    newer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    newer.execute(f"PRAGMA user_version = {LATEST + 1}")
    newer.close()
    for name, told in (("missing", "There is no ledger"), ("text", "is not a ledger"), ("newer", "newer oneapi")):
        with pytest.raises(LedgerError, match=told):
            backup(tmp_path / name, tmp_path / "b.db")
    assert not (tmp_path / "b.db").exists()
