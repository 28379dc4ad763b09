"""How long a channel rests after which fault, and what ends the rest."""

from __future__ import annotations

import pytest

from oneapi_cli.routing.health import MAX_REST_SECONDS, MOST_RESTS, Health
from oneapi_cli.values.errors import Broken, Malformed, Refused, TimedOut, Unreachable, UpstreamFault

NOW = 1000.0


def refused(status: int, retry_after: float | None = None) -> Refused:
    return Refused("no", status=status, retry_after_seconds=retry_after)


@pytest.mark.parametrize(
    ("fault", "same_model", "other_model"),
    [
        (refused(429), 20.0, 0.0),
        (refused(429, 90.0), 90.0, 0.0),
        (refused(429, 86_000.0), MAX_REST_SECONDS, 0.0),
        (refused(429, 0.0), 0.0, 0.0),
        (refused(500), 10.0, 0.0),
        (refused(503, 3.0), 3.0, 0.0),
        (refused(401), 60.0, 60.0),
        (refused(403), 60.0, 60.0),
        (refused(400), 0.0, 0.0),
        (refused(404), 0.0, 0.0),
        (refused(422, 60.0), 0.0, 0.0),
        (Unreachable("no"), 10.0, 10.0),
        (TimedOut("no"), 10.0, 0.0),
        (Broken("no"), 10.0, 0.0),
        (Malformed("no"), 10.0, 0.0),
    ],
    ids=lambda value: f"{type(value).__name__} {value.status}" if isinstance(value, UpstreamFault) else str(value),
)
def test_rest(fault: UpstreamFault, same_model: float, other_model: float) -> None:
    health = Health()
    health.failed("one", "m", fault, NOW)
    for model, seconds in (("m", same_model), ("other", other_model)):
        assert health.cooling("one", model, NOW) is (seconds > 0)
        assert seconds == 0 or health.cooling("one", model, NOW + seconds - 0.001)
        assert not health.cooling("one", model, NOW + seconds)
    assert not health.cooling("two", "m", NOW)


def test_a_reply_ends_the_rest() -> None:
    health = Health()
    health.failed("one", "m", refused(429), NOW)
    health.failed("one", "m", Unreachable("no"), NOW)
    health.failed("one", "other", refused(500), NOW)
    health.succeeded("one", "m")
    assert not health.cooling("one", "m", NOW)
    assert health.cooling("one", "other", NOW), "another model's trouble is not over"


def test_what_it_remembers_is_bounded() -> None:
    health = Health()
    for number in range(20_000):
        health.failed("any", f"model-{number}", refused(429, 600.0), NOW + number / 1000)
    assert len(health._rests) <= MOST_RESTS
    assert health.cooling("any", "model-19999", NOW + 20)
