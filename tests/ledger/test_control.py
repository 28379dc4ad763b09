"""The book and time: resets, external holds, rates as they stand and retention, in a running process and beside it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.ledger import accounts, external, migrations, retention, store
from oneapi_cli.ledger.accounts import TokenEdit
from oneapi_cli.ledger.export import export_csv
from oneapi_cli.ledger.faults import LedgerError, LedgerUnavailable
from oneapi_cli.ledger.periods import next_reset, zone_of
from oneapi_cli.ledger.reports import LogFilter, logs, models_used, token_logs, usage
from oneapi_cli.ledger.retention import Pruned, backup, prune
from oneapi_cli.ledger.store import open_ledger, transaction
from oneapi_cli.ledger.upkeep import Touched, touch
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.errors import OutOfCredit, Overloaded, Throttled
from oneapi_cli.values.holds import Allowance, Hold, RateLimits
from tests.ledger.kit import START, Till, add_token, add_user, ask, closing, fixed, new_id, per_token, principal, till
from tests.ledger.test_processes import running

ZONE = zone_of("Europe/Berlin")
MIDNIGHT = next_reset("day", START, ZONE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "oneapi.db"


def laptop(budget: int | None = 100, **more: Any) -> Callable[[sqlite3.Connection], object]:
    return lambda db: add_token(db, "laptop", budget, **more)


async def reserve(t: Till, nanos: int, tokens: int = 0) -> Hold:
    hold = await t.book.reserve(ask(t.who("laptop"), fixed(nanos, tokens)))
    assert isinstance(hold, Hold)
    return hold


def charge(nanos: int, **more: Any) -> external.Charge:
    return external.Charge(token_id=1, nanos=nanos, reason="scraping", request_id=new_id(), **more)


def with_external(t: Till, nanos: int, seconds: float = 600) -> Callable[[sqlite3.Connection], external.External]:
    return lambda db: external.pre(db, charge(nanos, timeout_seconds=seconds), zone=ZONE, now=t.clock.now)


# --- recurring budgets ----------------------------------------------------------------------------------------------


async def test_a_day_is_that_of_the_books_zone(path: Path) -> None:
    async with till(path, laptop(budget_period="day"), zone=ZONE) as t:
        await t.book.close((await reserve(t, 100)).request_id, closing(100))
        t.clock.now = MIDNIGHT - 0.001
        with pytest.raises(OutOfCredit):
            await reserve(t, 1)
        t.clock.now = MIDNIGHT
        await reserve(t, 1)
        assert t.account("laptop") == (100, 1, 1)
        assert accounts.get_token(t.db, "laptop").budget_reset == next_reset("day", MIDNIGHT, ZONE)


async def test_a_rollover_stands_although_the_request_is_refused(path: Path) -> None:
    async with till(path, laptop(budget_period="day"), zone=ZONE) as t:
        await t.book.close((await reserve(t, 100)).request_id, closing(100))
        t.clock.now = MIDNIGHT
        with pytest.raises(OutOfCredit, match=r"\$0\.0000001 remaining"):
            await reserve(t, 101)
        assert t.account("laptop") == (100, 0, 0)


async def test_whoever_waits_over_the_boundary_gets_the_new_budget(path: Path) -> None:
    async with till(path, laptop(budget_period="day"), zone=ZONE) as t:
        old = await reserve(t, 80)
        t.clock.now = MIDNIGHT - 2
        waiter = asyncio.ensure_future(t.book.reserve(ask(t.who("laptop"), fixed(90), wait=30)))
        await asyncio.sleep(0.05)
        assert not waiter.done()
        t.clock.now = MIDNIGHT + 1
        hold = await asyncio.wait_for(waiter, 5)
        assert isinstance(hold, Hold)
        await t.book.close(old.request_id, closing(80))
        assert t.account("laptop") == (100, 90, 1)


async def test_touching_wakes_and_edits_touch_first(path: Path) -> None:
    async with till(path, laptop(budget_period="day"), zone=ZONE) as t:
        await t.book.close((await reserve(t, 90)).request_id, closing(90))
        t.clock.now = MIDNIGHT
        edited = await t.book.write(
            lambda db: accounts.edit_token(db, "laptop", TokenEdit(add_nanos=5), now=MIDNIGHT, zone=ZONE)
        )
        assert edited.remain == 105
        assert await t.book.touch() == Touched()
        t.clock.now = next_reset("day", MIDNIGHT, ZONE)
        assert await t.book.touch() == Touched(resets=1)


async def test_a_crash_over_the_boundary_is_charged_to_the_old_period(path: Path) -> None:
    async with till(path, laptop(budget_period="day"), zone=ZONE) as t:
        await reserve(t, 80)
        t.book._own.release(unlink=False)
    db = open_ledger(path)
    assert touch(db, ZONE, MIDNIGHT) == Touched(resets=1)
    db.close()
    async with till(path, zone=ZONE) as again:
        assert again.book.recovered.charged_nanos == 80
        assert again.account("laptop") == (100, 0, 0)


async def test_two_processes_roll_over_once(path: Path) -> None:
    """Both find the budget due at their first request; the clocks of the two are real, so the past is written in."""
    db = open_ledger(path, create=True, now=START)
    add_token(db, "laptop", 1_000_000, budget_period="month")
    touch(db, UTC, START)
    with transaction(db):
        db.execute("UPDATE tokens SET used = 400, granted = 500")
        db.execute("UPDATE grants SET delta_nanos = 100")
        db.execute("INSERT INTO carried (token_id, granted, used, through) VALUES (1, 400, 400, 0)")
        db.execute("INSERT INTO carried (user_id, used, through) VALUES (1, 400, 0)")
        db.execute("UPDATE users SET used = 400 WHERE id = 1")
    with running(path, "work", 100) as one, running(path, "work", 100) as other:
        assert (one.wait(60), other.wait(60)) == (0, 0)
    row = accounts.get_token(db, "laptop")
    assert (row.remain, row.used) == (1_000_000 - 600, 1_000)
    assert db.execute("SELECT count(*) FROM grants WHERE kind = 'reset'").fetchone() == (1,)
    assert verify(db) == []
    db.close()


# --- external holds -------------------------------------------------------------------------------------------------


async def test_an_external_hold_and_a_request_share_one_balance(path: Path) -> None:
    async with till(path, laptop()) as t:
        held = await t.book.write(with_external(t, 70))
        with pytest.raises(Throttled, match=r"\$0\.00000007 of it is held"):
            await reserve(t, 31)
        waiter = asyncio.ensure_future(t.book.reserve(ask(t.who("laptop"), fixed(40), wait=30)))
        await asyncio.sleep(0.05)
        assert not waiter.done()
        await t.book.write(lambda db: external.cancel(db, 1, held.transaction_id, now=START))
        assert isinstance(await asyncio.wait_for(waiter, 1), Hold)
        with pytest.raises(LedgerError, match="required=1, available=0"):
            await t.book.write(with_external(t, 61))


async def test_a_touch_confirms_what_expired(path: Path) -> None:
    async with till(path, laptop()) as t:
        await t.book.write(with_external(t, 70, seconds=5))
        t.clock.now += 5
        assert await t.book.touch() == Touched(confirmed=1)
        assert t.account("laptop") == (30, 0, 0)


async def test_an_external_hold_outlives_a_crash(path: Path) -> None:
    async with till(path, laptop()) as t:
        held = await t.book.write(with_external(t, 70))
        t.book._own.release(unlink=False)
    async with till(path) as again:
        assert again.book.recovered.count == 0
        await again.book.write(lambda db: external.post(db, 1, held.transaction_id, 60, zone=UTC, now=START))
        assert again.account("laptop") == (40, 0, 0)


# --- rates as they stand --------------------------------------------------------------------------------------------


async def test_a_hold_tells_how_the_rates_stand(path: Path) -> None:
    async with till(path, laptop(10_000, rpm=3, tpm=1_000)) as t:
        first = await reserve(t, 1, tokens=300)
        assert first.rates == RateLimits(
            requests=Allowance(limit=3, remaining=2, reset_seconds=60.0),
            tokens=Allowance(limit=1_000, remaining=700, reset_seconds=60.0),
        )
        t.clock.now += 15
        await reserve(t, 1, tokens=600)
        t.clock.now += 5
        with pytest.raises(Throttled) as refused:
            await reserve(t, 1, tokens=200)
        assert refused.value.retry_after_seconds == 40
        assert refused.value.rates == RateLimits(
            requests=Allowance(limit=3, remaining=1, reset_seconds=40.0),
            tokens=Allowance(limit=1_000, remaining=100, reset_seconds=40.0),
        )
        t.clock.now = START + 61
        assert (await reserve(t, 1)).rates == RateLimits(
            requests=Allowance(limit=3, remaining=1, reset_seconds=14.0),
            tokens=Allowance(limit=1_000, remaining=400, reset_seconds=14.0),
        )


async def test_the_tighter_account_is_told(path: Path) -> None:
    def prepare(db: sqlite3.Connection) -> None:
        add_user(db, "alice", rpm=2)
        add_token(db, "laptop", None, user="alice", rpm=50, concurrent=9)

    async with till(path, prepare) as t:
        rates = (await reserve(t, 1)).rates
        assert rates == RateLimits(requests=Allowance(limit=2, remaining=1, reset_seconds=60.0))


@pytest.mark.parametrize("limits", [{}, {"concurrent": 3}])
async def test_without_rates_nothing_is_told(path: Path, limits: dict[str, int]) -> None:
    async with till(path, laptop(**limits)) as t:
        assert (await reserve(t, 1)).rates is None


async def test_money_that_is_only_held_tells_the_rates_too(path: Path) -> None:
    async with till(path, laptop(rpm=5)) as t:
        await reserve(t, 80)
        with pytest.raises(Throttled) as refused:
            await t.book.reserve(ask(t.who("laptop"), per_token(100, floor=90)))
        assert refused.value.code == "balance_held"
        assert refused.value.rates == RateLimits(requests=Allowance(limit=5, remaining=4, reset_seconds=60.0))


async def test_absurd_counts_do_not_break_the_rates(path: Path) -> None:
    async with till(path, laptop(tpm=10)) as t:
        for _ in range(3):
            t.clock.now += 0.001
            with pytest.raises(Throttled):
                await reserve(t, 0, tokens=2**80)
        accounts.edit_token(t.db, "laptop", TokenEdit(tpm=None), now=START)
        for _ in range(3):
            await reserve(t, 0, tokens=2**80)
        accounts.edit_token(t.db, "laptop", TokenEdit(tpm=10), now=START)
        with pytest.raises(Throttled) as refused:
            await reserve(t, 0, tokens=1)
        assert refused.value.rates is not None
        assert refused.value.rates.tokens == Allowance(limit=10, remaining=0, reset_seconds=60.0)


# --- retention ------------------------------------------------------------------------------------------------------


async def test_a_running_book_prunes_between_its_requests(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 4)
    async with till(path, laptop(10_000)) as t:
        for _ in range(10):
            await t.book.close((await reserve(t, 5)).request_id, closing(3))
        t.clock.now += 1_000
        pruning = asyncio.ensure_future(t.book.prune(START + 500))
        await t.book.close((await reserve(t, 5)).request_id, closing(3))
        assert await pruning == Pruned(requests=10, grants=1, nanos=30)
        assert t.states() == {"settled": 1}
        assert t.account("laptop") == (10_000 - 33, 0, 0)


# --- what goes wrong ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A function of the control plane. writes: not on a ledger that may only be read."""

    says: str
    work: Callable[[sqlite3.Connection], object]
    writes: bool = True


