"""Cold starts: a management command to its end, the server to its first answer; installed, and from the archive."""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scripts import build_pyz

from .rig import START_SECONDS, STOP_SECONDS, BenchFailed


def programs() -> dict[str, list[str]]:
    """name → command. The archive only where it is up to date."""
    found = {"installed": [sys.executable, "-m", "oneapi_cli"]}
    if build_pyz.is_fresh(build_pyz.OUTPUT):
        # Without what is installed beside it: the archive has to bring everything.
        found["oneapi.pyz"] = [sys.executable, "-I", "-S", str(build_pyz.OUTPUT)]
    return found


def measure(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """program → what → milliseconds, median of the rounds; of the archive also its first start, once, which unpacks."""
    table: dict[str, dict[str, float]] = {}
    for name, command in programs().items():
        home = folder / f"home-{name}"
        home.mkdir()
        environ = {"HOME": str(home), "PATH": os.defpath}
        first = _until_end([*command, "--version"], home, environ)
        figures = {"the first start, which unpacks": first} if name != "installed" else {}
        _until_end([*command, "init"], home, environ)
        steps: dict[str, Callable[[], float]] = {
            "`oneapi --version`": partial(_until_end, [*command, "--version"], home, environ),
            "`oneapi token list`": partial(_until_end, [*command, "token", "list"], home, environ),
            "`oneapi serve`, to its first answer": partial(_until_served, command, home, environ),
        }
        for what, step in steps.items():
            step()  # what is compiled once is compiled now
            figures[what] = statistics.median(step() for _ in range(rounds))
        table[name] = figures
    return table


def _until_end(command: list[str], home: Path, environ: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=home, env=environ, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise BenchFailed(f"`{' '.join(command[-2:])}` ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return took * 1000


def _until_served(command: list[str], home: Path, environ: dict[str, str]) -> float:
    began = time.perf_counter()
    server = subprocess.Popen(
        [*command, "serve", "--port", "0"], cwd=home, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline().decode()
        if "listening on http://" not in line:
            raise BenchFailed("`oneapi serve` did not start")
        connection = http.client.HTTPConnection(line.rsplit("http://", 1)[1].strip(), timeout=START_SECONDS)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
        took = time.perf_counter() - began
        connection.close()
        if status != 200:
            raise BenchFailed(f"`oneapi serve` answered {status} to /healthz")
        return took * 1000
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        assert server.stdout is not None
        server.stdout.close()
