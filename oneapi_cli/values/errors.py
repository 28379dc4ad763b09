"""Everything that can go wrong, forked first by whose fault it is.

    GatewayError
    ├── ClientFault                     the caller can mend it
    │   ├── BadRequest            400   a member is missing, malformed, doubled or cannot be priced
    │   ├── Unauthenticated       401   no key, an unknown one, or one that is disabled, expired or exhausted
    │   ├── OutOfCredit           403   the balance would not do even without holds (`insufficient_user_quota`)
    │   ├── Forbidden             403   this key may not: model, subnet, pin, unpriced model, banned owner
    │   ├── NotFound              404   no such model, response id or path
    │   ├── TooLarge              413   body over `limits.body`
    │   ├── HeadersTooLarge       431   headers over `limits.headers`
    │   ├── Misdirected           421   a Host that this listener does not answer for
    │   ├── Throttled             429   rpm, tpm, concurrent, or `balance_held` (with Retry-After)
    │   └── NotBuilt              501   a door that exists at the vendor and not here yet
    ├── NoChannel                 503   nothing configured can serve this model for this key now
    ├── Overloaded                503   `limits.concurrent` or `limits.memory` reached, or the ledger cannot be written
    └── UpstreamFault                   the vendor, or the way to it
        ├── Refused               as is the vendor said no, with a body of its own (401/403 become 502 `upstream_auth`)
        ├── Unreachable           502   could not connect: nothing was sent
        ├── TimedOut              504   sent, and nothing came back in time: outcome unknown
        ├── Broken                502   sent, and the connection broke before an answer: outcome unknown
        └── Malformed             502   an answer that is not what its dialect promises

A bug is none of these: it stays an ordinary exception and becomes a 500 with the request's id. Messages are public:
they say what was wrong and what to do, and never contain a key, SQL or a vendor's credential text.
"""

from __future__ import annotations

from .holds import RateLimits


class GatewayError(Exception):
    """status, type, code and message reach the client through its dialect's `encode_error`; `cause` never does.

    `member` names the request member at fault (OpenAI's `param`); `retry_after_seconds` becomes `Retry-After`;
    `rates` how the caller's rates stand, where it has any (`x-ratelimit-*`).
    """

    status = 500
    type = "one_api_error"
    code: str | None = None
    rates: RateLimits | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        type: str | None = None,
        member: str | None = None,
        retry_after_seconds: float | None = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        if type is not None:
            self.type = type
        self.member = member
        self.retry_after_seconds = retry_after_seconds
        self.cause = cause


class ClientFault(GatewayError):
    """The caller can mend it."""

    status = 400


class BadRequest(ClientFault):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class Unauthenticated(ClientFault):
    status = 401


class Forbidden(ClientFault):
    status = 403


class OutOfCredit(ClientFault):
    status = 403
    code = "insufficient_user_quota"


class NotFound(ClientFault):
    status = 404
    type = "invalid_request_error"


class TooLarge(ClientFault):
    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class HeadersTooLarge(ClientFault):
    status = 431
    type = "invalid_request_error"
    code = "headers_too_large"


class Misdirected(ClientFault):
    status = 421
    type = "invalid_request_error"
    code = "misdirected_request"


class Throttled(ClientFault):
    status = 429
    code = "rate_limit_exceeded"


class NotBuilt(ClientFault):
    status = 501
    code = "api_not_implemented"


class NoChannel(GatewayError):
    status = 503
    code = "no_channel"


class Overloaded(GatewayError):
    status = 503
    code = "overloaded"


class UpstreamFault(GatewayError):
    """The vendor's side. `sent` says whether the request may have reached it; unknown outcomes cost the input bound."""

    status = 502
    code = "upstream_error"
    sent = True


class Refused(UpstreamFault):
    """The vendor answered with an error of its own: nothing was served, nothing is charged."""

    sent = False


class Unreachable(UpstreamFault):
    code = "do_request_failed"
    sent = False


class TimedOut(UpstreamFault):
    status = 504
    code = "upstream_timeout"


class Broken(UpstreamFault):
    code = "upstream_broken"


class Malformed(UpstreamFault):
    code = "upstream_malformed"
