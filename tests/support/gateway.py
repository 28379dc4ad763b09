"""A whole gateway in this process, on a free loopback port, over a real ledger; and the same as a process of its
own.
"""

from __future__ import annotations

import socket
import sqlite3
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from oneapi_cli.config.load import load
from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.keys import new_key
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.ledger.verify import verify
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.server.app import App


@dataclass
class Gateway:
    """A running gateway. key: a token named `test`, with the budget it was made with."""

    app: App
    url: str
    ledger: Path
    key: str

    @property
    def base(self) -> str:
        return f"{self.url}/v1"

    def db(self) -> sqlite3.Connection:
        return open_ledger(self.ledger)

    def differences(self) -> list[Any]:
        db = open_ledger(self.ledger)
        try:
            return list(verify(db))
        finally:
            db.close()


def booked(gateway: Gateway, request_id: str) -> tuple[str, int] | None:
    """(state, cost in nanos) of a request as the ledger has it now, read on a connection of its own."""
    db = gateway.db()
    try:
        row = db.execute("SELECT state, cost_nanos FROM requests WHERE request_id = ?", (request_id,)).fetchone()
        return None if row is None else (row[0], row[1])
    finally:
        db.close()


def write_config(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(textwrap.dedent(text))
    path.chmod(0o600)
    return path


def make_token(db: sqlite3.Connection, name: str, budget_nanos: int | None, **more: Any) -> str:
    """A token of this ledger; its key. budget None: unlimited."""
    key, digest = new_key()
    unlimited = budget_nanos is None
    new = accounts.NewToken(
        name=name, key_sha256=digest, hint=key[-4:], unlimited=unlimited, budget_nanos=budget_nanos, **more
    )
    accounts.add_token(db, new, now=1.0)
    return key


@asynccontextmanager
async def running(
    folder: Path, config: str, *, budget_nanos: int | None = 5_000_000_000, **token: object
) -> AsyncIterator[Gateway]:
    """Serve `config` (YAML text) until the block ends. budget None: an unlimited token."""
    path = write_config(folder, config)
    again = partial(load, path, VENDORS, resolve=True, environ={})
    loaded = again()
    db = open_ledger(loaded.ledger, create=True)
    key = make_token(db, "test", budget_nanos, **token)
    db.close()
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(512)
    sock.setblocking(False)
    app = App(loaded, sock, "127.0.0.1", load=again)
    await app.start()
    try:
        yield Gateway(app, f"http://127.0.0.1:{sock.getsockname()[1]}", loaded.ledger, key)
    finally:
        await app.stop()
