"""An exchange with everything around it in memory but the ledger: a scripted way to vendors, a client that can leave,
and a task that can be cancelled at any of its awaits.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oneapi_cli.gateway import tasks
from oneapi_cli.gateway.exchange import exchange
from oneapi_cli.gateway.gate import Account, Fetched, Gate, Policy
from oneapi_cli.gateway.ids import new_request_id
from oneapi_cli.gateway.watch import ClientLeft
from oneapi_cli.ledger.prices import Prices
from oneapi_cli.ledger.receipts import Receipt
from oneapi_cli.providers.models import traits
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.routing.health import Health
from oneapi_cli.server.connection import ClientPresence
from oneapi_cli.values.asks import Ask, Call, Head
from oneapi_cli.values.errors import Overloaded
from oneapi_cli.values.uploads import Upload
from oneapi_cli.values.vendor import Channel, PriceLine, Timeouts
from tests.ledger.kit import Till, add_token, till

MODEL = "gpt-4o-mini"
INPUT, OUTPUT = 1_000, 10_000
"""Nano-dollars a token: $1 and $10 per million."""

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
FULL = 10 * INPUT + 5 * OUTPUT

Piece = bytes | Exception | asyncio.Event


@dataclass
class ScriptedReply:
    """A vendor's answer, piece by piece: bytes arrive, an exception is raised, an event is waited for."""

    pieces: Sequence[Piece]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    aborted: bool = False
    released: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            await asyncio.sleep(0)
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, Exception):
                raise piece
            else:
                yield piece

    def abort(self) -> None:
        self.aborted = True

    def release(self) -> None:
        self.released = True


Script = ScriptedReply | Exception | asyncio.Event


@dataclass
class ScriptedTransport:
    """Scripts are taken one a call; the last one serves all that follow. An event hangs until it is set."""

    scripts: list[Callable[[], Script]]
    calls: list[Call] = field(default_factory=list)
    replies: list[ScriptedReply] = field(default_factory=list)

    async def send(self, call: Call) -> ScriptedReply:
        self.calls.append(call)
        script = (self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0])()
        await asyncio.sleep(0)
        if isinstance(script, asyncio.Event):
            await script.wait()
            raise AssertionError("nobody was to wake this call")
        if isinstance(script, Exception):
            raise script
        self.replies.append(script)
        return script


class Bytes:
    """A body that is here."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        return self._data

    async def read_form(self, content_type: str) -> Upload:
        raise NotImplementedError("these tests send JSON")


def whole(usage: Mapping[str, Any] | None = USAGE, text: str = "one two three", status: int = 200) -> ScriptedReply:
    """A chat completion in two pieces."""
    body: dict[str, Any] = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    }
    data = json.dumps(body | ({"usage": usage} if usage is not None else {})).encode()
    return ScriptedReply([data[:20], data[20:]], status, {"content-type": "application/json"})


def refusing(status: int, headers: Mapping[str, str] | None = None, message: str = "no") -> ScriptedReply:
    """An error with a body of the vendor's own."""
    body = json.dumps({"error": {"message": message, "type": "server_error", "param": None, "code": "oops"}}).encode()
    return ScriptedReply([body], status, {"content-type": "application/json", **(headers or {})})


def event(**members: Any) -> bytes:
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL, **members}
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def word(text: str) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])


DONE = b"data: [DONE]\n\n"
FINISH = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
LAST_USAGE = event(choices=[], usage=USAGE)


def stream(*pieces: Piece) -> ScriptedReply:
    """An event stream of these pieces; by default three words, the usage and [DONE]."""
    told = pieces or (word("one"), word(" two"), word(" three"), FINISH, LAST_USAGE, DONE)
    return ScriptedReply(told, 200, {"content-type": "text/event-stream"})


def channel(name: str, *, priority: int = 0, free: bool = False, **more: Any) -> Channel:
    price = PriceLine(free=True) if free else PriceLine(rates={"input": "1", "output": "10"})
    settings: dict[str, Any] = {
        "vendor": VENDORS["openai-compatible"],
        "base": f"http://{name}.invalid/v1",
        "keys": (f"sk-vendor-{name}",),
        "models": {MODEL: MODEL},
        "prices": {"*": price},
        "timeouts": Timeouts(drain=0.05),
        "speaks": {"openai_chat": "/chat/completions"},
    }
    return Channel(name=name, priority=priority, **{**settings, **more})


@dataclass
class Stage:
    """One gateway in memory. wall: what the gate takes for the time, so that pauses need not pass."""

    till: Till
    transport: ScriptedTransport
    gate: Gate
    accounts: list[Account]
    naps: list[float]

    def ask(self, presence: ClientPresence | None = None, token: str = "test", **body: Any) -> Ask:
        said = {"model": MODEL, "messages": [{"role": "user", "content": "hello there"}], "max_tokens": 100, **body}
        return Ask(
            id=new_request_id(self.gate.now()),
            door="openai_chat",
            method="POST",
            path="/v1/chat/completions",
            headers={"authorization": f"Bearer sk-{token}"},
            query={},
            peer="127.0.0.1",
            body=Bytes(json.dumps(said).encode()),
            presence=presence or ClientPresence(),
            received=self.gate.now(),
        )

    async def receipt(self, ask: Ask) -> Receipt | None:
        return await self.till.book.receipt(ask.id)

    async def quiet(self) -> None:
        """Until every settlement under way has ended, and every hold that nobody heard of is given back."""
        assert await tasks.finish(5.0) == 0
        with suppress(Overloaded):
            # The writer takes things in turn: what was asked for before this has been heard, or nobody wants it.
            await self.till.book.write(lambda db: None)
        for _ in range(500):
            if "held" not in self.till.states():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("a hold was left open")


