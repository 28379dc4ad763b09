"""What a relay changes in a request of the OpenAI family, as edits of the client's own bytes.

Every function returns edits and notes, and none for what already stands there: an unchanged request leaves as the same
bytes. Notes are codes: `dropped:<member>`, `renamed:<member>`, `role:<new role>`, `system_prompt`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..framing.members import Edit, Remove, Rename, Set, edit
from ..values.asks import Change, Wanted
from .openai_fields import Fields

Notes = tuple[str, ...]
NO_READ: frozenset[str] = frozenset()

_messages = msgspec.json.Decoder(list[Raw])


class _Role(Struct, gc=False):
    role: Any = None
    type: Any = None


_roles = msgspec.json.Decoder(list[_Role])


class Rewriting:
    """Edits gathered for one body. `done` applies them."""

    def __init__(self, body: bytes) -> None:
        self.fields = Fields(body, NO_READ)
        self.edits: list[Edit] = []
        self.notes: list[str] = []

    def done(self) -> tuple[bytes, Notes]:
        body = edit(self.fields.body, self.edits, self.fields.listed) if self.edits else self.fields.body
        return body, tuple(self.notes)

    def set(self, name: str, value: object) -> None:
        """Give a top-level member this value, unless it has it."""
        if not self.fields.has(name) or self.fields.value(name) != value:
            self.edits.append(Set((name,), msgspec.json.encode(value)))

    def model(self, change: Change) -> None:
        self.set("model", change.model)

    def drop(self, change: Change) -> None:
        """Members that the model refuses."""
        for name in change.dropped:
            if self.fields.has(name):
                self.edits.append(Remove((name,)))
                self.notes.append(f"dropped:{name}")

    def ask_for_usage(self, wanted: Wanted, change: Change) -> None:
        if not (change.add_usage and wanted.stream and not wanted.usage_asked):
            return
        if self.fields.has("stream_options"):
            self.edits.append(Set(("stream_options", "include_usage"), b"true"))
        else:
            self.edits.append(Set(("stream_options",), b'{"include_usage":true}'))

    def limit(self, wanted: Wanted, change: Change, names: tuple[str, ...], *, forced: str, default: str) -> None:
        """The output limit. names: every member that can say it; forced: the only one that upstream knows, "" for any;
        default: the one to insert."""
        present = [m.name for m in self.fields.listed if m.name in names]
        if forced:
            self._limit_as(forced, present, wanted, change.limit)
        elif change.limit is not None:
            for name in wanted.limit_members or present[:1] or (default,):
                self.set(name, change.limit)

    def _limit_as(self, forced: str, present: list[str], wanted: Wanted, limit: int | None) -> None:
        value = limit if limit is not None else wanted.limit
        others = [name for name in present if name != forced]
        if value is None or others == present == []:
            if value is not None:
                self.set(forced, value)
            return
        if forced not in present:
            first, *others = others
            self.edits.append(Rename((first,), forced))
            if self.fields.value(first) != value:
                self.edits.append(Set((forced,), msgspec.json.encode(value)))
            self.notes.append(f"renamed:{first}")
        else:
            self.set(forced, value)
        for name in others:
            self.edits.append(Remove((name,)))
            self.notes.append(f"renamed:{name}")

    def roles(self, change: Change, member: str) -> None:
        """`system` in the name that a reasoning model takes; models that know only `user` get `developer` so as
        well."""
        raw = self.fields.raw(member)
        if not change.reasoning or change.system_role == "system" or raw is None or not raw.startswith(b"["):
            return
        old = ("system",) if change.system_role == "developer" else ("system", "developer")
        try:
            roles = _roles.decode(raw)
        except msgspec.ValidationError:
            return  # an element that is no object: upstream says so better than we could
        places = [place for place, message in enumerate(roles) if message.role in old]
        if places:
            role = msgspec.json.encode(change.system_role)
            self.edits += [Set((member, place, "role"), role) for place in places]
            self.notes.append(f"role:{change.system_role}")

    def system_prompt(self, change: Change, member: str) -> tuple[bytes, Notes]:
        """Everything so far, then the channel's own prompt: in place of a first system message, else before the
        others."""
        body, notes = self.done()
        if not change.system_prompt:
            return body, notes
        raw = Fields(body, NO_READ).raw(member)
        if raw is None or not raw.startswith(b"["):
            return body, notes
        messages = _messages.decode(raw)
        if not messages:
            return body, notes
        role = change.system_role if change.reasoning else "system"
        try:
            first = _roles.decode(b"[" + bytes(messages[0]) + b"]")[0].role
        except msgspec.ValidationError:
            return body, notes
        text = msgspec.json.encode(change.system_prompt)
        if first in ("system", "developer") or (first == role and f"role:{role}" in notes):
            body = edit(body, [Set((member, 0, "content"), text)])
        else:
            message = b'{"role":' + msgspec.json.encode(role) + b',"content":' + text + b"},"
            body = edit(body, [Set((member,), b"[" + message + raw[1:])])
        return body, (*notes, "system_prompt")
