"""Requests that wait for held money: in line, past each other, gone again. The clock is the test's own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.book import AccountChanged
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.values.errors import OutOfCredit, Overloaded, Throttled
from oneapi_cli.values.holds import Hold, TooTight
from tests.ledger.kit import START, Halt, Till, add_token, add_user, ask, closing, fixed, new_id, per_token, till, until


def laptop(budget: int) -> Any:
    return lambda db: add_token(db, "laptop", budget)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "oneapi.db"


class Line:
    """Reserves of the token `laptop` by name, started one after the other; who was admitted, in which order."""

    def __init__(self, t: Till) -> None:
        self.t = t
        self.admitted: list[str] = []
        self.tasks: dict[str, asyncio.Task[Hold | TooTight]] = {}
        self.ids: dict[str, str] = {}

    async def join(self, name: str, nanos: int, wait: float = 30.0, *, token: str = "laptop") -> None:
        self.ids[name] = new_id()
        reserve = self.t.book.reserve(ask(self.t.who(token), fixed(nanos), wait=wait, request_id=self.ids[name]))
        self.tasks[name] = asyncio.create_task(self._note(name, reserve))
        before = self.t.book.waiting
        await until(lambda: self.tasks[name].done() or self.t.book.waiting > before, f"{name} in line or through")

    async def _note(self, name: str, reserve: Coroutine[Any, Any, Hold | TooTight]) -> Hold | TooTight:
        hold = await reserve
        self.admitted.append(name)
        return hold

    async def finish(self, name: str, cost: int = 0) -> None:
        await self.t.book.close(self.ids[name], closing(cost))

    async def settle_down(self) -> None:
        """Two ticks: whoever could be admitted has been."""
        await asyncio.sleep(0.25)

    async def leave(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def test_a_waiter_gets_what_comes_free(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("first", 80)
        await line.join("second", 50)
        assert line.admitted == ["first"]
        t.clock.now += 2
        await line.finish("first", cost=50)
        hold = await line.tasks["second"]
        assert isinstance(hold, Hold)
        assert hold.waited_seconds == pytest.approx(2)
        receipt = await t.book.receipt(line.ids["second"])
        assert receipt is not None
        assert (receipt.created, receipt.admitted) == (START, START + 2)
        assert t.account("laptop") == (50, 50, 1)


async def test_first_come_first_served(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 100)
        for name in ("a", "b", "c", "d"):
            await line.join(name, 60)
        assert t.book.waiting == 4
        for done in ("holder", "a", "b", "c"):
            await line.finish(done)
            await line.settle_down()
        assert line.admitted == ["holder", "a", "b", "c", "d"]


async def test_who_fits_may_pass_until_the_first_has_waited_5_seconds(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 60)
        await line.join("large", 90)
        t.clock.now += 4.9
        await line.join("small", 10)
        assert line.admitted == ["holder", "small"]
        t.clock.now += 0.1
        await line.join("late", 10)
        assert line.admitted == ["holder", "small"], "the first has waited 5 s: nobody passes"
        await line.settle_down()
        assert line.admitted == ["holder", "small"]
        await line.finish("small")
        await line.finish("holder")
        await until(lambda: line.admitted == ["holder", "small", "large", "late"], "the line in order")


async def test_those_in_line_may_pass_as_newcomers_may(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 95)
        await line.join("large", 90)
        await line.join("middle", 20)
        await line.join("extra", 5)
        assert line.admitted == ["holder", "extra"]
        await line.finish("extra")
        await line.settle_down()
        assert line.admitted == ["holder", "extra"]
        accounts.edit_token(t.db, "laptop", accounts.TokenEdit(add_nanos=20), now=START)
        await until(lambda: line.admitted == ["holder", "extra", "middle"], "middle passes large")
        t.clock.now += 6
        accounts.edit_token(t.db, "laptop", accounts.TokenEdit(add_nanos=60), now=START)
        await line.join("late", 1)
        await line.settle_down()
        assert "late" not in line.admitted
        await line.finish("holder")
        await until(lambda: line.admitted[-2:] == ["large", "late"], "then in order")


async def test_a_closed_queue_is_that_of_one_account(path: Path) -> None:
    def prepare(db: sqlite3.Connection) -> None:
        add_user(db, "alice", 10_000)
        add_token(db, "laptop", 100, user="alice")
        add_token(db, "phone", 100, user="alice")

    async with till(path, prepare) as t:
        line = Line(t)
        await line.join("holder", 100)
        await line.join("waiter", 50)
        t.clock.now += 10
        await line.join("other token", 50, token="phone")
        assert line.admitted == ["holder", "other token"], "alice's money is not what the waiter waits for"
        await line.leave()


async def test_the_wait_ends_with_429_and_names_the_sums(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        await line.join("waiter", 50, wait=30)
        t.clock.now += 29.9
        await line.settle_down()
        assert not line.tasks["waiter"].done()
        t.clock.now += 0.2
        with pytest.raises(Throttled) as refused:
            await line.tasks["waiter"]
        assert refused.value.code == "balance_held"
        assert refused.value.retry_after_seconds
        for sum in ("$0.00000005", "$0.0000001", "$0.00000008"):
            assert sum in refused.value.message
        assert t.states() == {"held": 1}


async def test_when_the_wait_is_over_the_limit_is_lowered_to_the_floor(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        task = asyncio.create_task(t.book.reserve(ask(t.who("laptop"), per_token(90, floor=15), wait=30)))
        await until(lambda: t.book.waiting == 1)
        t.clock.now += 31
        hold = await task
        assert isinstance(hold, Hold)
        assert (hold.limit, hold.lowered) == (20, True)


async def test_what_could_never_fit_is_refused_at_once(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        with pytest.raises(OutOfCredit):
            await t.book.reserve(ask(t.who("laptop"), fixed(101), wait=30))
        # A settlement may make it so while somebody waits.
        await line.join("waiter", 50)
        await line.finish("holder", cost=60)
        with pytest.raises(OutOfCredit):
            await line.tasks["waiter"]


async def test_an_edit_by_another_process_is_seen(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        await line.join("waiter", 50)
        accounts.edit_token(t.db, "laptop", accounts.TokenEdit(add_nanos=30), now=START)
        assert isinstance(await asyncio.wait_for(line.tasks["waiter"], 2), Hold)


async def test_a_grant_in_this_process_wakes_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneapi_cli.ledger.waiting.TICK_SECONDS", 60.0)
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        await line.join("waiter", 50)
        await t.book.grant("token", t.who("laptop").token.id, 30, "more", "test")
        assert isinstance(await asyncio.wait_for(line.tasks["waiter"], 5), Hold), "without a tick"


async def test_a_waiter_whose_token_is_edited_starts_again(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        await line.join("waiter", 50)
        accounts.edit_token(t.db, "laptop", accounts.TokenEdit(enabled=False), now=START)
        with pytest.raises(AccountChanged):
            await line.tasks["waiter"]


async def test_a_waiter_that_leaves_leaves_nothing(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        await line.join("waiter", 50)
        await line.join("behind", 50)
        line.tasks["waiter"].cancel()
        await until(lambda: t.book.waiting == 1)
        await line.finish("holder")
        assert isinstance(await line.tasks["behind"], Hold)
        assert t.db.execute("SELECT count(*) FROM requests WHERE request_id = ?", (line.ids["waiter"],)).fetchone() == (
            0,
        )


@pytest.mark.parametrize("steps", range(6))
async def test_a_waiter_that_leaves_while_it_is_admitted_is_released(path: Path, steps: int) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        await line.join("waiter", 50)
        await line.finish("holder")
        for _ in range(steps):
            await asyncio.sleep(0)
        line.tasks["waiter"].cancel()
        await asyncio.gather(line.tasks["waiter"], return_exceptions=True)
        if "waiter" in line.admitted:
            await line.finish("waiter")
        await t.book.write(lambda db: None)
        await until(lambda: "held" not in t.states(), "the release")
        assert t.book.waiting == 0


async def test_an_admitted_waiter_cancelled_before_it_hears_is_released(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        await line.join("waiter", 50)
        post = t.book._desk.post

        def cancel_on_delivery(work: Any, done: Any) -> Any:
            def then(job: Any) -> None:
                done(job)
                if line.ids["waiter"] in held(t):
                    line.tasks["waiter"].cancel()  # answered, but its task has not taken another step

            return post(work, then)

        monkeypatch.setattr(t.book._desk, "post", cancel_on_delivery)
        await line.finish("holder")
        with pytest.raises(asyncio.CancelledError):
            await line.tasks["waiter"]
        await until(lambda: t.states() == {"settled": 1, "released": 1}, "the release")


async def test_a_waiter_that_leaves_before_its_turn_in_a_round_is_skipped(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        await line.join("first", 30)
        await line.join("second", 30)
        halt = Halt(t.book, "UPDATE users SET held = held +")  # of the first, in the round to come
        # The round may share the settlement's transaction, and then neither is told before the halt is over.
        finishing = asyncio.create_task(line.finish("holder"))
        await until(halt.inside.is_set, "the round under way")
        line.tasks["second"].cancel()
        with pytest.raises(asyncio.CancelledError):
            await line.tasks["second"]
        halt.go()
        await finishing
        await line.tasks["first"]
        await t.book.write(lambda db: None)
        assert t.states() == {"settled": 1, "held": 1}
        await line.finish("first")


async def test_a_waiter_that_leaves_after_its_turn_in_a_round_is_released(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        await line.join("waiter", 50)
        halt = Halt(t.book, "UPDATE users SET held = held +")
        # The round may share the settlement's transaction, and then neither is told before the halt is over.
        finishing = asyncio.create_task(line.finish("holder"))
        await until(halt.inside.is_set, "the round under way")
        line.tasks["waiter"].cancel()
        with pytest.raises(asyncio.CancelledError):
            await line.tasks["waiter"]
        halt.go()
        await finishing
        await until(lambda: t.states() == {"settled": 1, "released": 1}, "the release")


async def test_a_round_under_way_while_the_book_stops_holds_nothing(path: Path) -> None:
    async with till(path, laptop(100)) as t:
        line = Line(t)
        await line.join("holder", 80)
        await line.join("waiter", 50)
        halt = Halt(t.book, "UPDATE users SET held = held +")
        # The round may share the settlement's transaction, and then neither is told before the halt is over.
        finishing = asyncio.create_task(line.finish("holder"))
        await until(halt.inside.is_set, "the round under way")
        stopping = asyncio.create_task(t.book.stop())
        await asyncio.sleep(0.01)
        halt.go()
        await finishing
        await stopping
        with pytest.raises(Overloaded, match="stopping"):
            await line.tasks["waiter"]
        assert t.states() == {"settled": 1, "released": 1}


def held(t: Till) -> set[str]:
    return {id for (id,) in t.db.execute("SELECT request_id FROM requests WHERE state = 'held'")}


async def test_waiting_is_quiet(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody in line: no timer runs. Somebody in line: about ten tries a second, not a busy loop."""
    async with till(path, laptop(100)) as t:
        rounds = 0
        post = t.book._desk.post

        def counted(*given: Any) -> Any:
            nonlocal rounds
            rounds += 1
            return post(*given)

        line = Line(t)
        await line.join("holder", 80)
        monkeypatch.setattr(t.book._desk, "post", counted)
        await asyncio.sleep(0.25)
        assert rounds == 0
        await line.join("waiter", 50)
        await asyncio.sleep(0.5)
        assert 3 <= rounds <= 12
        await line.leave()


