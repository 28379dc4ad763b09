"""`oneapi config`: every problem at once, and what is in force."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .options import AsJson, ConfigPath, example, prices_of
from .output import clean, complain, remark, say, say_json

if TYPE_CHECKING:
    from oneapi_cli.config.loaded import Loaded
    from oneapi_cli.config.problems import Problem


def register(app: typer.Typer) -> None:
    """`config` and its commands."""
    group = typer.Typer(help="The config.", no_args_is_help=True, rich_markup_mode=None)
    group.command("check", epilog=example("oneapi config check --config ./config.yaml"))(check)
    group.command("show", epilog=example("oneapi config show"))(show)
    lines = ("oneapi config schema > config.schema.json",)
    group.command("schema", epilog=example(*lines))(schema)
    group.command("openapi", epilog=example("oneapi config openapi > openapi.json"))(openapi)
    app.add_typer(group, name="config")


def check(*, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """Every problem of the config, each with its line and what to do. Exit code 1 if there is one."""
    from oneapi_cli.config.problems import ConfigError

    try:
        loaded = _load(config)
    except ConfigError as error:
        if as_json:
            say_json({"ok": False, "problems": _documents(error.problems), "notices": []})
        else:
            complain(str(error))
            remark(f"{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''}.")
        raise typer.Exit(1) from None
    notices = (*loaded.notices, *_unpriced(loaded))
    if as_json:
        say_json({"ok": True, "problems": [], "notices": _documents(notices)})
        return
    remark(*(str(notice) for notice in notices))
    counts = ((len(loaded.channels), "channel"), (len(loaded.tokens), "token"))
    said = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
    say(clean(f"{loaded.path} is sound: {said}."))


def show(*, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """What is in force, defaults included. Secrets, and whatever came from ${}, are masked."""
    from oneapi_cli.config.show import shown

    seen = shown(_load(config))
    if as_json:
        say_json(seen)
        return
    import yaml

    text = yaml.safe_dump(seen, sort_keys=False, allow_unicode=True, width=1_000)
    say(*(clean(line) for line in text.splitlines()))


def schema() -> None:
    """The config's JSON Schema, for editors.

    The first line of config.yaml says where it is: `# yaml-language-server: $schema=config.schema.json`.
    """
    from oneapi_cli.config.json_schema import config_schema
    from oneapi_cli.providers.table import VENDORS

    say_json(config_schema(VENDORS))


def openapi(*, config: ConfigPath = None) -> None:
    """OpenAPI 3.1 of what this gateway answers, at the address that the config names."""
    from oneapi_cli.server.openapi import document

    from .env import address_of

    say_json(document(address_of(config)))


def _load(config: Path | None) -> Loaded:
    from oneapi_cli.config.files import find_config
    from oneapi_cli.config.load import load
    from oneapi_cli.providers.table import VENDORS

    return load(find_config(config, os.environ), VENDORS, resolve=True, environ=os.environ)


def _unpriced(loaded: Loaded) -> list[Problem]:
    """A notice for every named model that has no price."""
    from oneapi_cli.config.problems import Problem

    prices = prices_of(loaded)
    ways = {channel.name: channel for channel in loaded.channels}
    return [
        Problem(
            file=str(loaded.path),
            line=0,
            key="prices",
            message=f"channel {name}: {model} has no price, so requests for it are refused",
            remedy=f"add {prices.unpriced_line(ways[name], model)}",
        )
        for name, model in prices.unpriced(loaded.channels)
    ]


def _documents(problems: tuple[Problem, ...]) -> list[object]:
    import msgspec

    return [msgspec.to_builtins(problem) for problem in problems]
