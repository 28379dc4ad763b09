"""`oneapi init`: a commented config, the ledger, a first key. Never overwrites anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import typer

from oneapi_cli.values.money import NANOS_PER_USD, format_usd
from oneapi_cli.values.vendor import Vendor

from .mistakes import Refused
from .options import ConfigPath, example, ledger_of, now, whereabouts
from .output import say_secret

FIRST = "first"
FIRST_BUDGET_NANOS = 5 * NANOS_PER_USD

_HEAD = """\
# The config of oneapi. `oneapi config check` says what is wrong with it, with lines; unknown keys are errors.
# ${NAME} and ${NAME:-default} come from the environment, or from a file .env beside this one.

listen: 127.0.0.1:3000            # this machine only, unless said otherwise
ledger: oneapi.db                 # beside this file
admin_key: ${ONEAPI_ADMIN_KEY:-}  # opens the management API; empty: off

channels:
"""
_TAIL = """  # - {name: azure, type: azure, api_key: '${AZURE_OPENAI_API_KEY:-}', optional: true,
  #    base_url: https://NAME.openai.azure.com, api_version: v1, models: {gpt-4o: my-deployment}}
  # - {name: bedrock, type: bedrock, region: us-east-1, models: [claude-sonnet-4-6]}   # what the AWS chain finds
  # - {name: vertex, type: vertex, project: my-project, models: [gemini-2.5-flash]}     # default credentials
  # - {name: ollama, type: ollama, models: ['*'], prices: {'*': {free: true}}}
  # - {name: local, type: openai-compatible, base_url: http://127.0.0.1:8080/v1, models: ['*'],
  #    prices: {'*': {free: true}}}

# tokens:                         # keys declared here keep their identity here and their balance in the ledger;
#   - name: laptop                # `oneapi token add` makes others
#     key: ${LAPTOP_KEY:-}
#     budget: $20

# prices:                         # $ per million tokens, over the lists of the vendors
#   my-finetune: {input: 3.00, output: 12.00}

# retries: 2                      # further attempts before the first byte
# hold_wait: 30s                  # how long a request may wait for money that is only held
# timeouts: {connect: 10s, first_byte: 300s, idle: 120s}
# limits: {body: 64MiB, concurrent: 1000}
"""


def register(app: typer.Typer) -> None:
    """`init`."""
    app.command("init", epilog=example("oneapi init", "oneapi init --config ~/.config/oneapi/config.yaml"))(init)


def init(*, config: ConfigPath = None) -> None:
    """Write a commented config, make the ledger and a first key, which is printed once. Nothing is overwritten.

    Vendors whose keys are in the environment are enabled, the others stand there as comments.
    """
    from oneapi_cli.config.files import ENVIRONMENT_VARIABLE
    from oneapi_cli.ledger.accounts import NewToken, add_token
    from oneapi_cli.ledger.keys import hint_of, new_key
    from oneapi_cli.ledger.store import open_ledger

    stated = config or os.environ.get(ENVIRONMENT_VARIABLE)
    file = Path(stated).expanduser().absolute() if stated else Path("config.yaml").absolute()
    is_new = _write(file)
    place = whereabouts(file)
    if place.ledger.exists():
        raise Refused(_already(file, place.ledger, is_new))
    open_ledger(place.ledger, create=True).close()
    key, digest = new_key()
    with ledger_of(place) as db:
        new = NewToken(name=FIRST, key_sha256=digest, hint=hint_of(key), budget_nanos=FIRST_BUDGET_NANOS)
        add_token(db, new, now=now())
    where = "" if not stated else f" --config {file}"
    say_secret(
        key,
        f"{file} is {'written' if is_new else 'there already, and left as it is'}.",
        f"{place.ledger} is made.",
        "Next:",
        f"  oneapi config check{where}",
        f"  oneapi serve{where}",
        f"  oneapi token edit {FIRST} --unlimited{where}",
        f"The key of token {FIRST}, with a budget of {format_usd(FIRST_BUDGET_NANOS)}, shown this once:",
    )


def config_text(vendors: Mapping[str, Vendor], environ: Mapping[str, str]) -> str:
    """A config in which the vendors whose key variable is set are channels, and the others comments."""
    found = [vendor for vendor in vendors.values() if vendor.key_env and environ.get(vendor.key_env)]
    asleep = [vendor for vendor in vendors.values() if vendor.key_env and vendor.base and vendor not in found]
    keyless = [vendor for vendor in vendors.values() if vendor.auth == "demo"]
    reachable = [vendor for vendor in found if vendor.base and "{" not in vendor.base]
    # Of a vendor's two formats behind one key the first is enough: its own.
    awake = [vendor for vendor in reachable if vendor is next(v for v in reachable if v.key_env == vendor.key_env)]
    lines = [_channel(vendor) for vendor in (*awake, *keyless)]
    lines.append("  # Each of these wakes up when its comment sign goes and its key is set:\n")
    lines += [_comment(vendor) for vendor in asleep if "{" not in vendor.base]
    return _HEAD + "".join(lines) + _TAIL


def _channel(vendor: Vendor) -> str:
    models = ", ".join(_quoted(model) for model in vendor.example_models) or "'*'"
    key = f"    api_key: ${{{vendor.key_env}:-}}\n    optional: true\n" if vendor.key_env else ""
    about = "  # answers by itself: for trying things out" if not vendor.key_env else ""
    return f"  - name: {vendor.name}\n    type: {vendor.name}{about}\n{key}    models: [{models}]\n"


def _comment(vendor: Vendor) -> str:
    models = ", ".join(_quoted(model) for model in vendor.example_models[:2]) or "'*'"
    key = f"'${{{vendor.key_env}:-}}'"
    return f"  # - {{name: {vendor.name}, type: {vendor.name}, api_key: {key}, optional: true, models: [{models}]}}\n"


def _quoted(text: str) -> str:
    """A model's name within [ ]: quoted where YAML would read more into it."""
    plain = text.replace("-", "").replace(".", "").replace("_", "").replace("/", "")
    return text if plain.isalnum() and not text[0].isdigit() else "'" + text.replace("'", "''") + "'"


def _write(file: Path) -> bool:
    """Whether the config is new. Raises Refused where it cannot be written."""
    from oneapi_cli.config.files import create_private
    from oneapi_cli.providers.table import VENDORS

    try:
        create_private(file, config_text(VENDORS, os.environ))
    except FileExistsError:
        if not file.is_file():
            raise Refused(f"{file} cannot be written: something else is in its way.") from None
        return False
    except OSError as error:
        raise Refused(f"{file} cannot be written: {(error.strerror or 'unknown error').lower()}.") from error
    return True


def _already(file: Path, ledger: Path, is_new: bool) -> str:
    if is_new:
        return f"{file} is written; {ledger} was there already and stays. `oneapi token add` makes a key."
    return f"{file} and {ledger} are there already; nothing was changed. `oneapi token add` makes a key."
