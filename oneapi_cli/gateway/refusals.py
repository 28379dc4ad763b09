"""What a vendor's refusal means, and what of it a client may see: never the channel's own secrets.

A status that is not 2xx is the vendor's word where it came with a body of the vendor's own; without one it may be
anybody's on the way there, and then nobody knows whether the request was served.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from ..dialects import VendorError
from ..values.asks import Headers, Reply
from ..values.errors import Broken, Malformed, Refused, TimedOut, UpstreamFault
from ..values.vendor import Channel
from .plan import Offer

ERROR_BODY_LIMIT = 1 << 20
UNKNOWN_STATUSES = (504, 524)
BAD_KEYS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
"""Google's words for a key that is refused, under a 400."""
Secrets = tuple[str, ...]
"""What no text of a vendor's may repeat: see `secrets_of`."""
_PROVING = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key", "x-amz-security-token"})
_SECRET_OPTIONS = ("bearer", "credentials", "access_key_id", "secret_access_key", "session_token", "external_id")


def secrets_of(channel: Channel, key: str, sent: Headers) -> Secrets:
    """A channel's key for this attempt, its own headers and options that may be credentials, and what of the headers
    that were sent proves who pays: tokens that were asked for elsewhere too."""
    proofs = [value for name, value in sent.items() if name.lower() in _PROVING]
    words = [proof.partition(" ")[2] for proof in proofs]
    options = [channel.options.get(name, "") for name in _SECRET_OPTIONS]
    return tuple(each for each in (key, *channel.headers.values(), *options, *words, *proofs) if each)


def as_client_sees(fault: UpstreamFault, offer: Offer) -> UpstreamFault:
    """A channel's own 401/403 is not the caller's: it becomes 502 `upstream_auth`, without the vendor's text."""
    return scrubbed_fault(fault, offer.candidate.channel)


def scrubbed_fault(fault: UpstreamFault, channel: Channel) -> UpstreamFault:
    """`as_client_sees` for whoever knows the channel alone."""
    if isinstance(fault, Refused) and (fault.status in (401, 403) or fault.code in BAD_KEYS):
        return Refused(
            f"Channel {channel.name} was refused by its vendor: check its key and what that may do",
            status=502,
            code="upstream_auth",
            type="upstream_error",
        )
    return fault


async def refused_by(
    reply: Reply, decode_error: Callable[[int, bytes], VendorError], secrets: Secrets
) -> UpstreamFault:
    """What a status that is not 2xx means: refused with the vendor's words, or an outcome that nobody knows."""
    try:
        body = await read_chunks(reply.chunks(), ERROR_BODY_LIMIT)
    except (Broken, TimedOut, Malformed):
        body = b""
    if 300 <= reply.status < 400:
        return Refused(
            f"The upstream answered with a redirect ({reply.status}), which is not followed: check its base_url",
            status=502,
            type="upstream_error",
            code="upstream_redirect",
        )
    error = decode_error(reply.status, body)
    if reply.status in UNKNOWN_STATUSES or (reply.status >= 500 and not error.is_vendor_body):
        return TimedOut(
            f"The upstream answered {reply.status} and it is not known whether it served the request",
            status=502 if reply.status not in UNKNOWN_STATUSES else 504,
        )
    return as_refused(error, reply.status, secrets, retry_after_seconds=_retry_after(reply.headers))


async def whole_body(reply: Reply, limit: int) -> bytes:
    """All of a reply. Raises Malformed beyond the limit, Broken, TimedOut."""
    return await read_chunks(reply.chunks(), limit)


async def read_chunks(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """All of them in one piece. Raises Malformed beyond the limit."""
    parts, size = [], 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise Malformed(f"The upstream's answer is larger than {limit} bytes")
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def as_refused(
    error: VendorError, status: int, secrets: Secrets, *, retry_after_seconds: float | None = None
) -> Refused:
    """The vendor's error as ours, without the channel's key and headers, wherever in it those are quoted."""
    return Refused(
        scrub(error.message, secrets),
        status=status,
        type=scrub(error.type or "upstream_error", secrets),
        code=None if error.code is None else scrub(error.code, secrets),
        member=None if error.param is None else scrub(error.param, secrets),
        retry_after_seconds=retry_after_seconds,
    )


def scrub(text: str, secrets: Secrets) -> str:
    """A vendor's text without what the channel sent as credentials, should it quote them."""
    for secret in secrets:
        text = text.replace(secret, "***") if len(secret) >= 6 else text
    return text


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the vendor asks for; its date form and nonsense count as none."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / scale
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < 86_400:
            return seconds
    return None
