"""Random interleavings of everything the ledger can do, against a model small enough to be obviously right.

The real book over a real file: holds, extensions, settlements, corrections, grants, edits, and processes that die and
come back. After every step the balances are the model's and `verify` finds nothing.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.book import Book, LedgerError
from oneapi_cli.ledger.recovery import AfterCrash, orphans, release_all
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.errors import OutOfCredit, Throttled
from oneapi_cli.values.holds import Hold, Need
from tests.ledger.kit import START, Clock, add_token, add_user, ask, closing, principal

T = TypeVar("T")
TOKENS = {"a": "alice", "b": "alice", "c": "root", "u": "alice"}
UNLIMITED = {"u", "root"}


@dataclass
class Request:
    token: str
    held: int
    fixed: int
    state: str = "held"
    cost: int = 0
    resolved: bool = False


@dataclass
class Model:
    """What the ledger must say: granted per account, and the requests. Everything else is summed from those."""

    granted: dict[str, int] = field(
        default_factory=lambda: {"a": 500, "b": 300, "c": 200, "u": 0, "alice": 700, "root": 0}
    )
    requests: dict[str, Request] = field(default_factory=dict)

    def of(self, account: str) -> list[Request]:
        return [r for r in self.requests.values() if account in (r.token, TOKENS[r.token])]

    def remain(self, account: str) -> int:
        return self.granted[account] - sum(r.cost for r in self.of(account))

    def held(self, account: str) -> int:
        return sum(r.held for r in self.of(account) if r.state == "held")

    def free(self, token: str) -> float:
        limited = [name for name in (token, TOKENS[token]) if name not in UNLIMITED]
        return min((self.remain(name) - self.held(name) for name in limited), default=float("inf"))

    def close(self, id: str, state: str, cost: int) -> None:
        if (request := self.requests[id]).state == "held":
            request.state, request.cost = state, cost

    def die(self, policy: AfterCrash) -> None:
        for id, request in self.requests.items():
            cost = {"keep": request.held, "input": min(request.fixed, request.held), "release": 0}[policy]
            self.close(id, "released" if policy == "release" else "kept", cost)


class LedgerMachine(RuleBasedStateMachine):
    requests: Bundle[str] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "oneapi.db"
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.model = Model()
        self.db = open_ledger(self.path, create=True, sync="normal", now=START)
        add_user(self.db, "alice", 700)
        for name, user in TOKENS.items():
            add_token(self.db, name, None if name in UNLIMITED else self.model.granted[name], user=user)
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

    @rule(
        target=requests,
        token=st.sampled_from(sorted(TOKENS)),
        fixed=st.integers(0, 150),
        asked=st.integers(0, 400),
        floor=st.integers(0, 60),
    )
    def reserve(self, token: str, fixed: int, asked: int, floor: int) -> Any:
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
        self.model.requests[wanted.request_id] = Request(token, hold.nanos, fixed)
        return wanted.request_id

    @rule(id=requests, nanos=st.integers(1, 200))
    def extend(self, id: str, nanos: int) -> None:
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
        self.model.close(id, state, cost)
        request = self.model.requests[id]
        settlement = self.do(self.book.close(id, closing(cost, state)))
        if not request.resolved:
            assert (settlement.state, settlement.cost_nanos) == (request.state, request.cost)

    @rule(id=requests, delta=st.integers(-300, 300))
    def adjust(self, id: str, delta: int) -> None:
        request = self.model.requests[id]
        legal = request.state != "held" and request.cost + delta >= 0
        try:
            adjusted = self.do(self.book.adjust(id, delta, "because", "test"))
        except LedgerError:
            assert not legal
            return
        assert legal
        request.cost += delta
        request.resolved = True
        assert adjusted.cost_nanos == request.cost

    @rule(account=st.sampled_from(["a", "b", "c", "alice"]), delta=st.integers(-200, 400))
    def grant(self, account: str, delta: int) -> None:
        legal = delta >= 0 or self.model.remain(account) + delta >= 0
        row = accounts.get_user(self.db, account) if account == "alice" else accounts.get_token(self.db, account)
        try:
            self.do(self.book.grant("user" if account == "alice" else "token", row.id, delta, "because", "test"))
        except LedgerError:
            assert not legal
            return
        assert legal
        self.model.granted[account] += delta

    @rule(account=st.sampled_from(["a", "b", "c"]), remain=st.integers(0, 600))
    def edit(self, account: str, remain: int) -> None:
        """The CLI, on its own connection, beside the running book; with an edit that moves the version."""
        accounts.edit_token(self.db, account, accounts.TokenEdit(remain_nanos=remain, models=("x",)), now=START)
        self.model.granted[account] += remain - self.model.remain(account)

    @rule(policy=st.sampled_from(["keep", "input", "release"]))
    def crash_and_reopen(self, policy: AfterCrash) -> None:
        """Everything the kernel does for a dead process: its lock goes, nothing else is tidied."""
        open_before = sum(r.state == "held" for r in self.model.requests.values())
        held_before = sum(r.held for r in self.model.requests.values() if r.state == "held")
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
        count, nanos = release_all(self.db, now=START)
        assert (count, nanos) == (len(kept), sum(self.model.requests[id].cost for id in kept))
        for id in kept:
            self.model.requests[id].cost, self.model.requests[id].resolved = 0, True

    @rule(id=consumes(requests))
    def forget(self, id: str) -> None:
        """Its client is gone for good; the row stays as it is."""

    @invariant()
    def balances(self) -> None:
        rows = {row.name: row for row in (*accounts.list_tokens(self.db), *accounts.list_users(self.db))}
        for name, row in rows.items():
            assert (name, row.remain, row.held) == (name, self.model.remain(name), self.model.held(name))
        assert [difference.sentence for difference in verify(self.db)] == []


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=30)
