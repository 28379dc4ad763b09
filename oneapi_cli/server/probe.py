"""Trying channels out: one tiny real request to each, by the same way that every request goes.

It is planned, held, sent, metered and settled as any other, on an account of the operator's, because what it costs is
real money. The channel's waits are shortened: a person stands there. Nothing is retried.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .. import __version__
from ..config.loaded import Loaded
from ..dialects import SPEAKERS
from ..gateway.authenticate import Caller
from ..gateway.exchange import exchange
from ..gateway.gate import Account, Gate
from ..gateway.ids import new_request_id
from ..ledger.book import Book
from ..ledger.periods import zone_of
from ..routing.health import Health
from ..values.accounts import Principal
from ..values.asks import Ask, Head
from ..values.errors import GatewayError
from ..values.uploads import Upload
from .credentials import Signer
from .demo import start_demo
from .fetch import Fetcher
from .generation import Seams, assemble
from .transport import AiohttpTransport

DEMO_SCHEME = "demo://"
FIRST_BYTE_SECONDS = 30.0
STREAM_SECONDS = 60.0
OUTPUT_TOKENS = 16

_BODIES: dict[str, dict[str, object]] = {
    "openai_chat": {"messages": [{"role": "user", "content": "Say hi."}], "max_tokens": OUTPUT_TOKENS},
    "openai_completions": {"prompt": "Say hi.", "max_tokens": OUTPUT_TOKENS},
    "openai_responses": {"input": "Say hi.", "max_output_tokens": OUTPUT_TOKENS, "store": False},
    "openai_embeddings": {"input": "hi"},
    "openai_moderations": {"input": "hi"},
}


class Trial(Struct, frozen=True):
    """One request to be made: model by the name clients use, dialect one that the channel speaks."""

    channel: str
    model: str
    dialect: str


class Finding(Struct, frozen=True, kw_only=True):
    """How a trial ended. status: what a client would have been told; message: of an error, without any key."""

    channel: str
    model: str
    status: int
    seconds: float
    cost_nanos: int
    request_id: str
    code: str | None = None
    message: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class _Body:
    """A request body that is here whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        return self._data

    async def read_form(self, content_type: str) -> Upload:
        raise NotImplementedError("a probe sends JSON")


class _Here:
    """A client that stays."""

    gone = False

    def when_gone(self, call: Callable[[], None] | None) -> None:
        """It never leaves, so nothing is ever called."""


def testable(dialects: Sequence[str], model: str) -> str:
    """The dialect to try a model in: one that a channel speaks or can be translated to; "" where there is none."""
    name = model.lower()
    wanted = {"embed": "openai_embeddings", "moderation": "openai_moderations", "instruct": "openai_completions"}
    likely = [dialect for part, dialect in wanted.items() if part in name and dialect in dialects]
    found = next((dialect for dialect in (*likely, *_BODIES) if dialect in dialects), "")
    return found or ("openai_chat" if any(dialect in SPEAKERS for dialect in dialects) else "")


async def probe(
    loaded: Loaded, trials: Sequence[Trial], principal: Principal, clock: Callable[[], float]
) -> AsyncGenerator[Finding, None]:
    """Each trial's finding, one after another. Raises LedgerError where the ledger cannot be opened."""
    async with _gate(loaded, clock) as gate:
        for trial in trials:
            yield await _try(trial, principal, gate)


@asynccontextmanager
async def _gate(loaded: Loaded, clock: Callable[[], float]) -> AsyncIterator[Gate]:
    config = loaded.config
    book = Book.open(
        loaded.ledger,
        sync=config.ledger_sync,
        after_crash=config.after_crash,
        create=False,
        clock=clock,
        zone=zone_of(config.budget_zone),
    )
    await book.start()
    transport = AiohttpTransport(f"oneapi/{__version__}")
    bases = {channel.base for channel in loaded.channels if channel.base.startswith(DEMO_SCHEME)}
    demo = await start_demo(clock=clock) if bases else None
    try:
        for base in bases if demo is not None else ():
            transport.serve_here(base, demo.base_url if demo is not None else "")
        seams = Seams(
            book=book,
            transport=transport,
            fetcher=Fetcher(f"oneapi/{__version__}"),
            signer=Signer(),
            health=Health(),
            host="127.0.0.1",
            now=clock,
            log=_unlogged,
        )
        gate = assemble(loaded, seams).gate
        channels = tuple(
            replace(
                channel,
                timeouts=replace(
                    channel.timeouts,
                    first_byte=min(channel.timeouts.first_byte, FIRST_BYTE_SECONDS),
                    stream=min(channel.timeouts.stream, STREAM_SECONDS),
                ),
            )
            for channel in gate.channels
        )
        yield replace(gate, channels=channels, policy=replace(gate.policy, retries=0, hold_wait=0.0))
    finally:
        await transport.close()
        if demo is not None:
            await demo.close()
        await book.stop()


async def _try(trial: Trial, principal: Principal, gate: Gate) -> Finding:
    request_id = new_request_id(gate.now())
    ask = Ask(
        id=request_id,
        door=trial.dialect,
        method="POST",
        path="",
        headers={},
        query={},
        peer="127.0.0.1",
        body=_Body(msgspec.json.encode({"model": trial.model, **_BODIES[trial.dialect]})),
        presence=_Here(),
        received=gate.now(),
    )
    groups = next((channel.groups for channel in gate.channels if channel.name == trial.channel), ())
    # The operator may use every channel, whoever it is kept for.
    caller = Caller(replace(principal, groups=groups), b"", trial.channel)
    started = time.perf_counter()
    status, code, message = 0, None, ""
    try:
        async with aclosing(exchange(ask, gate, caller)) as out:
            async for item in out:
                if isinstance(item, Head):
                    status = item.status
    except GatewayError as error:
        status, code, message = error.status, error.code, error.message
    seconds = time.perf_counter() - started
    receipt = await gate.book.receipt(request_id)
    return Finding(
        channel=trial.channel,
        model=trial.model,
        status=status,
        seconds=seconds,
        cost_nanos=receipt.cost_nanos if receipt is not None else 0,
        request_id=request_id,
        code=code,
        message=message,
    )


def _unlogged(account: Account) -> None:
    """The finding says it all."""


def run(
    loaded: Loaded,
    trials: Sequence[Trial],
    principal: Principal,
    clock: Callable[[], float],
    tell: Callable[[Finding], None],
) -> None:
    """Try all, and tell of each as it ends; blocks."""

    async def all_of_them() -> None:
        async with aclosing(probe(loaded, trials, principal, clock)) as findings:
            async for finding in findings:
                tell(finding)

    asyncio.run(all_of_them())
