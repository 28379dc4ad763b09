"""Reading single members of a request body, with the texts that OpenAI's clients know from refusals.

A body is walked once; each member that we read is then decoded alone, from its own few bytes. Null is the same as
absent, as it is at OpenAI.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from ..framing.members import Member, check_members, members, too_deep
from ..values.errors import BadRequest

MOST_TOKENS = 2**31 - 1
MOST_OUTPUTS = 128
MODEL_LENGTH = 256

_anything = msgspec.json.Decoder()
_array = msgspec.json.Decoder(list[Raw])


class Fields:
    """The members of one request body (or of the object `inside` it). Raises BadRequest for what `members` and
    `check_members` refuse."""

    def __init__(self, body: bytes, read: frozenset[str], inside: str = "") -> None:
        self.body = body
        self.listed: list[Member] = members(body)
        self._path = f"{inside}." if inside else ""
        check_members(self.listed, read, inside=inside)
        self._spans = {m.name: (m.start, m.end) for m in self.listed}

    def raw(self, name: str) -> bytes | None:
        """A member's exact bytes, None where it is absent or null."""
        span = self._spans.get(name)
        if span is None:
            return None
        raw = self.body[span[0] : span[1]]
        return None if raw == b"null" else raw

    def has(self, name: str) -> bool:
        return self.raw(name) is not None

    def value(self, name: str) -> Any:  # whatever JSON holds
        raw = self.raw(name)
        try:
            return None if raw is None else _anything.decode(raw)
        except RecursionError:
            raise too_deep() from None
        except msgspec.ValidationError:
            raise wrong(self._path + name, "holds a number out of range") from None

    def text(self, name: str) -> str | None:
        value = self.value(name)
        if value is not None and not isinstance(value, str):
            raise wrong(name, "must be a string")
        return value

    def flag(self, name: str) -> bool:
        value = self.value(name)
        if value is not None and not isinstance(value, bool):
            raise wrong(self._path + name, "must be true or false")
        return bool(value)

    def count(self, name: str, least: int, most: int) -> int | None:
        """An integer within these bounds; the original's own text where it is not (`max_tokens is invalid`)."""
        raw = self.raw(name)
        if raw is None:
            return None
        # A number's spelling decides before its value: 1e400 or a million digits need not be computed.
        if len(raw) > 20 or not raw.lstrip(b"-").isdigit():
            raise wrong(name, "is invalid: it must be an integer")
        value = int(raw)
        if not least <= value <= most:
            raise invalid(f"{name} is invalid", name)
        return value

    def object(self, name: str, read: frozenset[str]) -> Fields | None:
        """A nested object whose members we read as well."""
        raw = self.raw(name)
        if raw is None:
            return None
        if not raw.startswith(b"{"):
            raise wrong(name, "must be an object")
        return Fields(raw, read, name)

    def array(self, name: str) -> list[bytes] | None:
        """The elements' exact bytes."""
        raw = self.raw(name)
        if raw is None:
            return None
        if not raw.startswith(b"["):
            raise wrong(name, "must be an array")
        return [bytes(item) for item in _array.decode(raw)]

    def unknown(self, known: frozenset[str]) -> tuple[str, ...]:
        return tuple(m.name for m in self.listed if m.name not in known)


def invalid(message: str, member: str) -> BadRequest:
    return BadRequest(message, code="invalid_text_request", member=member)


def wrong(member: str, what: str) -> BadRequest:
    return invalid(f"`{member}` {what}", member)


def required(member: str) -> BadRequest:
    return invalid(f"field {member} is required", member)


def model_of(fields: Fields, default: str = "") -> str:
    """The model's name. Raises BadRequest where it is missing, empty, no string or absurdly long."""
    model = fields.text("model") or default
    if not model.strip():
        raise invalid("model is required", "model")
    if len(model) > MODEL_LENGTH or not model.isprintable():
        raise invalid("model is invalid: it must be a name of at most 256 printable characters", "model")
    return model


def limit_of(fields: Fields, names: Iterable[str], least: int = 1) -> tuple[int | None, tuple[str, ...]]:
    """(the smallest of the output limits given, the members that gave one in the body's order)."""
    given = {name: value for name in names if (value := fields.count(name, least, MOST_TOKENS)) is not None}
    ordered = tuple(member.name for member in fields.listed if member.name in given)
    return (min(given.values()) if given else None), ordered


def usage_asked(fields: Fields) -> bool:
    """`stream_options.include_usage`."""
    options = fields.object("stream_options", frozenset({"include_usage"}))
    return options is not None and options.flag("include_usage")


# Members by which some vendors sell more than the model named, or hand the request to another model: neither is in the
# price of the name that was asked for. OpenRouter: `models` and `route` (fallbacks), `plugins` (searches, paid
# parsers); xAI: `search_parameters`; Alibaba: `enable_search`; Groq: `search_settings`, `compound_custom`;
# LiteLLM: `fallbacks`; Anthropic behind OpenRouter: `speed`.
# Sources: https://openrouter.ai/docs/guides/routing/model-fallbacks · https://openrouter.ai/docs/features/web-search ·
# https://docs.x.ai/docs/guides/live-search · https://help.aliyun.com/zh/model-studio/web-search (2026-11)
PAID_EXTRAS = {
    "models": "another model than the one named may answer",
    "fallbacks": "another model than the one named may answer",
    "route": "another model than the one named may answer",
    "plugins": "the vendor charges for what they do",
    "search_parameters": "the vendor charges for each source that it reads",
    "enable_search": "the vendor charges for each search",
    "search_settings": "the vendor charges for each search",
    "compound_custom": "the vendor may ask other models and run tools",
    "speed": "faster service has a price of its own",
}


def paid_extras(fields: Fields) -> tuple[tuple[str, str], ...]:
    """(member, why) for what a vendor would sell beside the model. `false` and null buy nothing."""
    return tuple((name, why) for name, why in PAID_EXTRAS.items() if fields.raw(name) not in (None, b"false"))


# Tools that the client runs itself: they cost what their text costs. All others are run by the vendor, which calls the
# model again with what they returned: neither fee nor input has a bound that we know.
CLIENT_TOOLS = frozenset(
    {"function", "custom", "local_shell", "apply_patch", "computer", "computer_use_preview", "namespace"}
)
_TOOL_READ = frozenset({"type", "environment", "execution", "tools"})
MOST_NAMED = 4


def hosted_tools(fields: Fields, inside: str = "") -> tuple[tuple[str, str], ...]:
    """(`tools[i]`, why) for the first few tools that the vendor would run, those in a namespace included."""
    found: list[tuple[str, str]] = []
    for place, raw in enumerate(fields.array("tools") or ()):
        path = f"{inside}tools[{place}]"
        if not raw.startswith(b"{"):
            raise wrong(path, "must be an object")
        tool = Fields(raw, _TOOL_READ, path)
        kind = tool.value("type")
        if kind == "namespace" and not inside:
            found += hosted_tools(tool, f"{path}.")
        elif isinstance(kind, str) and (inside or kind not in CLIENT_TOOLS) and not _runs_locally(kind, tool):
            found.append((path, f"the vendor runs `{kind[:64]}` itself, as often as it likes"))
        if len(found) >= MOST_NAMED:
            break
    return tuple(found[:MOST_NAMED])


def _runs_locally(kind: str, tool: Fields) -> bool:
    if kind == "shell":
        environment = tool.object("environment", frozenset({"type"}))
        return environment is not None and environment.value("type") == "local"
    return kind in ("function", "custom") or (kind == "tool_search" and tool.value("execution") == "client")
