"""google-auth's way to Google's token endpoints: urllib in the thread that asks, no further library."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from google.auth import exceptions, transport

SECONDS = 20.0
MOST_BYTES = 1 << 20


class Answer(transport.Response):
    """What a token endpoint said."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self._status, self._headers, self._data = status, headers, data

    @property
    def status(self) -> int:
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    @property
    def data(self) -> bytes:
        return self._data


class Requests(transport.Request):
    """Blocks; belongs into a thread. proxy: "" for the environment's."""

    def __init__(self, proxy: str = "") -> None:
        proxies = {"http": proxy, "https": proxy} if proxy else None
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Answer:
        if not url.startswith(("https://", "http://")):
            raise _failed("a token endpoint is reached by http or https")
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(url, data=data, headers=dict(headers or {}), method=method)  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=timeout or SECONDS) as answer:
                return Answer(answer.status, dict(answer.headers.items()), answer.read(MOST_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers.items()), error.read(MOST_BYTES))
        except OSError as error:
            raise _failed(error) from error


def _failed(why: object) -> exceptions.TransportError:
    return exceptions.TransportError(why)  # type: ignore[no-untyped-call]
