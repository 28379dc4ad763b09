"""A process of its own that uses a ledger: `python -m tests.ledger.worker PATH work N` or `… hold N`.

work: N pairs of hold and settlement of 3 nano-dollars, many at once; ends by itself. hold: N holds of 100 (input
bound 40), then a line on stdout, then it waits to be killed. load: pairs without end, a line per settlement that was
acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sys

from oneapi_cli.ledger.book import Book
from oneapi_cli.values.accounts import Principal
from oneapi_cli.values.holds import Hold
from tests.ledger.kit import ask, closing, key_of, per_token


async def pair(book: Book, who: Principal, id: str) -> None:
    hold = await book.reserve(ask(who, per_token(60, floor=60, fixed_nanos=40), wait=20, request_id=id))
    assert isinstance(hold, Hold)
    await book.close(id, closing(3))


async def main(path: str, mode: str, count: int) -> None:
    book = Book.open(path)
    await book.start()
    who = await book.find(key_of("laptop"))
    assert who is not None
    ids = (f"{os.getpid()}-{n}" for n in range(10**9))
    if mode == "hold":
        for _ in range(count):
            await book.reserve(ask(who, per_token(60, floor=60, fixed_nanos=40), request_id=next(ids)))
        print("held", flush=True)
        await asyncio.sleep(60)

    async def work(turns: int) -> None:
        for _ in range(turns):
            id = next(ids)
            await pair(book, who, id)
            if mode == "load":
                print(id, flush=True)

    each = count if mode == "load" else count // 10
    await asyncio.gather(*(work(each) for _ in range(10)))
    await book.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
