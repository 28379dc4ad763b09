"""What a person can mend → one sentence on stderr and exit code 1. Everything else keeps its traceback: it is a bug."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from oneapi_cli.config.problems import ConfigError
from oneapi_cli.ledger.faults import LedgerError

from .output import complain


class Refused(Exception):
    """A command that cannot do what was asked. The sentence says why, and what to do."""


class Commands(TyperGroup):
    """The group above all commands: the one place where exceptions become exit codes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (Refused, LedgerError, ConfigError) as error:
            complain(str(error))
            raise typer.Exit(1) from None
