"""A request that is a form: who may not pay is refused before it is read, and its files are measured in a thread.

What cannot be measured is not refused here yet: a channel may say that it takes such files by their size
(`duration_fallback`), and where nothing is charged nothing has to be measured.
"""

from __future__ import annotations

import asyncio

from msgspec import Struct
from msgspec.structs import replace

from ..dialects import FORMS
from ..dialects.tasks.durations import UNREADABLE
from ..values.asks import Ask, Measure, Wanted
from ..values.errors import BadRequest, OutOfCredit
from ..values.uploads import Upload
from .authenticate import Caller, exhausted, reread
from .gate import Gate
from .plan import Offer

FORM_TYPE = "multipart/form-data"


class Given(Struct, frozen=True):
    """What a request brought beside its bytes. upload: its form. measure: what measuring it once has found; guess and
    fault: where that failed, what its size says, and why it failed."""

    upload: Upload | None = None
    measure: Measure | None = None
    guess: Measure | None = None
    fault: BadRequest | None = None


NOTHING = Given()


def is_form(ask: Ask) -> bool:
    """Whether this request brings a form to a door that takes them."""
    return ask.door in FORMS and ask.headers.get("content-type", "").lower().lstrip().startswith(FORM_TYPE)


async def receive_form(ask: Ask, caller: Caller, gate: Gate) -> tuple[Upload, Wanted]:
    """Read it. Raises before the first byte is asked for where nothing is left to pay with: Unauthenticated (the
    token's), OutOfCredit (its owner's)."""
    if _has_nothing(caller):
        caller = await reread(caller, gate.book)
        if (used_up := exhausted(caller.principal)) is not None:
            raise used_up
        if _has_nothing(caller):
            raise OutOfCredit("The owner of this key has nothing left to pay with, so the upload was not read")
    upload = await ask.body.read_form(ask.headers["content-type"])
    return upload, FORMS[ask.door].peek_form(upload.form)


async def measured(ask: Ask, upload: Upload, wanted: Wanted) -> Given:
    """Its files, measured. Raises BadRequest for what is broken rather than unreadable."""
    dialect = FORMS[ask.door]
    try:
        return Given(upload, await asyncio.to_thread(dialect.measure_form, upload, wanted))
    except BadRequest as fault:
        if fault.code != UNREADABLE:
            raise
        return Given(upload, guess=dialect.guess_form(upload, wanted), fault=fault)


def payable(given: Given, offers: list[Offer]) -> tuple[list[Offer], Measure | None]:
    """The offers that take these files, and their measure. Raises what stood against measuring, where none does."""
    if given.fault is None:
        return offers, given.measure
    taking = [offer for offer in offers if offer.card.free or offer.candidate.channel.duration_fallback]
    if not taking or given.guess is None:
        raise given.fault
    return taking, replace(given.guess, loose=True)


def _has_nothing(caller: Caller) -> bool:
    principal = caller.principal
    spent = not principal.token.unlimited and principal.token_remain <= 0
    return spent or (not principal.user.unlimited and principal.user_remain <= 0)
