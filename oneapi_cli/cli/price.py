"""`oneapi price`: the resolved rate card of a model, and the catalogue's update."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from .mistakes import Refused
from .model import ChannelOption, chosen
from .options import AsJson, ConfigPath, example, loaded_config, now, prices_of, whereabouts
from .output import clean, remark, say, say_json, table, wrapped
from .progress import working

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oneapi_cli.config.loaded import Loaded
    from oneapi_cli.ledger.price_card import Card, Condition, Rate
    from oneapi_cli.ledger.price_updates import Change

URL_VARIABLE = "ONEAPI_PRICES_URL"
# Where genai-prices publishes its data. Source: its own genai_prices/update_prices.py (2026-11)
PUBLISHED = "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/data.json"
MOST_SHOWN = 40
Model = Annotated[str, typer.Argument(metavar="MODEL", help="By the name that clients use.", show_default=False)]


class ModelOrCommand(TyperGroup):
    """`oneapi price gpt-4o` is `oneapi price show gpt-4o`: what is no command is a model."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["show", *args]
        return list(super().parse_args(ctx, args))


def register(app: typer.Typer) -> None:
    """`price` and its commands."""
    group = typer.Typer(
        help="What models cost: `oneapi price MODEL`.", cls=ModelOrCommand, no_args_is_help=True, rich_markup_mode=None
    )
    group.command("show", epilog=example("oneapi price gpt-4o", "oneapi price show gpt-4o --channel azure"))(show)
    group.command("update", epilog=example("oneapi price update --dry-run", "oneapi price update"))(update)
    app.add_typer(group, name="price")