def _due(db: sqlite3.Connection) -> object:
    return touch(db, UTC, START + 40 * 86_400)


CALLS = [
    Call("touch", _due),
    Call("pre", lambda db: external.pre(db, charge(1), zone=UTC, now=START)),
    Call("single", lambda db: external.single(db, charge(1), zone=UTC, now=START)),
    Call("post", lambda db: external.post(db, 1, "x", 1, zone=UTC, now=START)),
    Call("cancel", lambda db: external.cancel(db, 1, "x", now=START)),
    Call("expire", lambda db: external.expire_due(db, START)),
    Call("prune", lambda db: prune(db, START, START + 999)),
    Call("transactions", lambda db: external.transactions(db, 1, 0, 9), writes=False),
    Call("usage", lambda db: usage(db, None, "day", UTC), writes=False),
    Call("logs", lambda db: logs(db, LogFilter()), writes=False),
    Call("token_logs", lambda db: token_logs(db, 1, 0, 9), writes=False),
    Call("models_used", lambda db: models_used(db), writes=False),
]


@pytest.fixture
def made(path: Path) -> Iterator[sqlite3.Connection]:
    db = open_ledger(path, create=True, now=START)
    add_token(db, "laptop", 100, budget_period="month")
    touch(db, UTC, START)
    yield db
    db.close()
    again = open_ledger(path)
    assert verify(again) == []
    again.close()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.says)
