"""`oneapi` in a temporary home: the commands run in this process, with both streams kept apart."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oneapi_cli.cli import app
from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.closing import close
from oneapi_cli.ledger.holding import Moment, reserve
from oneapi_cli.ledger.keys import digest_of
from oneapi_cli.ledger.rows import find_principal
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.holds import Attempt, BillLine, Closing, Hold, HoldAsk, Need
from oneapi_cli.values.usage import Usage

KEY = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
REQUEST = "20261122161427" + "0" * 18
SENT = 1_790_000_000.0


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; fails if there is anything else."""
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(home: Path) -> Run:
    """Runs one command and never lets an exception through: a traceback would be ours to mend."""

    def invoke(*words: str, stdin: str = "") -> Done:
        done = CliRunner().invoke(app, list(words), input=stdin, prog_name="oneapi")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert "Traceback" not in done.stderr
        return Done(done.exit_code, done.stdout, done.stderr)

    return invoke


@dataclass(frozen=True)
class Place:
    """A home with a config and a ledger."""

    folder: Path
    run: Run

    @property
    def ledger(self) -> Path:
        return self.folder / "oneapi.db"

    @contextmanager
    def db(self) -> Iterator[sqlite3.Connection]:
        """The ledger, as a server would have it open; it balances afterwards."""
        db = open_ledger(self.ledger)
        try:
            yield db
            assert verify(db) == []
        finally:
            db.close()

    def token(self, name: str) -> accounts.TokenRow:
        with self.db() as db:
            return accounts.get_token(db, name)

    def add(self, name: str, *words: str) -> Done:
        done = self.run("token", "add", name, *words)
        assert done.code == 0, done.err
        return done

    def hold(self, name: str, key: str, *, nanos: int = 10_000, model: str = "demo-small") -> str:
        """An open request of this token. Its owner is nobody, so that no start resolves it."""
        with self.db() as db:
            who = find_principal(db, digest_of(key))
            assert who is not None
            request_id = f"{name:0>32}"
            need = Need(fixed_nanos=nanos, asked=100, floor=100, bound_tokens=120)
            ask = HoldAsk(
                request_id=request_id,
                principal=who,
                door="/v1/chat/completions",
                model_asked=model,
                stream=True,
                need=need,
                wait_seconds=0.0,
            )
            assert isinstance(reserve(db, ask, Moment(owner=None, now=SENT)), Hold)
        return request_id

    def close(self, request_id: str, closing: Closing) -> None:
        with self.db() as db:
            close(db, request_id, closing, SENT + 2.5)


@pytest.fixture
def place(home: Path, run: Run) -> Place:
    """An initialised home whose config names the demo and one local channel."""
    (home / "config.yaml").write_text(
        "channels:\n- {name: demo, type: demo, models: [demo-small]}\n"
        "- {name: local, type: openai-compatible, base_url: 'http://127.0.0.1:9', models: [own],"
        " prices: {own: {input: 1, output: 2}}}\n"
        "tokens:\n- {name: laptop, key: '${NOPE}', budget: 1}\n"
    )
    done = run("init")
    assert done.code == 0, done.err
    return Place(home, run)


def settled(*, raw: str = '{"prompt_tokens":7,"completion_tokens":20}', rule: str = "list, input") -> Closing:
    """A served request: 7 tokens in, 20 out."""
    lines = (
        BillLine(unit="input_tokens", amount="7", rate_nanos=150_000_000, per=1_000_000, rule=rule, picos=1_050_000),
        BillLine(unit="output_tokens", amount="20", rate_nanos=600_000_001, per=1_000_000, rule="r", picos=12_000_000),
        BillLine(unit="rounding", amount="1", rate_nanos=0, per=1, rule="up to a whole nano-dollar", picos=950_000),
    )
    attempts = (
        Attempt(
            channel="first",
            vendor="acme",
            model_sent="up",
            started=SENT,
            ended=SENT + 0.5,
            status=None,
            outcome="unreachable",
            detail="connection refused",
        ),
        Attempt(
            channel="demo",
            vendor="demo",
            model_sent="up",
            started=SENT + 0.5,
            ended=SENT + 2,
            status=200,
            outcome="served",
            charged_nanos=14_000,
            upstream_id="chatcmpl-1",
        ),
    )
    return Closing(
        state="settled",
        cost_nanos=14_000,
        status=200,
        usage=Usage(counts={"input_tokens": 7, "output_tokens": 20}, reasoning_tokens=3, raw=raw),
        lines=lines,
        attempts=attempts,
        channel="demo",
        model_sent="up",
        price_origin="a list",
        first_byte=SENT + 1,
        notes=("temperature was left out",),
    )


def kept(channel: str = "demo") -> Closing:
    """A request whose outcome nobody knows, charged at its input bound."""
    line = BillLine(unit="input_bound", amount="1", rate_nanos=10_000, per=1, rule="unknown", picos=10_000_000)
    return Closing(
        state="kept", cost_nanos=10_000, status=504, lines=(line,), channel=channel, reason="no answer came in time"
    )
