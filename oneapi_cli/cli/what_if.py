"""`oneapi what-if`: what a request would hold, whether it would be lowered, wait or be refused, and why.

The gateway's own plan and the ledger's own ladder decide, on the balances of this moment; nothing is sent and nothing
is written.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct

from oneapi_cli.values.money import format_usd

from .mistakes import Refused
from .options import AsJson, ConfigPath, balances_of, example, loaded_config, now, prices_of, whereabouts
from .output import left, pairs, say, say_json, spent

if TYPE_CHECKING:
    from oneapi_cli.gateway.gate import Market
    from oneapi_cli.gateway.plan import Order
    from oneapi_cli.ledger.account_values import AccountRow
    from oneapi_cli.ledger.admission import Admit, Budget, Refuse, Wait
    from oneapi_cli.values.accounts import Principal

MOST_BYTES = 64 << 20
PROMPT = "Hello"
_LIMITS = {"openai_responses": "max_output_tokens"}


class Standing(Struct, frozen=True):
    """Who would ask, and what is left above them."""

    principal: Principal
    budgets: tuple[Budget, ...]


class Answer(Struct, frozen=True, kw_only=True):
    """verdict: hold, lower, wait or refuse. sentence: why; status and code: of a refusal."""

    verdict: str
    sentence: str
    status: int | None = None
    code: str | None = None
    order: Order | None = None
    hold_nanos: int = 0
    limit: int = 0
    counted: bool = False


def register(app: typer.Typer) -> None:
    """`what-if`."""
    lines = (
        "oneapi what-if --token phone --model gpt-4o --max-tokens 4000",
        "oneapi what-if --token phone --model gpt-4o request.json",
    )
    app.command("what-if", epilog=example(*lines))(what_if)


def what_if(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A request's JSON, or a prompt; - reads stdin.", show_default=False),
    ] = None,
    *,
    token: Annotated[str, typer.Option("--token", metavar="T", help="Who would ask.", show_default=False)],
    model: Annotated[str, typer.Option("--model", metavar="M", help="For which model.", show_default=False)],
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", metavar="N", min=1, help="The output limit.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> None:
    """What would be held, lowered or refused, and why. Nothing is sent, nothing is written."""
    import asyncio

    text = _read(file)
    with balances_of(whereabouts(config)) as db:
        standing = _standing(db, token)
    market = _market(config)
    dialect, body = _body(text, model, max_tokens)
    answer = asyncio.run(_answer(dialect, body, standing, market))
    if as_json:
        say_json(_document(answer, standing))
    else:
        say(*pairs(_lines(answer, standing)))


def _read(file: Path | None) -> str:
    """What the request would carry. Raises Refused."""
    if file is None:
        return PROMPT
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with file.open("rb") as opened:
                raw = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise Refused(f"{file} cannot be read ({(error.strerror or 'unknown error').lower()}).") from error
    if len(raw) > MOST_BYTES:
        raise Refused(f"{file} is larger than {MOST_BYTES >> 20} MiB, and so than any request.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(f"{file} is not UTF-8 text; give a request's JSON, or a prompt.") from None


def _body(text: str, model: str, limit: int | None) -> tuple[str, bytes]:
    """(dialect, body). A JSON object is the request itself; other text is a prompt. The model and limit win over it."""
    import msgspec

    try:
        stated = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        stated = None
    if not isinstance(stated, dict):
        stated = {"messages": [{"role": "user", "content": text}]}
    dialect = _dialect(stated, model)
    changed: dict[str, Any] = {**stated, "model": model}
    if limit is not None:
        for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
            changed.pop(name, None)
        changed[_LIMITS.get(dialect, "max_tokens")] = limit
    return dialect, msgspec.json.encode(changed)


def _dialect(stated: dict[str, Any], model: str) -> str:
    """Whose body this is, by its members."""
    if "messages" in stated:
        return "openai_chat"
    if "prompt" in stated:
        return "openai_completions"
    lowered = model.lower()
    if "input" in stated and "embed" in lowered:
        return "openai_embeddings"
    if "input" in stated and "moderation" in lowered:
        return "openai_moderations"
    return "openai_responses" if "input" in stated else "openai_chat"


def _standing(db: Any, token: str) -> Standing:
    from oneapi_cli.ledger.accounts import get_token, get_user
    from oneapi_cli.ledger.admission import Budget
    from oneapi_cli.ledger.rows import principal_of

    row = get_token(db, token)
    user = get_user(db, row.user_id)
    principal = principal_of(db, row.id)
    if principal is None:
        raise Refused(f"Token {row.name} is being removed; `oneapi token list` shows those there are.")

    def budget(kind: Any, account: AccountRow) -> Budget:
        return Budget(key=(kind, account.id), name=account.name, remain=account.remain, held=_held(account))

    limited = [("token", row), ("user", user)]
    return Standing(principal, tuple(budget(kind, account) for kind, account in limited if not account.unlimited))


def _held(account: AccountRow) -> int:
    """What of the balance is not free."""
    return account.remain - account.free


def _market(config: Path | None) -> Market:
    from oneapi_cli.dialects import vocabulary
    from oneapi_cli.gateway.gate import Market, Policy
    from oneapi_cli.providers.models import traits
    from oneapi_cli.routing.health import Health

    loaded = loaded_config(config)

    async def count(texts: Sequence[str], name: str) -> int:
        return vocabulary.count(texts, name)

    stated = loaded.config
    return Market(
        channels=loaded.channels,
        prices=prices_of(loaded),
        health=Health(),
        policy=Policy(hold_wait=stated.hold_wait, min_output=stated.min_output, unknown_output=stated.unknown_output),
        now=now,
        dice=random.random,
        traits=traits,
        count=count,
    )


async def _answer(dialect: str, body: bytes, standing: Standing, market: Market) -> Answer:
    """The gateway's own way to a hold, without the hold."""
    from oneapi_cli.dialects import DIALECTS
    from oneapi_cli.gateway.admit import take_order
    from oneapi_cli.gateway.authenticate import Caller, refusal
    from oneapi_cli.gateway.plan import tightened
    from oneapi_cli.ledger.admission import fits_whole
    from oneapi_cli.values.errors import GatewayError

    principal, budgets = standing.principal, standing.budgets
    try:
        if (problem := refusal(_anywhere(principal), "", market.now())) is not None:
            raise problem
        order = take_order(Caller(principal, b""), body, DIALECTS[dialect].peek(body), market)
        exact = None if fits_whole(order.need, budgets) else await tightened(order, market)
    except GatewayError as refused:
        return Answer(verdict="refuse", sentence=refused.message, status=refused.status, code=refused.code)
    return _verdict(exact or order, budgets, market.policy.hold_wait, counted=exact is not None)


