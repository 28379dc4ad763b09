"""The demo vendor: an upstream that needs no key and no network, made to try budgets, prices and failures.

Everything it says is a pure function of the request: which steps to take, byte for byte, failures included. The
server plays the steps on a loopback socket, behind the ordinary transport. Endpoints, below its base URL:
chat/completions, completions, embeddings, moderations, responses, images/generations, audio/speech,
audio/transcriptions, models.

A user's message tells it how to behave, by directives in square brackets anywhere in the last user message
(`orders.py` has the whole table, and the reply to a plain `help` lists it):

    [tokens=500]  [pause=0.05]  [slow]  [first=1.5]  [reasoning=200]     how much, how fast
    [prompt=1234]  [completion=99]  [cached=100]  [usage=none]           what to report
    [tool=name]  [tool=a,b]  [tool]                                      call tools that were offered
    [status=429] [retry_after=2]  [error=html]  [error=200]              refuse
    [reset=before]  [reset=5]  [hang]  [hang=5]  [stall=5]  [eof=5]      fall silent or fall over after so many events
    [error_event=5]  [bad_sse=5]  [gzip]  [length=wrong]                 answer badly

Tokens are counted by a rule of its own (`words.py`): a produced token is one word, a prompt message is a quarter
of its characters and three. Models: demo-small, demo-large, demo-reasoner (hidden reasoning; takes
max_completion_tokens only), demo-embedding, demo-image, demo-speech, demo-transcribe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from .chat import answer_chat
from .completions import answer_completion
from .media import answer_image, answer_speech, answer_transcription
from .orders import HELP, Orders, read_orders
from .responses import answer_response
from .steps import Drop, Fault, Pause, Send, Start, Step, refuse, reply
from .tasks import answer_embeddings, answer_moderations, model_card, models_page
from .wishes import MODELS

__all__ = [
    "HELP",
    "MODELS",
    "Drop",
    "Orders",
    "Pause",
    "Send",
    "Start",
    "Step",
    "answer",
    "answer_upload",
    "read_orders",
]

_POSTS: Mapping[str, Callable[[bytes, int], Iterator[Step]]] = {
    "/chat/completions": answer_chat,
    "/completions": answer_completion,
    "/embeddings": answer_embeddings,
    "/moderations": answer_moderations,
    "/responses": answer_response,
    "/images/generations": answer_image,
    "/audio/speech": answer_speech,
}
UPLOADS = frozenset({"/audio/transcriptions", "/audio/translations"})


def answer(method: str, path: str, body: bytes, created: int) -> Iterator[Step]:
    """Steps for one request. path: below the base URL (`/chat/completions`). created: unix seconds, told in the reply.

    Never raises: a request that is wrong gets its error as steps, in OpenAI's shape.
    """
    return _guarded(lambda: _answer(method, path.rstrip("/"), body, created))


def answer_upload(path: str, fields: Mapping[str, str], file: bytes) -> Iterator[Step]:
    """Steps for one multipart request: its text fields, and the bytes of its `file`. Never raises."""
    return _guarded(lambda: _answer_upload(path.rstrip("/"), fields, file))


def _answer(method: str, path: str, body: bytes, created: int) -> Iterator[Step]:
    if method == "GET" and path == "/models":
        return reply(models_page(created), Orders())
    if method == "GET" and path.startswith("/models/"):
        return reply(model_card(path.removeprefix("/models/"), created), Orders())
    if path in _POSTS and method == "POST":
        return _POSTS[path](body, created)
    if path in UPLOADS:
        raise Fault(400, "Send multipart/form-data with a file.", code="invalid_value", param="file")
    raise Fault(404, f"The demo vendor has nothing at {method} {path or '/'}.", code="unknown_url")


def _answer_upload(path: str, fields: Mapping[str, str], file: bytes) -> Iterator[Step]:
    if path not in UPLOADS:
        raise Fault(404, f"The demo vendor takes no uploads at {path or '/'}.", code="unknown_url")
    return answer_transcription(fields, file)


def _guarded(make: Callable[[], Iterator[Step]]) -> Iterator[Step]:
    try:
        return make()
    except Fault as fault:
        return refuse(fault)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
        # A ValidationError is a DecodeError: wrong types and missing members come by here as well as bad JSON.
        # JSON nested a thousand deep ends in a RecursionError.
        return refuse(Fault(400, f"The request cannot be read: {broken}.", code="invalid_request"))
