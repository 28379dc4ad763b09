"""What Linux says about processes and the machine: CPU used, cores, how long a write to disk takes."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time that the process has used, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def busy_seconds() -> float:
    """CPU time that the whole machine has spent on something."""
    fields = [int(each) for each in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def memory_mib(pid: int) -> float:
    """What the process holds in memory now."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def fsync_ms(folder: Path) -> float:
    """Milliseconds of a small durable write in this folder, median of 50: the price of `ledger_sync: full`."""
    found = []
    path = folder / "fsync"
    with path.open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            found.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(found) * 1000


def halves() -> tuple[set[int], set[int]]:
    """(cores of what is measured, cores of what measures): one core for the former, so that figures compare."""
    cores = sorted(os.sched_getaffinity(0))
    return ({cores[0]}, set(cores[1:])) if len(cores) > 1 else ({cores[0]}, {cores[0]})


def in_a_line() -> str:
    """The machine, for whoever reads the figures elsewhere."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = " ".join(line.partition(":")[2].split())
            break
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}, Linux, {platform.python_implementation()} {platform.python_version()}"
