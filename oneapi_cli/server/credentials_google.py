"""Who Google Cloud is to see: an API key (express mode), a service account or a user's credentials from a file or
inline JSON, or the application's default credentials.

Access tokens come from a token endpoint or a metadata service and hold for an hour; they are asked for in a thread,
once for all, and renewed before they end.

Source: https://cloud.google.com/docs/authentication/application-default-credentials, google-auth 2.63 (2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ..values.errors import Unreachable
from ..values.vendor import Channel
from .once import Lease, Once

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
EARLY_SECONDS = 300.0
"""How long before its end a token is renewed."""
LAST_SECONDS = 30.0
"""How long before its end a token is not used any more."""
UNSAID_SECONDS = 3600.0

Headers = Mapping[str, str]


class Settings(Struct, frozen=True, kw_only=True):
    """credentials: a path or inline JSON, "" for the default ones. Not in the repr: it may hold a private key."""

    credentials: str
    proxy: str

    def __repr__(self) -> str:
        return "Settings(…)"


class GoogleSigner:
    """The Google identities of one process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._once: Once[Headers] = Once(clock)
        self._makers: dict[Settings, Any] = {}

    async def prove(self, channel: Channel, key: str) -> Headers:
        """The headers that prove a call. Raises Unreachable where there are no credentials."""
        if key:
            return {"x-goog-api-key": key}
        settings = Settings(credentials=channel.options.get("credentials", ""), proxy=channel.proxy)
        try:
            return await self._once.get(settings, partial(self._ask, settings))
        except Exception as failure:
            raise _none_for(channel, failure) from failure

    def _ask(self, settings: Settings) -> Lease[Headers]:
        """Blocks. A maker that failed is made anew the next time: its file may have been mended."""
        from .google_http import Requests

        requests = Requests(settings.proxy)
        maker = self._makers.pop(settings, None) or _credentials(settings.credentials, requests)
        maker.refresh(requests)
        self._makers[settings] = maker
        headers: dict[str, str] = {}
        maker.apply(headers)  # the token, and the project that a user's calls are billed to
        left = UNSAID_SECONDS
        if maker.expiry is not None:  # google-auth's times are UTC without saying so
            left = (maker.expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
        said = {name.lower(): value for name, value in headers.items()}
        return Lease(said, max(0.0, left - EARLY_SECONDS), max(0.0, left - LAST_SECONDS))


def _credentials(said: str, requests: Any) -> Any:
    """google-auth's credentials. Raises its errors, OSError for a file, ValueError for what is no such document."""
    import google.auth
    from google.oauth2 import credentials, service_account

    if not said:
        found, _ = google.auth.default(scopes=SCOPES, request=requests)
        return found
    text = said if said.lstrip().startswith("{") else Path(said).expanduser().read_text(encoding="utf-8")
    document = msgspec.json.decode(text.encode(), type=dict[str, Any])
    kind = document.get("type")
    if kind == "service_account":
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            document, scopes=SCOPES
        )
    if kind == "authorized_user":
        return credentials.Credentials.from_authorized_user_info(  # type: ignore[no-untyped-call]
            document, scopes=SCOPES
        )
    found, _ = google.auth.load_credentials_from_dict(  # type: ignore[no-untyped-call]
        document, scopes=SCOPES, request=requests
    )
    return found


def _none_for(channel: Channel, failure: Exception) -> Unreachable:
    """No text of the library's: it may quote what it should not."""
    return Unreachable(
        f"Channel {channel.name} has no Google credentials that work: set `credentials:` in its config to a service "
        "account's file, or sign in where the server runs (`gcloud auth application-default login`)",
        code="no_credentials",
        cause=type(failure).__name__,
    )
