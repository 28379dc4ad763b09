"""The commands: parse, call, print. One module per noun; heavy imports stand inside the functions that need them.

`app` turns everything that is a person's to mend (a config, the ledger, a refusal) into one sentence on stderr and exit
code 1; wrong usage is 2, and a ledger that does not balance is 3. Tables are our own few lines instead of rich's: its
import costs 45 ms of the 250 that `token` and `cost` may take.
"""

from __future__ import annotations

from typing import Annotated

import typer

from oneapi_cli import __version__

from . import (
    channel,
    config,
    consume,
    cost,
    env,
    init,
    ledger,
    logs,
    model,
    price,
    serve,
    token,
    usage,
    user,
    what_if,
)
from .mistakes import Commands

__all__ = ["app", "main"]

app = typer.Typer(
    name="oneapi",
    cls=Commands,
    help="One gateway for every LLM vendor, with a ledger exact to the nano-dollar.",
    epilog="Start with: oneapi init, or oneapi serve --demo",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback(invoke_without_command=True)
def _oneapi(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(f"oneapi {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


for noun in (init, serve, token, user, cost, usage, logs, consume, env, what_if, channel, model, price, config, ledger):
    noun.register(app)


def main() -> int:
    """The console entry. Ends by SystemExit with the command's exit code."""
    app(prog_name="oneapi")
    return 0
