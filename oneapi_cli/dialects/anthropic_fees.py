"""What of a Messages request costs more than its tokens: tools that the vendor runs, and members that buy something.

A tool with a `type` of its own is the vendor's. Those that the client runs (bash, the editor, the computer, memory)
cost their text alone. Of the others a search is charged by the piece and `max_uses` bounds it; fetching and searching
for tools are free; what they return is read again on every step, which nothing bounds, so such a bill is `bounded:
false`. Code runs by the hour, an advisor is another model, and a remote server's tools have no list of prices.

Sources: https://platform.claude.com/docs/en/about-claude/pricing ·
https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from .openai_fields import PAID_EXTRAS, Fields, wrong

CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_", "browser_toolset_")
FREE_TOOLS = ("tool_search_tool_", "web_fetch_")
SEARCH_TOOLS = ("web_search_",)

MOST_NAMED = 4
MOST_USES = 10_000

_TOOL_READ = frozenset({"type", "max_uses"})
_OTHER_MODEL = "another model than the one named may answer"


class Fees(Struct):
    """fees: unit → most it can count; unpriceable: (member, why); unknown: members that leave the bill unbounded."""

    fees: Mapping[str, int]
    unpriceable: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]


def fees_of(fields: Fields) -> Fees:
    """Raises BadRequest for tools that are no objects."""
    searches, unknown = 0, []
    named: list[tuple[str, str]] = []
    for place, raw in enumerate(fields.array("tools") or ()):
        path = f"tools[{place}]"
        if not raw.startswith(b"{"):
            raise wrong(path, "must be an object")
        tool = Fields(raw, _TOOL_READ, path)
        kind = tool.value("type")
        if kind in (None, "custom") or not isinstance(kind, str) or kind.startswith(CLIENT_TOOLS):
            continue
        uses = tool.count("max_uses", 0, MOST_USES)
        if kind.startswith(SEARCH_TOOLS) and uses is not None:
            searches += uses
            unknown.append(path)
        elif kind.startswith(FREE_TOOLS):
            unknown.append(path)
        elif kind.startswith(SEARCH_TOOLS):
            named.append((path, "the vendor charges for each search: say `max_uses`"))
        else:
            named.append((path, f"the vendor runs `{kind[:64]}` itself, as often as it likes"))
    return Fees(
        fees={"web_searches": searches} if searches else {},
        unpriceable=(*named[:MOST_NAMED], *_extras(fields)),
        unknown=(*unknown, *_unbounded(fields)),
    )


def _extras(fields: Fields) -> list[tuple[str, str]]:
    found = [(name, why) for name, why in PAID_EXTRAS.items() if name != "speed" and fields.raw(name) not in _NOTHING]
    if fields.text("speed") not in (None, "standard"):
        found.append(("speed", PAID_EXTRAS["speed"]))
    if fields.text("inference_geo") not in (None, "global", "not_available"):
        found.append(("inference_geo", "a region has a price of its own"))
    if fields.raw("mcp_servers") not in _NOTHING:
        found.append(("mcp_servers", "the vendor calls their tools itself, as often as it likes"))
    if (fields.raw("container") or b"").startswith(b"{") and b'"skills"' in (fields.raw("container") or b""):
        found.append(("container", "skills run in a container that is charged by the hour"))
    if fields.raw("thread") not in _NOTHING:
        found.append(("thread", "it goes on with a conversation that is kept at the vendor"))
    return found


_NOTHING = (None, b"false", b"[]", b"{}")


def _unbounded(fields: Fields) -> list[str]:
    """Members under which the model may be called again, or reads what the body does not show. Clearing old results or
    thoughts away only makes the input smaller."""
    found = [name for name in ("compaction", "container") if fields.has(name)]
    managed = fields.raw("context_management") or b""
    if b'"compact' in managed or b"\\u" in managed:
        found.append("context_management.edits")
    return found
