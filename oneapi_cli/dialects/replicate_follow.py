"""From a prediction that was created to its output: a stream where the model has one, else polls with back-off.

Addresses are made from the prediction's id, never taken from the reply, except that of the stream, which only Replicate
can name; the gateway checks where that leads before a key goes there. Every step says how the prediction is cancelled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..values.errors import Malformed, TimedOut
from .dialect import Following, Step, StepReply
from .replicate_prediction import DONE, FAILED
from .vendor_values import decoded_object, object_of, text_of

MOST_POLLS = 1_200
"""About an hour: twice what Replicate lets a prediction run."""

_WAITS = (0.5, 1.0, 2.0)
_LONGEST_WAIT = 3.0

_ID = re.compile(r"[A-Za-z0-9]{1,64}\Z")

_STREAM_HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-store"}


def request_headers(*, stream: bool) -> Mapping[str, str]:
    """Without a stream the creating request itself waits for the output, up to a minute."""
    return {"Accept": "application/json"} if stream else {"Accept": "application/json", "Prefer": "wait"}


def follow(first: StepReply, *, stream: bool) -> Following:
    """See `Following`. Raises Malformed for what is no prediction, TimedOut for one that does not end."""
    reply = first
    prediction = _prediction(reply)
    if _ended(prediction):
        return reply
    name = _id_of(prediction)
    cancel = Step(method="POST", path=f"/v1/predictions/{name}/cancel")
    if stream and (url := text_of(object_of(prediction.get("urls")).get("stream"))):
        return (yield Step(url=url, headers=_STREAM_HEADERS, stream=True, on_abandon=cancel))
    for wait in _waits():
        reply = yield Step(path=f"/v1/predictions/{name}", wait_seconds=wait, on_abandon=cancel)
        if _ended(_prediction(reply)):
            return reply
    raise TimedOut("The prediction did not end in time, and was cancelled")


def report(first: StepReply) -> Step | None:
    """The prediction itself: its metrics stand there once it has ended."""
    return Step(path=f"/v1/predictions/{_id_of(_prediction(first))}")


def _waits() -> Iterator[float]:
    yield from _WAITS
    for _ in range(MOST_POLLS - len(_WAITS)):
        yield _LONGEST_WAIT


def _prediction(reply: StepReply) -> dict[str, Any]:
    return decoded_object(reply.body, "a prediction")


def _ended(prediction: Mapping[str, Any]) -> bool:
    return prediction.get("status") in DONE or prediction.get("status") in FAILED


def _id_of(prediction: Mapping[str, Any]) -> str:
    name = text_of(prediction.get("id"))
    if _ID.match(name) is None:
        raise Malformed("The upstream's prediction has no id that can be asked for")
    return name
