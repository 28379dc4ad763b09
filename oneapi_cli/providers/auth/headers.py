"""Headers that carry a key as it is. Pure; the result holds a secret and goes nowhere but to the transport.

Names are lower-case, so that a channel's own `headers` replace ours whatever capitals they were written in.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...values.vendor import Auth, Channel

# Auth → (header, what stands before the key).
_SCHEMES: Mapping[Auth, tuple[str, str]] = {
    "bearer": ("authorization", "Bearer "),
    "api_key": ("api-key", ""),
    "azure": ("api-key", ""),
    "x_api_key": ("x-api-key", ""),
    "x_goog_api_key": ("x-goog-api-key", ""),
}
_KEYLESS: frozenset[Auth] = frozenset({"none", "demo"})

# Azure: `auth: entra` in a channel says that the key is a Microsoft Entra access token.
AUTH_OPTION = "auth"
ENTRA = "entra"
KEY_MARK = "{key}"


def headers_for(channel: Channel, key: str) -> dict[str, str]:
    """Header name (lower-case) → value: the key in the vendor's way, then the vendor's extras, then the channel's own.

    An empty key sends no credential (local servers want none). `{key}` in a header of the channel becomes the key, for
    gateways that read it elsewhere. Raises ValueError for schemes that sign requests: those need more than headers.
    """
    return with_extras(_credential(channel, key), channel, key)


def with_extras(credential: Mapping[str, str], channel: Channel, key: str) -> dict[str, str]:
    """What proves a call, then the vendor's extras, then the channel's own headers."""
    headers = dict(credential)
    headers.update((name.lower(), value) for name, value in channel.vendor.headers.items())
    headers.update((name.lower(), value.replace(KEY_MARK, key)) for name, value in channel.headers.items())
    return headers


def _credential(channel: Channel, key: str) -> dict[str, str]:
    auth = channel.vendor.auth
    if auth in _KEYLESS or not key:
        return {}
    if auth == "azure" and channel.options.get(AUTH_OPTION, "").lower() == ENTRA:
        auth = "bearer"
    if auth not in _SCHEMES:
        raise ValueError(f"{auth} is signed per request and has no fixed headers")
    name, before = _SCHEMES[auth]
    return {name: before + key}
