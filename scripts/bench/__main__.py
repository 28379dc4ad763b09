"""`make bench`: what the gateway costs, beside the leanest proxy that could stand in its place.

    python -m scripts.bench [quick]

Three targets take turns under five loads, so that whatever else the machine does meets them alike: a bare aiohttp proxy
without ledger or routing (proxy.py), and `oneapi serve` with its ledger on and synchronous, with a key without a budget
and with one that has a budget. Figures are medians of the rounds; compare CPU per request and the ratios: rates and
latencies of a shared machine wobble, and under 10 % means nothing. Closed loops flatter a ledger, whose commits are
shared by what runs at once, hence the open one. Prints Markdown. Exit code 1 when a request failed or the ledger does
not balance.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import machine, starts
from .rig import ROOT, BenchFailed, Load, Rig, Round, Target, compile_tools

LOADS = (
    Load("closed loop, 16 at once", 16),
    Load("closed loop, 64 at once", 64),
    Load("open loop, 1 000/s, upstream of 60 ms", 512, rate=1000, latency_ms=60),
    Load("streams of 53 events, 10 ms apart, 32 at once", 32, stream=True, pause_ms=10),
    Load("streams of 53 events, as fast as they come, 32 at once", 32, stream=True),
)
NOISY = 0.1


@dataclass(frozen=True)
class Pace:
    """How long to measure. quick: under a minute altogether; else under four."""

    rounds: int
    seconds: float
    starts: int


PACES = {"": Pace(rounds=5, seconds=2.0, starts=5), "quick": Pace(rounds=2, seconds=0.9, starts=2)}
Table = dict[tuple[str, str], list[Round]]


def run(rig: Rig, pace: Pace) -> Table:
    """(load, target) → rounds, taken in turns."""
    table: Table = {(load.name, target.name): [] for load in LOADS for target in rig.targets}
    rig.check()
    for target in rig.targets:
        rig.measure(target, LOADS[0], pace.seconds / 2)  # warm
    for load in LOADS:
        for _ in range(pace.rounds):
            for target in rig.targets:
                table[load.name, target.name].append(rig.measure(target, load, pace.seconds))
        print(f"measured: {load.name}", file=sys.stderr, flush=True)
    return table


def _row(what: str, digits: int, values: list[float], *, ratios: bool) -> str:
    base = values[0]
    cells = [f"{base:,.{digits}f}"]
    for value in values[1:]:
        beside = f" ({value / base:.1f}×)" if ratios and base else ""
        cells.append(f"{value:,.{digits}f}{beside}")
    return f"| {what} | " + " | ".join(cells) + " |"


def report(table: Table, targets: list[Target]) -> Iterator[str]:
    """Lines of the Markdown table."""
    yield "| | " + " | ".join(target.name for target in targets) + " |"
    yield "|---" + "|---:" * len(targets) + "|"
    for load in LOADS:
        rounds = [table[load.name, target.name] for target in targets]

        def median(get: Callable[[Round], float | None], rounds: list[list[Round]] = rounds) -> list[float]:
            return [statistics.median(get(each) or 0.0 for each in several) for several in rounds]

        yield f"| **{load.name}** |" + " |" * len(targets)
        unit = "stream" if load.stream else "request"
        cpu = [1000 * value for value in median(lambda each: each.cpu_ms)]
        yield _row(f"CPU per {unit}, µs", 0, cpu, ratios=True)
        if not load.pause_ms:
            yield _row(f"{unit}s per second", 0, median(lambda each: each.per_second), ratios=True)
        yield _row("latency, median, ms", 1, median(lambda each: each.p50_ms), ratios=False)
        yield _row("latency, 99th percentile, ms", 1, median(lambda each: each.p99_ms), ratios=False)
        if load.pause_ms:
            yield _row("delay of an event, median, ms", 2, median(lambda each: each.lag_ms), ratios=False)


def _starts_table(figures: dict[str, dict[str, float]]) -> Iterator[str]:
    yield "| start, ms | " + " | ".join(figures) + " |"
    yield "|---" + "|---:" * len(figures) + "|"
    for what in dict.fromkeys(what for each in figures.values() for what in each):
        cells = [f"{each[what]:,.0f}" if what in each else "–" for each in figures.values()]
        yield f"| {what} | " + " | ".join(cells) + " |"


def _noise(table: Table) -> str:
    foreign = [each.foreign for rounds in table.values() for each in rounds]
    share = statistics.median(foreign)
    loud = "; the machine was busy with other things: trust the ratios of CPU alone" if share > NOISY else ""
    return f"Other programs used {share:.0%} of the machine meanwhile (at most {max(foreign):.0%}){loud}."


def _verified(rig: Rig) -> bool:
    words = [sys.executable, "-m", "oneapi_cli", "ledger", "verify", "--config", str(rig.config)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    print("\n" + (done.stdout or done.stderr).strip())
    return done.returncode == 0


def bench(pace: Pace) -> int:
    """The exit code. Raises BenchFailed."""
    if sys.platform != "linux":
        raise BenchFailed("The rig measures CPU by /proc and loads by epoll, so it runs on Linux alone.")
    began = time.monotonic()
    place = ROOT / "build" / "bench"
    compile_tools(place)
    with tempfile.TemporaryDirectory(prefix="run-", dir=place) as name:
        folder = place / name
        sync = machine.fsync_ms(folder)
        with Rig(folder, place) as rig:
            idle = rig.memory_mib()
            table = run(rig, pace)
            memory = {name: (idle[name], now) for name, now in rig.memory_mib().items()}
            print("\n".join(report(table, rig.targets)))
            balanced = _verified(rig)
        figures = starts.measure(folder, pace.starts)
    print("\n" + "\n".join(_starts_table(figures)))
    print(f"\n{machine.in_a_line()}; a write to disk takes {sync:.2f} ms. {_noise(table)}")
    kept = "; ".join(f"{name.partition(',')[0]} {first:.0f} → {last:.0f} MiB" for name, (first, last) in memory.items())
    print(f"Memory, idle → after the run: {kept}. Took {time.monotonic() - began:.0f} s.")
    failed = sum(each.failed for rounds in table.values() for each in rounds)
    if failed:
        print(f"{failed} requests failed.", file=sys.stderr)
    return 1 if failed or not balanced else 0


def main() -> int:
    words = [word for word in sys.argv[1:] if word]
    if len(words) > 1 or (words and words[0] not in PACES):
        print("usage: python -m scripts.bench [quick]", file=sys.stderr)
        return 2
    try:
        return bench(PACES[words[0] if words else ""])
    except BenchFailed as failed:
        print(f"Nothing was measured. {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
