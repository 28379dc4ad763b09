"""What can go wrong between the ledger and its callers. Sentences are public: they say what to do and contain no SQL.

LedgerError             a sentence for the person at the terminal, or the operator reading a log
└── LedgerUnavailable   the file cannot be used now: full disk, lock held elsewhere, I/O error; worth a retry
AccountChanged          an edit moved an account's version since the principal was read: read it again, decide again
"""

from __future__ import annotations


class LedgerError(Exception):
    """A sentence saying what is wrong and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class LedgerUnavailable(LedgerError):
    """Nothing of this was committed; the same call may work in a moment."""


class AccountChanged(Exception):
    """The caller's principal is stale: `find(digest, fresh=True)` and start again from its checks."""
