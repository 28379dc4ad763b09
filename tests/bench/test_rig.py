"""The rig of `make bench`: its C tools agree with each other, and its table says what was measured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench import machine, rig
from scripts.bench.__main__ import LOADS, report

ROUND = rig.Round(
    per_second=100.0, cpu_ms=0.5, p50_ms=1.0, p99_ms=9.0, first_ms=None, lag_ms=0.25, foreign=0.0, failed=0
)


def test_the_table_holds_medians_and_ratios() -> None:
    targets = [rig.Target(name, "", "", 0) for name in ("bare", "ours")]
    quick, slow = ROUND, rig.Round(**{**vars(ROUND), "cpu_ms": 1.5})
    table = {(load.name, "bare"): [quick, quick, slow] for load in LOADS}
    table |= {(load.name, "ours"): [slow, slow, quick] for load in LOADS}
    lines = list(report(table, targets))
    assert lines[0] == "| | bare | ours |"
    assert lines.count("| CPU per request, µs | 500 | 1,500 (3.0×) |") == 3
    assert lines.count("| CPU per stream, µs | 500 | 1,500 (3.0×) |") == 2
    assert lines.count("| delay of an event, median, ms | 0.25 | 0.25 |") == 1
    assert {line.count("|") for line in lines} == {4}


def test_no_compiler_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(rig.BenchFailed, match="no compiler was found: install cc"):
        rig.compile_tools(tmp_path / "tools")


needs_linux = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc"), reason="the rig needs Linux and a C compiler"
)


@needs_linux
def test_load_counts_what_mock_sends(tmp_path: Path) -> None:
    """20 streams of 50 stamped events and 20 plain answers, all whole; CPU of the mock is read from /proc."""
    rig.compile_tools(tmp_path)
    mock = subprocess.Popen([tmp_path / "mock", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert mock.stdout is not None
        host = mock.stdout.readline().rsplit("http://", 1)[1].strip()
        base = [str(tmp_path / "load"), "-u", f"{host}/v1/chat/completions", "-c", "4", "-d", "20", "-n", "20"]
        for flags, body in (([], rig.PLAIN), (["-s"], rig.STREAM)):
            done = subprocess.run(
                [*base, *flags, "-b", json.dumps(body)], capture_output=True, text=True, check=True, timeout=60
            )
            said = json.loads(done.stdout)
            assert (said["ok"], said["bad"], said["broken"]) == (20, 0, 0)
        assert said["events"] == 20 * 50
        assert machine.cpu_seconds(mock.pid) >= 0.0
        assert machine.memory_mib(mock.pid) > 0.1
    finally:
        mock.kill()
        mock.wait()
        assert mock.stdout is not None
        mock.stdout.close()
