"""What a hold and its settlement cost: `python scripts/bench_ledger.py [--seconds 2] [--folder DIR]`.

Pairs of reserve and close through the book, one after the other and 64 at once, `full` and `normal`, on the disk of
DIR (its fsync is most of `full`). Per line: pairs per second, median and 99th percentile of a pair's latency, CPU of
the process per pair (all threads).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oneapi_cli.ledger.accounts import NewToken, add_token
from oneapi_cli.ledger.book import Book
from oneapi_cli.ledger.keys import new_key
from oneapi_cli.ledger.store import Sync, open_ledger
from oneapi_cli.ledger.verify import verify
from oneapi_cli.values.accounts import Principal
from oneapi_cli.values.holds import Attempt, BillLine, Closing, HoldAsk, Need
from oneapi_cli.values.usage import Usage

NEED = Need(fixed_nanos=40_000, rate_nanos_per_mtok=10_000_000_000, asked=1_000, floor=1_000, bound_tokens=1_500)
PICOS = 25_000_000
CLOSING = Closing(
    state="settled",
    cost_nanos=50_000,
    status=200,
    usage=Usage(counts={"input_tokens": 20, "output_tokens": 5}, raw='{"prompt_tokens": 20, "completion_tokens": 5}'),
    lines=(
        BillLine(unit="input_tokens", amount="20", rate_nanos=1_250_000_000, per=1_000_000, rule="list", picos=PICOS),
        BillLine(unit="output_tokens", amount="5", rate_nanos=5_000_000_000, per=1_000_000, rule="list", picos=PICOS),
    ),
    attempts=(Attempt(channel="c", vendor="v", model_sent="m", started=1.0, ended=2.0, status=200, outcome="served"),),
)


async def measure(path: Path, at_once: int, sync: Sync, seconds: float) -> str:
    """One line of the table."""
    key, digest = new_key()
    db = open_ledger(path, create=True, sync=sync)
    add_token(db, NewToken(name=key[-8:], key_sha256=digest, budget_nanos=10**15), now=time.time())
    book = Book.open(path, sync=sync)
    await book.start()
    who = await book.find(digest)
    assert who is not None
    latencies: list[float] = []
    cpu, started = time.process_time(), time.perf_counter()
    await asyncio.gather(*(_pairs(book, who, f"{key[-8:]}-{n}", started + seconds, latencies) for n in range(at_once)))
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    await book.stop()
    assert verify(db) == []
    db.close()
    quantiles = statistics.quantiles(latencies, n=100)
    return (
        f"{sync:<7}{at_once:>4} at once  {len(latencies) / wall:>8.0f} pairs/s   p50 {quantiles[49] * 1e3:>7.2f} ms"
        f"   p99 {quantiles[98] * 1e3:>7.2f} ms   CPU {cpu / len(latencies) * 1e6:>5.0f} µs/pair"
    )


async def _pairs(book: Book, who: Principal, prefix: str, until: float, latencies: list[float]) -> None:
    turn = 0
    while (started := time.perf_counter()) < until:
        turn += 1
        ask = HoldAsk(
            request_id=f"{prefix}-{turn}",
            principal=who,
            door="openai_chat",
            model_asked="demo",
            stream=False,
            need=NEED,
            wait_seconds=0,
        )
        await book.reserve(ask)
        await book.close(ask.request_id, CLOSING)
        latencies.append(time.perf_counter() - started)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--seconds", type=float, default=2.0)
    words.add_argument("--folder", type=Path, default=None)
    chosen = words.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for sync in ("full", "normal"):
            for at_once in (1, 64):
                line = asyncio.run(measure(Path(folder) / f"{sync}.db", at_once, sync, min(chosen.seconds, 60)))
                print(line, flush=True)


if __name__ == "__main__":
    main()
