"""`python -m scripts.wire`: replays the recordings and prints the table."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator

from oneapi_cli.dialects import LISTENERS, SPEAKERS

from .recordings import RECORDED, Recording, recordings
from .refusals import Refusals
from .replies import check_reply
from .requests import check_request
from .table import Result, as_json, is_enough, print_failures, print_table

CUTS, QUICK_CUTS = 20, 3


def main() -> int:
    """0 when every cell is full enough or there is nothing to replay, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make wire", description="Replays recorded vendor traffic.")
    parser.add_argument("--quick", action="store_true", help="fewer cuts of each stream")
    parser.add_argument("--id", default="", help="only recordings whose name has this in it, with every problem")
    parser.add_argument("--kind", default="", help="replies, streams, requests or errors")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    given = parser.parse_args()
    if not RECORDED.exists():
        print("No recordings beside this checkout (../shared/wire/recorded.jsonl.gz): nothing was replayed.")
        return 0
    started = time.monotonic()
    results = [
        result
        for result in results_of(given.id, QUICK_CUTS if given.quick else CUTS)
        if given.kind in ("", result.kind)
    ]
    if given.json:
        print(json.dumps([as_json(result) for result in results], indent=1))
    else:
        report(results, details=bool(given.id))
        print(f"{time.monotonic() - started:.0f} s")
    return 0 if is_enough(results) else 1


def results_of(named: str, cuts: int) -> Iterator[Result]:
    with Refusals() as refusals:
        for recording in recordings():
            if named in recording.id:
                yield from check(recording, cuts, refusals)


def check(recording: Recording, cuts: int, refusals: Refusals) -> Iterator[Result]:
    if recording.failed:
        if recording.error_dialect:
            yield from refusals.check(recording)
    elif recording.dialect:
        yield from check_reply(recording, cuts)
    if recording.dialect in LISTENERS and recording.request is not None:
        yield from check_request(recording)


def report(results: list[Result], *, details: bool) -> None:
    print_table(results)
    if details:
        for result in results:
            print(f"{result.kind} {result.door} ⇄ {result.dialect} {result.id} {','.join(result.notes)}")
            for problem in result.problems:
                print(f"    {problem}")
            if result.refused:
                print(f"    refused: {result.refused}")
    else:
        print_failures(results)
        refused = [result for result in results if result.refused]
        for reason in sorted({result.refused for result in refused}):
            count = sum(result.refused == reason for result in refused)
            print(f"  refused by design, {count} times: {reason}")
    passed = sum(result.passed for result in results)
    print(
        f"{passed} passed, {len(results) - passed} failed; {len(LISTENERS)} doors, {len(SPEAKERS)} dialects of vendors"
    )


if __name__ == "__main__":
    sys.exit(main())
