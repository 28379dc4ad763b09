"""One GET for a published file, with a sentence for everything that can go wrong. By the standard library: a second or
two of a command's life are no reason to import an HTTP stack."""

from __future__ import annotations

import http.client
import ipaddress
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from oneapi_cli import __version__

from .mistakes import Refused

MOST_BYTES = 64 << 20
SECONDS = 20.0


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows only to addresses that could have been asked for in the first place."""

    def redirect_request(self, req: Any, fp: Any, *told: Any) -> Any:
        if not is_fetchable(str(told[-1])):
            fp.close()
            raise Refused("The price list was moved to an address that is not https; nothing was changed.")
        return super().redirect_request(req, fp, *told)


def fetch(url: str) -> bytes:
    """The body at `url`. Raises Refused; the address is not repeated, since one may carry a credential."""
    if not is_fetchable(url):
        raise Refused("The address of the price list is not https (plain http is for this machine alone); mend --url.")
    request = urllib.request.Request(url, headers={"User-Agent": f"oneapi/{__version__}", "Accept": "application/json"})  # noqa: S310 - checked above
    opener = urllib.request.build_opener(_SafeRedirects())
    try:
        with opener.open(request, timeout=SECONDS) as reply:
            raw: bytes = reply.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise Refused(f"The price list answered with status {error.code}; nothing was changed.") from None
    except (OSError, http.client.HTTPException, ValueError):
        raise Refused(
            "The price list cannot be reached. Prices stay as they are; try again when this machine is online, or name"
            " another address with --url."
        ) from None
    if len(raw) > MOST_BYTES:
        raise Refused(f"The price list is larger than {MOST_BYTES >> 20} MiB; nothing was changed.")
    return raw


def is_fetchable(url: str) -> bool:
    """https, or http to this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    return parts.scheme == "http" and _is_here(host)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
