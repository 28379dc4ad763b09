"""`channels:` → routing's `Channel`s, and every check that looks at more than one key of a channel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from oneapi_cli.values.vendor import Channel, Timeouts, Vendor

from .clouds import CloudFault, completed
from .problems import Problem, show, unknown
from .read import Entry, Reader
from .schema import ChannelConfig, Config, TimeoutsConfig

_KEYLESS = frozenset({"none", "demo", "sigv4", "google"})
_MARK = re.compile(r"\{([a-z_]+)\}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
# Options of the vendor's URL or signer that have a key of their own.
_OPTIONS = (
    "region",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "profile",
    "role_arn",
    "bearer",
    "project",
    "location",
    "credentials",
    "auth",
)


class ChannelBuilder:
    """Entries → channels. Problems and notices go to the reader's list and to `notices`."""

    def __init__(self, reader: Reader, vendors: Mapping[str, Vendor], config: Config) -> None:
        self.reader = reader
        self.vendors = vendors
        self.config = config
        self.notices: list[Problem] = []

    def build(self, entries: Sequence[Entry]) -> tuple[Channel, ...]:
        """Channels in the file's order; those that are skipped or broken are left out."""
        self.check_names(entries)
        built = [self.channel(entry, rank) for rank, entry in enumerate(entries)]
        return tuple(channel for channel in built if channel is not None)

    def channel(self, entry: Entry, rank: int) -> Channel | None:
        stated: ChannelConfig = entry.value
        vendor = self.vendors.get(stated.type)
        if vendor is None:
            message, remedy = unknown(stated.type, tuple(self.vendors), what="a vendor")
            self.fault(entry, "type", message, remedy)
            return None
        before = len(self.reader.problems)
        keys = tuple(key for key in stated.api_key if key)
        lacks = self.lacks(entry, vendor, keys)
        options = _options(stated) if lacks else self.options(entry, vendor, keyed=bool(keys))
        self.check(entry, vendor, options or {})
        if len(self.reader.problems) > before or lacks or options is None:
            return None
        return msgspec.structs.replace(_assemble(stated, vendor, keys, rank, self.config), options=options)

    def options(self, entry: Entry, vendor: Vendor, *, keyed: bool) -> dict[str, str] | None:
        """What the channel says of its URL and signer, completed by what its cloud's tools find in the environment.
        None where that is not enough: an error, but for a channel that is optional."""
        stated: ChannelConfig = entry.value
        options = _options(stated)
        if self.reader.variables is None or not stated.enabled:
            return options
        place = Path(self.reader.file).parent
        base = stated.base_url or vendor.base
        try:
            return completed(options, vendor, self.reader.variables, place, base=base, keyed=keyed)
        except CloudFault as fault:
            if stated.optional:
                why = f"the channel {stated.name} is skipped: {fault.message}"
                self.notices.append(self.at(entry, fault.key, why, fault.remedy))
            else:
                self.fault(entry, fault.key, fault.message, fault.remedy)
            return None

    def lacks(self, entry: Entry, vendor: Vendor, keys: Sequence[str]) -> bool:
        """Whether a variable or key is missing. An error, but for a channel that is optional or not enabled."""
        stated: ChannelConfig = entry.value
        unset = [problem for problem in self.reader.unset if problem.key.startswith(f"{entry.path}.")]
        self.reader.unset = [problem for problem in self.reader.unset if problem not in unset]
        missing = not keys and bool(vendor.key_env) and vendor.auth not in _KEYLESS and not unset
        if missing and not self.awaited(entry):
            remedy = f"write `api_key: ${{{vendor.key_env}}}` and set that variable, or `optional: true`"
            unset.append(self.at(entry, "api_key", f"{vendor.name} needs an API key, and there is none", remedy))
        elif not unset:
            return False
        if stated.optional or not stated.enabled:
            if stated.enabled:
                why = f"the channel {stated.name} is skipped: {unset[0].message}"
                self.notices.append(self.at(entry, "", why, "set it in the environment or in .env to use it"))
            return True
        self.reader.problems += unset
        return True

    def awaited(self, entry: Entry) -> bool:
        """Whether a key is written as a variable that this run does not look at."""
        if self.reader.variables is not None:
            return False
        prefix = f"{entry.path}.api_key"
        return any(path.startswith(prefix) and source.variables for path, source in self.reader.sources.items())

    def check(self, entry: Entry, vendor: Vendor, options: Mapping[str, str]) -> None:
        stated: ChannelConfig = entry.value
        if not stated.models:
            some = ", ".join(vendor.example_models[:3]) or "'*'"
            self.fault(entry, "models", "this channel serves no model", f"write a list such as [{some}]")
        if not vendor.base and not stated.base_url and not self.deferred(entry, "base_url"):
            remedy = "write `base_url:`, as the vendor's own SDK takes it"
            self.fault(entry, "base_url", f"a channel of type {vendor.name} needs a base URL", remedy)
        for dialect in stated.speaks:
            if dialect not in vendor.speaks:
                message, remedy = unknown(dialect, tuple(vendor.speaks), what=f"a dialect of {vendor.name}")
                self.fault(entry, "speaks", message, remedy)
        for mark in _missing_options(stated, vendor, options):
            self.fault(entry, "options", f"the URL of {vendor.name} needs `{mark}`", f"write `options: {{{mark}: …}}`")
        if stated.priced_as and stated.priced_as not in self.vendors and not self.known_list(stated.priced_as):
            self.fault(entry, "priced_as", *unknown(stated.priced_as, tuple(self.vendors), what="a list of prices"))
        self.check_headers(entry)
        if not vendor.prices and vendor.auth != "demo" and not stated.priced_as and not stated.prices:
            message = f"{vendor.name} has no prices of its own: its models are refused unless `prices:` names them"
            self.notices.append(self.at(entry, "", message, "add `priced_as: openai`, `prices:`, or {free: true}"))

    def known_list(self, name: str) -> bool:
        return any(vendor.prices == name for vendor in self.vendors.values())

    def deferred(self, entry: Entry, key: str) -> bool:
        """Whether this key was written, but waits for its variable (or lacks it, which is said elsewhere)."""
        source = self.reader.sources.get(f"{entry.path}.{key}")
        return bool(source and source.variables and self.reader.variables is None)

    def check_headers(self, entry: Entry) -> None:
        stated: ChannelConfig = entry.value
        for name, value in stated.headers.items():
            if not _HEADER.match(name) or not _HEADER_VALUE.match(value):
                message = f"{show(name)} cannot be sent as a header"
                self.fault(entry, "headers", message, "use letters, digits and - in the name, one line in the value")

    def check_names(self, entries: Sequence[Entry]) -> None:
        """Names are unique, whatever their capitals; where one ends like `-` and another, pins could mean either."""
        seen: dict[str, Entry] = {}
        for entry in entries:
            name: str = entry.value.name
            if twin := seen.get(name.lower()):
                message = f"the channel {show(name)} stands here twice, first in line {twin.line}"
                self.fault(entry, "name", message, "names are unique, whatever their capitals: rename one")
            seen.setdefault(name.lower(), entry)
        for entry in entries:
            for other in entries:
                if entry.value.name.endswith(f"-{other.value.name}"):
                    pin, short = entry.value.name, other.value.name
                    message = f"a key that ends in -{pin} could be pinned to {pin} or to {short}; the longer name wins"
                    self.notices.append(self.at(entry, "name", message, "rename one of them to be sure"))

    def fault(self, entry: Entry, key: str, message: str, remedy: str) -> None:
        """One problem per place: what could not be read need not be said to be missing as well."""
        problem = self.at(entry, key, message, remedy)
        if all(other.key != problem.key for other in self.reader.problems):
            self.reader.problems.append(problem)

    def at(self, entry: Entry, key: str, message: str, remedy: str) -> Problem:
        """A problem at a key of this entry; the entry's own line where the key does not stand there."""
        path = f"{entry.path}.{key}" if key else entry.path
        line = entry.lines.get(key, entry.line)
        return Problem(file=self.reader.file, line=line, key=path, message=message, remedy=remedy)


