"""`oneapi serve`: takes the config, mirrors its tokens into the ledger, and hands over to the server."""

from __future__ import annotations

import os
from contextlib import nullcontext
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .mistakes import Refused
from .options import ConfigPath, example, now
from .output import remark

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from oneapi_cli.config.loaded import Loaded


class LogFormat(StrEnum):
    """How the server logs."""

    rich = "rich"
    json = "json"


def register(app: typer.Typer) -> None:
    """`serve`."""
    app.command("serve", epilog=example("oneapi serve --port 3000", "oneapi serve --demo --port 0"))(serve)


def serve(
    *,
    host: Annotated[str | None, typer.Option("--host", metavar="H", help="Over `listen`.", show_default=False)] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="N", min=0, max=65535, help="0: any free one.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, max=256, help="Processes.", show_default=False)
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Add models that answer by themselves; alone, with a ledger that goes again.")
    ] = False,
    log_format: Annotated[LogFormat, typer.Option("--log-format", help="How to log.")] = LogFormat.rich,
    config: ConfigPath = None,
) -> None:
    """Serve, until SIGTERM or Ctrl-C. The first line on stdout says where."""
    from oneapi_cli.server.run import serve as run

    with _configured(config, demo) as (loaded, key):
        if key:
            remark(f"What a request cost: oneapi cost REQUEST_ID --config {loaded.path}")
        # The demo alone has no file that anybody would edit.
        again = None if key or loaded.path is None else partial(_load, loaded.path, demo)
        start = partial(run, loaded, log_format=log_format.value, demo_key=key, load=again)
        try:
            code = start(host=host, port=port, workers=workers)
        except OSError as error:
            address = f"{host or loaded.config.listen.host}:{loaded.config.listen.port if port is None else port}"
            why = (error.strerror or str(error)).lower()
            remedy = "choose another with --port, or end what uses it"
            raise Refused(f"Cannot listen on {address} ({why}); {remedy}.") from error
    raise typer.Exit(code)


def _configured(config: Path | None, demo: bool) -> AbstractContextManager[tuple[Loaded, str]]:
    """What to serve, and the demo's key where it has one of its own."""
    from oneapi_cli.config.files import ENVIRONMENT_VARIABLE, find_config

    from .demo import temporary_demo

    if demo and config is None and not os.environ.get(ENVIRONMENT_VARIABLE):
        remark("A demo: its ledger is temporary, no config is read. Name one with --config to keep what happens.")
        return temporary_demo(now())
    loaded = _load(find_config(config, os.environ), demo)
    if not loaded.channels:
        remark("No channel is usable, so every request will be refused: `oneapi config check` says why.")
    mirror(loaded)
    return nullcontext((loaded, ""))


def _load(path: Path, demo: bool) -> Loaded:
    """The config as it now stands, for the start and for every reload. Raises ConfigError."""
    from oneapi_cli.config.load import load
    from oneapi_cli.providers.table import VENDORS

    from .demo import with_demo

    loaded = load(path, VENDORS, resolve=True, environ=os.environ)
    return with_demo(loaded) if demo else loaded


def mirror(loaded: Loaded) -> None:
    """Make the ledger if there is none, and bring the declared tokens' rows up to date. Raises LedgerError."""
    from oneapi_cli.ledger.store import open_ledger
    from oneapi_cli.server.declared import mirror as mirror_tokens

    db = open_ledger(loaded.ledger, create=True, sync=loaded.config.ledger_sync)
    try:
        remark(*mirror_tokens(db, loaded.tokens, now()))
    finally:
        db.close()