def _verdict(order: Order, budgets: Sequence[Budget], wait_seconds: float, *, counted: bool) -> Answer:
    from oneapi_cli.ledger.admission import Admit, Wait, decide

    need = order.need
    first = decide(need, budgets, waited=0.0, wait_seconds=wait_seconds)
    last = decide(need, budgets, waited=wait_seconds, wait_seconds=wait_seconds)
    if isinstance(first, Wait):
        names = " and ".join(f"{kind} {_name(budgets, kind)}" for kind, _ in first.tight)
        sentence = f"held money of {names} has to come free first; after {wait_seconds:g} s {_then(last, need.asked)}"
        nanos, limit = need.nanos(need.asked), need.asked
        return Answer(verdict="wait", sentence=sentence, order=order, hold_nanos=nanos, limit=limit, counted=counted)
    if not isinstance(first, Admit):
        code = "balance_held" if first.status == 429 else "insufficient_user_quota"
        return Answer(
            verdict="refuse", sentence=first.message, status=first.status, code=code, order=order, counted=counted
        )
    lowered = first.limit < need.asked
    sentence = (
        f"the output limit would be lowered from {need.asked} to {first.limit}, to fit what is free"
        if lowered
        else ("nothing limits it" if not budgets else "it fits what is free")
    )
    verdict = "lower" if lowered else "hold"
    return Answer(
        verdict=verdict,
        sentence=sentence,
        order=order,
        counted=counted,
        hold_nanos=first.nanos,
        limit=first.limit,
    )


