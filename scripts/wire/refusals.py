"""Every recorded error at every door, read by the official clients.

What the dialect decodes and the door encodes is served by a small server on the loopback, and the door's official
client asks it: it must raise the exception of the vendor's status, with the vendor's message inside.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import errors as google_errors

from oneapi_cli.dialects import DIALECTS, LISTENERS, SPEAKERS
from oneapi_cli.values.errors import Refused

from .recordings import Recording
from .table import Result

REQUEST_ID = "20261127000000123456789012345678"

_OPENAI: Mapping[int, type[Exception]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}
_ANTHROPIC: Mapping[int, type[Exception]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    409: anthropic.ConflictError,
    422: anthropic.UnprocessableEntityError,
    429: anthropic.RateLimitError,
}


class _Server(ThreadingHTTPServer):
    """Answers every request with `answer`."""

    answer: tuple[int, bytes] = (500, b"")
    content_type = "application/json"
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        assert isinstance(self.server, _Server)
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Type", self.server.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Refusals:
    """A server and a client of each door, for as long as it is entered."""

    def __enter__(self) -> Refusals:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        base = f"http://127.0.0.1:{self._server.server_address[1]}"
        ours = openai.OpenAI(base_url=f"{base}/v1", api_key="k", max_retries=0, http_client=_quiet(openai))
        theirs = anthropic.Anthropic(base_url=base, api_key="k", max_retries=0, http_client=_quiet(anthropic))
        google = genai.Client(api_key="k", http_options={"base_url": base})
        self._clients = (ours, theirs, google)
        hello: Any = [{"role": "user", "content": "hello"}]
        self._asks: Mapping[str, Callable[[], object]] = {
            "openai_chat": lambda: ours.chat.completions.create(model="m", messages=hello),
            "openai_responses": lambda: ours.responses.create(model="m", input="hello"),
            "anthropic_messages": lambda: theirs.messages.create(model="m", max_tokens=9, messages=hello),
            "gemini": lambda: google.models.generate_content(model="m", contents="hello"),
        }
        self._streams: Mapping[str, Callable[[], object]] = {
            "openai_chat": lambda: list(ours.chat.completions.create(model="m", messages=hello, stream=True)),
            "openai_responses": lambda: list(ours.responses.create(model="m", input="hello", stream=True)),
            "anthropic_messages": lambda: list(
                theirs.messages.create(model="m", max_tokens=9, messages=hello, stream=True)
            ),
            "gemini": lambda: list(google.models.generate_content_stream(model="m", contents="hello")),
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        self._server.shutdown()
        self._server.server_close()

    def check(self, recording: Recording) -> Iterator[Result]:
        """One result per door."""
        dialect = recording.error_dialect
        if dialect not in SPEAKERS:
            return
        for door in LISTENERS:
            try:
                problems = list(self._problems(recording, door))
            except Exception as fault:
                problems = [f"raised {type(fault).__name__}: {fault}"]
            yield Result(kind="errors", door=door, dialect=dialect, id=recording.id, problems=problems)

    def _problems(self, recording: Recording, door: str) -> Iterator[str]:
        message = message_of(recording.reply)
        decoded = SPEAKERS[recording.error_dialect].decode_error(recording.status, recording.reply)
        if decoded.message != message or not decoded.is_vendor_body:
            yield f"the message {message!r} was read as {decoded.message!r}"
        error = Refused(
            decoded.message,
            status=recording.status,
            type=decoded.type or "upstream_error",
            code=decoded.code,
            member=decoded.param,
        )
        yield from self.raised_problems(door, recording.status, DIALECTS[door].encode_error(error, REQUEST_ID), message)

    def raised_problems(self, door: str, status: int, body: bytes, message: str) -> Iterator[str]:
        """What is wrong with what the official client makes of this answer."""
        self._server.answer = (status, body)
        try:
            self._asks[door]()
        except (openai.APIStatusError, anthropic.APIStatusError) as raised:
            known = _ANTHROPIC if door == "anthropic_messages" else _OPENAI
            if status in known and type(raised) is not known[status]:
                yield f"{status} became {type(raised).__name__}"
            if message not in said_in(raised.body):
                yield f"the exception's body is {raised.body!r}"
            if door == "anthropic_messages" and "type" not in _inner(raised.body):
                yield "the error says no type"
        except google_errors.APIError as raised:
            wished = google_errors.ClientError if status < 500 else google_errors.ServerError
            if type(raised) is not wished or raised.code != status:
                yield f"{status} became {type(raised).__name__} with code {raised.code}"
            if message not in (raised.message or ""):
                yield f"the exception's message is {raised.message!r}"
            if not (raised.status or "").isupper():
                yield f"the exception's status is {raised.status!r}"
        else:
            yield "the client raised nothing"

    def stream(self, door: str, body: bytes) -> object:
        """What the official client makes of a stream: a list of its events. Raises what it raises."""
        self._server.answer, self._server.content_type = (200, body), "text/event-stream"
        try:
            return self._streams[door]()
        finally:
            self._server.content_type = "application/json"


def _quiet(package: Any) -> Any:
    """The package's own HTTP client, deaf to proxies in the environment."""
    return package.DefaultHttpxClient(trust_env=False)


def _inner(body: Any) -> Mapping[str, Any]:
    found = body.get("error", body) if isinstance(body, dict) else {}
    return found if isinstance(found, dict) else {}


def said_in(body: Any) -> str:
    """The message in an exception's body: `openai` unwraps the envelope, `anthropic` does not."""
    return str(_inner(body).get("message") or "")


def message_of(reply: bytes) -> str:
    """The vendor's own message, in plain JSON."""
    said = json.loads(reply)
    said = said[0] if isinstance(said, list) else said
    inner = said.get("error", said)
    return str(inner.get("message") if isinstance(inner, dict) else inner)
