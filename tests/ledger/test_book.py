"""The book as the gateway uses it: holds, settlements, refusals, cancellation, failure of the disk."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.book import AccountChanged, Book, LedgerError
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.ledger.verify import verify
from oneapi_cli.ledger.writer import Job
from oneapi_cli.values.errors import BadRequest, GatewayError, OutOfCredit, Overloaded, Throttled, Unauthenticated
from oneapi_cli.values.holds import Attempt, Hold, Need, Refusal, TooTight
from oneapi_cli.values.usage import Usage
from tests.ledger.kit import (
    START,
    Till,
    add_token,
    add_user,
    ask,
    closing,
    fixed,
    key_of,
    new_id,
    per_token,
    till,
    until,
)

State = Literal["settled", "released", "kept"]


def laptop(budget: int | None = 1_000, **more: Any) -> Callable[[sqlite3.Connection], object]:
    return lambda db: add_token(db, "laptop", budget, **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "oneapi.db"


async def test_a_hold_is_on_disk_before_it_is_told(path: Path) -> None:
    async with till(path, laptop()) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(300)))
        assert isinstance(hold, Hold)
        assert (hold.nanos, hold.limit, hold.lowered) == (300, 0, False)
        assert t.account("laptop") == (1_000, 300, 1)
        assert verify(t.db) == []
        settled = await t.book.close(hold.request_id, closing(120))
        assert (settled.state, settled.cost_nanos, settled.pending) == ("settled", 120, False)
        assert t.account("laptop") == (880, 0, 0)


@pytest.mark.parametrize(
    ("state", "cost", "remain"),
    [("settled", 0, 1_000), ("settled", 700, 300), ("released", 0, 1_000), ("kept", 300, 700)],
)
async def test_closing_books_the_truth(path: Path, state: State, cost: int, remain: int) -> None:
    async with till(path, laptop()) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(300)))
        assert isinstance(hold, Hold)
        await t.book.close(hold.request_id, closing(cost, state))
        assert t.account("laptop") == (remain, 0, 0)


async def test_a_request_closes_once(path: Path) -> None:
    async with till(path, laptop()) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(300)))
        assert isinstance(hold, Hold)
        first, second = await asyncio.gather(
            t.book.close(hold.request_id, closing(120)), t.book.close(hold.request_id, closing(0, "released"))
        )
        assert first == second
        assert (await t.book.close(hold.request_id, closing(999, "kept"))).cost_nanos == 120
        assert t.account("laptop") == (880, 0, 0)


async def test_a_cost_above_the_hold_is_booked_and_the_next_request_refused(path: Path) -> None:
    async with till(path, laptop()) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(300)))
        assert isinstance(hold, Hold)
        await t.book.close(hold.request_id, closing(1_500))
        assert t.account("laptop") == (-500, 0, 0)
        with pytest.raises(OutOfCredit):
            await t.book.reserve(ask(t.who("laptop"), fixed(1)))


async def test_the_owner_above_the_token_limits_and_is_charged(path: Path) -> None:
    def prepare(db: sqlite3.Connection) -> None:
        add_user(db, "alice", 500)
        add_token(db, "laptop", None, user="alice")
        add_token(db, "phone", 400, user="alice")

    async with till(path, prepare) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(300)))
        assert isinstance(hold, Hold)
        with pytest.raises(Throttled, match=r"user alice has \$0\.0000005 remaining, but \$0\.0000003"):
            await t.book.reserve(ask(t.who("phone"), fixed(250)))
        await t.book.close(hold.request_id, closing(300))
        with pytest.raises(OutOfCredit, match="user alice"):
            await t.book.reserve(ask(t.who("phone"), fixed(250)))
        alice = accounts.get_user(t.db, "alice")
        assert (alice.remain, alice.used, alice.held) == (200, 300, 0)
        assert accounts.get_token(t.db, "laptop").used == 300


async def test_unlimited_accounts_count_used_and_held_too(path: Path) -> None:
    async with till(path, laptop(None)) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), per_token(10_000)))
        assert isinstance(hold, Hold)
        assert hold.limit == 10_000
        assert t.account("laptop") == (0, 10_000, 1)
        root = accounts.get_user(t.db, "root")
        assert root.held == 10_000
        await t.book.close(hold.request_id, closing(77))
        assert t.account("laptop") == (-77, 0, 0)


async def test_an_ask_that_is_not_final_is_told_what_is_free(path: Path) -> None:
    async with till(path, laptop()) as t:
        assert await t.book.reserve(ask(t.who("laptop"), per_token(5_000), final=False)) == TooTight(1_000)
        assert t.states() == {}
        assert isinstance(await t.book.reserve(ask(t.who("laptop"), per_token(900), final=False)), Hold)


async def test_a_limit_is_lowered_to_what_is_free(path: Path) -> None:
    async with till(path, laptop()) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), per_token(2_000, floor=10)))
        assert isinstance(hold, Hold)
        assert (hold.limit, hold.nanos, hold.lowered) == (1_000, 1_000, True)
        receipt = await t.book.receipt(hold.request_id)
        assert receipt is not None
        assert (receipt.asked, receipt.limit, receipt.lowered) == (2_000, 1_000, True)


async def test_more_hold_for_a_running_request(path: Path) -> None:
    async with till(path, laptop()) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(300)))
        assert isinstance(hold, Hold)
        assert await t.book.extend(hold.request_id, 200) == 500
        assert await t.book.extend(hold.request_id, 501) is None
        assert await t.book.extend(hold.request_id, 500) == 1_000
        assert t.account("laptop") == (1_000, 1_000, 1)
        await t.book.close(hold.request_id, closing(600))
        assert t.account("laptop") == (400, 0, 0)
        with pytest.raises(LedgerError, match="holds nothing"):
            await t.book.extend(hold.request_id, 1)
        receipt = await t.book.receipt(hold.request_id)
        assert receipt is not None
        assert [one.nanos for one in receipt.extensions] == [200, 500]


async def test_adjustments_name_the_request(path: Path) -> None:
    async with till(path, laptop()) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(300)))
        assert isinstance(hold, Hold)
        with pytest.raises(LedgerError, match="only a closed one"):
            await t.book.adjust(hold.request_id, -1, "too early", "test")
        await t.book.close(hold.request_id, closing(300, "kept"))
        assert (await t.book.adjust(hold.request_id, -200, "the vendor's page says so", "test")).cost_nanos == 100
        with pytest.raises(LedgerError):
            await t.book.adjust(hold.request_id, -101, "below zero", "test")
        assert t.account("laptop") == (900, 0, 0)
        receipt = await t.book.receipt(hold.request_id)
        assert receipt is not None
        assert (receipt.booked_nanos, receipt.cost_nanos, receipt.state) == (300, 100, "kept")


async def test_grants_move_what_remains(path: Path) -> None:
    async with till(path, laptop()) as t:
        id = t.who("laptop").token.id
        assert await t.book.grant("token", id, 500, "bonus", "test") == 1_500
        with pytest.raises(LedgerError, match="remain"):
            await t.book.grant("token", id, -1_501, "too much", "test")
        assert await t.book.grant("token", id, -1_500, "all of it", "test") == 0
        with pytest.raises(LedgerError, match="There is no user #99"):
            await t.book.grant("user", 99, 1, "nobody", "test")


async def test_refusals_are_rows_of_cost_0(path: Path) -> None:
    async with till(path, laptop(rpm=1)) as t:
        tried = Attempt(channel="c", vendor="v", model_sent="m", started=1.0, ended=2.0, status=500, outcome="refused")
        refusal = Refusal(
            request_id=new_id(),
            principal=t.who("laptop"),
            door="openai_chat",
            status=503,
            code="no_channel",
            message="nobody there",
            details={"why": "test"},
            attempts=(tried,),
        )
        await t.book.refuse(refusal)
        await t.book.refuse(refusal)
        receipt = await t.book.receipt(refusal.request_id)
        assert receipt is not None
        assert (receipt.state, receipt.cost_nanos, receipt.code, receipt.reason) == (
            "refused",
            0,
            "no_channel",
            "nobody there",
        )
        assert receipt.attempts == (tried,)
        assert receipt.details == {"why": "test"}
        # Refused requests do not count against rpm.
        assert isinstance(await t.book.reserve(ask(t.who("laptop"), fixed(1))), Hold)


async def test_a_receipt_tells_all_that_was_closed(path: Path) -> None:
    async with till(path, laptop(user="root")) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), per_token(100, fixed_nanos=50)))
        assert isinstance(hold, Hold)
        t.clock.now += 3
        tried = Attempt(
            channel="c", vendor="v", model_sent="m", started=START, ended=START + 2, status=200, outcome="served"
        )
        usage = Usage(counts={"input_tokens": 5, "output_tokens": 7}, raw='{"x": 1}', estimated=True)
        end = closing(
            99,
            usage=usage,
            attempts=(tried,),
            channel="c",
            model_sent="m",
            price_origin="p",
            notes=("n",),
            bounded=False,
        )
        await t.book.close(hold.request_id, end)
        receipt = await t.book.receipt(hold.request_id)
        assert receipt is not None
        assert (receipt.usage, receipt.attempts, receipt.lines, receipt.notes) == (usage, (tried,), end.lines, ("n",))
        assert (receipt.channel, receipt.model_sent, receipt.price_origin) == ("c", "m", "p")
        assert (receipt.estimated, receipt.bounded, receipt.hold_nanos, receipt.fixed_nanos) == (True, False, 150, 50)
        assert (receipt.created, receipt.closed) == (START, START + 3)
        assert await t.book.receipt("0" * 32) is None


# --- stale principals, rates -----------------------------------------------------------------------------------------


async def test_an_edit_bites_on_the_very_next_request(path: Path) -> None:
    async with till(path, laptop()) as t:
        cached = await t.book.find(key_of("laptop"))
        assert cached is not None
        accounts.edit_token(t.db, "laptop", accounts.TokenEdit(enabled=False), now=START)
        assert await t.book.find(key_of("laptop")) is cached
        with pytest.raises(AccountChanged):
            await t.book.reserve(ask(cached, fixed(1)))
        fresh = await t.book.find(key_of("laptop"), fresh=True)
        assert fresh is not None
        assert fresh.token.status == 2
        with pytest.raises(Unauthenticated):
            await t.book.reserve(ask(fresh, fixed(1)))
        accounts.remove_token(t.db, "laptop", now=START)
        assert await t.book.find(key_of("laptop"), fresh=True) is None
        assert await t.book.find(key_of("laptop")) is None
        with pytest.raises(AccountChanged):
            await t.book.reserve(ask(fresh, fixed(1)))


async def test_an_edit_of_the_owner_bites_too(path: Path) -> None:
    def prepare(db: sqlite3.Connection) -> None:
        add_user(db, "alice")
        add_token(db, "laptop", 10, user="alice")

    async with till(path, prepare) as t:
        cached = t.who("laptop")
        accounts.edit_user(t.db, "alice", accounts.UserEdit(enabled=False), now=START)
        with pytest.raises(AccountChanged):
            await t.book.reserve(ask(cached, fixed(1)))
        with pytest.raises(Unauthenticated, match="user alice"):
            await t.book.reserve(ask(t.who("laptop"), fixed(1)))
        accounts.edit_token(t.db, "laptop", accounts.TokenEdit(user="root"), now=START)
        assert isinstance(await t.book.reserve(ask(t.who("laptop"), fixed(1))), Hold)


async def test_a_balance_edit_needs_no_new_principal(path: Path) -> None:
    async with till(path, laptop(10)) as t:
        cached = t.who("laptop")
        accounts.edit_token(t.db, "laptop", accounts.TokenEdit(remain_nanos=500), now=START)
        assert isinstance(await t.book.reserve(ask(cached, fixed(500))), Hold)


async def test_expiry_is_tested_at_admission(path: Path) -> None:
    async with till(path, laptop(expires=START + 5)) as t:
        cached = t.who("laptop")
        t.clock.now = START + 5
        assert isinstance(await t.book.reserve(ask(cached, fixed(1))), Hold)
        t.clock.now = START + 5.1
        with pytest.raises(Unauthenticated, match="expired"):
            await t.book.reserve(ask(cached, fixed(1)))


async def test_requests_per_minute(path: Path) -> None:
    async with till(path, laptop(rpm=2)) as t:
        who = t.who("laptop")
        for _ in range(2):
            hold = await t.book.reserve(ask(who, fixed(1)))
            assert isinstance(hold, Hold)
            await t.book.close(hold.request_id, closing(0, "released"))
            t.clock.now += 10
        with pytest.raises(Throttled) as refused:
            await t.book.reserve(ask(who, fixed(1)))
        assert refused.value.retry_after_seconds == pytest.approx(40)
        t.clock.now += 40.001
        assert isinstance(await t.book.reserve(ask(who, fixed(1))), Hold)


async def test_tokens_per_minute_are_corrected_at_settlement(path: Path) -> None:
    async with till(path, laptop(tpm=100)) as t:
        who = t.who("laptop")
        first = await t.book.reserve(ask(who, fixed(1, tokens=80)))
        assert isinstance(first, Hold)
        t.clock.now += 20
        with pytest.raises(Throttled) as refused:
            await t.book.reserve(ask(who, fixed(1, tokens=30)))
        assert refused.value.retry_after_seconds == pytest.approx(40)
        await t.book.close(first.request_id, closing(1, usage=Usage(counts={"input_tokens": 40, "output_tokens": 20})))
        assert isinstance(await t.book.reserve(ask(who, fixed(1, tokens=30))), Hold)
        second = await t.book.reserve(ask(who, fixed(1, tokens=10)))
        assert isinstance(second, Hold)
        await t.book.close(second.request_id, closing(0, "released"))
        assert isinstance(await t.book.reserve(ask(who, fixed(1, tokens=10))), Hold), "what was released counts nothing"
        with pytest.raises(Throttled, match="This request can use 101 tokens"):
            await t.book.reserve(ask(who, fixed(1, tokens=101)))


async def test_open_requests_at_once(path: Path) -> None:
    async with till(path, laptop(concurrent=1)) as t:
        who = t.who("laptop")
        hold = await t.book.reserve(ask(who, fixed(1)))
        assert isinstance(hold, Hold)
        with pytest.raises(Throttled, match="1 requests open"):
            await t.book.reserve(ask(who, fixed(1)))
        await t.book.close(hold.request_id, closing(1))
        assert isinstance(await t.book.reserve(ask(who, fixed(1))), Hold)


async def test_a_key_is_read_once_and_the_cache_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneapi_cli.ledger.book.MOST_PRINCIPALS", 2)

    def prepare(db: sqlite3.Connection) -> None:
        for name in "abc":
            add_token(db, name, 1)

    async with till(path, prepare) as t:
        found = [await t.book.find(key_of(name)) for name in "abc"]
        assert await t.book.find(key_of("c")) is found[2]
        assert await t.book.find(key_of("a")) is not found[0]
        t.book.forget(key_of("c"))
        assert await t.book.find(key_of("c")) is not found[2]


# --- cancellation ----------------------------------------------------------------------------------------------------


def stall(book: Book) -> asyncio.Event:
    """Keep the writer busy in a job until the event is set; what comes behind it stays queued."""
    release, going = threading.Event(), asyncio.Event()
    book._desk.post(lambda db: release.wait(5), lambda job: None)

    async def let_go() -> None:
        await going.wait()
        release.set()

    _tasks.add(asyncio.get_running_loop().create_task(let_go()))
    return going


_tasks: set[asyncio.Task[None]] = set()


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def reserve_in_background(t: Till, nanos: int) -> asyncio.Task[Any]:
    task = asyncio.create_task(t.book.reserve(ask(t.who("laptop"), fixed(nanos))))
    await asyncio.sleep(0.01)
    return task


async def test_cancelled_before_its_job_ran_it_leaves_no_row(path: Path) -> None:
    async with till(path, laptop()) as t:
        going = stall(t.book)
        await asyncio.sleep(0.02)  # the writer is inside the stalling job: what follows is another batch
        task = await reserve_in_background(t, 300)
        await cancelled(task)
        going.set()
        await t.book.write(lambda db: None)
        assert t.states() == {}


async def test_cancelled_while_its_job_runs_the_writer_releases_it(path: Path) -> None:
    inside, proceed = threading.Event(), threading.Event()

    def slow_clock() -> float:
        inside.set()
        proceed.wait(5)
        return START

    async with till(path, laptop()) as t:
        t.book._clock = slow_clock
        task = await reserve_in_background(t, 300)
        await until(inside.is_set)
        await cancelled(task)
        t.book._clock = t.clock
        proceed.set()
        await until(lambda: t.states() == {"released": 1}, "the release")
        assert t.account("laptop") == (1_000, 0, 0)


async def test_cancelled_in_the_moment_of_its_commit_it_is_released(path: Path) -> None:
    async with till(path, laptop()) as t:
        task: asyncio.Task[Any] | None = None

        def cancel_it(job: Job[object]) -> None:
            # Runs after the reserve's own delivery, in the same batch, before its task takes another step.
            assert task is not None
            task.cancel()

        task = asyncio.create_task(t.book.reserve(ask(t.who("laptop"), fixed(300))))
        going = stall(t.book)
        await asyncio.sleep(0)
        t.book._desk.post(lambda db: None, cancel_it)
        going.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: t.states() == {"released": 1}, "the release")
        assert t.account("laptop") == (1_000, 0, 0)


async def test_cancelled_at_any_moment_nothing_stays_held(path: Path) -> None:
    async with till(path, laptop(None)) as t:
        who = t.who("laptop")
        for turn in range(60):
            task = asyncio.create_task(t.book.reserve(ask(who, fixed(10))))
            for _ in range(turn % 6):
                await asyncio.sleep(0)
            if turn % 2:
                await asyncio.sleep(0.0002 * (turn % 7))
            if not task.done():
                task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(outcome, Hold):
                await t.book.close(outcome.request_id, closing(0, "released"))
        await t.book.write(lambda db: None)
        await until(lambda: "held" not in t.states(), "the last release")


async def test_a_settlement_lands_although_its_caller_is_cancelled(path: Path) -> None:
    async with till(path, laptop()) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(300)))
        assert isinstance(hold, Hold)
        going = stall(t.book)
        task = asyncio.create_task(t.book.close(hold.request_id, closing(120)))
        await asyncio.sleep(0.01)
        await cancelled(task)
        second = asyncio.create_task(t.book.close(hold.request_id, closing(0, "released")))
        going.set()
        assert (await second).cost_nanos == 120


async def test_a_settlement_lands_although_its_caller_left_and_the_ledger_was_locked(path: Path) -> None:
    async with till(path, laptop()) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(300)))
        assert isinstance(hold, Hold)
        t.book._desk._writer.wait_seconds = 0.05
        t.db.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(t.book.close(hold.request_id, closing(120)))
        await asyncio.sleep(0.01)
        await cancelled(task)
        await until(lambda: t.book.pending == 1, "the settlement in memory")
        t.db.execute("ROLLBACK")
        await until(lambda: t.states() == {"settled": 1}, "the settlement")
        assert t.account("laptop") == (880, 0, 0)


async def test_closing_what_was_never_held(path: Path) -> None:
    async with till(path, laptop()) as t:
        assert (await t.book.close(new_id(), closing(0, "released"))).state == "released"
        with pytest.raises(LedgerError, match="holds nothing"):
            await t.book.close(new_id(), closing(5))


# --- a ledger that cannot be written --------------------------------------------------------------------------------


def fill_disk(t: Till) -> None:
    """No page more: SQLite answers SQLITE_FULL, as on a full disk."""
    pages = t.book._db.execute("PRAGMA page_count").fetchone()[0]
    t.book._db.execute(f"PRAGMA max_page_count = {pages}")


async def write_until_full(t: Till) -> None:
    fill_disk(t)
    with pytest.raises(Overloaded):
        for _ in range(10_000):
            await t.book.write(
                lambda db: (
                    db.execute("UPDATE users SET name = name || hex(randomblob(500)) WHERE id = 0").rowcount
                    or db.execute(
                        "INSERT INTO grants (delta_nanos, kind, reason, actor, created, user_id) "
                        "VALUES (0, 'add', hex(randomblob(2000)), '', 0, 1)"
                    )
                )
            )


async def test_a_full_disk_refuses_new_requests_and_keeps_settlements(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with till(path, laptop(), real_clock=True) as t:
        who = t.who("laptop")
        hold = await t.book.reserve(ask(who, fixed(300)))
        assert isinstance(hold, Hold)
        await write_until_full(t)
        big = closing(120, notes=("x" * 20_000,))
        with pytest.raises(Overloaded, match="the disk is full") as refused:
            for _ in range(200):
                await t.book.reserve(ask(who, fixed(0)))
        assert refused.value.retry_after_seconds
        pending = await t.book.close(hold.request_id, big)
        assert (pending.pending, pending.cost_nanos, t.book.pending) == (True, 120, 1)
        assert (await t.book.close(hold.request_id, closing(0, "released"))).pending
        t.book._db.execute("PRAGMA max_page_count = 1000000")
        await until(lambda: t.book.pending == 0, "the retry")
        settled = await t.book.close(hold.request_id, closing(0, "released"))
        assert (settled.state, settled.cost_nanos, settled.pending) == ("settled", 120, False)
        assert "pending" in caplog.text


async def test_a_commit_that_fails_fails_every_job_of_its_batch(path: Path) -> None:
    async with till(path, laptop()) as t:
        t.db.execute("BEGIN IMMEDIATE")  # another program sits on the write lock
        t.book._desk._writer.wait_seconds = 0.05
        results = await asyncio.gather(
            *(t.book.reserve(ask(t.who("laptop"), fixed(1))) for _ in range(3)), return_exceptions=True
        )
        assert [type(one) for one in results] == [Overloaded] * 3
        t.db.execute("ROLLBACK")
        assert t.states() == {}
        assert isinstance(await t.book.reserve(ask(t.who("laptop"), fixed(1))), Hold)


async def test_a_failing_job_does_not_fail_its_batch(path: Path) -> None:
    def break_it(db: sqlite3.Connection) -> None:
        db.execute("UPDATE tokens SET granted = granted + 1")
        raise ValueError("a bug")

    async with till(path, laptop()) as t:
        going = stall(t.book)
        await asyncio.sleep(0.02)
        work = [
            asyncio.create_task(t.book.reserve(ask(t.who("laptop"), fixed(1)))),
            asyncio.create_task(t.book.write(break_it)),
            asyncio.create_task(t.book.reserve(ask(t.who("laptop"), fixed(1)))),
        ]
        await asyncio.sleep(0.01)
        going.set()
        first, broken, second = await asyncio.gather(*work, return_exceptions=True)
        assert isinstance(first, Hold)
        assert isinstance(second, Hold)
        assert isinstance(broken, ValueError)
        assert t.account("laptop") == (1_000, 2, 2)


async def test_a_request_id_is_held_once(path: Path) -> None:
    async with till(path, laptop()) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(1)))
        assert isinstance(hold, Hold)
        with pytest.raises(LedgerError, match="already"):
            await t.book.reserve(ask(t.who("laptop"), fixed(1), request_id=hold.request_id))


async def test_absurd_counts_and_broken_text_do_not_stop_a_settlement(path: Path) -> None:
    async with till(path, laptop(None)) as t:
        free = Need(fixed_nanos=0, asked=10**30, bound_tokens=10**31)
        wanted = msgspec.structs.replace(ask(t.who("laptop"), free), model_asked="m\ud800")
        hold = await t.book.reserve(wanted)
        assert isinstance(hold, Hold)
        usage = Usage(counts={"input_tokens": 10**25})
        tried = Attempt(
            channel="c", vendor="v", model_sent="\udcff", started=1.0, ended=2.0, status=200, outcome="served"
        )
        end = closing(5, usage=usage, reason="\udc80", model_sent="é\ud800", attempts=(tried,))
        await t.book.close(hold.request_id, end)
        receipt = await t.book.receipt(hold.request_id)
        assert receipt is not None
        assert (receipt.model_asked, receipt.model_sent, receipt.reason) == ("m?", "é?", "?")
        assert receipt.usage == usage


async def test_more_than_any_ledger_can_hold_is_refused(path: Path) -> None:
    async with till(path, laptop(None)) as t:
        with pytest.raises(BadRequest, match=r"more than \$1,000,000,000"):
            await t.book.reserve(ask(t.who("laptop"), fixed(10**18 + 1)))


async def test_holds_that_no_sum_can_hold_together_are_refused(path: Path) -> None:
    async with till(path, laptop(None)) as t:
        with pytest.raises(BadRequest, match="together with those that are open"):
            for _ in range(10):
                await t.book.reserve(ask(t.who("laptop"), fixed(10**18)))
        assert t.account("laptop")[1:] == (8 * 10**18, 8)
        await t.book.reserve(ask(t.who("laptop"), fixed(5)))


# --- the log ---------------------------------------------------------------------------------------------------------


def log_round(t: Till) -> int:
    """How often the log has started over: the checkpoint sequence number in its header (https://sqlite.org/walformat.html,
    2026-11)."""
    with open(f"{t.path}-wal", "rb") as log:
        return int.from_bytes(log.read(32)[12:16], "big")


async def commit(t: Till, times: int) -> None:
    """So many commits, each of one page, one after the other without a pause."""
    for _ in range(times):
        await t.book.write(lambda db: db.execute("UPDATE users SET updated = updated + 1").rowcount)


async def test_the_log_is_copied_back_beside_the_commits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneapi_cli.ledger.writer.CHECKPOINT_PAGES", 10**9)
    async with till(path, laptop()) as t:
        before = log_round(t)
        await commit(t, 1_200)  # beyond SQLite's own mark, which is 1 000 pages
        assert log_round(t) == before, "not in the commit path"
        monkeypatch.setattr("oneapi_cli.ledger.writer.CHECKPOINT_PAGES", 60)
        async with asyncio.timeout(20):
            while log_round(t) == before:
                await commit(t, 20)
                await asyncio.sleep(0.02)


async def test_a_load_that_never_pauses_has_its_log_emptied(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneapi_cli.ledger.writer.CHECKPOINT_PAGES", 60)
    monkeypatch.setattr("oneapi_cli.ledger.writer.TRUNCATE_PAGES", 200)
    async with till(path, laptop()) as t:
        largest = size = os.stat(f"{path}-wal").st_size
        async with asyncio.timeout(20):
            while size >= largest:  # a log that only starts over keeps its size
                largest = size
                await commit(t, 20)
                size = os.stat(f"{path}-wal").st_size


async def test_stopping_refuses_who_waits_and_leaves_the_rest_consistent(path: Path) -> None:
    async with till(path, laptop(), real_clock=True) as t:
        hold = await t.book.reserve(ask(t.who("laptop"), fixed(1_000)))
        assert isinstance(hold, Hold)
        waiter = asyncio.create_task(t.book.reserve(ask(t.who("laptop"), fixed(500), wait=30)))
        await until(lambda: t.book.waiting == 1)
        await t.book.stop()
        with pytest.raises(GatewayError, match="stopping"):
            await waiter
        with pytest.raises(GatewayError, match="closing"):
            await t.book.reserve(ask(t.who("laptop"), fixed(1)))
        assert (await t.book.close(hold.request_id, closing(5))).pending
    db = open_ledger(path)
    assert db.execute("SELECT state FROM requests").fetchall() == [("held",)]
    db.close()
