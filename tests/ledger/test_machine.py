"""Random interleavings of everything the ledger can do, against a model small enough to be obviously right.

The real book over a real file: holds, extensions, settlements, corrections, grants, edits, holds of programs outside,
processes that die and come back; time that passes over the ends of periods, or is set back; old rows folded away. After
every step the balances are the model's and `verify` finds nothing.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any, Literal, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from oneapi_cli.ledger import accounts, external
from oneapi_cli.ledger.account_values import Period
from oneapi_cli.ledger.book import Book, LedgerError
from oneapi_cli.ledger.periods import is_astray, next_reset
from oneapi_cli.ledger.recovery import AfterCrash, orphans, release_all
from oneapi_cli.ledger.retention import prune
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.ledger.upkeep import touch
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.errors import OutOfCredit, Throttled
from oneapi_cli.values.holds import Hold, Need
from tests.ledger.kit import START, Clock, add_token, add_user, ask, closing, new_id, principal

T = TypeVar("T")
TOKENS = {"a": "alice", "b": "alice", "c": "root", "u": "alice"}
UNLIMITED = {"u", "root"}


RECURRING: dict[str, tuple[int, Period]] = {"b": (300, "day"), "alice": (700, "week")}
later = st.sampled_from([0, 0, 0, 0, 30, 3_600, 40_000, 90_000, 700_000])
"""Seconds that pass before a step: mostly none, sometimes over the end of a period or of several."""


@dataclass
class Request:
    token: str
    held: int
    fixed: int
    began: float
    state: str = "held"
    cost: int = 0
    resolved: bool = False
    expires: float | None = None  # of a program outside
    gone: bool = False
    past: dict[str, int] = field(default_factory=dict)


@dataclass
class Model:
    """What the ledger must say: granted per account, and the requests. Everything else is summed from those."""

    granted: dict[str, int] = field(
        default_factory=lambda: {"a": 500, "b": 300, "c": 200, "u": 0, "alice": 700, "root": 0}
    )
    requests: dict[str, Request] = field(default_factory=dict)
    resets: dict[str, float] = field(
        default_factory=lambda: {name: next_reset(period, START, UTC) for name, (_, period) in RECURRING.items()}
    )
    rolled: dict[str, float] = field(default_factory=dict)

    def of(self, account: str) -> list[Request]:
        return [r for r in self.requests.values() if account in (r.token, TOKENS[r.token])]

    def remain(self, account: str) -> int:
        return self.granted[account] - sum(r.cost for r in self.of(account))

    def held(self, account: str) -> int:
        return sum(r.held for r in self.of(account) if r.state == "held")

    def free(self, token: str) -> float:
        limited = [name for name in (token, TOKENS[token]) if name not in UNLIMITED]
        return min((self.remain(name) - self.weighing(name) for name in limited), default=float("inf"))

    def weighing(self, account: str) -> int:
        return sum(r.held - r.past.get(account, 0) for r in self.of(account) if r.state == "held")

    def close(self, id: str, state: str, cost: int) -> None:
        if (request := self.requests[id]).state == "held":
            request.state, request.cost = state, cost
            for account, past in request.past.items():
                self.granted[account] += min(cost, past)

    def adjust(self, request: Request, delta: int) -> None:
        request.cost, request.resolved = request.cost + delta, True
        for account in (request.token, TOKENS[request.token]):
            if request.began < self.rolled.get(account, 0):
                self.granted[account] += delta

    def pass_time(self, now: float) -> None:
        for id, request in self.requests.items():
            if request.expires is not None and request.expires <= now:
                self.close(id, "settled", request.held)
        for account, (budget, period) in RECURRING.items():
            if self.resets[account] <= now:
                self.granted[account] += budget - self.remain(account)
                self.rolled[account], self.resets[account] = now, next_reset(period, now, UTC)
                for request in self.of(account):
                    if request.state == "held":
                        request.past[account] = request.held
            elif is_astray(period, self.resets[account], now, UTC):
                self.resets[account] = next_reset(period, now, UTC)

    def die(self, policy: AfterCrash) -> None:
        for id, request in self.requests.items():
            if request.expires is None:
                cost = {"keep": request.held, "input": min(request.fixed, request.held), "release": 0}[policy]
                self.close(id, "released" if policy == "release" else "kept", cost)


class LedgerMachine(RuleBasedStateMachine):
    requests: Bundle[str] = Bundle("requests")
    externals: Bundle[tuple[str, str]] = Bundle("externals")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "oneapi.db"
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.model = Model()
        self.db = open_ledger(self.path, create=True, sync="normal", now=START)
        add_user(self.db, "alice", 700, budget_period="week")
        for name, user in TOKENS.items():
            period = RECURRING[name][1] if name in RECURRING else None
            budget = None if name in UNLIMITED else self.model.granted[name]
            add_token(self.db, name, budget, user=user, budget_period=period)
        touch(self.db, UTC, START)
        self.book = self.open("keep")

    def teardown(self) -> None:
        self.do(self.book.stop())
        self.loop.close()
        self.db.close()
        shutil.rmtree(self.folder)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def open(self, policy: AfterCrash) -> Book:
        book = Book.open(self.path, sync="normal", after_crash=policy, clock=self.clock, ticks=self.clock)
        self.do(book.start())
        return book

    def wait(self, seconds: float) -> None:
        """Time passes unseen: what comes next is the first to notice."""
        self.clock.now += seconds
        self.model.pass_time(self.clock.now)

    @rule(
        target=requests,
        token=st.sampled_from(sorted(TOKENS)),
        fixed=st.integers(0, 150),
        asked=st.integers(0, 400),
        floor=st.integers(0, 60),
        seconds=later,
    )
    def reserve(self, token: str, fixed: int, asked: int, floor: int, seconds: float) -> Any:
        self.wait(seconds)
        need = Need(fixed_nanos=fixed, rate_nanos_per_mtok=1_000_000, asked=asked, floor=min(floor, asked))
        wanted = ask(principal(self.db, token), need)
        free = self.model.free(token)
        least = fixed + min(asked, max(1, min(floor, asked)))
        try:
            hold = self.do(self.book.reserve(wanted))
        except (OutOfCredit, Throttled):
            assert least > free, "refused although the floor was free"
            return multiple()
        assert isinstance(hold, Hold)
        whole = fixed + asked
        assert least <= hold.nanos <= free or whole == 0, "only what costs nothing fits an overdrawn account"
        assert hold.nanos == (min(whole, free) if whole else 0), "as much as is asked or free"
        self.model.requests[wanted.request_id] = Request(token, hold.nanos, fixed, self.clock.now)
        return wanted.request_id

    @rule(id=requests, nanos=st.integers(1, 200), seconds=later)
    def extend(self, id: str, nanos: int, seconds: float) -> None:
        self.wait(seconds)
        request = self.model.requests[id]
        if request.state != "held":
            try:
                self.do(self.book.extend(id, nanos))
            except LedgerError:
                return
            raise AssertionError("a closed request was extended")
        fits = nanos <= self.model.free(request.token)
        assert self.do(self.book.extend(id, nanos)) == (request.held + nanos if fits else None)
        request.held += nanos if fits else 0

    @rule(id=requests, state=st.sampled_from(["settled", "released", "kept"]), cost=st.integers(0, 600))
    def close(self, id: str, state: Literal["settled", "released", "kept"], cost: int) -> None:
        """First and later closes alike; costs also far above the hold."""
        cost = 0 if state == "released" else cost
        request = self.model.requests[id]
        if request.gone:
            return
        self.model.close(id, state, cost)
        settlement = self.do(self.book.close(id, closing(cost, state)))
        if not request.resolved:
            assert (settlement.state, settlement.cost_nanos) == (request.state, request.cost)

    @rule(id=requests, delta=st.integers(-300, 300), seconds=later)
    def adjust(self, id: str, delta: int, seconds: float) -> None:
        self.wait(seconds)
        request = self.model.requests[id]
        legal = request.state != "held" and request.cost + delta >= 0 and not request.gone
        try:
            adjusted = self.do(self.book.adjust(id, delta, "because", "test"))
        except LedgerError:
            assert not legal
            return
        assert legal
        self.model.adjust(request, delta)
        assert adjusted.cost_nanos == request.cost

    @rule(account=st.sampled_from(["a", "b", "c", "alice"]), delta=st.integers(-200, 400), seconds=later)
    def grant(self, account: str, delta: int, seconds: float) -> None:
        self.wait(seconds)
        legal = delta >= 0 or self.model.remain(account) + delta >= 0
        row = accounts.get_user(self.db, account) if account == "alice" else accounts.get_token(self.db, account)
        try:
            self.do(self.book.grant("user" if account == "alice" else "token", row.id, delta, "because", "test"))
        except LedgerError:
            assert not legal
            return
        assert legal
        self.model.granted[account] += delta

    @rule(account=st.sampled_from(["a", "b", "c"]), remain=st.integers(0, 600), seconds=later)
    def edit(self, account: str, remain: int, seconds: float) -> None:
        """The CLI, on its own connection, beside the running book; with an edit that moves the version."""
        self.wait(seconds)
        edit = accounts.TokenEdit(remain_nanos=remain, models=("x",))
        accounts.edit_token(self.db, account, edit, now=self.clock.now, zone=UTC)
        self.model.granted[account] += remain - self.model.remain(account)

    @rule(seconds=st.sampled_from([1, 3_600, 40_000, 80_000]))
    def set_the_clock_back(self, seconds: float) -> None:
        self.wait(-seconds)

    @rule(target=externals, token=st.sampled_from(sorted(TOKENS)), nanos=st.integers(1, 300), seconds=later)
    def hold_outside(self, token: str, nanos: int, seconds: float) -> Any:
        """By the command line, beside the running book."""
        self.wait(seconds)
        id = accounts.get_token(self.db, token).id
        charge = external.Charge(token_id=id, nanos=nanos, reason="x", request_id=new_id(), timeout_seconds=2_000)
        try:
            held = external.pre(self.db, charge, zone=UTC, now=self.clock.now)
        except LedgerError:
            assert nanos > self.model.free(token), "refused although it was free"
            return multiple()
        assert nanos <= self.model.free(token)
        self.model.requests[held.request_id] = Request(token, nanos, nanos, self.clock.now, expires=held.expires)
        return held.request_id, held.transaction_id

    @rule(ids=externals, nanos=st.none() | st.integers(0, 400), seconds=later)
    def close_outside(self, ids: tuple[str, str], nanos: int | None, seconds: float) -> None:
        """Post, or cancel; above the hold too."""
        self.wait(seconds)
        request = self.model.requests[ids[0]]
        more = 0 if nanos is None else nanos - request.held
        fits = more <= 0 or more <= self.model.free(request.token)
        id, now = accounts.get_token(self.db, request.token).id, self.clock.now
        try:
            if nanos is None:
                self.do(self.book.write(lambda db: external.cancel(db, id, ids[1], now=now)))
            else:
                self.do(self.book.write(lambda db: external.post(db, id, ids[1], nanos, zone=UTC, now=now)))
        except LedgerError:
            assert request.state != "held" or not fits
            return
        assert request.state == "held"
        assert fits
        self.model.close(ids[0], "released" if nanos is None else "settled", nanos or 0)

    @rule(age=st.sampled_from([0, 100, 50_000]), seconds=later)
    def fold_what_is_old(self, age: float, seconds: float) -> None:
        self.wait(seconds)
        prune(self.db, self.clock.now - age, self.clock.now)
        left = {id for (id,) in self.db.execute("SELECT request_id FROM requests")}
        for id, request in self.model.requests.items():
            if id not in left and not request.gone:
                assert request.state in ("settled", "released") or (request.state == "kept" and request.resolved)
                request.gone = True

    @rule(policy=st.sampled_from(["keep", "input", "release"]))
    def crash_and_reopen(self, policy: AfterCrash) -> None:
        """Everything the kernel does for a dead process: its lock goes, nothing else is tidied."""
        dead = [r for r in self.model.requests.values() if r.state == "held" and r.expires is None]
        open_before, held_before = len(dead), sum(r.held for r in dead)
        self.book._own.release(unlink=False)
        left, self.book = self.book, self.open(policy)
        assert (self.book.recovered.count, self.book.recovered.nanos) == (open_before, held_before)
        self.model.die(policy)
        self.do(left.stop())

    @rule()
    def stop_and_start(self) -> None:
        self.do(self.book.stop())
        self.book = self.open("release")
        self.model.die("release")

    @rule()
    def release_the_orphans(self) -> None:
        kept = {id for id, r in self.model.requests.items() if r.state == "kept" and not r.resolved}
        assert {orphan.request_id for orphan in orphans(self.db)} == kept
        count, nanos = release_all(self.db, now=self.clock.now)
        assert (count, nanos) == (len(kept), sum(self.model.requests[id].cost for id in kept))
        for id in kept:
            self.model.adjust(self.model.requests[id], -self.model.requests[id].cost)

    @rule(id=consumes(requests))
    def forget(self, id: str) -> None:
        """Its client is gone for good; the row stays as it is."""

    @invariant()
    def balances(self) -> None:
        assert [difference.sentence for difference in verify(self.db)] == []
        touch(self.db, UTC, self.clock.now)
        rows = {row.name: row for row in (*accounts.list_tokens(self.db), *accounts.list_users(self.db))}
        for name, row in rows.items():
            assert (name, row.remain, row.held) == (name, self.model.remain(name), self.model.held(name))
            assert (name, row.held - row.held_past) == (name, self.model.weighing(name))
        assert [difference.sentence for difference in verify(self.db)] == []


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=50, stateful_step_count=30)