def test_a_locked_ledger_is_a_sentence(
    made: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.setitem(store.transaction.__wrapped__.__kwdefaults__, "wait_seconds", 0.05)  # type: ignore[attr-defined]
    monkeypatch.setattr(store, "BUSY_MILLISECONDS", 20)
    made.execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    if call.writes:
        with pytest.raises(LedgerUnavailable, match="another process has been writing"):
            call.work(made)
    else:
        call.work(made)  # readers do not wait for writers
    other.close()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.says)
def test_a_ledger_that_may_only_be_read(made: sqlite3.Connection, path: Path, call: Call) -> None:
    db = open_ledger(path, read_only=True)
    if call.says in ("pre", "single", "prune"):
        with pytest.raises(LedgerUnavailable, match="read-only"):
            call.work(db)
    elif call.says in ("post", "cancel"):
        with pytest.raises(LedgerError, match="record not found"):
            call.work(db)
    else:
        call.work(db)
    db.close()


@pytest.mark.parametrize("call", [call for call in CALLS if call.writes], ids=lambda call: call.says)
def test_a_full_disk_changes_nothing(made: sqlite3.Connection, call: Call) -> None:
    filler = "INSERT INTO grants (delta_nanos, kind, reason, actor, created, user_id) VALUES (0, 'add', ?, '', 2e9, 1)"
    made.execute(f"PRAGMA max_page_count = {made.execute('PRAGMA page_count').fetchone()[0]}")
    for size in (4_000, 400, 40, 4):
        with pytest.raises(LedgerUnavailable, match="the disk is full"):
            for _ in range(1_000):
                with transaction(made):
                    made.execute(filler, ("x" * size,))
    before = accounts.list_tokens(made)
    try:
        call.work(made)
    except LedgerUnavailable as error:
        assert error.sentence == "The ledger cannot be written: the disk is full."
        assert accounts.list_tokens(made) == before
    except LedgerError:
        assert call.says in ("post", "cancel"), "there is nothing to post or to cancel"
    made.execute("PRAGMA max_page_count = 100000")


