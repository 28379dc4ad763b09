"""`oneapi channel`: the ways to vendors, the vendors there are, and whether a channel works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneapi_cli.values.money import format_usd

from .mistakes import Refused
from .options import AsJson, ConfigPath, example, ledger_of, loaded_config, now, whereabouts
from .output import clean, remark, say, say_json, spent, table, wrapped
from .progress import working

if TYPE_CHECKING:
    from oneapi_cli.config.loaded import Loaded
    from oneapi_cli.config.problems import Problem
    from oneapi_cli.server.probe import Finding, Trial
    from oneapi_cli.values.accounts import Principal
    from oneapi_cli.values.vendor import Channel

TESTER = "channel-test"


def register(app: typer.Typer) -> None:
    """`channel` and its commands."""
    group = typer.Typer(help="The ways to vendors.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list", epilog=example("oneapi channel list"))(list_)
    group.command("types", epilog=example("oneapi channel types --json"))(types)
    group.command("test", epilog=example("oneapi channel test openai --model gpt-4o-mini"))(test)
    app.add_typer(group, name="channel")


def list_(*, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """Every channel of the config, and whether `oneapi serve` would use it here."""
    loaded = loaded_config(config)
    states = _states(config, loaded)
    found = [_document(index, loaded, states) for index in range(len(loaded.config.channels))]
    if as_json:
        say_json(found)
        return
    if not found:
        remark(f"{loaded.path} has no channel; `oneapi channel types` lists the vendors that there are.")
        return
    header = ("NAME", "TYPE", "PRIORITY", "WEIGHT", "GROUPS", "MODELS", "STATE")
    rows = [
        (
            one["name"],
            one["type"],
            str(one["priority"]),
            str(one["weight"]),
            ",".join(one["groups"]) or "all",
            str(len(one["models"])),
            one["state"],
        )
        for one in found
    ]
    say(*table(header, rows, right=("PRIORITY", "WEIGHT", "MODELS"), flex="NAME"))
    for one in found:
        if one["why"]:
            remark(f"{one['name']}: {one['why']}")


def types(*, as_json: AsJson = False) -> None:
    """The vendor table: what `type:` may be, and the variable that its key is usually in."""
    from oneapi_cli.providers.table import VENDORS

    if as_json:
        say_json(
            [
                {
                    "type": row.name,
                    "base_url": row.base,
                    "key_env": row.key_env,
                    "speaks": list(row.speaks),
                    "prices": row.prices,
                    "source": row.source,
                    "checked": row.checked,
                }
                for row in VENDORS.values()
            ]
        )
        return
    rows = [(row.name, row.key_env or "none", row.base or "yours: base_url") for row in VENDORS.values()]
    say(*table(("TYPE", "KEY IN", "BASE URL"), rows, flex="BASE URL"))


def test(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One channel; all without it.", show_default=False)
    ] = None,
    *,
    model: Annotated[
        str | None, typer.Option("--model", metavar="M", help="One of its models; else its first.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """Send a tiny real request: its status, latency and cost. It is booked on the token channel-test. Exit code 1 if
    one fails."""
    from oneapi_cli.server.probe import run

    loaded = loaded_config(config, resolve=True)
    trials = [_trial(channel, model, loaded) for channel in _chosen(loaded, name, model)]
    principal = _tester(config)
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)

    with working("asking" if len(trials) == 1 else f"asking {len(trials)} channels"):
        run(loaded, trials, principal, now, tell)
    if as_json:
        say_json([_finding(found) for found in findings])
    else:
        _say_findings(findings)
    if any(not found.ok for found in findings):
        raise typer.Exit(1)


def _states(config: Path | None, loaded: Loaded) -> dict[int, tuple[str, str]]:
    """Index → (ready, skipped, disabled or broken; why), by what the environment has here."""
    from oneapi_cli.config.problems import ConfigError

    stated = loaded.config.channels
    try:
        said = loaded_config(config, resolve=True).notices
        faults: tuple[Problem, ...] = ()
    except ConfigError as error:
        said, faults = error.notices, error.problems
    states: dict[int, tuple[str, str]] = {}
    for index, one in enumerate(stated):
        place = f"channels[{index}]"
        fault = next((problem for problem in faults if _is_at(problem.key, place)), None)
        skipped = next((n for n in said if n.key == place and "is skipped" in n.message), None)
        if not one.enabled:
            states[index] = ("disabled", "")
        elif fault is not None:
            states[index] = ("broken", fault.message)
        elif skipped is not None:
            states[index] = ("skipped", skipped.message)
        else:
            states[index] = ("ready", "")
    return states


def _is_at(key: str, place: str) -> bool:
    return key == place or key.startswith((f"{place}.", f"{place}["))


def _document(index: int, loaded: Loaded, states: dict[int, tuple[str, str]]) -> dict[str, Any]:
    """One channel, without its keys; what comes from `${}` stands there by its variables."""
    one = loaded.config.channels[index]
    state, why = states[index]
    return {
        "name": one.name,
        "type": one.type,
        "priority": one.priority,
        "weight": one.weight,
        "groups": list(one.groups),
        "models": dict(one.models),
        "enabled": one.enabled,
        "optional": one.optional,
        "state": state,
        "why": why,
    }


def _chosen(loaded: Loaded, name: str | None, model: str | None) -> list[Channel]:
    """The channels to try. Raises Refused."""
    if name is not None:
        found = [channel for channel in loaded.channels if channel.name == name]
        skipped = any(one.name == name for one in loaded.config.channels)
        if not found and skipped:
            raise Refused(f"Channel {name} is not usable here; `oneapi channel list` says why.")
        if not found:
            raise Refused(f"There is no channel {name} in {loaded.path}; `oneapi channel list` shows those there are.")
    else:
        found = [c for c in loaded.channels if c.enabled and (model is None or _takes(c, model, loaded))]
        if not found:
            raise Refused("No usable channel serves that; `oneapi channel list` and `oneapi model list` show what is.")
        nameless = [c for c in found if model is None and _example(c) is None]
        if len(nameless) < len(found):
            found = [c for c in found if c not in nameless]
            remark(*(f"{c.name} is not tried: it names no model; say which one with --model." for c in nameless))
    return found


def _namer(model: str, loaded: Loaded) -> Channel | None:
    """The first channel that names the model, and so keeps it from every `*`."""
    return next((channel for channel in loaded.channels if channel.enabled and model in channel.models), None)


def _takes(channel: Channel, model: str, loaded: Loaded) -> bool:
    """Whether requests for the model can go to the channel: by its name, or by `*` where no channel names it."""
    return model in channel.models or ("*" in channel.models and _namer(model, loaded) is None)


def _example(channel: Channel) -> str | None:
    """The model to try where nobody says which."""
    return next((model for model in (*channel.models, *channel.vendor.example_models) if model != "*"), None)


def _trial(channel: Channel, model: str | None, loaded: Loaded) -> Trial:
    """The request for a channel. Raises Refused where it has no model to try."""
    from oneapi_cli.server.probe import Trial, testable

    chosen = model or _example(channel)
    if chosen is None:
        raise Refused(f"Channel {channel.name} names no model; say which one to try with --model.")
    if model is not None and not _takes(channel, model, loaded):
        namer = _namer(model, loaded) if "*" in channel.models else None
        known = ", ".join([each for each in channel.models if each != "*"][:5])
        why = f"it serves {known}" if namer is None else f"channel {namer.name} names {model}, so no `*` takes it"
        raise Refused(f"Channel {channel.name} does not serve {model}; {why}.")
    if not channel.enabled:
        raise Refused(f"Channel {channel.name} is not enabled; set `enabled: true` in the config to try it.")
    dialect = testable(tuple(channel.speaks or channel.vendor.speaks), chosen)
    if not dialect:
        raise Refused(f"Channel {channel.name} speaks no format that can be tried.")
    return Trial(channel.name, chosen, dialect)


def _tester(config: Path | None) -> Principal:
    """The operator's own token for trials, made when it is first needed; its key is known to nobody."""
    from oneapi_cli.ledger.accounts import NewToken, add_token, list_tokens
    from oneapi_cli.ledger.keys import new_key
    from oneapi_cli.ledger.rows import principal_of

    with ledger_of(whereabouts(config)) as db:
        known = [token for token in list_tokens(db) if token.name == TESTER]
        row = (
            known[0]
            if known
            else add_token(db, NewToken(name=TESTER, key_sha256=new_key()[1], unlimited=True), now=now())
        )
        principal = principal_of(db, row.id)
    if principal is None:
        raise Refused(f"Token {TESTER} is being removed; try again.")
    return principal


def _say_findings(findings: list[Finding]) -> None:
    header = ("CHANNEL", "MODEL", "STATUS", "SECONDS", "COST", "")
    rows = [
        (
            found.channel,
            found.model,
            str(found.status),
            f"{found.seconds:.2f}",
            spent(found.cost_nanos),
            "works" if found.ok else "fails",
        )
        for found in findings
    ]
    say(*table(header, rows, right=("STATUS", "SECONDS", "COST"), flex="MODEL"))
    for found in findings:
        if found.message:
            say(*wrapped(f"{found.channel}: {found.code or 'error'}: {found.message}", "  "))
    for found in findings:
        say(clean(f"  oneapi cost {found.request_id}"))


def _finding(found: Finding) -> dict[str, Any]:
    import msgspec

    return {**msgspec.structs.asdict(found), "ok": found.ok, "cost": format_usd(found.cost_nanos)}