@pytest.mark.parametrize("wait", [0.0, 20.0])
async def test_a_race_over_a_small_balance_never_overspends(path: Path, wait: float) -> None:
    """40 requests for 10 each, costing 2 each, over 100: with a wait none is refused, since 100 covers them all."""
    async with till(path, laptop(100), real_clock=True) as t:
        most = 0

        async def one() -> str:
            nonlocal most
            try:
                hold = await t.book.reserve(ask(t.who("laptop"), fixed(10), wait=wait))
            except (Throttled, OutOfCredit) as refusal:
                return refusal.code or ""
            assert isinstance(hold, Hold)
            remain, held, _ = t.account("laptop")
            most = max(most, held)
            assert held <= remain
            await asyncio.sleep(0.005)
            await t.book.close(hold.request_id, closing(2))
            return "served"

        outcomes = await asyncio.gather(*(one() for _ in range(40)))
        served = outcomes.count("served")
        assert t.account("laptop") == (100 - 2 * served, 0, 0)
        assert most <= 100
        if wait:
            assert served == 40
        else:
            assert 10 <= served < 40
            assert set(outcomes) == {"served", "balance_held"}


async def test_many_waiters_and_many_budgets(path: Path) -> None:
    """Tokens under one owner, many sizes, cancellations between: everybody ends, no budget is overdrawn."""

    def prepare(db: sqlite3.Connection) -> None:
        add_user(db, "alice", 600)
        for name in ("a", "b", "c"):
            add_token(db, name, 300, user="alice")

    async with till(path, prepare, real_clock=True) as t:

        async def one(n: int) -> str:
            try:
                hold = await t.book.reserve(ask(t.who("abc"[n % 3]), fixed(20 + n % 70), wait=15))
            except OutOfCredit:
                return "refused"
            assert isinstance(hold, Hold)
            await asyncio.sleep(0.001 * (n % 5))
            await t.book.close(hold.request_id, closing(n % 3))
            return "served"

        tasks = [asyncio.create_task(one(n)) for n in range(150)]
        await asyncio.sleep(0.01)
        for task in tasks[::11]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {one for one in outcomes if isinstance(one, str)} <= {"served", "refused"}
        assert all(isinstance(one, str | asyncio.CancelledError) for one in outcomes)
        # A cancelled task may have held already and not closed: its hold is this test's, not the ledger's.
        await t.book.write(lambda db: None)
        for (id,) in t.db.execute("SELECT request_id FROM requests WHERE state = 'held'").fetchall():
            await t.book.close(id, closing(0, "released"))
        assert accounts.get_user(t.db, "alice").held == 0
        assert accounts.get_user(t.db, "alice").remain >= 0


def test_the_ledger_of_these_tests_is_a_real_file(path: Path) -> None:
    db = open_ledger(path, create=True, now=START)
    assert (path.stat().st_mode & 0o777) == 0o600
    db.close()
