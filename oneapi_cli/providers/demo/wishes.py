"""What a request wants of the demo vendor, whatever its dialect, and what it gets: the choices of the reply."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from ..models import traits
from .instances import instance_of
from .orders import HELP, Orders, without_orders
from .steps import Fault
from .words import make_id, pieces_of, prompt_tokens, seed_of, sentences, usual_length, words

CHAT_MODELS = ("demo-small", "demo-large", "demo-reasoner")
REASONER = "demo-reasoner"
MODELS = (*CHAT_MODELS, "demo-embedding", "demo-image", "demo-speech", "demo-transcribe")

MAX_CHOICES = 128
_MAX_LIMIT = 2**31 - 1


class Tool(Struct, frozen=True):
    name: str
    schema: object = None


class Wish(Struct, frozen=True, kw_only=True):
    """A request for text. last: the last user message, directives included. answered: a tool's result came last,
    so it is time for words. limit: None for the model's own. choice: "auto", "none", "required" or a tool's name.
    shape: the JSON Schema to fill, {} for any object, None for prose. key: what makes this request itself, for
    ids."""

    model: str
    texts: tuple[str, ...]
    last: str
    orders: Orders
    key: bytes
    images: int = 0
    answered: bool = False
    limit: int | None = None
    outputs: int = 1
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    parallel: bool = True
    shape: object = None


class CallPiece(Struct, frozen=True):
    """One tool call: its arguments in pieces, perhaps cut short by the limit."""

    id: str
    name: str
    pieces: tuple[str, ...]


class Output(Struct, frozen=True, kw_only=True):
    """One choice. size: tokens of its text. hidden: reasoning tokens before it. finish: stop, length or tool_calls."""

    wish: Wish
    index: int
    size: int
    hidden: int
    finish: str
    fixed: tuple[str, ...] | None = None
    calls: tuple[CallPiece, ...] = ()

    @property
    def tokens(self) -> int:
        """Everything produced, hidden and tool tokens included."""
        return self.hidden + self.size + sum(len(call.pieces) for call in self.calls)

    def pieces(self) -> Iterator[str]:
        """The text, a token at a time; made up as it is read, so that a million words take no room."""
        source = _prose(self.wish, self.index) if self.fixed is None else iter(self.fixed)
        return itertools.islice(source, self.size)

    def text(self) -> str:
        return "".join(self.pieces())


def check_model(model: str, served: Sequence[str]) -> None:
    """Raises Fault 404 for a model that is not among `served`."""
    if model not in served:
        raise Fault(
            404,
            f"The demo vendor serves no model {model!r} here; try {served[0]}.",
            code="model_not_found",
            param="model",
        )


def check_limits(limit: int | None, outputs: int, member: str) -> None:
    """Raises Fault 400 for a limit or a number of choices that makes no sense."""
    if limit is not None and not 1 <= limit <= _MAX_LIMIT:
        raise Fault(400, f"{member} must be at least 1.", code="invalid_value", param=member)
    if not 1 <= outputs <= MAX_CHOICES:
        raise Fault(400, f"n must be from 1 to {MAX_CHOICES}.", code="invalid_value", param="n")


def compose(wish: Wish, index: int = 0) -> Output:
    """The reply to a wish. Limits are honoured to the token: hidden reasoning counts first, then tools or text."""
    room = traits(wish.model).max_output if wish.limit is None else wish.limit
    hidden = min(_reasoning(wish), room)
    room -= hidden
    named = _called(wish)
    if named:
        return _calls_output(wish, index, named, room, hidden)
    fixed = _fixed_pieces(wish, index)
    wanted = len(fixed) if fixed is not None else _prose_length(wish, index)
    finish = "length" if wanted > room else "stop"
    output = Output(wish=wish, index=index, size=min(wanted, room), hidden=hidden, finish=finish, fixed=fixed)
    return _stopped(output) if wish.stop else output


def usage_of(wish: Wish, outputs: Sequence[Output]) -> tuple[int, int, int]:
    """(prompt, completion, reasoning) tokens to report, directives obeyed."""
    told = wish.orders
    prompt = prompt_tokens(wish.texts, wish.images) if told.prompt is None else told.prompt
    completion = sum(output.tokens for output in outputs) if told.completion is None else told.completion
    return prompt, completion, sum(output.hidden for output in outputs)


def _reasoning(wish: Wish) -> int:
    if wish.model != REASONER:
        return 0
    if wish.orders.reasoning is not None:
        return wish.orders.reasoning
    return 64 + seed_of(wish.last)[0] % 64


def _prose(wish: Wish, index: int) -> Iterator[str]:
    return words(sentences(without_orders(wish.last), seed_of(wish.last, index)))


def _prose_length(wish: Wish, index: int) -> int:
    if wish.orders.tokens is not None:
        return wish.orders.tokens
    seed = seed_of(wish.last, index)
    usual = itertools.islice(sentences(without_orders(wish.last), seed), usual_length(seed))
    return sum(1 for _ in words(usual))


def _fixed_pieces(wish: Wish, index: int) -> tuple[str, ...] | None:
    """Text that is not prose: JSON in the wanted shape, or the help page. None for prose."""
    if wish.shape is not None:
        value = instance_of(wish.shape) if wish.shape else {"answer": next(_prose(wish, index)), "demo": True}
        return tuple(pieces_of(msgspec.json.encode(value).decode()))
    if wish.last.strip().lower() in ("help", "[help]"):
        return tuple(pieces_of(HELP))
    return None


def _stopped(output: Output) -> Output:
    """Cuts the text before the first stop sequence in it."""
    text = output.text()
    places = [place for stop in output.wish.stop if stop and (place := text.find(stop)) >= 0]
    if not places:
        return output
    kept: list[str] = []
    room = min(places)
    for piece in output.pieces():
        if room <= 0:
            break
        kept.append(piece[:room])
        room -= len(piece)
    return msgspec.structs.replace(output, fixed=tuple(kept), size=len(kept), finish="stop")


def _called(wish: Wish) -> tuple[Tool, ...]:
    """The tools this reply calls: those the prompt names, else the one that `tool_choice` demands."""
    if wish.choice == "none" or wish.answered:
        return ()
    offered: Mapping[str, Tool] = {tool.name: tool for tool in wish.tools}
    if wish.orders.tools is not None and offered:
        # A name that was not offered is called all the same, as models at times do: clients must cope.
        names = wish.orders.tools or tuple(offered)[:1]
        return tuple(offered.get(name, Tool(name)) for name in names)[: None if wish.parallel else 1]
    if wish.choice in offered:
        return (offered[wish.choice],)
    return wish.tools[:1] if wish.choice == "required" else ()


def _calls_output(wish: Wish, index: int, named: Sequence[Tool], room: int, hidden: int) -> Output:
    calls: list[CallPiece] = []
    finish = "tool_calls"
    for number, tool in enumerate(named):
        arguments = instance_of(tool.schema)
        pieces = pieces_of(msgspec.json.encode(arguments if isinstance(arguments, dict) else {}).decode())
        if room <= 0:
            finish = "length"
            break
        if len(pieces) > room:
            finish = "length"
        calls.append(CallPiece(make_id("call_", seed_of(wish.key, index, number)), tool.name, tuple(pieces[:room])))
        room -= len(pieces)
    return Output(wish=wish, index=index, size=0, hidden=hidden, finish=finish, calls=tuple(calls))