async def test_a_book_on_a_full_disk_says_overloaded(path: Path) -> None:
    async with till(path, laptop(budget_period="day"), zone=ZONE) as t:
        t.book._db.execute("PRAGMA query_only = ON")
        t.clock.now = MIDNIGHT + 86_400
        for call in (t.book.touch(), t.book.prune(MIDNIGHT), t.book.write(with_external(t, 1))):
            with pytest.raises(Overloaded):
                await call
        t.book._db.execute("PRAGMA query_only = OFF")


# --- migrations -----------------------------------------------------------------------------------------------------


def test_a_ledger_of_an_older_format_is_brought_up_to_date(
    made: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mechanism, with steps that may fail: all of them or none, and once."""
    ran: list[int] = []

    def second(db: sqlite3.Connection, now: float) -> None:
        ran.append(2)
        db.execute("ALTER TABLE tokens ADD COLUMN nickname TEXT")

    def third(db: sqlite3.Connection, now: float) -> None:
        ran.append(3)
        if ran.count(3) == 1:
            db.execute("SELECT nothing FROM nowhere")
        db.execute("UPDATE tokens SET nickname = name")

    for module in (migrations, store):
        monkeypatch.setattr(module, "LATEST", 3)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, second, third))
    with pytest.raises(LedgerError, match="older format"):
        backup(path, path.with_suffix(".copy"))
    with pytest.raises(LedgerError, match="cannot be opened"):
        open_ledger(path)
    assert made.execute("SELECT count(*) FROM pragma_table_info('tokens') WHERE name = 'nickname'").fetchone() == (0,)
    for _ in range(2):
        db = open_ledger(path)
        assert db.execute("SELECT nickname FROM tokens").fetchall() == [("laptop",)]
        assert db.execute("PRAGMA user_version").fetchone() == (3,)
        db.close()
    assert ran == [2, 3, 2, 3]


def test_an_export_of_a_locked_ledger_is_a_sentence(made: sqlite3.Connection, path: Path) -> None:
    made.execute("PRAGMA locking_mode = EXCLUSIVE")
    made.execute("BEGIN IMMEDIATE")
    made.execute("UPDATE users SET updated = 1")
    made.execute("COMMIT")
    export_csv(made, path.with_suffix(".csv"))
    assert path.with_suffix(".csv").read_bytes().count(b"\n") == 1
    assert principal(made, "laptop").token.name == "laptop"
