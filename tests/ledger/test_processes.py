"""Several real processes over one ledger: at once, killed at any moment, starting together."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.book import Book, LedgerError
from oneapi_cli.ledger.closing import close
from oneapi_cli.ledger.faults import LedgerUnavailable
from oneapi_cli.ledger.owners import file_of
from oneapi_cli.ledger.receipts import read_receipt
from oneapi_cli.ledger.recovery import AfterCrash, orphans, release_all, release_orphan, settle_orphan
from oneapi_cli.ledger.store import open_ledger, transaction
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.holds import Hold
from oneapi_cli.values.usage import Usage
from tests.ledger.kit import START, add_token, ask, closing, fixed, principal, till


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "oneapi.db"
    db = open_ledger(file, create=True, now=START)
    add_token(db, "laptop", 1_000_000)
    db.close()
    return file


def worker(path: Path, mode: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.ledger.worker", str(path), mode, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@contextlib.contextmanager
def running(path: Path, mode: str, count: int) -> Iterator[subprocess.Popen[str]]:
    process = worker(path, mode, count)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def hold_and_die(path: Path, count: int) -> None:
    """A process that has `count` holds open is killed."""
    with running(path, "hold", count) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)


def test_two_processes_write_at_once(path: Path) -> None:
    with running(path, "work", 300) as one, running(path, "work", 300) as other:
        assert one.wait(60) == 0
        assert other.wait(60) == 0
    db = open_ledger(path)
    assert db.execute("SELECT state, count(*) FROM requests GROUP BY state").fetchall() == [("settled", 600)]
    assert accounts.get_token(db, "laptop").used == 1_800
    assert verify(db) == []
    # Both left in order: no lock file is left and nothing is taken for dead.
    assert list(path.parent.glob("*.owner-*")) == []
    assert db.execute("SELECT count(*) FROM owners WHERE ended IS NULL").fetchone() == (0,)
    db.close()


@pytest.mark.parametrize(
    ("policy", "charged", "state"), [("keep", 300, "kept"), ("input", 120, "kept"), ("release", 0, "released")]
)
async def test_killed_between_hold_and_settlement(path: Path, policy: AfterCrash, charged: int, state: str) -> None:
    hold_and_die(path, 3)
    before = open_ledger(path)
    assert [(one.state, one.nanos, one.fixed_nanos) for one in orphans(before)] == [("held", 100, 40)] * 3
    assert verify(before) == []
    before.close()
    async with till(path, after_crash=policy) as t:
        assert (t.book.recovered.count, t.book.recovered.nanos, t.book.recovered.charged_nanos) == (3, 300, charged)
        assert t.states() == {state: 3}
        assert t.account("laptop") == (1_000_000 - charged, 0, 0)
        assert len(list(path.parent.glob("*.owner-*"))) == 1
        assert t.db.execute("SELECT count(*) FROM owners WHERE ended IS NULL").fetchone() == (1,)
        receipt = read_receipt(t.db, t.db.execute("SELECT request_id FROM requests").fetchone()[0])
        assert receipt is not None
        assert "process died" in receipt.reason
        assert sum(line.picos for line in receipt.lines) == receipt.cost_nanos * 1_000
        assert len(orphans(t.db)) == (3 if state == "kept" else 0)


async def test_orphans_are_resolved_by_hand(path: Path) -> None:
    hold_and_die(path, 3)
    async with till(path) as t:
        one, two, three = (orphan.request_id for orphan in orphans(t.db))
        usage = Usage(counts={"input_tokens": 4, "output_tokens": 2})
        assert release_orphan(t.db, one, now=START) == 100
        assert settle_orphan(t.db, two, 30, usage, now=START) == -70
        assert [orphan.request_id for orphan in orphans(t.db)] == [three]
        for resolved in (one, two):
            with pytest.raises(LedgerError, match="resolved already"):
                release_orphan(t.db, resolved, now=START)
        with pytest.raises(LedgerError, match="There is no request"):
            release_orphan(t.db, "nonsense", now=START)
        receipt = read_receipt(t.db, two)
        assert receipt is not None
        assert (receipt.booked_nanos, receipt.cost_nanos, receipt.adjustments[0].usage) == (100, 30, usage)
        assert release_all(t.db, now=START) == (1, 100)
        assert release_all(t.db, now=START) == (0, 0)
        assert t.account("laptop") == (1_000_000 - 30, 0, 0)


def test_holds_of_the_dead_are_resolved_without_a_server(path: Path) -> None:
    hold_and_die(path, 2)
    db = open_ledger(path)
    one, two = (orphan.request_id for orphan in orphans(db))
    assert release_orphan(db, one, now=START) == 100
    assert settle_orphan(db, two, 7, None, now=START) == -93
    assert orphans(db) == []
    assert verify(db) == []
    assert db.execute("SELECT state, cost_nanos FROM requests ORDER BY id").fetchall() == [
        ("released", 0),
        ("settled", 7),
    ]
    assert accounts.get_token(db, "laptop").used == 7
    db.close()
    book = Book.open(path)
    assert book.recovered.count == 0
    asyncio.run(book.stop())


async def test_a_running_request_is_no_orphan(path: Path) -> None:
    async with till(path) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(5)))
        assert isinstance(hold, Hold)
        assert orphans(t.db) == []
        with pytest.raises(LedgerError, match="still running"):
            release_orphan(t.db, hold.request_id, now=START)
        second = Book.open(path)
        assert second.recovered.count == 0
        await second.start()
        await second.stop()
        await t.book.close(hold.request_id, closing(1))
        with pytest.raises(LedgerError, match="is settled"):
            settle_orphan(t.db, hold.request_id, 0, None, now=START)


async def test_a_hold_that_is_nobodys_outlives_every_process(path: Path) -> None:
    """External holds have no owner: recovery and orphans leave them alone, `concurrent` does not count them."""
    async with till(path) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(5)))
        assert isinstance(hold, Hold)
        t.db.execute("BEGIN IMMEDIATE")
        t.db.execute("UPDATE requests SET owner_id = NULL")
        t.db.execute("UPDATE tokens SET open_holds = 0")
        t.db.execute("UPDATE users SET open_holds = 0")
        t.db.execute("COMMIT")
        t.book._own.release(unlink=False)
    async with till(path) as again:
        assert again.book.recovered.count == 0
        assert orphans(again.db) == []
        with transaction(again.db):
            close(again.db, hold.request_id, closing(2), START)
        assert again.account("laptop") == (999_998, 0, 0)


def test_two_that_start_at_once_recover_once(path: Path) -> None:
    hold_and_die(path, 50)
    with running(path, "work", 10) as one, running(path, "work", 10) as other:
        assert one.wait(60) == 0
        assert other.wait(60) == 0
    db = open_ledger(path)
    assert dict(db.execute("SELECT state, count(*) FROM requests GROUP BY state")) == {"kept": 50, "settled": 20}
    assert accounts.get_token(db, "laptop").used == 5_060
    assert verify(db) == []
    db.close()


@pytest.mark.parametrize("seed", range(3))
async def test_killed_under_load_it_balances_and_every_acknowledged_settlement_is_there(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    with running(path, "load", 100_000) as process:
        assert process.stdout is not None
        first = process.stdout.readline().strip()
        await asyncio.sleep(rng.uniform(0.02, 0.3))
        process.send_signal(signal.SIGKILL)
        told = [first, *process.stdout.read().split("\n")[:-1]]
    async with till(path) as t:
        settled = {
            id for (id,) in t.db.execute("SELECT request_id FROM requests WHERE state = 'settled' AND cost_nanos = 3")
        }
        assert set(told) <= settled
        assert set(t.states()) <= {"settled", "kept"}
        used = 3 * len(settled) + 100 * t.states().get("kept", 0)
        assert t.account("laptop") == (1_000_000 - used, 0, 0)


# --- locks -----------------------------------------------------------------------------------------------------------


def test_a_process_that_never_pauses_does_not_starve_another(path: Path) -> None:
    """One thread writes transaction after transaction; another gets its turn between two of them, every time."""
    going = True
    written = 0

    def hog() -> None:
        nonlocal written
        db = open_ledger(path, sync="normal")
        while going:
            with transaction(db):
                db.execute("UPDATE users SET updated = updated + 1 WHERE id = 1")
                time.sleep(0.005)
            written += 1
        db.close()

    thread = threading.Thread(target=hog)
    thread.start()
    try:
        db = open_ledger(path, sync="normal")
        waits = []
        for _ in range(20):
            started, before = time.monotonic(), written
            with transaction(db):
                waits.append((written - before, time.monotonic() - started))
        db.close()
    finally:
        going = False
        thread.join()
    assert max(turns for turns, _ in waits) <= 3, waits


def test_a_lock_that_is_never_given_back_is_an_error_in_time(path: Path) -> None:
    held = os.open(f"{path}.lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    db = open_ledger(path)
    with pytest.raises(LedgerUnavailable, match="locked"), transaction(db, wait_seconds=0.1):
        pytest.fail("got in")
    os.close(held)
    other = open_ledger(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match="locked"), transaction(db, wait_seconds=0.1):
        pytest.fail("got in")
    other.execute("ROLLBACK")
    with transaction(db, wait_seconds=0.1):
        db.execute("UPDATE users SET updated = 1")
    db.close()
    other.close()


async def test_a_lock_file_that_is_gone_is_a_process_that_is_gone(path: Path) -> None:
    book = Book.open(path)
    await book.start()
    db = open_ledger(path)
    await book.reserve(ask(principal(db, "laptop"), fixed(5)))
    file_of(path, book._own.name).unlink()
    assert len(orphans(db)) == 1
    db.close()
    await book.stop()
    again = Book.open(path)
    assert again.recovered.count == 1
    await again.stop()


def test_who_asks_whether_one_lives_is_not_taken_for_it(path: Path) -> None:
    hold_and_die(path, 1)
    (file,) = path.parent.glob("*.owner-*")
    with file.open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        db = open_ledger(path)
        assert len(orphans(db)) == 1
        db.close()


@pytest.mark.parametrize("attempt", range(8))
def test_opening_many_at_once_makes_one_ledger(attempt: int, tmp_path: Path) -> None:
    file = tmp_path / f"new{attempt}.db"
    problems: list[BaseException] = []

    def make() -> None:
        try:
            open_ledger(file, create=True, now=START).close()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    db = open_ledger(file)
    assert db.execute("SELECT name FROM users").fetchall() == [("root",)]
    db.close()


def test_the_loop_is_free_while_the_book_opens(path: Path) -> None:
    """Opening blocks, so it may happen in a thread and be started in the loop."""

    async def start() -> None:
        book = await asyncio.to_thread(Book.open, path)
        await book.start()
        await book.stop()

    asyncio.run(start())
