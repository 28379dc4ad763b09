"""`oneapi env`: the lines that point a client at this gateway.

Lines on stdout are for a shell to evaluate; remarks go to stderr. A key is stored as its hash, so it can only be
printed if it is brought along; without it the line stands there as a comment, which harms nobody who evaluates it.
"""

from __future__ import annotations

import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .mistakes import Refused
from .options import AsJson, ConfigPath, example, ledger_of, whereabouts
from .output import clean, remark, say, say_json
from .token_flags import word

if TYPE_CHECKING:
    from oneapi_cli.ledger.accounts import TokenRow
    from oneapi_cli.ledger.store import Connection

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "::": "[::1]"}  # noqa: S104 - read, not listened on


class Client(StrEnum):
    """Whose SDK is to be pointed here."""

    openai = "openai"
    anthropic = "anthropic"
    gemini = "gemini"


# client → (variable of the base URL, path below our address, variable of the key, variables that would win over it)
# Sources: openai-python, anthropic-sdk-python and python-genai, their READMEs (2026-11)
_VARIABLES = {
    Client.openai: ("OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY", ()),
    Client.anthropic: ("ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY", ("ANTHROPIC_AUTH_TOKEN",)),
    Client.gemini: ("GOOGLE_GEMINI_BASE_URL", "", "GEMINI_API_KEY", ("GOOGLE_API_KEY",)),
}
_DOORS = {
    Client.openai: "/v1/chat/completions",
    Client.anthropic: "/v1/messages",
    Client.gemini: "/v1beta/models/m:generateContent",
}


def register(app: typer.Typer) -> None:
    """`env`."""
    lines = ('eval "$(oneapi env phone --key - < key.txt)"', "oneapi env phone --for anthropic")
    app.command("env", epilog=example(*lines))(env)


def env(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The token.", show_default=False)],
    *,
    client: Annotated[Client, typer.Option("--for", help="Whose SDK or tool.")] = Client.openai,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help="The token's key; - reads it.")] = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """The lines that point a client at this gateway, for a shell to evaluate."""
    from oneapi_cli.ledger.accounts import get_token

    place = whereabouts(config)
    with ledger_of(place) as db:
        token = get_token(db, name)
        secret = _checked(db, key, token) if key is not None else None
    base_name, path, key_name, others = _VARIABLES[client]
    base = _address(place.path) + path
    _tell_unbuilt(client)
    if as_json:
        variables = {base_name: base, **({key_name: secret} if secret else {})}
        say_json({"token": token.name, "variables": variables, "unset": list(others)})
        return
    say(f"export {base_name}={shlex.quote(base)}")
    say(*(f"unset {other}" for other in others))
    if secret:
        say(f"export {key_name}={shlex.quote(secret)}")
        return
    say(clean(f"# export {key_name}=sk-…{token.hint}  (the key of token {token.name})"))
    remark("Keys are stored as their hash: add --key with yours, or get another by `oneapi token rotate`.")


def _checked(db: Connection, stated: str, token: TokenRow) -> str:
    """The key brought along, with its prefix. Raises Refused where it is not this token's."""
    from oneapi_cli.config import words
    from oneapi_cli.ledger.keys import PREFIX, digest_of
    from oneapi_cli.ledger.rows import find_principal

    text: str = word("--key", words.parse_secret, sys.stdin.readline() if stated == "-" else stated)
    owner = find_principal(db, digest_of(text))
    if owner is None or owner.token.id != token.id:
        raise Refused(f"This is not the key of token {token.name}; `oneapi token rotate` gives it a new one.")
    return text if text.startswith(PREFIX) else PREFIX + text


def address_of(config: Path | None) -> str:
    """Where this machine's clients reach the gateway of this config. Raises ConfigError, Refused."""
    from oneapi_cli.config.files import find_config

    return _address(find_config(config, os.environ))


def _address(file: Path) -> str:
    """`http://127.0.0.1:3000`: where this machine's clients reach the gateway. Raises ConfigError, Refused."""
    from oneapi_cli.config.files import plain_values
    from oneapi_cli.config.problems import WordError
    from oneapi_cli.config.words import parse_address

    stated = plain_values(file, os.environ, {"listen": "127.0.0.1:3000", "tls": ""})
    try:
        address = parse_address(stated["listen"])
    except WordError:
        raise Refused(f"`listen` in {file} is not an address; `oneapi config check` says more.") from None
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{'https' if stated['tls'] else 'http'}://{_EVERYWHERE.get(host, host)}:{address.port}"


def _tell_unbuilt(client: Client) -> None:
    from oneapi_cli.server.doors import find_door

    if find_door("POST", _DOORS[client]).kind == "unbuilt":
        remark(f"This release does not answer in the format of {client} yet; the lines are those for when it does.")
