"""The rig: a mock upstream and a load client in C, and the gateways between them, all on loopback.

What is measured gets a core of its own, everything else the others. Whatever happens, `Rig` ends the processes that it
started, and only those.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from . import machine, proxy

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
START_SECONDS = 30.0
STOP_SECONDS = 40.0
KEYS = {"limited": "sk-bench-limited-00000000000000", "unlimited": "sk-bench-unlimited-000000000000"}
CONFIG = """\
ledger: bench.db
ledger_sync: full
channels:
  - {{name: mock, type: openai, base_url: {upstream}/v1, api_key: sk-upstream, models: [gpt-4o-mini]}}
tokens:
  - {{name: unlimited, key: {unlimited}, unlimited: true}}
  - {{name: limited, key: {limited}, budget: $1000000}}
"""
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Say hello to the benchmark, please."},
]
PLAIN: dict[str, Any] = {"model": "gpt-4o-mini", "messages": MESSAGES, "temperature": 0.7, "max_tokens": 256}
STREAM: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "stream": True,
    "stream_options": {"include_usage": True},
    "messages": MESSAGES,
}


class BenchFailed(Exception):
    """Why nothing can be measured, in a sentence."""


@dataclass(frozen=True)
class Load:
    """What is asked of a gateway. rate: requests per second at fixed times; 0: each connection asks again at once."""

    name: str
    connections: int
    stream: bool = False
    rate: int = 0
    latency_ms: int = 0  # of the upstream, before its answer
    pause_ms: int = 0  # of the upstream, after each event


@dataclass(frozen=True)
class Target:
    """A gateway that is running, and how to ask it."""

    name: str
    url: str
    key: str
    pid: int


@dataclass(frozen=True)
class Round:
    """One target under one load. Times in milliseconds; None where the load has no such thing."""

    per_second: float
    cpu_ms: float  # of the gateway, per request or stream
    p50_ms: float
    p99_ms: float
    first_ms: float | None
    lag_ms: float | None
    foreign: float  # share of the machine that others used meanwhile
    failed: int


def compile_tools(folder: Path) -> None:
    """mock and load, from their C, where they are older than it. Raises BenchFailed."""
    compiler = os.environ.get("CC") or next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "")
    if not compiler:
        raise BenchFailed("The rig is written in C and no compiler was found: install cc (on Debian: apt install gcc).")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("mock", "load"):
        source, made = HERE / f"{name}.c", folder / name
        if made.exists() and made.stat().st_mtime >= source.stat().st_mtime:
            continue
        done = subprocess.run([compiler, "-O2", "-o", made, source], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchFailed(f"{compiler} could not compile {source.name}:\n{done.stderr.strip()}")


class Rig:
    """The processes of a run, in `folder`; the block's end stops them."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self._folder, self._tools = folder, tools
        self._stack = ExitStack()
        self._measured, self._measuring = machine.halves()
        self._before = os.sched_getaffinity(0)
        self.targets: list[Target] = []
        self.config = folder / "config.yaml"

    def __enter__(self) -> Rig:
        try:
            os.sched_setaffinity(0, self._measuring)
            self._stack.callback(os.sched_setaffinity, 0, self._before)
            mock, self._upstream = self._start("mock", [str(self._tools / "mock"), "0"], self._measuring)
            self._mock = mock.pid
            self._start_targets()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start_targets(self) -> None:
        words = [sys.executable, "-m", "scripts.bench.proxy", "--upstream", self._upstream]
        bare, url = self._start("aio-tuned", words, self._measured)
        self.targets.append(Target("aio-tuned", url, proxy.KEY, bare.pid))
        self.config.write_text(CONFIG.format(upstream=self._upstream, **KEYS), encoding="utf-8")
        self.config.chmod(0o600)
        words = [sys.executable, "-m", "oneapi_cli", "serve", "--config", str(self.config), "--port", "0"]
        ours, url = self._start("oneapi", words, self._measured)
        self.targets += [Target(f"oneapi, {name} key", url, KEYS[name], ours.pid) for name in ("unlimited", "limited")]

    def _start(self, name: str, words: list[str], cores: set[int]) -> tuple[subprocess.Popen[str], str]:
        """A process that says on stdout where it listens, and where that is. Raises BenchFailed."""
        log = self._folder / f"{name}.log"
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT)
        self._stack.callback(_end, process)
        os.sched_setaffinity(process.pid, cores)
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "listening on http://" in line:
                    return process, line.rsplit("listening on ", 1)[1].strip()
        finally:
            timer.cancel()
        raise BenchFailed(f"{name} did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")

    def check(self) -> None:
        """One request to each target. Raises BenchFailed unless the answer is the mock's."""
        for target in self.targets:
            head = {"Content-Type": "application/json", "Authorization": f"Bearer {target.key}"}
            asked = urllib.request.Request(
                f"{target.url}/v1/chat/completions", json.dumps(PLAIN).encode(), head, method="POST"
            )
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=10) as answer:
                if not json.load(answer)["id"].startswith("chatcmpl-"):
                    raise BenchFailed(f"{target.name} does not pass the upstream's answer on")

    def memory_mib(self) -> dict[str, float]:
        """Of each process, by its first target's name."""
        return {target.name: machine.memory_mib(target.pid) for target in self.targets[:2]}

    def set_upstream(self, load: Load) -> None:
        """How the mock answers from now on."""
        connection = http.client.HTTPConnection(self._upstream.removeprefix("http://"), timeout=5)
        try:
            connection.request("GET", f"/__set?latency_ms={load.latency_ms}&delay_ms={load.pause_ms}&chunks=50")
            connection.getresponse().read()
        finally:
            connection.close()

    def measure(self, target: Target, load: Load, seconds: float) -> Round:
        """One round. Raises BenchFailed when the load client fails."""
        self.set_upstream(load)
        words = [str(self._tools / "load"), "-u", f"{target.url.removeprefix('http://')}/v1/chat/completions"]
        words += ["-c", str(load.connections), "-d", str(seconds), "-H", f"Authorization: Bearer {target.key}"]
        words += ["-r", str(load.rate)] if load.rate else []
        words += ["-s"] if load.stream else []
        words += ["-b", json.dumps(STREAM if load.stream else PLAIN, separators=(",", ":"))]
        used, mock, busy = machine.cpu_seconds(target.pid), machine.cpu_seconds(self._mock), machine.busy_seconds()
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=seconds + 60)
        except subprocess.SubprocessError as error:
            raise BenchFailed(f"the load client failed at {target.name} under {load.name}: {error}") from error
        used = machine.cpu_seconds(target.pid) - used
        said = json.loads(done.stdout)
        mine = used + machine.cpu_seconds(self._mock) - mock + said["load_cpu_s"]
        cores = len(self._measured | self._measuring)
        return _round(said, used, max(0.0, machine.busy_seconds() - busy - mine) / said["secs"] / cores)


def _round(said: dict[str, Any], cpu_s: float, foreign: float) -> Round:
    """What the load client printed, in our units."""
    latency = said.get("latency", {"p50": 0, "p99": 0})
    return Round(
        per_second=said["rps"],
        cpu_ms=1000 * cpu_s / max(1, said["ok"]),
        p50_ms=latency["p50"] / 1000,
        p99_ms=latency["p99"] / 1000,
        first_ms=said["ttfb"]["p50"] / 1000 if "ttfb" in said else None,
        lag_ms=said["lag"]["p50"] / 1000 if "lag" in said else None,
        foreign=foreign,
        failed=said["bad"] + said["broken"],
    )


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
