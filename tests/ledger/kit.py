"""What the ledger's tests share: a ledger with accounts, a clock that tests own, short ways to ask and to close."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.book import Book
from oneapi_cli.ledger.keys import digest_of
from oneapi_cli.ledger.rows import find_principal
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.accounts import Principal
from oneapi_cli.values.holds import BillLine, Closing, HoldAsk, Need

START = 1_700_000_000.0
_ids = itertools.count(1)


@dataclass
class Clock:
    """Seconds that pass when a test says so. One for rows and one for waiting are enough as one."""

    now: float = START

    def __call__(self) -> float:
        return self.now


def new_id() -> str:
    return f"{next(_ids):032d}"


def key_of(name: str) -> bytes:
    return digest_of(f"sk-{name}")


def add_token(db: sqlite3.Connection, name: str, budget: int | None = None, **more: Any) -> accounts.TokenRow:
    new = accounts.NewToken(name=name, key_sha256=key_of(name), budget_nanos=budget, unlimited=budget is None, **more)
    return accounts.add_token(db, new, now=START)


def add_user(db: sqlite3.Connection, name: str, budget: int | None = None, **more: Any) -> accounts.UserRow:
    new = accounts.NewUser(name=name, budget_nanos=budget, unlimited=budget is None, **more)
    return accounts.add_user(db, new, now=START)


def principal(db: sqlite3.Connection, name: str) -> Principal:
    found = find_principal(db, key_of(name))
    assert found is not None
    return found


def fixed(nanos: int, tokens: int = 0) -> Need:
    """A need that cannot be lowered."""
    return Need(fixed_nanos=nanos, bound_tokens=tokens)


def per_token(asked: int, floor: int = 1, fixed_nanos: int = 0) -> Need:
    """One nano-dollar per output token."""
    return Need(fixed_nanos=fixed_nanos, rate_nanos_per_mtok=1_000_000, asked=asked, floor=floor, bound_tokens=asked)


def ask(who: Principal, need: Need, *, wait: float = 0.0, final: bool = True, request_id: str = "") -> HoldAsk:
    return HoldAsk(
        request_id=request_id or new_id(),
        principal=who,
        door="openai_chat",
        model_asked="demo",
        stream=False,
        need=need,
        wait_seconds=wait,
        final=final,
    )


def closing(cost: int, state: Literal["settled", "released", "kept"] = "settled", **more: Any) -> Closing:
    lines = (BillLine(unit="requests", amount="1", rate_nanos=cost, per=1, rule="test", picos=cost * 1000),)
    return Closing(state=state, cost_nanos=cost, status=200, lines=lines if cost else (), **more)


@dataclass
class Till:
    """A started book over a fresh ledger, with a second connection to look at it from outside, as the CLI does."""

    path: Path
    book: Book
    db: sqlite3.Connection
    clock: Clock = field(default_factory=Clock)

    def who(self, name: str) -> Principal:
        return principal(self.db, name)

    def account(self, name: str) -> tuple[int, int, int]:
        """(remain, held, open holds) of a token."""
        row = accounts.get_token(self.db, name)
        return row.remain, row.held, row.open_holds

    def states(self) -> dict[str, int]:
        return dict(self.db.execute("SELECT state, count(*) FROM requests GROUP BY state"))


@asynccontextmanager
async def till(
    path: Path,
    prepare: Callable[[sqlite3.Connection], object] | None = None,
    *,
    real_clock: bool = False,
    **opening: Any,
) -> AsyncIterator[Till]:
    """A ledger at `path`, prepared, open and started; at the end it is stopped, and it balances."""
    clock = Clock()
    db = open_ledger(path, create=True, sync="normal", now=START)
    try:
        if prepare is not None:
            prepare(db)
        if not real_clock:
            opening |= {"ticks": clock}
        book = Book.open(path, sync="normal", clock=clock, **opening)
        await book.start()
        try:
            yield Till(path, book, db, clock)
        finally:
            await book.stop()
        assert [one.sentence for one in verify(db)] == []
    finally:
        db.close()


class Halt:
    """Stops the writer's thread where it begins a statement that contains `text`, until `go`."""

    def __init__(self, book: Book, text: str) -> None:
        self.inside = threading.Event()
        self._proceed = threading.Event()
        self._text = text
        book._db.set_trace_callback(self._look)

    def _look(self, statement: str) -> None:
        if self._text in statement and not self._proceed.is_set():
            self.inside.set()
            self._proceed.wait(10)

    def go(self) -> None:
        # The callback stays: taking it away needs the connection's mutex, which the halted thread holds.
        self._proceed.set()


async def until(condition: Callable[[], bool], what: str = "the condition", seconds: float = 5.0) -> None:
    """Wait until something holds; fails, saying what did not."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"{what} did not come true"
        await asyncio.sleep(0.002)
