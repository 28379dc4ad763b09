"""`oneapi model`: every model served, with its price and where that comes from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .mistakes import Refused
from .options import AsJson, ConfigPath, example, loaded_config, now, prices_of
from .output import remark, say, say_json, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oneapi_cli.config.loaded import Loaded
    from oneapi_cli.ledger.price_card import Card
    from oneapi_cli.values.vendor import Channel

ChannelOption = Annotated[
    str | None, typer.Option("--channel", metavar="C", help="Only what this channel serves.", show_default=False)
]
ANYTHING = "*"


def register(app: typer.Typer) -> None:
    """`model` and its commands."""
    group = typer.Typer(help="What is served.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list", epilog=example("oneapi model list --channel openai"))(list_)
    app.add_typer(group, name="model")


def list_(*, channel: ChannelOption = None, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """Every model served, by which channel, at which price, and where the price comes from."""
    loaded = loaded_config(config)
    found = list(_served(loaded, chosen(loaded, channel)))
    at = datetime.fromtimestamp(now(), UTC)
    if as_json:
        say_json([_document(*one) for one in found])
        return
    if not found:
        remark("No channel serves a model; `oneapi channel list` says what there is.")
        return
    header = ("MODEL", "CHANNEL", "INPUT", "OUTPUT", "PRICE FROM")
    rows = [_row(model, serving, card, at) for model, serving, _, card in found]
    say(*table(header, rows, right=("INPUT", "OUTPUT"), flex="MODEL"))
    if any(card is None and model != ANYTHING for model, _, _, card in found):
        remark("Models whose price is `none` are refused; give them a line under `prices:` in the config.")


def chosen(loaded: Loaded, name: str | None) -> tuple[Channel, ...]:
    """The channels to look at. Raises Refused for a name that none has."""
    if name is None:
        return loaded.channels
    found = tuple(channel for channel in loaded.channels if channel.name == name)
    if not found:
        known = ", ".join(channel.name for channel in loaded.channels) or "none"
        raise Refused(f"There is no usable channel {name} in {loaded.path}; there are: {known}.")
    return found


def _served(loaded: Loaded, channels: tuple[Channel, ...]) -> Iterator[tuple[str, Channel, str, Card | None]]:
    """(name clients use, channel, name there, card), by name and then as channels are tried; `*` last."""
    prices = prices_of(loaded)
    ranked = sorted((channel for channel in channels if channel.enabled), key=lambda c: (-c.priority, c.rank))
    names = {name for channel in ranked for name in channel.models}
    for name in sorted(names, key=lambda name: (name == ANYTHING, name)):
        for channel in ranked:
            if name in channel.models:
                sent = channel.models[name] or name
                yield name, channel, sent, prices.card(channel, name, sent)


def _row(model: str, channel: Channel, card: Card | None, at: datetime) -> tuple[str, str, str, str, str]:
    from .prices_view import brief, others, short_origin

    rate_in, rate_out = brief(card, "input_tokens", at), brief(card, "output_tokens", at)
    if model == ANYTHING and card is None:
        return "* (any other)", channel.name, "by name", "by name", ""
    if card is not None and (rate_in, rate_out) == ("-", "-"):
        rate_in, rate_out = ", ".join(others(card, at)[:1]), ""
    return model, channel.name, rate_in, rate_out, short_origin(card)


def _document(model: str, channel: Channel, sent: str, card: Card | None) -> dict[str, Any]:
    from .prices_view import card_document

    return {
        "model": model,
        "channel": channel.name,
        "type": channel.vendor.name,
        "model_sent": sent,
        "priority": channel.priority,
        "price": None if card is None else card_document(card),
    }
