"""config.yaml → `Loaded`, or `ConfigError` with everything that is wrong."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from oneapi_cli.values.vendor import Vendor

from .channels import ChannelBuilder
from .files import create_private, find_config, ledger_path, locate, read_config, read_tree, read_variables
from .loaded import Loaded
from .problems import ConfigError, Problem
from .read import Entry, Reader
from .schema import ChannelConfig, Config, Secret, TokenConfig
from .tokens import TokenBuilder

__all__ = ["ConfigError", "create_private", "find_config", "load", "locate"]


def load(
    path: str | os.PathLike[str], vendors: Mapping[str, Vendor], *, resolve: bool, environ: Mapping[str, str]
) -> Loaded:
    """The whole config, checked. Raises ConfigError with every problem at once.

    resolve: expand `${}` from `environ` and the `.env` beside the file. Without it such values keep their defaults,
    no environment is read, and `tokens` is (): good for looking at the file, not for serving.
    """
    file = Path(path).absolute()
    text, raw = read_config(file)
    variables, problems, dotenv = read_variables(file, environ) if resolve else (None, [], b"")
    root, doubled = read_tree(text, file, problems)
    reader = Reader(str(file), variables)
    reader.problems += problems + doubled
    channel_entries = reader.entries(root, "channels", ChannelConfig)
    token_entries = reader.entries(root, "tokens", TokenConfig)
    config = _with_entries(reader.struct(root, Config, "") or Config(), channel_entries, token_entries)
    channels = ChannelBuilder(reader, vendors, config)
    tokens = TokenBuilder(reader, config)
    built = channels.build(channel_entries)
    declared = tokens.build(token_entries)
    ledger, faults = ledger_path(config.ledger, root, file)
    reader.problems += faults
    notices = _across(reader, config, file) + channels.notices + tokens.notices
    if wrong := reader.problems + reader.unset:
        raise ConfigError(wrong, notices)
    return Loaded(
        path=file,
        ledger=ledger,
        config=config,
        channels=built,
        tokens=declared if resolve else (),
        notices=tuple(sorted(notices, key=lambda notice: notice.line)),
        sources=reader.sources,
        generation=hashlib.sha256(raw + b"\0" + dotenv).hexdigest()[:16],
    )


def _with_entries(config: Config, channels: list[Entry], tokens: list[Entry]) -> Config:
    return msgspec.structs.replace(
        config, channels=tuple(entry.value for entry in channels), tokens=tuple(entry.value for entry in tokens)
    )


def _across(reader: Reader, config: Config, file: Path) -> list[Problem]:
    """Checks and notices that concern the server as a whole."""
    notices: list[Problem] = []

    def notice(key: str, message: str, remedy: str) -> None:
        source = reader.sources.get(key)
        line = source.line if source else 0
        notices.append(Problem(file=str(file), line=line, key=key, message=message, remedy=remedy))

    if not config.listen.loopback and config.tls is None:
        message = f"{config.listen} can be reached from other machines, and keys travel there unencrypted"
        notice("listen", message, "add `tls:`, or listen on 127.0.0.1 behind a proxy that has it")
    if config.holds == "rolling" or any(token.holds == "rolling" for token in config.tokens):
        notice("holds", "rolling holds come later; until then they are as `auto`", "")
    for name in ("cert", "key") if config.tls and reader.variables is not None else ():
        stated = getattr(config.tls, name)
        if not (file.parent / Path(stated).expanduser()).is_file():
            source = reader.sources[f"tls.{name}"]
            reader.fault(source.line, f"tls.{name}", "this file does not exist", "write the path of a PEM file")
    if _holds_literal_secret(reader, config) and file.stat().st_mode & 0o077:
        message = "this file holds secrets and others on this machine can read it"
        notice("", message, f"run `chmod 600 {file.name}`, or move them to .env")
    return notices


def _holds_literal_secret(reader: Reader, config: Config) -> bool:
    """Whether a secret stands in the file itself, not in a variable."""
    stated = [("admin_key", config.admin_key)]
    for index, channel in enumerate(config.channels):
        stated += [(f"channels[{index}].api_key", key) for key in channel.api_key]
        stated.append((f"channels[{index}].secret_access_key", channel.secret_access_key))
    stated += [(f"tokens[{index}].key", token.key or Secret("")) for index, token in enumerate(config.tokens)]
    return any(key and (path not in reader.sources or not reader.sources[path].variables) for path, key in stated)
