"""What every test gets: a time limit, no network, no blocking calls in the event loop, no keys of whoever runs it.

Audit hooks cannot be taken away again, so there is one for the whole run, and it looks at what the current test allows.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import SupportsIndex

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = str(ROOT / "oneapi_cli") + os.sep
LIMIT_SECONDS = 120.0

# The same examples on every run, so that a red build is red again; `HYPOTHESIS_PROFILE=wild` looks for new ones.
settings.register_profile(
    "house", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "wild", deadline=None, print_blob=True, max_examples=1000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


class OverTime(BaseException):
    """A test ran over its limit. Not an Exception: neither the code under test nor hypothesis may swallow it."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Interrupts a test, fixtures included, that runs over its limit: 120 s, or what `@pytest.mark.seconds(n)` says."""
    marker = item.get_closest_marker("seconds")
    limit = float(marker.args[0]) if marker else LIMIT_SECONDS

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise OverTime(f"{item.nodeid} took more than {limit:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_BLOCKING = frozenset({"subprocess.Popen", "socket.getaddrinfo", "socket.gethostbyname", "os.system"})
_blocked: list[str] = []


def _within_our_code() -> bool:
    """Whether the running callback of the event loop went through the package (tests may do as they like)."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            return True
        if frame.f_code.co_name == "_run" and frame.f_code.co_filename.endswith("asyncio/events.py"):
            return False
        frame = frame.f_back
    return False


def _is_loopback(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # a UNIX socket's path
    host = str(address[0])
    return host in {"", "localhost", "::1", "0.0.0.0", "::"} or host.startswith(("127.", "::ffff:127."))


def _judge(what: str) -> None:
    if asyncio._get_running_loop() is not None and _within_our_code():
        _blocked.append(f"{what} in the event loop blocks every request of the process; put it in a thread")
        raise RuntimeError(_blocked[-1])


def _watch(event: str, args: tuple[object, ...]) -> None:
    if event == "socket.connect" and not _is_loopback(args[1]):
        raise RuntimeError(f"tests talk to loopback only, not to {args[1]}")
    waits = event == "fcntl.flock" and not int(str(args[1])) & (fcntl.LOCK_NB | fcntl.LOCK_UN)
    if waits or event in _BLOCKING:
        _judge(event)


sys.addaudithook(_watch)
_sleep = time.sleep


def _watched_sleep(seconds: float | SupportsIndex, /) -> None:
    _judge("time.sleep")
    _sleep(seconds)


time.sleep = _watched_sleep  # Python 3.11 has no audit event for it


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> Iterator[None]:
    """Fails a test also where the code under test swallowed the error."""
    _blocked.clear()
    yield
    if _blocked:
        pytest.fail(_blocked[0])


@pytest.fixture(autouse=True)
def _no_settings_of_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No vendor key, proxy or config of whoever runs the tests can reach them."""
    for name in list(os.environ):
        if name.upper().endswith(("_API_KEY", "_PROXY", "_API_TOKEN")) or name.startswith("ONEAPI_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # programs that tests start find the package, installed or not


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, which is the working directory too: no config is found unless the test writes one."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(place)
    return place