def timeouts(base: Timeouts, over: TimeoutsConfig) -> Timeouts:
    """`base` with what `over` states."""
    given = {name: value for name, value in msgspec.structs.asdict(over).items() if value is not None}
    return msgspec.structs.replace(base, **given)


def _missing_options(stated: ChannelConfig, vendor: Vendor, options: Mapping[str, str]) -> list[str]:
    """Marks of the vendor's URLs that nothing in the channel fills, those that `clouds.py` looks after aside."""
    base = stated.base_url or vendor.base
    marks = dict.fromkeys(mark for text in (base, *vendor.speaks.values()) for mark in _MARK.findall(text))
    filled = {"model", *vendor.fills, *options} | ({"api_version"} if stated.api_version else set())
    filled |= {"region"} if vendor.auth == "sigv4" else set()
    return [mark for mark in marks if mark not in filled]


def _options(stated: ChannelConfig) -> dict[str, str]:
    own = {name: value for name in _OPTIONS if (value := getattr(stated, name))}
    return {**stated.options, **own}


def _assemble(stated: ChannelConfig, vendor: Vendor, keys: tuple[str, ...], rank: int, config: Config) -> Channel:
    """All but the options."""
    speaks = {dialect: vendor.speaks[dialect] for dialect in stated.speaks} or dict(vendor.speaks)
    return Channel(
        name=stated.name,
        vendor=vendor,
        base=stated.base_url or vendor.base,
        keys=keys,
        models=stated.models,
        rank=rank,
        priority=stated.priority,
        weight=stated.weight,
        enabled=stated.enabled,
        groups=stated.groups,
        priced_as=stated.priced_as,
        prices=stated.prices,
        speaks=speaks,
        quirks=msgspec.structs.replace(vendor.quirks, **stated.quirks),
        headers=stated.headers,
        proxy=stated.proxy,
        system_prompt=stated.system_prompt,
        timeouts=timeouts(timeouts(Timeouts(), config.timeouts), stated.timeouts),
        passthrough=stated.passthrough,
        duration_fallback=stated.duration_fallback,
        unknown_output=stated.unknown_output or config.unknown_output,
        api_version=stated.api_version,
    )
