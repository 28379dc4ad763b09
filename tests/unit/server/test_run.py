"""A worker that starts in place of a dead one: by the config as it stands, on the ledger of the others."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

from oneapi_cli.config.load import load
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.server.run import Post, _refreshed
from tests.support.gateway import write_config


def test_a_new_worker_keeps_what_takes_a_restart(tmp_path: Path) -> None:
    path = write_config(tmp_path, "ledger: one.db\nretries: 1\n")
    again = partial(load, path, VENDORS, resolve=True, environ={})
    first = again()
    with socket.socket() as sock:
        write_config(
            tmp_path,
            "ledger: two.db\nbudget_zone: Asia/Tokyo\nafter_crash: release\nlimits: {memory: 1MiB}\nretries: 4\n",
        )
        loaded = _refreshed(Post(first, sock, "127.0.0.1", again)).loaded
    assert (loaded.ledger, loaded.config.ledger) == (tmp_path / "one.db", "one.db")
    assert (loaded.config.budget_zone, loaded.config.after_crash) == ("UTC", "keep")
    assert loaded.config.limits == first.config.limits
    assert loaded.config.retries == 4
    assert loaded.generation == again().generation
