"""`oneapi serve` as processes: stopping with streams under way, several workers, one of them killed, their watcher
killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
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
    grace: {grace}
    workers: {workers}
    channels:
      - {{name: demo, type: demo, models: [demo-small]}}
"""
OUTPUT_RATE = 600


def prepare(folder: Path, *, grace: str = "20s", workers: int = 1) -> tuple[Path, str]:
    """A config and the key of a token."""
    config = write_config(folder, CONFIG.format(grace=grace, workers=workers))
    db = open_ledger(folder / "ledger.db", create=True)
    key = make_token(db, "test", 50_000_000_000)
    db.close()
    return config, key


def talk(words: int, pause: float = 0.0) -> dict[str, Any]:
    content = f"[tokens={words}] [pause={pause}] go on"
    return {"model": "demo-small", "messages": [{"role": "user", "content": content}], "stream": True}


def rows(folder: Path) -> list[tuple[str, int, int, str]]:
    """(state, cost, status, reason), oldest first; the ledger balances."""
    db = open_ledger(folder / "ledger.db")
    try:
        assert verify(db) == []
        return db.execute("SELECT state, cost_nanos, status, reason FROM requests ORDER BY id").fetchall()
    finally:
        db.close()


async def stream(url: str, key: str, body: dict[str, Any], begun: asyncio.Event | None = None) -> bytes:
    """A whole reply, or what came of it before the connection broke."""
    got = b""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session,
        session.post(f"{url}/v1/chat/completions", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        try:
            async for chunk in answer.content.iter_any():
                got += chunk
                if begun is not None:
                    begun.set()
        except aiohttp.ClientError:
            return got
    return got


@pytest.mark.seconds(60)
async def test_a_stream_finishes_after_sigterm_and_is_settled(tmp_path: Path) -> None:
    config, key = prepare(tmp_path)
    with ServeProcess(config) as server:
        begun = asyncio.Event()
        running = asyncio.create_task(stream(server.url, key, talk(40, 0.03), begun))
        await asyncio.wait_for(begun.wait(), 10)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        with pytest.raises(aiohttp.ClientConnectionError):
            await stream(server.url, key, talk(1))
        assert (await running).rstrip().endswith(b"data: [DONE]")
        started = time.monotonic()
        assert await asyncio.to_thread(server.process.wait, 10) == 0
        assert time.monotonic() - started < 3, "it went on waiting though nothing was left to do"
    ((state, cost, status, _),) = rows(tmp_path)
    assert (state, status) == ("settled", 200) and cost > 40 * OUTPUT_RATE


@pytest.mark.seconds(60)
async def test_the_grace_is_not_longer_than_it_says(tmp_path: Path) -> None:
    config, key = prepare(tmp_path, grace="1s")
    with ServeProcess(config) as server:
        begun = asyncio.Event()
        running = asyncio.create_task(stream(server.url, key, talk(2000, 0.05), begun))
        await asyncio.wait_for(begun.wait(), 10)
        started = time.monotonic()
        assert await asyncio.to_thread(server.stop) == 0
        assert 0.9 < time.monotonic() - started < 4
        assert b"[DONE]" not in await running
    ((state, cost, status, reason),) = rows(tmp_path)
    assert (state, status, reason) == ("settled", 503, "server_stopping")
    assert 0 < cost < 2000 * OUTPUT_RATE


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def until(seen: Any, what: str, seconds: float = 15.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if seen():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never: {what}")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


@linux
@pytest.mark.seconds(90)
async def test_two_workers_survive_the_death_of_one_and_stop_together(tmp_path: Path) -> None:
    config, key = prepare(tmp_path, workers=2)
    with ServeProcess(config) as server:
        watcher = server.process.pid
        await until(lambda: len(children(watcher)) == 2, "two workers")
        await until(lambda: server.log.read_text().count("ready:") == 2, "both ready")
        first = children(watcher)
        begun = [asyncio.Event() for _ in range(8)]
        running = [asyncio.create_task(stream(server.url, key, talk(60, 0.03), each)) for each in begun]
        await asyncio.gather(*(asyncio.wait_for(each.wait(), 15) for each in begun))
        os.kill(first[0], signal.SIGKILL)
        replies = await asyncio.gather(*running)
        whole = sum(reply.rstrip().endswith(b"data: [DONE]") for reply in replies)
        await until(lambda: len(set(children(watcher)) - {first[0]}) == 2, "a new worker")
        await until(lambda: server.log.read_text().count("ready:") == 3, "which is ready")
        assert (await stream(server.url, key, talk(3))).rstrip().endswith(b"data: [DONE]")
        assert "starting another" in server.log.read_text()
        workers = children(watcher)
        assert await asyncio.to_thread(server.stop) == 0
        assert not any(alive(worker) for worker in workers)
    states = [state for state, *_ in rows(tmp_path)]
    assert states.count("settled") == whole + 1
    assert states.count("kept") == 8 - whole, "the dead worker's holds were not resolved"


@linux
@pytest.mark.seconds(60)
async def test_workers_do_not_outlive_the_process_that_watches_them(tmp_path: Path) -> None:
    config, _ = prepare(tmp_path, workers=2)
    with ServeProcess(config) as server:
        await until(lambda: server.log.read_text().count("ready:") == 2, "both ready")
        workers = children(server.process.pid)
        assert len(workers) == 2
        server.kill()
        try:
            await until(lambda: not any(alive(worker) for worker in workers), "the workers end")
        finally:
            for worker in filter(alive, workers):
                os.kill(worker, signal.SIGKILL)
    assert rows(tmp_path) == []