def _then(last: Admit | Wait | Refuse, asked: int) -> str:
    from oneapi_cli.ledger.admission import Admit, Refuse

    if isinstance(last, Admit):
        return "it would be held" + (f" with its limit lowered to {last.limit}" if last.limit < asked else "")
    return f"it would be refused ({last.status})" if isinstance(last, Refuse) else "it would wait on"


def _name(budgets: Sequence[Budget], kind: str) -> str:
    return next(budget.name for budget in budgets if budget.key[0] == kind)


def _anywhere(principal: Principal) -> Principal:
    """The caller without its subnets: there is no address to hold against them."""
    from msgspec.structs import replace

    token, user = replace(principal.token, subnets=()), replace(principal.user, subnets=())
    return replace(principal, token=token, user=user)


def _lines(answer: Answer, standing: Standing) -> list[tuple[str, str]]:
    token, user = standing.principal.token, standing.principal.user
    heads = {
        "hold": f"{format_usd(answer.hold_nanos)} would be held",
        "lower": f"{format_usd(answer.hold_nanos)} would be held, with a lowered output limit",
        "wait": f"would wait for {format_usd(answer.hold_nanos)}",
        "refuse": f"would be refused: {answer.status} {answer.code or ''}".rstrip(),
    }
    rows = [("verdict", heads[answer.verdict]), ("because", answer.sentence)]
    rows += [("asker", f"token {token.name} (#{token.id}), user {user.name} (#{user.id})")]
    rows += [
        (budget.key[0], f"{left(budget.remain)} remain, {spent(budget.held)} of it held, {left(budget.free)} free")
        for budget in standing.budgets
    ]
    if answer.order is None:
        return rows
    need = answer.order.need
    rows += [("channel", _offer_text(offer)) for offer in answer.order.offers]
    how = "counted by the model's tokenizer" if answer.counted else "by the byte"
    rows.append(("input", f"at most {format_usd(need.fixed_nanos)}, {how}"))
    if need.asked:
        each = format_usd(need.nanos(need.asked) - need.fixed_nanos)
        times = f" × {need.outputs}" if need.outputs > 1 else ""
        floor = f", never lowered below {need.floor}" if need.floor < need.asked else ", not to be lowered"
        rows.append(("output", f"{need.asked} tokens{times} at most: {each}{floor}"))
    bounded = "a proven bound" if answer.order.bounded else "not a proven bound: something in it cannot be bounded"
    rows.append(("bound", bounded))
    if token.subnets or user.subnets:
        rows.append(("only from", ", ".join((*token.subnets, *user.subnets))))
    return rows


def _offer_text(offer: Any) -> str:
    candidate = offer.candidate
    return f"{candidate.channel.name}, as {candidate.model_sent}; {offer.card.origin}"


def _document(answer: Answer, standing: Standing) -> dict[str, Any]:
    order = answer.order
    document: dict[str, Any] = {
        "verdict": answer.verdict,
        "because": answer.sentence,
        "status": answer.status,
        "code": answer.code,
        "token": standing.principal.token.name,
        "user": standing.principal.user.name,
        "budgets": [
            {"of": b.key[0], "name": b.name, "remain_nanos": b.remain, "held_nanos": b.held, "free_nanos": b.free}
            for b in standing.budgets
        ],
    }
    if order is None:
        return document
    need = order.need
    return document | {
        "hold_nanos": answer.hold_nanos,
        "output_limit": answer.limit,
        "asked_output": need.asked,
        "floor_output": need.floor,
        "input_bound_nanos": need.fixed_nanos,
        "output_nanos_per_mtok": need.rate_nanos_per_mtok,
        "outputs": need.outputs,
        "bounded": order.bounded,
        "input_counted": answer.counted,
        "channels": [
            {"channel": o.candidate.channel.name, "model_sent": o.candidate.model_sent, "price_origin": o.card.origin}
            for o in order.offers
        ],
    }
