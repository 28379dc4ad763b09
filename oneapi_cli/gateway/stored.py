"""Responses that a vendor keeps: read, deleted, cancelled and listed where they were made, by whoever made them.

A response id belongs to the user whose request made it; to everybody else there is no such response. Following up on
one (`previous_response_id`) goes to the channel that made it. None of these calls costs anything at the vendor.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from msgspec import Struct

from ..dialects import DIALECTS
from ..ledger.stored import StoredResponse, find_response, forget_response
from ..values.asks import Ask, Call
from ..values.errors import BadRequest, NoChannel, NotFound
from ..values.vendor import Channel
from .authenticate import Caller
from .gate import Gate
from .refusals import refused_by, scrubbed_fault, secrets_of, whole_body
from .steps import prove

DIALECT = "openai_responses"
_QUERY = ("after", "before", "include", "include[]", "limit", "order")


class StoredAnswer(Struct, frozen=True):
    """What the vendor said, as it came."""

    body: bytes
    content_type: str


def not_found(response_id: str) -> NotFound:
    """The one answer for an id that does not exist and for one that is somebody else's."""
    return NotFound(
        f"Response with id '{response_id[:200]}' not found.", code="response_not_found", member="response_id"
    )


async def maker_of(response_id: str, caller: Caller, gate: Gate) -> StoredResponse:
    """Who made it and where. Raises NotFound."""
    user_id = caller.principal.user.id
    found = await gate.book.read(partial(find_response, response_id=response_id, user_id=user_id))
    if found is None:
        raise not_found(response_id)
    return found


async def pass_on(ask: Ask, response_id: str, caller: Caller, gate: Gate) -> StoredAnswer:
    """GET, DELETE, cancel or input_items of a stored response. Raises NotFound, NoChannel, BadRequest, Refused."""
    if ask.query.get("stream", "false") not in ("false", "0", ""):
        raise BadRequest("`stream` is not supported for stored responses yet; leave it out", member="stream")
    made = await maker_of(response_id, caller, gate)
    channel = next((each for each in gate.channels if each.name == made.channel and each.enabled), None)
    if channel is None or DIALECT not in (channel.speaks or channel.vendor.speaks):
        raise NoChannel(f"The channel that made response {response_id[:60]} is not there any more")
    key = gate.next_key(channel)
    call = await prove(_call(ask, channel, gate), channel, key, gate, {})
    reply = await gate.transport.send(call)
    try:
        if not 200 <= reply.status < 300:
            secrets = secrets_of(channel, key, call.headers)
            fault = await refused_by(reply, DIALECTS[DIALECT].decode_error, secrets)
            raise scrubbed_fault(fault, channel)
        body = await whole_body(reply, gate.policy.reply_limit)
    except BaseException:
        reply.abort()
        raise
    reply.release()
    if ask.method == "DELETE":
        await gate.book.write(partial(forget_response, response_id=response_id, user_id=made.user_id))
    return StoredAnswer(body, reply.headers.get("content-type", "application/json"))


def _call(ask: Ask, channel: Channel, gate: Gate) -> Call:
    url, _, query = gate.url(channel, DIALECT, "", False).partition("?")
    named = [(name, ask.query[name]) for name in _QUERY if name in ask.query]
    query = "&".join(part for part in (query, urlencode(named)) if part)
    return Call(
        method=ask.method,
        url=url + ask.path.removeprefix("/v1/responses") + (f"?{query}" if query else ""),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        body=b"",
        connect_seconds=channel.timeouts.connect,
        first_byte_seconds=channel.timeouts.first_byte,
        idle_seconds=channel.timeouts.idle,
        stream_seconds=channel.timeouts.stream,
        proxy=channel.proxy,
    )
