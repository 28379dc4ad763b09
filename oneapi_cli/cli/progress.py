"""What a person sees while something takes its time: a moving line on stderr, and only on a terminal.

rich is imported only then, so that nothing quick pays for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def working(text: str) -> Iterator[None]:
    """Say what is being done until it is. Silent where stderr is not a terminal."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{text} …"):
        yield
