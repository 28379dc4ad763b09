"""Who AWS is to see: a Bedrock API key, static keys, a profile, a role, or the SDK's own chain.

The chain is botocore's: environment, shared files, single sign-on, a container's or machine's role. All of it may read
files and ask services, so it runs in a thread (`once.py`); botocore renews temporary keys itself. What is signed is a
digest of the body, which takes a thread too where the body is large.

Source: https://boto3.amazonaws.com/v1/documentation/api/latest/guide/credentials.html (2026-11)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from ..providers.auth.sigv4 import AwsKeys, sigv4_headers
from ..providers.urls import region_of
from ..values.asks import Call
from ..values.errors import Unreachable
from ..values.vendor import Channel
from .once import Lease, Once

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from botocore.session import Session

BEARER_VARIABLE = "AWS_BEARER_TOKEN_BEDROCK"
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
FRESH_SECONDS = 60.0
"""How long keys are used before botocore is asked whether they still hold."""
GOOD_SECONDS = 300.0
"""botocore hands out no temporary keys that end sooner."""
IN_A_THREAD = 1 << 18
"""Bytes of a body from which on its digest is made in a thread."""
ASK_SECONDS = 10.0


class Settings(Struct, frozen=True, kw_only=True):
    """What a channel says of its AWS identity. Secrets among it: never logged, and not in the repr."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    profile: str
    role_arn: str
    external_id: str
    region: str
    proxy: str

    def __repr__(self) -> str:
        return "Settings(…)"

    @property
    def is_static(self) -> bool:
        return bool(self.access_key_id) and not self.role_arn


class AwsSigner:
    """The AWS identities of one process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._once: Once[AwsKeys] = Once(clock)
        self._makers: dict[Settings, Credentials] = {}
        self._ready = False

    async def prove(self, channel: Channel, key: str, call: Call) -> Mapping[str, str]:
        """The headers that prove this call. Raises Unreachable where there are no credentials or no region."""
        if bearer := bearer_of(channel, key):
            return {"authorization": f"Bearer {bearer}"}
        region = aws_region(channel)
        settings = settings_of(channel, region)
        if settings.is_static:
            keys = _static(settings)
        else:
            try:
                keys = await self._once.get(settings, partial(self._ask, settings))
            except Exception as failure:
                raise _none_for(channel, failure) from failure
        sign = partial(sigv4_headers, call, keys, region)
        if self._ready and isinstance(call.body, bytes) and len(call.body) < IN_A_THREAD:
            return sign()
        self._ready = True
        return await asyncio.to_thread(sign)  # the first one imports botocore

    def _ask(self, settings: Settings) -> Lease[AwsKeys]:
        """Blocks. A maker that failed is made anew the next time: its files may have been mended."""
        maker = self._makers.pop(settings, None) or _credentials(settings)
        frozen = maker.get_frozen_credentials()
        self._makers[settings] = maker
        keys = AwsKeys(
            access_key_id=str(frozen.access_key),
            secret_access_key=str(frozen.secret_key),
            session_token=frozen.token or "",
        )
        return Lease(keys, FRESH_SECONDS, GOOD_SECONDS)


def bearer_of(channel: Channel, key: str) -> str:
    """A Bedrock API key: the channel's own, or the environment's where the channel says nothing of its identity."""
    options = channel.options
    if own := options.get("bearer", "") or key:
        return own
    says = any(options.get(name) for name in ("access_key_id", "profile", "role_arn"))
    return "" if says else os.environ.get(BEARER_VARIABLE, "")


def aws_region(channel: Channel) -> str:
    """The region to sign for. Raises Unreachable where nothing says it."""
    region = region_of(channel) or next((os.environ[name] for name in REGION_VARIABLES if os.environ.get(name)), "")
    if not region:
        raise Unreachable(
            f"Channel {channel.name} does not say its AWS region: set `region:` in the channel's config, or AWS_REGION",
            code="no_credentials",
        )
    return region


def settings_of(channel: Channel, region: str) -> Settings:
    given = channel.options.get
    return Settings(
        access_key_id=given("access_key_id", ""),
        secret_access_key=given("secret_access_key", ""),
        session_token=given("session_token", ""),
        profile=given("profile", ""),
        role_arn=given("role_arn", ""),
        external_id=given("external_id", ""),
        region=region,
        proxy=channel.proxy,
    )


def _static(settings: Settings) -> AwsKeys:
    return AwsKeys(
        access_key_id=settings.access_key_id,
        secret_access_key=settings.secret_access_key,
        session_token=settings.session_token,
    )


def _credentials(settings: Settings) -> Credentials:
    """botocore's credentials for these settings. Raises its errors, and LookupError where there are none."""
    from botocore.session import Session

    session = Session(profile=settings.profile or None)
    session.set_config_variable("region", settings.region)
    if settings.access_key_id:
        token = settings.session_token or None
        session.set_credentials(settings.access_key_id, settings.secret_access_key, token)
    found = session.get_credentials()
    if found is None:
        raise LookupError("the AWS chain has no credentials")
    return _assumed(session, found, settings) if settings.role_arn else found


def _assumed(session: Session, source: Credentials, settings: Settings) -> Credentials:
    """Credentials of a role, which renew themselves."""
    from botocore.config import Config
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else None
    config = Config(
        proxies=proxies,
        connect_timeout=ASK_SECONDS,
        read_timeout=ASK_SECONDS,
        retries={"total_max_attempts": 2},
    )
    extra = {"RoleSessionName": "oneapi"} | ({"ExternalId": settings.external_id} if settings.external_id else {})
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=partial(session.create_client, region_name=settings.region, config=config),
        source_credentials=source,
        role_arn=settings.role_arn,
        extra_args=extra,
    )
    return DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")


def _none_for(channel: Channel, failure: Exception) -> Unreachable:
    """No text of the library's: it may quote what it should not."""
    return Unreachable(
        f"Channel {channel.name} has no AWS credentials that work: set access_key_id and secret_access_key, profile, "
        "role_arn or bearer in its config, or sign in where the server runs (`aws sts get-caller-identity` tells)",
        code="no_credentials",
        cause=type(failure).__name__,
    )
