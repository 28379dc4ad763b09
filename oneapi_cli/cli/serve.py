"""`oneapi serve`: takes the config, mirrors its tokens into the ledger, and hands over to the server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .mistakes import Refused
from .options import ConfigPath, example, now
from .output import remark

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from oneapi_cli.config.loaded import DeclaredToken, Loaded
    from oneapi_cli.ledger import declared


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
        try:
            code = run(loaded, host=host, port=port, workers=workers, log_format=log_format.value, demo_key=key)
        except OSError as error:
            address = f"{host or loaded.config.listen.host}:{loaded.config.listen.port if port is None else port}"
            why = (error.strerror or str(error)).lower()
            remedy = "choose another with --port, or end what uses it"
            raise Refused(f"Cannot listen on {address} ({why}); {remedy}.") from error
    raise typer.Exit(code)


def _configured(config: Path | None, demo: bool) -> AbstractContextManager[tuple[Loaded, str]]:
    """What to serve, and the demo's key where it has one of its own."""
    from oneapi_cli.config.files import ENVIRONMENT_VARIABLE, find_config
    from oneapi_cli.config.load import load
    from oneapi_cli.providers.table import VENDORS

    from .demo import temporary_demo, with_demo

    if demo and config is None and not os.environ.get(ENVIRONMENT_VARIABLE):
        remark("A demo: its ledger is temporary, no config is read. Name one with --config to keep what happens.")
        return temporary_demo(now())
    loaded = load(find_config(config, os.environ), VENDORS, resolve=True, environ=os.environ)
    if demo:
        loaded = with_demo(loaded)
    if not loaded.channels:
        remark("No channel is usable, so every request will be refused: `oneapi config check` says why.")
    mirror(loaded)
    return nullcontext((loaded, ""))


def mirror(loaded: Loaded) -> None:
    """Make the ledger if there is none, and bring the declared tokens' rows up to date. Raises LedgerError."""
    from oneapi_cli.ledger.declared import mirror_declared
    from oneapi_cli.ledger.store import open_ledger

    db = open_ledger(loaded.ledger, create=True, sync=loaded.config.ledger_sync)
    try:
        remark(*mirror_declared(db, _declared(loaded.tokens), now()))
    finally:
        db.close()


def _declared(tokens: Sequence[DeclaredToken]) -> list[declared.DeclaredToken]:
    """The config's words for a token → the ledger's."""
    from oneapi_cli.ledger.declared import DeclaredToken as Mirrored

    return [
        Mirrored(
            name=token.name,
            key_sha256=token.digest,
            hint=token.hint,
            user=token.user,
            where=f"{token.file}:{token.line}",
            budget_nanos=token.budget.nanos if token.budget else None,
            budget_period=(token.budget.period or None) if token.budget else None,
            unlimited=token.budget is None,
            expires=token.expires,
            models=token.models,
            subnets=token.subnets,
            rpm=token.rpm,
            tpm=token.tpm,
            concurrent=token.concurrent,
            clamp=token.clamp,
            holds=token.holds,
            passthrough=token.passthrough,
        )
        for token in tokens
    ]
