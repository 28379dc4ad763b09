"""What a stream says, one event after another, whatever its wire format.

A reply is one or more choices; a choice is a sequence of parts, numbered from 0 in the order in which they began. Every
`PartStarted` is followed by its deltas and at most one `PartDone`; parts may overlap (parallel calls do at some
vendors), text and thoughts never do: a decoder ends the one before it starts the next. The grammar of one choice:

    Started? (PartStarted Delta* PartDone)* Finished      and once, at any place from the first to the last: UsageSeen+

`Failed` ends a stream that broke; nothing comes after it. Decoders close what is open before `Finished`.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from .conversation import Citation, FinishReason, Hosted, Media, Notes, Opaque
from .usage import Usage

PartKind = Literal["text", "thinking", "call", "custom_call", "refusal", "media", "hosted"]


class Started(Struct, frozen=True, kw_only=True):
    """The vendor's head of a reply: id, its name of the model, unix seconds. Comes at most once, first."""

    id: str = ""
    model: str = ""
    created: int = 0
    fingerprint: str = ""


class PartStarted(Struct, frozen=True, kw_only=True):
    """A part begins. id and name: of a call ("" where the vendor gives a call no id: the encoder makes one up)."""

    index: int
    kind: PartKind
    id: str = ""
    name: str = ""
    choice: int = 0


class Delta(Struct, frozen=True, kw_only=True):
    """More of an open part: its text, thought, refusal, or a call's arguments (JSON text, in pieces)."""

    index: int
    text: str
    choice: int = 0
    logprobs: Any = None


class Cited(Struct, frozen=True, kw_only=True):
    """A source of the open text part `index`."""

    index: int
    citation: Citation
    choice: int = 0


class PartDone(Struct, frozen=True, kw_only=True):
    """A part is whole. sealed: the signature or encrypted form of a thought; media and hosted: the part itself."""

    index: int
    sealed: Opaque | None = None
    media: Media | None = None
    hosted: Hosted | None = None
    choice: int = 0


class Finished(Struct, frozen=True, kw_only=True):
    """A choice is over; see `conversation.Choice` for what the members mean."""

    finish: FinishReason
    stop_sequence: str = ""
    raw_finish: str = ""
    explanation: str = ""
    choice: int = 0


class UsageSeen(Struct, frozen=True, kw_only=True):
    """Usage so far, whole: the last one counts. Decoders merge what their format reports in pieces."""

    usage: Usage


class Noted(Struct, frozen=True, kw_only=True):
    """Something could not be carried."""

    notes: Notes


class Failed(Struct, frozen=True, kw_only=True):
    """The vendor broke off with an error of its own. status: what it says of itself, None where it does not."""

    message: str
    type: str = ""
    code: str = ""
    status: int | None = None


Event = Started | PartStarted | Delta | Cited | PartDone | Finished | UsageSeen | Noted | Failed
