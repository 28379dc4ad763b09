"""The ladder: a case per rung and per edge between two rungs, then what must hold for every input."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.ledger.admission import Admit, Budget, Refuse, Wait, decide, least_worth, lowest
from oneapi_cli.ledger.rows import AccountKey
from oneapi_cli.values.holds import Need

TOKEN: AccountKey = ("token", 1)
USER: AccountKey = ("user", 1)


def token(remain: int, held: int = 0) -> Budget:
    return Budget(key=TOKEN, name="laptop", remain=remain, held=held)


def user(remain: int, held: int = 0) -> Budget:
    return Budget(key=USER, name="alice", remain=remain, held=held)


def need(asked: int, floor: int = 1, fixed: int = 0) -> Need:
    """A nano-dollar per token."""
    return Need(fixed_nanos=fixed, rate_nanos_per_mtok=1_000_000, asked=asked, floor=floor)


@dataclass(frozen=True)
class Case:
    says: str
    need: Need
    budgets: tuple[Budget, ...]
    verdict: object
    waited: float = 0.0
    closed: frozenset[AccountKey] = frozenset()


CASES = [
    Case("no limited account: always", need(10**6), (), Admit(10**6, 10**6)),
    Case("1: fits exactly", need(100), (token(100),), Admit(100, 100)),
    Case("1: fits what is free beside a hold", need(60), (token(100, 40),), Admit(60, 60)),
    Case("1: fixed costs alone", need(0, 0, fixed=5), (token(5),), Admit(0, 5)),
    Case("2: half of what was asked is free", need(100), (token(200, 150),), Admit(50, 50)),
    Case("2: half is rounded up", need(101), (token(200, 150),), Wait((TOKEN,))),
    Case("2: not below the floor", need(100, floor=80), (token(200, 130),), Wait((TOKEN,))),
    Case("2: down to the floor", need(100, floor=70), (token(200, 130),), Admit(70, 70)),
    Case("2: the fixed part is kept whole", need(100, fixed=20), (token(200, 130),), Admit(50, 70)),
    Case("3: held money is waited for", need(100), (token(200, 160),), Wait((TOKEN,))),
    Case("3: of the account that is tight", need(100), (token(200, 160), user(900, 10)), Wait((TOKEN,))),
    Case("3: of both", need(100), (token(200, 160), user(900, 880)), Wait((TOKEN, USER))),
    Case("3: until the wait is over", need(100, floor=50), (token(200, 160),), Wait((TOKEN,)), waited=9.99),
    Case("4: then lower below half", need(100, floor=30), (token(200, 160),), Admit(40, 40), waited=10.0),
    Case("4: at once where no hold stands in the way", need(100), (token(30),), Admit(30, 30)),
    Case("4: a hold elsewhere does not help", need(100), (token(30), user(900, 500)), Admit(30, 30)),
    Case("5: 429 where the balance would do", need(100, floor=50), (token(200, 160),), 429, waited=10.0),
    Case("5: 403 where it would not", need(100, floor=50), (token(40, 10),), 403),
    Case("5: 403 without waiting", need(100, floor=50), (token(49, 20),), 403, waited=0.0),
    Case("5: 403 for an empty account", need(100), (token(0),), 403),
    Case("what costs nothing fits an overdrawn account", Need(fixed_nanos=0, asked=9), (token(-5),), Admit(9, 0)),
    Case("5: 403 below zero", need(1), (token(-5),), 403),
    Case("5: 403 by the owner", need(100, floor=50), (token(900), user(40)), 403),
    Case("must not be lowered: waits", need(100, floor=100), (token(100, 1),), Wait((TOKEN,))),
    Case("must not be lowered: 429", need(100, floor=100), (token(100, 1),), 429, waited=10.0),
    Case("must not be lowered: 403", need(100, floor=100), (token(99),), 403),
    Case("nothing to lower: waits", need(0, 0, fixed=50), (token(60, 20),), Wait((TOKEN,))),
    Case("nothing to lower: 403", need(0, 0, fixed=61), (token(60, 20),), 403),
    Case("a limit of 0 is no request", need(2, floor=0, fixed=10), (token(10),), 403),
    Case(
        "somebody is before: waits though it fits", need(10), (token(100),), Wait((TOKEN,)), closed=frozenset({TOKEN})
    ),
    Case("… on another account: no", need(10), (token(100),), Admit(10, 10), closed=frozenset({USER})),
    Case("… but what can never fit is told", need(101, floor=101), (token(100),), 403, closed=frozenset({TOKEN})),
    Case("… and waits only so long", need(10), (token(100),), 429, waited=10.0, closed=frozenset({TOKEN})),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_the_ladder(case: Case) -> None:
    verdict = decide(case.need, case.budgets, waited=case.waited, wait_seconds=10.0, closed=case.closed)
    if isinstance(case.verdict, int):
        assert isinstance(verdict, Refuse)
        assert verdict.status == case.verdict
    else:
        assert verdict == case.verdict


def test_no_wait_at_all_goes_straight_to_the_floor() -> None:
    assert decide(need(100, floor=30), [token(200, 160)], waited=0.0, wait_seconds=0.0) == Admit(40, 40)


def test_both_refusals_name_needed_remaining_and_held() -> None:
    large = Need(fixed_nanos=10**9, rate_nanos_per_mtok=10**15, asked=4, floor=2)
    budgets = [token(4 * 10**9, 2 * 10**9), user(10**12)]
    held = decide(large, budgets, waited=9, wait_seconds=9)
    assert isinstance(held, Refuse)
    assert held.status == 429
    assert held.retry_after_seconds
    for words in ("$5.00", "$3.00", "limit lowered to 2", "token laptop", "$4.00", "$2.00"):
        assert words in held.message
    never = decide(large, [token(2 * 10**9, 10**9)], waited=0, wait_seconds=9)
    assert isinstance(never, Refuse)
    assert (never.status, never.retry_after_seconds) == (403, None)
    for words in (
        "$5.00",
        "$3.00",
        "token laptop",
        "$2.00 remaining",
        "$1.00 of it held",
        "oneapi token edit laptop --add",
    ):
        assert words in never.message


amounts = st.integers(0, 10**12)
needs = st.builds(
    lambda fixed, rate, outputs, asked, share: Need(
        fixed_nanos=fixed, rate_nanos_per_mtok=rate, outputs=outputs, asked=asked, floor=int(asked * share)
    ),
    amounts,
    st.integers(0, 10**11),
    st.integers(1, 8),
    st.integers(0, 200_000),
    st.floats(0, 1),
)
budget_pairs = st.lists(
    st.builds(lambda kind, remain, held: Budget(key=(kind, 1), name="x", remain=remain, held=held),
              st.sampled_from(["token", "user"]), st.integers(-(10**9), 10**13), amounts),
    min_size=1, max_size=2, unique_by=lambda budget: budget.key,
)  # fmt: skip
waits = st.sampled_from([0.0, 1.0, 30.0])
closures = st.sampled_from([frozenset(), frozenset({TOKEN}), frozenset({TOKEN, USER})])


@given(needs, budget_pairs, waits, waits, closures)
def test_what_always_holds(
    ask: Need, budgets: list[Budget], waited: float, wait: float, closed: frozenset[AccountKey]
) -> None:
    free = min(budget.free for budget in budgets)
    remain = min(budget.remain for budget in budgets)
    verdict = decide(ask, budgets, waited=waited, wait_seconds=wait, closed=closed)
    barred = any(budget.key in closed for budget in budgets)
    if isinstance(verdict, Admit):
        assert not barred
        assert verdict.nanos == ask.nanos(verdict.limit)
        assert verdict.nanos <= free or ask.nanos(ask.asked) == 0, "only what costs nothing fits an overdrawn account"
        assert lowest(ask) <= verdict.limit <= ask.asked
        # As much as fits, never less: one token more would not.
        assert verdict.limit == ask.asked or ask.nanos(verdict.limit + 1) > free
        # Below half only where waiting is over or would not help.
        assert verdict.limit >= least_worth(ask) or waited >= wait or remain <= free
    elif isinstance(verdict, Wait):
        assert waited < wait
        assert ask.nanos(lowest(ask)) <= remain
        assert verdict.tight
        assert set(verdict.tight) <= {budget.key for budget in budgets}
        assert barred or ask.affordable(free) < least_worth(ask)
    elif verdict.status == 403:
        assert ask.nanos(lowest(ask)) > remain
        assert ask.nanos(ask.asked) > 0
    else:
        assert ask.nanos(lowest(ask)) <= remain
        assert barred or ask.nanos(lowest(ask)) > free


@given(needs, budget_pairs)
def test_the_whole_need_is_admitted_whenever_it_fits(ask: Need, budgets: list[Budget]) -> None:
    if ask.nanos(ask.asked) <= min(budget.free for budget in budgets):
        assert decide(ask, budgets, waited=0, wait_seconds=30) == Admit(ask.asked, ask.nanos(ask.asked))