async def _count(texts: Sequence[str], _vocabulary: str) -> int:
    await asyncio.sleep(0)
    return sum(len(text.split()) for text in texts)


@asynccontextmanager
async def stage(
    folder: Path,
    *scripts: Callable[[], Script],
    channels: Sequence[Channel] = (),
    budget: int | None = 100_000_000,
    policy: Policy | None = None,
) -> AsyncIterator[Stage]:
    """A stage with one token named `test`; at its end the ledger balances and nothing is held."""
    async with till(folder / "ledger.db", lambda db: add_token(db, "test", budget), real_clock=True) as drawer:
        transport, seen, naps = ScriptedTransport(list(scripts)), list[Account](), list[float]()

        async def nap(seconds: float) -> None:
            naps.append(seconds)
            drawer.clock.now += seconds
            await asyncio.sleep(0)

        def url(where: Channel, _dialect: str, _model: str, _stream: bool) -> str:
            return f"{where.base}/chat/completions"

        async def sign(_where: Channel, key: str, _call: Call) -> dict[str, str]:
            return {"authorization": f"Bearer {key}"}

        async def fetch(_url: str, _most: int) -> Fetched:
            raise AssertionError("nothing here names a URL")

        gate = Gate(
            book=drawer.book,
            transport=transport,
            channels=tuple(channels) or (channel("one", priority=1), channel("two")),
            prices=Prices({}),
            health=Health(),
            policy=policy or Policy(hold_wait=0.2),
            now=drawer.clock,
            dice=random.Random(7).random,
            sleep=nap,
            traits=traits,
            url=url,
            sign=sign,
            fetch=fetch,
            count=_count,
            log=seen.append,
            next_key=lambda where: where.keys[0],
        )
        scene = Stage(drawer, transport, gate, seen, naps)
        yield scene
        await scene.quiet()


@dataclass
class Heard:
    """What a client got."""

    head: Head | None = None
    body: bytes = b""


async def listen(stage: Stage, ask: Ask, heard: Heard | None = None, *, stop_after: int | None = None) -> Heard:
    """What `routes.py` does with an exchange, without the sockets. stop_after: items, then the client reads no more.

    Whatever ends the reply must find the settlement on disk.
    """
    heard = heard or Heard()
    async with aclosing(exchange(ask, stage.gate)) as out:
        items = 0
        async for item in out:
            if isinstance(item, Head):
                assert heard.head is None
                heard.head = item
            else:
                heard.body += item
                if b"[DONE]" in item or (heard.head is not None and "Content-Length" in heard.head.headers):
                    row = stage.till.db.execute("SELECT state FROM requests WHERE request_id = ?", (ask.id,)).fetchone()
                    assert row[0] != "held", "the reply ended before it was settled"
            items += 1
            if items == stop_after:
                break
            await asyncio.sleep(0)
    return heard


class Stepped:
    """Awaits `work` and does something to it at its n-th suspension: at once, or in the moment when what it waits for
    is done but it has not run yet.
    """

    def __init__(self, work: Awaitable[Any], at: int, act: Callable[[], None], *, late: bool) -> None:
        self._work, self._at, self._act, self._late = work, at, act, late
        self.steps = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._work.__await__()
        reply: Any = None
        error: BaseException | None = None
        while True:
            try:
                waits_for = inner.send(reply) if error is None else inner.throw(error)
            except StopIteration as done:
                return done.value
            reply, error = None, None
            self.steps += 1
            if self.steps == self._at:
                if self._late and waits_for is not None:
                    waits_for.add_done_callback(lambda _: self._act())
                else:
                    self._act()
            try:
                reply = yield waits_for
            except BaseException as thrown:
                error = thrown


async def run_stepped(work: Awaitable[Any], at: int, act: Callable[[asyncio.Task[Any]], None], *, late: bool) -> int:
    """Run `work` as a task of its own with `act(task)` at its n-th suspension; how many suspensions there were."""
    box: list[asyncio.Task[Any]] = []
    stepped = Stepped(work, at, lambda: act(box[0]), late=late)

    async def body() -> Any:
        return await stepped

    box.append(asyncio.get_running_loop().create_task(body()))
    await asyncio.wait(box, timeout=10)
    assert box[0].done(), f"stuck after suspension {at}"
    error = None if box[0].cancelled() else box[0].exception()
    if error is not None and not isinstance(error, ClientLeft):
        raise error
    return stepped.steps
