"""Counts and failures: door × dialect, passed of tried."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

LEAST = 0.99
KINDS = ("replies", "streams", "requests", "errors")


@dataclass(frozen=True)
class Result:
    """One recording at one door. For requests, door is what the client speaks and dialect where it goes. refused: a
    400 that says why, for something that the target has no place for; it counts as passed, and is listed."""

    kind: str
    door: str
    dialect: str
    id: str
    problems: Sequence[str] = ()
    refused: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return not self.problems


def cells(results: Sequence[Result]) -> dict[tuple[str, str, str], tuple[int, int]]:
    """(door, dialect, kind) → (passed, tried)."""
    found: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for result in results:
        cell = found[result.door, result.dialect, result.kind]
        cell[0] += result.passed
        cell[1] += 1
    return {key: (passed, tried) for key, (passed, tried) in found.items()}


def print_table(results: Sequence[Result]) -> None:
    counted = cells(results)
    rows = sorted({(door, dialect) for door, dialect, _ in counted})
    print(f"{'door':<20} {'dialect':<20} " + " ".join(f"{kind:>11}" for kind in KINDS))
    for door, dialect in rows:
        shown = [_cell(counted.get((door, dialect, kind))) for kind in KINDS]
        print(f"{door:<20} {dialect:<20} " + " ".join(f"{each:>11}" for each in shown))


def _cell(cell: tuple[int, int] | None) -> str:
    if cell is None:
        return "-"
    mark = "" if cell[0] >= LEAST * cell[1] else " !"
    return f"{cell[0]} of {cell[1]}{mark}"


def is_enough(results: Sequence[Result]) -> bool:
    return all(passed >= LEAST * tried for passed, tried in cells(results).values())


def print_failures(results: Sequence[Result], most: int = 200) -> None:
    """One line each, its first reason."""
    failed = [result for result in results if not result.passed]
    for result in failed[:most]:
        more = f" (and {len(result.problems) - 1} more)" if len(result.problems) > 1 else ""
        print(f"  {result.kind} {result.door} ⇄ {result.dialect} {result.id}: {result.problems[0][:240]}{more}")
    if len(failed) > most:
        print(f"  … and {len(failed) - most} more")


def as_json(result: Result) -> dict[str, object]:
    return {
        "kind": result.kind,
        "door": result.door,
        "dialect": result.dialect,
        "id": result.id,
        "problems": list(result.problems),
        "refused": result.refused,
        "notes": list(result.notes),
    }