def show(model: Model, *, channel: ChannelOption = None, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """The rate card of a model, for each channel that serves it: every rate, tier and variant, and where it is from."""
    from .prices_view import card_document

    loaded = loaded_config(config)
    found = list(_cards(loaded, model, channel))
    if not found:
        raise Refused(_unpriced(loaded, model, channel))
    if as_json:
        say_json(
            [
                {"channel": where, "served": served, "model_sent": sent, **card_document(card)}
                for where, served, sent, card in found
            ]
        )
        return
    for index, (where, served, sent, card) in enumerate(found):
        name = f"{model}, sent as {sent}" if sent != model else model
        head = f"{name} through channel {where}" if served else f"{name} at {where}, which no channel serves"
        say(*([""] if index else []), *wrapped(head, ""), *_card_lines(card))


def update(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, keep nothing.")] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help=f"Where from; else ${URL_VARIABLE}, else genai-prices' own."),
    ] = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """Fetch the newest published prices, show the difference, and keep them beside the ledger."""
    from oneapi_cli.ledger.price_updates import changes, in_force, keep_update, parse_catalogue, update_file

    from .fetching import fetch

    file = update_file(whereabouts(config).ledger)
    if not file.parent.is_dir():
        raise Refused(f"There is no folder {file.parent} to keep prices in; `oneapi init` makes a ledger.")
    source = url or os.environ.get(URL_VARIABLE) or PUBLISHED
    with working("fetching prices"):
        raw = fetch(source)
        found = changes(in_force(file), parse_catalogue(raw, "that address" if url is None else "--url"))
        if not dry_run:
            keep_update(file, raw, _bare(source), now())
    if as_json:
        kept = None if dry_run else str(file)
        say_json({"kept": kept, "changes": [_change_document(change) for change in found]})
        return
    say(*(clean(line) for change in found[:MOST_SHOWN] for line in _change_lines(change)))
    if len(found) > MOST_SHOWN:
        say(f"… and {len(found) - MOST_SHOWN} more; --json lists them all.")
    said = f"{len(found)} listings differ." if found else "Nothing differs."
    if dry_run:
        remark(f"{said} Nothing was kept.")
    else:
        remark(f"{said} Kept in {file}; a running server takes it when its config is next read (SIGHUP).")


def _bare(source: str) -> str:
    """Where prices came from, without what an address may carry of secrets."""
    from urllib.parse import urlsplit

    parts = urlsplit(source)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _cards(loaded: Loaded, model: str, channel: str | None) -> Iterator[tuple[str, bool, str, Card]]:
    """(channel or vendor, whether it is served, name there, card): the channels that serve it, else who lists it."""
    from oneapi_cli.ledger.price_catalogue import catalogue_card
    from oneapi_cli.ledger.price_table import own_card
    from oneapi_cli.providers.table import VENDORS

    from .prices_view import offers

    prices = prices_of(loaded)
    served = False
    for serving, sent, card in offers(prices, chosen(loaded, channel), model):
        if card is not None:
            served = True
            yield serving.name, True, sent, card
    if served or channel is not None:
        return
    seen: set[str] = set()
    for vendor in VENDORS.values():
        card = catalogue_card(vendor.prices, model) if vendor.prices else None
        card = card or own_card([vendor.prices or vendor.name, vendor.name], model)
        if card is not None and card.origin not in seen:
            seen.add(card.origin)
            yield vendor.name, False, model, card


def _unpriced(loaded: Loaded, model: str, channel: str | None) -> str:
    serving = [one for one in chosen(loaded, channel) if model in one.models]
    if not serving:
        where = (
            f"Channel {channel} does not serve" if channel else f"No channel of {loaded.path} serves, and nobody lists,"
        )
        return f"{where} a model {model}; `oneapi model list` shows what is served."
    line = prices_of(loaded).unpriced_line(serving[0], model)
    return f"{model} has no known price, so requests for it are refused. Under `prices:` in {loaded.path}: {line}"


def _card_lines(card: Card) -> list[str]:
    lines = wrapped(card.origin, "  ")
    if card.free:
        return [*lines, "  free"]
    for base in card.bases:
        lines += _rates_lines(base.rates, _holds(base.condition, len(card.bases) > 1))
    for variant in card.variants:
        if not variant.rates:
            continue  # a tier that costs what all do
        said = ", ".join(f"{key} {value}" for key, value in variant.when.items())
        lines += _rates_lines(
            variant.rates, f"where {said}{_holds(variant.condition, False) and ', '}{variant.condition}"
        )
    if card.least_seconds:
        lines.append(f"  audio is billed as at least {card.least_seconds} seconds")
    return lines


def _holds(condition: Condition, several: bool) -> str:
    """When these rates hold, where that has to be said."""
    return str(condition) or ("otherwise" if several else "")


def _rates_lines(rates: Sequence[Rate], head: str) -> list[str]:
    from .prices_view import name_of, rate_text, tier_texts

    rows: list[tuple[str, str, str]] = []
    for rate in rates:
        rows.append((name_of(rate.unit)[0], rate_text(rate), ""))
        rows += [("", text.split(" ", 1)[0], text.split(" ", 1)[1]) for text in tier_texts(rate)]
    body = table(("", "", ""), rows, right=(), flex="")[1:] if rows else []
    return [*([f"  {clean(head)}:"] if head else []), *(f"    {line}" for line in body)]


def _change_lines(change: Change) -> Iterator[str]:
    name = f"{change.provider}/{change.model}"
    if change.kind != "changed":
        rates = ", ".join(_short(rate) for rate in (change.after or change.before)[:3])
        yield f"{change.kind:8}{name}: {rates}"
        return
    before = {rate.unit: _short(rate) for rate in reversed(change.before)}
    after = {rate.unit: _short(rate) for rate in reversed(change.after)}
    differ = [unit for unit in dict.fromkeys((*after, *before)) if before.get(unit) != after.get(unit)]
    texts = [f"{before.get(unit, 'nothing')} → {after.get(unit, 'nothing')}" for unit in differ]
    yield f"changed {name}: {'; '.join(texts) or 'its tiers or variants'}"


def _short(rate: Rate) -> str:
    from .prices_view import name_of, rate_text

    return f"{name_of(rate.unit)[0]} {rate_text(rate)}"


def _change_document(change: Change) -> dict[str, Any]:
    from .prices_view import rates_document

    return {
        "provider": change.provider,
        "model": change.model,
        "kind": change.kind,
        "before": rates_document(change.before),
        "after": rates_document(change.after),
        "at": datetime.fromtimestamp(now(), UTC).isoformat(timespec="seconds"),
    }
