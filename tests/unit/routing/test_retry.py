"""DESIGN's evidence table: which fault is tried again, where, and after how long."""

from __future__ import annotations

import pytest

from oneapi_cli.routing.retry import LONGEST_PAUSE_SECONDS, Where, pause_seconds, where
from oneapi_cli.values.errors import Broken, Malformed, Refused, TimedOut, Unreachable, UpstreamFault


@pytest.mark.parametrize(
    ("fault", "plain", "told"),
    [
        (Unreachable("no"), "anywhere", "anywhere"),
        *[(Refused("no", status=status), "nowhere", "nowhere") for status in (400, 402, 404, 408, 409, 413, 422)],
        (Refused("no", status=401), "elsewhere", "elsewhere"),
        (Refused("no", status=403), "elsewhere", "elsewhere"),
        *[(Refused("no", status=status), "anywhere", "anywhere") for status in (429, 500, 501, 502, 503, 529)],
        (TimedOut("no"), "nowhere", "anywhere"),
        (Broken("no"), "nowhere", "anywhere"),
        (Malformed("no"), "nowhere", "anywhere"),
    ],
    ids=lambda value: f"{type(value).__name__} {value.status}" if isinstance(value, UpstreamFault) else str(value),
)
def test_where(fault: UpstreamFault, plain: Where, told: Where) -> None:
    assert where(fault, retry_unknown=False) == plain
    assert where(fault, retry_unknown=True) == told


def test_pauses_double_up_to_a_bound() -> None:
    fault = Refused("no", status=500)
    assert [pause_seconds(fault, attempt) for attempt in range(1, 8)] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize(("asked", "expected"), [(0.0, 0.0), (-3.0, 0.0), (5.0, 5.0), (5.1, None), (3600.0, None)])
def test_what_the_vendor_asks_for_counts(asked: float, expected: float | None) -> None:
    assert LONGEST_PAUSE_SECONDS == 5.0
    assert pause_seconds(Refused("no", status=429, retry_after_seconds=asked), 1) == expected
