"""kill -9 under load, at moments nobody chose: the ledger balances afterwards, and whoever has a whole reply has it
settled.

Everything runs against the demo vendor, whose usage is a function of the prompt, so that the price of each whole
reply is known from the reply itself.
"""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.ledger.verify import verify
from tests.support.gateway import make_token, write_config
from tests.support.process import ServeProcess

CONFIG = """
    ledger: ledger.db
    {after_crash}
    channels:
      - {{name: demo, type: demo, models: [demo-small]}}
"""
INPUT_RATE, CACHED_RATE, OUTPUT_RATE = 150, 75, 600
ROUNDS = 4
CLIENTS = 24


@dataclass
class Whole:
    """A reply that arrived to its last byte."""

    request_id: str
    usage: dict[str, Any]

    @property
    def cost_nanos(self) -> int:
        cached = (self.usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        fresh = self.usage["prompt_tokens"] - cached
        output: int = self.usage["completion_tokens"]
        return int(fresh * INPUT_RATE + cached * CACHED_RATE + output * OUTPUT_RATE)


async def one(session: aiohttp.ClientSession, url: str, number: int, whole: list[Whole]) -> None:
    stream = number % 2 == 0
    body: dict[str, Any] = {
        "model": "demo-small",
        "messages": [{"role": "user", "content": f"[tokens={5 + number % 40}] [pause=0.002] request {number}"}],
        "stream": stream,
    }
    if stream:
        body["stream_options"] = {"include_usage": True}
    async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
        text = await answer.text()
        if answer.status != 200:
            return
        request_id = answer.headers["X-Oneapi-Request-Id"]
    if not stream:
        whole.append(Whole(request_id, json.loads(text)["usage"]))
    elif text.rstrip().endswith("data: [DONE]"):
        frames = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        whole.append(Whole(request_id, next(f["usage"] for f in frames if f.get("usage"))))


async def load(url: str, key: str, whole: list[Whole], seconds: float) -> None:
    """Clients that ask again and again until the time is over or the server is gone."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    counter = iter(range(1_000_000))

    async def client(session: aiohttp.ClientSession) -> None:
        while loop.time() < end:
            try:
                await one(session, url, next(counter), whole)
            except (aiohttp.ClientError, OSError, json.JSONDecodeError):
                return

    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}, timeout=timeout) as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))


@pytest.mark.seconds(120)
@pytest.mark.parametrize("after_crash", ["keep", "input", "release"])
async def test_kill_under_load(after_crash: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG.format(after_crash=f"after_crash: {after_crash}"))
    ledger = tmp_path / "ledger.db"
    db = open_ledger(ledger, create=True)
    key = make_token(db, "load", 50_000_000_000)
    db.close()
    dice = random.Random(20261122)
    whole: list[Whole] = []
    for _ in range(ROUNDS):
        with ServeProcess(config) as server:
            running = asyncio.create_task(load(server.url, key, whole, 8.0))
            await asyncio.sleep(0.4 + dice.random())
            await asyncio.to_thread(server.kill)
            await running
        db = open_ledger(ledger)
        assert verify(db) == []
        db.close()
    with ServeProcess(config) as server:
        await load(server.url, key, whole, 0.3)
        assert server.stop() == 0
    db = open_ledger(ledger)
    try:
        assert verify(db) == []
        assert db.execute("SELECT count(*) FROM requests WHERE state = 'held'").fetchone() == (0,)
        assert db.execute("SELECT held FROM tokens WHERE name = 'load'").fetchone() == (0,)
        assert len(whole) > 100, "the load was too small to mean anything"
        for reply in whole:
            row = db.execute(
                "SELECT state, cost_nanos FROM requests WHERE request_id = ?", (reply.request_id,)
            ).fetchone()
            assert row == ("settled", reply.cost_nanos), reply
        kept = db.execute("SELECT count(*) FROM requests WHERE state = 'kept'").fetchone()[0]
        assert kept == 0 if after_crash == "release" else kept > 0
    finally:
        db.close()
