"""Every key of config.yaml, as frozen values with a docstring each. `read.py` fills them; nothing here reads anything.

A field's name is its key, its type says how its text is read (`Word` carries the reader), its default is the
documented one. Secrets are of type `Secret`, whose repr is masked, so that a config in a traceback or a debugger
gives none away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from msgspec import Struct

from oneapi_cli.values.vendor import PriceLine, Quirks

from . import words


class Secret(str):
    """Text that must not be shown. It is the text itself; only its repr is masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'" if self else "''"


class Word(Struct, frozen=True):
    """How one scalar is read. Raises WordError. `secret` values are masked by `config show` and never stand in a
    message."""

    read: Callable[[str], Any]
    secret: bool = False


def _secret(text: str) -> Secret:
    return Secret(words.parse_secret(text))


class Members(Struct, frozen=True):
    """The value is a mapping with only those fields of `of` that were written, to lay over a default."""

    of: type[Struct]


Seconds = Annotated[float, Word(words.parse_duration)]
Size = Annotated[int, Word(words.parse_size)]
Key = Annotated[Secret, Word(_secret, secret=True)]
Name = Annotated[str, Word(words.parse_name)]
Url = Annotated[str, Word(words.parse_url)]
ListenAddress = Annotated[words.Address, Word(words.parse_address)]
Tokens = Annotated[int, Word(words.whole(1, 10_000_000))]
Holds = Literal["auto", "worst_case", "rolling"]


class LimitsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one server takes on at most. Beyond: 413 (body), 431 (headers), 503 (the others)."""

    body: Size = 64 << 20
    """Bytes of one request body."""
    concurrent: Annotated[int, Word(words.whole(1, 1_000_000))] = 1000
    """Requests at once, per worker."""
    memory: Size = 1 << 30
    """Bytes of request and reply bodies held at once, per worker."""
    headers: Size = 32 << 10
    """Bytes of one request's headers."""
    event: Size = 16 << 20
    """Bytes of one event in a vendor's stream."""


class TimeoutsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long we wait for a vendor. In a channel, whatever is given replaces the global value."""

    connect: Seconds | None = None
    """Until a connection stands. 10s."""
    first_byte: Seconds | None = None
    """From sent to the first byte of the answer. 300s."""
    idle: Seconds | None = None
    """Between two pieces of an answer. 120s."""
    drain: Seconds | None = None
    """Reading on to the usage after the client left. 120s."""
    stream: Seconds | None = None
    """A whole answer. 1h."""


class TlsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Certificate and key for HTTPS, PEM files; relative paths start at the config's folder."""

    cert: str
    """The certificate, its chain included."""
    key: str
    """Its private key."""


class ChannelConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vendor, the keys for it and the models it serves."""

    name: Name
    """Unique. Stands in receipts, pins (`sk-…-NAME`) and commands."""
    type: str
    """A vendor of the table."""
    api_key: Annotated[tuple[Secret, ...], Word(_secret, secret=True)] = ()
    """One key, or a list that is rotated."""
    optional: bool = False
    """Skip this channel, with a notice, where a variable that it names is unset or its key is empty."""
    enabled: bool = True
    """false: keep it in the file and serve nothing through it."""
    models: Annotated[Mapping[str, str], "models"] = {}
    """A list of names, or a mapping from the name clients use to the name upstream. `*` takes what no channel names."""
    priority: Annotated[int, Word(words.whole(-1_000_000, 1_000_000))] = 0
    """Higher first."""
    weight: Annotated[int, Word(words.whole(0, 1_000_000))] = 1
    """Share of the traffic within one priority; 0: only when the others fail."""
    groups: tuple[str, ...] = ()
    """Only users in one of these groups may use it; empty for everybody."""
    base_url: Url | None = None
    """Where the vendor is, as its own SDK takes it. Needed where the vendor's row has none."""
    api_version: str = ""
    """Azure: `v1`, `preview` or a date such as 2024-10-21. Gemini, Vertex: `v1`, `v1beta`…"""
    speaks: tuple[str, ...] = ()
    """Narrows the vendor's dialects to these, first preferred."""
    priced_as: str = ""
    """Take prices from this vendor's list."""
    prices: Mapping[str, PriceLine] = {}
    """Prices of this channel alone, over the global ones."""
    headers: Mapping[str, str] = {}
    """Headers sent to the vendor besides; `{key}` stands for the channel's key."""
    proxy: Annotated[str, Word(words.parse_url, secret=True)] = ""
    """An HTTP proxy for this channel."""
    system_prompt: str = ""
    """Put before every conversation."""
    timeouts: TimeoutsConfig = TimeoutsConfig()
    """Replaces the global ones, one by one."""
    quirks: Annotated[Mapping[str, Any], Members(Quirks)] = {}
    """How this upstream departs from its dialect; over the vendor's row, one by one."""
    passthrough: bool = False
    """Serve `/v1/oneapi/proxy/NAME/…` for tokens that may."""
    duration_fallback: bool = False
    """Bill audio whose length nobody reports by its size."""
    unknown_output: Tokens | None = None
    """Output tokens held for models whose maximum is unknown, in this channel."""
    region: str = ""
    """AWS: region. Unsaid: AWS_REGION or AWS_DEFAULT_REGION."""
    access_key_id: Key = Secret("")
    """AWS: static credentials; without any, the AWS chain."""
    secret_access_key: Key = Secret("")
    """AWS: static credentials."""
    session_token: Key = Secret("")
    """AWS: static credentials."""
    profile: str = ""
    """AWS: a profile of the shared config files."""
    role_arn: str = ""
    """AWS: a role to assume."""
    bearer: Key = Secret("")
    """AWS: a Bedrock API key."""
    project: str = ""
    """Google Cloud: project. Unsaid: that of the service account, or GOOGLE_CLOUD_PROJECT."""
    location: str = ""
    """Google Cloud: location. Unsaid: GOOGLE_CLOUD_LOCATION, or `global`."""
    credentials: Annotated[Secret, Word(Secret, secret=True)] = Secret("")
    """Google Cloud: a service account's file, or what stands in one; without it, the application's default ones."""
    auth: str = ""
    """Azure: `entra` where the key is a Microsoft Entra access token."""
    options: Mapping[str, str] = {}
    """Whatever else the vendor's URL names, such as Cloudflare's `account_id`."""


class TokenConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token whose identity stands in the config and whose balance stands in the ledger."""

    name: Annotated[str, Word(words.parse_title)]
    """Unique, also among the tokens made by commands."""
    key: Key | None = None
    """The client's key. Without one (or key_sha256) the token is skipped, with a notice."""
    key_sha256: Annotated[str, Word(words.parse_digest)] = ""
    """Instead of the key: SHA-256, in hexadecimal, of the key without its `sk-`."""
    budget: Annotated[words.Budget, Word(words.parse_budget)] | None = None
    """Granted once, when the ledger first sees the token. A later change is a notice, not a grant."""
    unlimited: bool = False
    """No budget; what is used is counted all the same."""
    user: str = ""
    """The owner above this token; root where nothing is said."""
    models: tuple[str, ...] = ()
    """Globs of the models it may use; empty for all."""
    subnet: Annotated[tuple[str, ...], Word(words.parse_subnet)] = ()
    """Addresses or CIDRs it may be used from; empty for all."""
    expires: Annotated[float, Word(words.parse_moment)] | None = None
    """A date, or never."""
    rpm: Annotated[int, Word(words.whole(1, 1_000_000))] | None = None
    """Requests per minute."""
    tpm: Annotated[int, Word(words.whole(1, 10_000_000_000))] | None = None
    """Tokens per minute, held ones included."""
    concurrent: Annotated[int, Word(words.whole(1, 1_000_000))] | None = None
    """Requests at once."""
    clamp: bool | None = None
    """May an output limit be lowered to fit the budget? Unsaid: ordinary models yes, reasoning models no."""
    holds: Holds | None = None
    """Over the global `holds`."""
    passthrough: bool = False
    """May use `/v1/oneapi/proxy/…` of channels that offer it."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    listen: ListenAddress = words.Address("127.0.0.1", 3000)
    """Address and port. Loopback unless said otherwise."""
    workers: Annotated[int, Word(words.whole(1, 256))] = 1
    """Processes that share the port and the ledger."""
    ledger: str = "oneapi.db"
    """The ledger's file; a relative path starts at the config's folder."""
    admin_key: Key = Secret("")
    """Opens the management API and /metrics. Empty: both are off."""
    on_disconnect: Literal["cancel", "drain"] = "cancel"
    """When a client leaves a stream of visible output: stop the vendor, or read on to the usage."""
    retries: Annotated[int, Word(words.whole(0, 20))] = 2
    """Further attempts before the first byte."""
    retry_unknown: bool = False
    """Retry also where the vendor may have served (and billed) the request."""
    holds: Holds = "auto"
    """How much is held: auto, worst_case (the hard guarantee) or rolling."""
    hold_wait: Seconds = 30.0
    """How long a request may wait for money that is only held."""
    min_output: Tokens = 1024
    """Output limits are never lowered below this."""
    unknown_output: Tokens = 8192
    """Output tokens held for models whose maximum is unknown."""
    hold_slice: Tokens = 2000
    """Output tokens per slice of a rolling hold."""
    limits: LimitsConfig = LimitsConfig()
    """What one worker takes on at most."""
    timeouts: TimeoutsConfig = TimeoutsConfig()
    """How long we wait for vendors."""
    grace: Seconds = 30.0
    """Streams may finish for this long after SIGTERM."""
    tls: TlsConfig | None = None
    """Serve HTTPS."""
    cors: Annotated[tuple[str, ...], Word(words.parse_origin)] = ()
    """Origins of browsers that may call the doors."""
    trusted_proxies: Annotated[tuple[str, ...], Word(words.parse_subnet)] = ()
    """Proxies whose `X-Forwarded-For` is believed."""
    hosts: tuple[str, ...] = ()
    """Further `Host` names that a loopback listener answers for."""
    metrics_listen: ListenAddress | None = None
    """A listener of its own for /metrics, without a key."""
    ledger_sync: Literal["full", "normal"] = "full"
    """full: a commit survives a power cut. normal: it survives a crash of this program only."""
    after_crash: Literal["keep", "input", "release"] = "keep"
    """What open holds of a dead process become: charged whole, the input bound alone, or nothing."""
    retention: Annotated[float, Word(words.parse_retention)] | None = None
    """Rows older than this are folded into one per account; `keep` for never."""
    budget_zone: Annotated[str, Word(words.parse_zone)] = "UTC"
    """The time zone in which a recurring budget rolls over."""
    log_bodies: bool = False
    """Log requests and replies whole. They hold what your users say."""
    strict_translation: bool = False
    """Refuse what a dialect cannot carry instead of noting it."""
    channels: tuple[ChannelConfig, ...] = ()
    """The ways to vendors."""
    tokens: tuple[TokenConfig, ...] = ()
    """Declared tokens."""
    prices: Mapping[str, PriceLine] = {}
    """Model → prices, $ per million tokens unless the unit is in the name."""
