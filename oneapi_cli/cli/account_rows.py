"""How an account stands on the terminal and in JSON: what tokens and users have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .options import now
from .output import day, left, moment, spent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oneapi_cli.ledger.account_values import AccountRow


def document(row: AccountRow) -> dict[str, Any]:
    """An account as JSON: money in nano-dollars, times in unix seconds, decimals as text, never a key."""
    import msgspec

    fields = msgspec.to_builtins(msgspec.structs.asdict(row))
    money = {f"{name}_nanos": fields.pop(name) for name in ("granted", "used", "held", "held_past", "budget")}
    fields |= {**money, "remain_nanos": row.remain, "free_nanos": row.free, "status_text": row.status_text(now())}
    return dict(sorted(fields.items(), key=lambda pair: (pair[0] not in ("id", "name"), pair[0])))


def remaining(row: AccountRow) -> str:
    """What is left, for a narrow column."""
    return "unlimited" if row.unlimited else left(row.remain)


def recurring(rows: Sequence[AccountRow]) -> tuple[str, ...]:
    """The column of the next resets, where there is one to show."""
    return ("RESETS",) if any(row.budget_period for row in rows) else ()


def resets(row: AccountRow) -> str:
    """When a recurring budget starts anew, by month and day, UTC: within a month that is enough."""
    return day(row.budget_reset)[5:] if row.budget_reset is not None else ""


def balance_pairs(row: AccountRow) -> list[tuple[str, str]]:
    """The lines about money."""
    period = f"/{row.budget_period}" if row.budget_period else ""
    budget = "-" if row.budget is None else left(row.budget) + period
    reset = [("resets", f"{moment(row.budget_reset)}, to {left(row.budget or 0)}")] if row.budget_reset else []
    return [
        ("budget", "unlimited" if row.unlimited else budget),
        *reset,
        ("remain", remaining(row)),
        ("used", spent(row.used)),
        ("held", f"{spent(row.held)} by {row.open_holds} open requests" if row.open_holds else spent(row.held)),
    ]


def limit_pairs(row: AccountRow) -> list[tuple[str, str]]:
    """The lines about what it may do."""
    rates = ((row.rpm, "requests/min"), (row.tpm, "tokens/min"), (row.concurrent, "at once"))
    limits = [f"{value} {unit}" for value, unit in rates if value is not None]
    clamp = {None: "ordinary models", True: "all models", False: "never"}[row.clamp]
    return [
        ("expires", moment(row.expires)),
        ("models", ", ".join(row.models) or "all"),
        ("subnets", ", ".join(row.subnets) or "any"),
        ("limits", ", ".join(limits) or "none"),
        ("clamp", f"output limits may be lowered: {clamp}"),
        ("holds", row.holds),
        ("passthrough", "yes" if row.passthrough else "no"),
    ]
