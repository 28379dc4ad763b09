"""The guards of conftest.py, tried on tests that break each of them: a guard that never fires guards nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent

_NAP = "time.sleep(0)"
_RUN = "subprocess.run([sys.executable, '-V'])"


def _ours(does: str) -> str:
    """Defines `ours()`, as if a module of the package had it: the file name is what the guard looks at."""
    file = str(ROOT / "oneapi_cli" / "nap.py")
    code = f"import subprocess, sys, time\ndef ours():\n    {does}\n"
    return f"exec(compile({code!r}, {file!r}, 'exec'), globals())\n"


@dataclass(frozen=True)
class Offence:
    """A test's source, and what the report must say of it; "" when it must pass."""

    name: str
    source: str
    says: str


OFFENCES = [
    Offence("sleeps in the loop", _ours(_NAP) + "async def test_it():\n    ours()\n", "time.sleep in the event loop"),
    Offence(
        "sleeps in the loop and hides it",
        _ours(_NAP) + "async def test_it():\n    try:\n        ours()\n    except RuntimeError:\n        pass\n",
        "time.sleep in the event loop",
    ),
    Offence(
        "starts a program in the loop",
        _ours(_RUN) + "async def test_it():\n    ours()\n",
        "subprocess.Popen in the event loop",
    ),
    Offence(
        "sleeps in a thread",
        "import asyncio\n" + _ours(_NAP) + "async def test_it():\n    await asyncio.to_thread(ours)\n",
        "",
    ),
    Offence("sleeps without a loop", _ours(_NAP) + "def test_it():\n    ours()\n", ""),
    Offence(
        "runs too long",
        "import asyncio, pytest\n@pytest.mark.seconds(0.3)\nasync def test_it():\n    await asyncio.sleep(30)\n",
        "took more than 0.3 s",
    ),
    Offence(
        "spins too long",
        "import pytest\n@pytest.mark.seconds(0.3)\ndef test_it():\n    while True:\n        pass\n",
        "took more than 0.3 s",
    ),
    Offence(
        "talks to the network",
        "import socket\ndef test_it():\n    with socket.socket() as s:\n        s.connect(('192.0.2.1', 80))\n",
        "tests talk to loopback only",
    ),
    Offence("leaves a file open", "import os\ndef test_it():\n    open(os.devnull)\n", "unclosed file"),
    Offence("leaves a coroutine unawaited", "async def go(): ...\ndef test_it():\n    go()\n", "was never awaited"),
    Offence("reads a key", "import os\ndef test_it():\n    assert 'OPENAI_API_KEY' not in os.environ\n", ""),
]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What a run of its own says of each offence, by test module: "" where it passed."""
    place = tmp_path_factory.mktemp("offences")
    for number, offence in enumerate(OFFENCES):
        (place / f"test_{number}.py").write_text(offence.source, encoding="utf-8")
    report = place / "report.xml"
    words = [
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(place),
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, f"--junitxml={report}", str(place)],
        env={**os.environ, "OPENAI_API_KEY": "sk-somebody"},
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    cases = ElementTree.parse(report).iter("testcase")  # noqa: S314 - pytest has just written it
    return {str(case.get("classname")): "".join(part for fault in case for part in fault.itertext()) for case in cases}


@pytest.mark.parametrize("number", range(len(OFFENCES)), ids=[offence.name for offence in OFFENCES])
def test_guards_fire(number: int, verdicts: Mapping[str, str]) -> None:
    said = next(text for module, text in verdicts.items() if module.endswith(f"test_{number}"))
    says = OFFENCES[number].says
    assert says in said if says else not said
