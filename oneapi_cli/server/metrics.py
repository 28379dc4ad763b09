"""What a monitoring system may ask: counts, seconds and money since the start, in Prometheus' text format.

Labels are doors, models, channels, statuses and outcomes: never a key, a token's name or anything else that a client
chose freely. Model names come from clients too, so only the first few that were really served stand for themselves.
With several workers each keeps its counts in files that all of them read (prometheus-client's multiprocess mode):
whoever is asked answers for all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..gateway.gate import Account

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MOST_MODELS = 200
OTHER = "other"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Levels(Struct, frozen=True, kw_only=True):
    """Where this worker stands. commits: since its start."""

    commits: int
    waiting: int
    pending: int
    running: int
    config_refused: bool


class Metrics:
    """One process's metrics. prometheus-client reads its environment when it is imported: made after the fork."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = registry = CollectorRegistry()

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(f"oneapi_{name}", says, labels, registry=registry)

        def gauge(name: str, says: str, mode: Any = "livesum") -> Gauge:
            return Gauge(f"oneapi_{name}", says, multiprocess_mode=mode, registry=registry)

        self._models: set[str] = set()
        self._commits_told = 0
        self._answers = counter("http_responses", "HTTP answers, by door and status.", "door", "status")
        self._requests = counter(
            "requests", "Requests of known keys, by how they ended.", "door", "model", "channel", "status", "state"
        )
        self._attempts = counter("upstream_attempts", "Requests to vendors, by outcome.", "channel", "outcome")
        self._cost = counter("cost_nanodollars", "Money charged, in nano-dollars.", "model", "channel")
        self._commits = counter("ledger_commits", "Transactions that this server has committed.")
        self._reloads = counter("config_reloads", "Edited configs, by what became of them.", "result")
        self._seconds = Histogram(
            "oneapi_request_seconds", "From a request's arrival to its settlement.", ("door",), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._holds = gauge("holds_open", "Holds open in the ledger.", "mostrecent")
        self._waiting = gauge("requests_waiting", "Requests in line for money that is only held.")
        self._pending = gauge("settlements_pending", "Settlements that could not be written yet.")
        self._running = gauge("requests_running", "Requests in flight.")
        self._refused = gauge("config_refused", "1 while the config as it stands in its file is refused.", "livemax")

    def note_answer(self, door: str, status: int) -> None:
        self._answers.labels(door, str(status)).inc()

    def note(self, account: Account) -> None:
        """One request that ended, settled or refused."""
        model, channel = self._model_of(account), account.channel
        self._requests.labels(account.door, model, channel, str(account.status), account.state).inc()
        self._seconds.labels(account.door).observe(max(0.0, account.seconds))
        if account.cost_nanos:
            self._cost.labels(model, channel).inc(account.cost_nanos)
        for tried, outcome in account.outcomes:
            self._attempts.labels(tried, outcome).inc()

    def note_reload(self, taken: bool) -> None:
        self._reloads.labels("taken" if taken else "refused").inc()

    def note_holds(self, open_holds: int) -> None:
        """Of the whole ledger, whoever asks it."""
        self._holds.set(open_holds)

    def note_levels(self, levels: Levels) -> None:
        self._commits.inc(levels.commits - self._commits_told)
        self._commits_told = levels.commits
        self._waiting.set(levels.waiting)
        self._pending.set(levels.pending)
        self._running.set(levels.running)
        self._refused.set(int(levels.config_refused))

    def text(self) -> bytes:
        """Everything, of all workers. Blocks: reads files where there are several."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if folder := os.environ.get(FOLDER_VARIABLE):
            registry = CollectorRegistry()
            MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _model_of(self, account: Account) -> str:
        """The model's name where it was served and there are not too many yet."""
        if account.model in self._models:
            return account.model
        if not account.channel or len(self._models) >= MOST_MODELS:
            return OTHER
        self._models.add(account.model)
        return account.model


@contextmanager
def shared_by_workers() -> Iterator[None]:
    """Around everything that forks workers: where they keep what they count, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="oneapi-metrics-") as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]


def forget_worker(pid: int) -> None:
    """Take a dead worker's levels out of the sums; what it counted stays."""
    folder = os.environ.get(FOLDER_VARIABLE)
    for file in Path(folder).glob(f"gauge_live*_{pid}.db") if folder else ():
        file.unlink(missing_ok=True)
