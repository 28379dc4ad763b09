"""Who pays for a call: hands out the headers that prove it, plain keys at once, AWS's and Google's after asking for them.

Asking blocks (files, metadata services, token endpoints), so it happens in a thread, once for all who wait, and what
came is kept until shortly before it expires. The libraries are imported when a channel first needs them. No text of
theirs reaches a client: it may quote what it should not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..providers.auth import headers_for
from ..providers.auth.sigv4 import AwsKeys, sigv4_headers
from ..providers.urls import region_of
from ..values.asks import Call
from ..values.errors import Unreachable
from ..values.vendor import Channel

log = logging.getLogger("oneapi.credentials")

KEEP_SECONDS = 60.0
"""How long temporary AWS keys are used before botocore is asked whether they still hold; it renews them itself."""
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
BEARER_VARIABLE = "AWS_BEARER_TOKEN_BEDROCK"
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
_AWS_OPTIONS = ("access_key_id", "secret_access_key", "session_token", "profile", "role_arn", "region")
_EARLY_SECONDS = 300.0


class _Kept(Struct):
    """Something asked for and when it has to be asked for again. lock: one asks, all wait."""

    lock: asyncio.Lock
    value: Any = None
    until: float = 0.0


class Signer:
    """The credentials of one process, by what the channels say of themselves."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, ...], _Kept] = {}
        self._makers: dict[tuple[str, ...], Any] = {}

    async def sign(self, channel: Channel, key: str, call: Call) -> Mapping[str, str]:
        """Headers to add to this call. Raises Unreachable where there are no credentials to be had."""
        auth = channel.vendor.auth
        if auth == "sigv4":
            return {**headers_for(channel, ""), **await self._aws(channel, key, call)}
        if auth == "google":
            return {**headers_for(channel, ""), **await self._google(channel, key)}
        return headers_for(channel, key)

    # -- AWS -----------------------------------------------------------------------------------------------------

    async def _aws(self, channel: Channel, key: str, call: Call) -> Mapping[str, str]:
        options = channel.options
        own = options.get("access_key_id", "") or options.get("profile", "") or options.get("role_arn", "")
        bearer = options.get("bearer", "") or key or ("" if own else os.environ.get(BEARER_VARIABLE, ""))
        if bearer:
            return {"authorization": f"Bearer {bearer}"}
        keys = await self._aws_keys(channel)
        return sigv4_headers(call, keys, aws_region(channel))

    async def _aws_keys(self, channel: Channel) -> AwsKeys:
        options = channel.options
        if options.get("access_key_id") and not options.get("role_arn"):
            return AwsKeys(
                access_key_id=options["access_key_id"],
                secret_access_key=options.get("secret_access_key", ""),
                session_token=options.get("session_token", ""),
            )
        settings = ("aws", *(options.get(name, "") for name in _AWS_OPTIONS))
        found: AwsKeys = await self._once(settings, channel, partial(self._ask_aws, settings, dict(options)))
        return found

    async def _ask_aws(self, settings: tuple[str, ...], options: Mapping[str, str]) -> tuple[AwsKeys, float]:
        maker = self._makers.get(settings)
        if maker is None:
            maker = self._makers[settings] = await asyncio.to_thread(_aws_credentials, options)
        frozen = await asyncio.to_thread(maker.get_frozen_credentials)
        keys = AwsKeys(
            access_key_id=frozen.access_key, secret_access_key=frozen.secret_key, session_token=frozen.token or ""
        )
        return keys, KEEP_SECONDS

    # -- Google --------------------------------------------------------------------------------------------------

    async def _google(self, channel: Channel, key: str) -> Mapping[str, str]:
        if key:
            return {"x-goog-api-key": key}
        said = channel.options.get("credentials", "")
        settings = ("google", said)
        token: str = await self._once(settings, channel, partial(self._ask_google, settings, said))
        return {"authorization": f"Bearer {token}"}

    async def _ask_google(self, settings: tuple[str, ...], said: str) -> tuple[str, float]:
        credentials = self._makers.get(settings)
        if credentials is None:
            credentials = self._makers[settings] = await asyncio.to_thread(_google_credentials, said)
        return await asyncio.to_thread(_google_token, credentials)

    # -- both ----------------------------------------------------------------------------------------------------

    async def _once(
        self, settings: tuple[str, ...], channel: Channel, ask: Callable[[], Awaitable[tuple[Any, float]]]
    ) -> Any:
        kept = self._kept.setdefault(settings, _Kept(asyncio.Lock()))
        async with kept.lock:
            if kept.value is None or self._clock() >= kept.until:
                try:
                    kept.value, seconds = await ask()
                except Exception as error:
                    self._makers.pop(settings, None)
                    log.warning("channel %s: no credentials could be had (%s)", channel.name, type(error).__name__)
                    raise _none_for(channel) from error
                kept.until = self._clock() + seconds
            return kept.value


def aws_region(channel: Channel) -> str:
    """The region to sign for. Raises Unreachable where nothing says it."""
    region = region_of(channel) or next((os.environ[name] for name in REGION_VARIABLES if os.environ.get(name)), "")
    if not region:
        raise Unreachable(
            f"Channel {channel.name} does not say its AWS region: set `region:` in the channel's config, or AWS_REGION",
            code="no_credentials",
        )
    return region


def _none_for(channel: Channel) -> Unreachable:
    return Unreachable(
        f"Channel {channel.name} has no valid credentials for its vendor: check what its config says of them, or the "
        "environment of the server",
        code="no_credentials",
    )


def _aws_credentials(options: Mapping[str, str]) -> Any:
    """botocore's credentials for these options: static ones, a profile's, the chain's, and a role on top of them."""
    import boto3

    session = boto3.session.Session(
        aws_access_key_id=options.get("access_key_id") or None,
        aws_secret_access_key=options.get("secret_access_key") or None,
        aws_session_token=options.get("session_token") or None,
        profile_name=options.get("profile") or None,
        region_name=options.get("region") or None,
    )
    if role := options.get("role_arn"):
        return _assumed(session, role)
    found = session.get_credentials()
    if found is None:
        raise LookupError("the AWS chain has no credentials")
    return found


def _assumed(session: Any, role: str) -> Any:
    """Credentials of a role, which renew themselves."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    source = session.get_credentials()
    if source is None:
        raise LookupError("there is nobody to assume the role as")
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=session._session.create_client,
        source_credentials=source,
        role_arn=role,
        extra_args={"RoleSessionName": "oneapi"},
    )
    return DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")


def _google_credentials(said: str) -> Any:
    """A service account's or a user's credentials from a file or inline JSON; "" for the application's default ones."""
    import google.auth
    import msgspec
    from google.oauth2 import credentials, service_account

    if not said:
        found, _ = google.auth.default(scopes=SCOPES)
        return found
    text = said if said.lstrip().startswith("{") else Path(said).expanduser().read_text(encoding="utf-8")
    document = msgspec.json.decode(text.encode(), type=dict[str, Any])
    makers: Mapping[str, Callable[..., Any]] = {
        "service_account": service_account.Credentials.from_service_account_info,
        "authorized_user": credentials.Credentials.from_authorized_user_info,
    }
    return makers[document["type"]](document, scopes=SCOPES)


def _google_token(credentials: Any) -> tuple[str, float]:
    """An access token and for how many seconds it may be used."""
    from datetime import UTC, datetime

    from .google_http import Requests

    credentials.refresh(Requests())
    left = 3600.0
    if credentials.expiry is not None:
        # google-auth's times are UTC without saying so.
        left = (credentials.expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
    return str(credentials.token), max(0.0, left - _EARLY_SECONDS)
