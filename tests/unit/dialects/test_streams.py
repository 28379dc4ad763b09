"""Scanners beside relayed streams: whole, byte by byte and at random cuts, the same bytes and the same readings."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from oneapi_cli.dialects import DIALECTS, StreamScanner
from oneapi_cli.values.errors import Malformed
from oneapi_cli.values.vendor import Quirks

LIMIT = 4096
DONE = b"data: [DONE]\n\n"


def chunk(content: str = "hi", finish: str = "null", more: str = "") -> bytes:
    delta = f'{{"content":"{content}"}}' if content else "{}"
    body = f'{{"id":"c","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{more}}}'
    return f"data: {body}\n\n".encode()


USAGE = '"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}'
EXTRA = f'data: {{"id":"c","choices":[],{USAGE},"service_tier":"flex"}}\n\n'.encode()
STOP = chunk("", '"stop"')


@dataclass(frozen=True)
class Case:
    name: str
    stream: bytes
    out: bytes
    ending: bytes = b""
    dialect: str = "openai_chat"
    hide: bool = False
    usage: dict[str, int] | None = None
    tier: str | None = None
    finished: bool = True
    done: bool = True
    clean: bool = True
    error: str | None = None
    quirks: Quirks = field(default_factory=Quirks)


def response(kind: str, status: str, more: str = "") -> bytes:
    data = f'{{"type":"{kind}","sequence_number":9,"response":{{"id":"r","status":"{status}"{more}}}}}'
    return f"event: {kind}\ndata: {data}\n\n".encode()


CREATED = response("response.created", "in_progress", ',"usage":null')
DELTA = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"hi"}\n\n'
R_USAGE = ',"service_tier":"default","usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}'
COMPLETED = response("response.completed", "completed", R_USAGE)
FAILED = response("response.failed", "failed", ',"usage":null,"error":{"code":"server_error","message":"it broke"}')
COUNTS = {"input_tokens": 5, "output_tokens": 2}

CASES = [
    Case("plain", chunk() + STOP + DONE, chunk() + STOP, DONE),
    Case(
        "usage asked by the client",
        chunk() + STOP + EXTRA + DONE,
        chunk() + STOP + EXTRA,
        DONE,
        usage=COUNTS,
        tier="flex",
    ),
    Case(
        "usage asked by us", chunk() + STOP + EXTRA + DONE, chunk() + STOP, DONE, hide=True, usage=COUNTS, tier="flex"
    ),
    Case(
        "null on every chunk",
        chunk(more=',"usage":null') * 3 + STOP + EXTRA + DONE,
        chunk(more=',"usage":null') * 3 + STOP,
        DONE,
        hide=True,
        usage=COUNTS,
        tier="flex",
    ),
    Case(
        "usage beside choices passes",
        chunk() + chunk("", '"stop"', "," + USAGE) + DONE,
        chunk() + chunk("", '"stop"', "," + USAGE),
        DONE,
        hide=True,
        usage=COUNTS,
    ),
    Case(
        "azure's first chunk",
        b'data: {"choices":[]}\n\n' + STOP + DONE,
        b'data: {"choices":[]}\n\n' + STOP,
        DONE,
        hide=True,
    ),
    Case("no blank after the end", chunk() + STOP + b"data: [DONE]", chunk() + STOP, b"data: [DONE]"),
    Case("one newline after the end", chunk() + STOP + b"data: [DONE]\n", chunk() + STOP, b"data: [DONE]\n"),
    Case(
        "no space",
        chunk() + b"data:" + STOP[6:] + b"data:[DONE]\n\n",
        chunk() + b"data:" + STOP[6:],
        b"data:[DONE]\n\n",
    ),
    Case("end of file after the finish", chunk() + STOP, chunk() + STOP, done=False),
    Case(
        "end of file after usage",
        chunk() + EXTRA,
        chunk(),
        hide=True,
        usage=COUNTS,
        tier="flex",
        finished=False,
        done=False,
    ),
    Case("last event without its blank line", chunk() + STOP[:-2], chunk(), STOP[:-2], done=False),
    Case("died", chunk() + chunk("there"), chunk() + chunk("there"), finished=False, done=False, clean=False),
    Case("died within an event", chunk() + STOP[:-20], chunk(), finished=False, done=False, clean=False),
    Case(
        "usage so far is no end",
        chunk(more="," + USAGE),
        chunk(more="," + USAGE),
        usage=COUNTS,
        finished=False,
        done=False,
        clean=False,
    ),
    Case(
        "comments pass",
        b": hello\n\n" + chunk() + STOP + DONE + b": bye\n\n",
        b": hello\n\n" + chunk() + STOP,
        DONE + b": bye\n\n",
    ),
    Case("noise after the end goes", chunk() + STOP + DONE + b"data: {}\n\n: x\n\n", chunk() + STOP, DONE),
    Case("white space after the end", STOP + DONE + b"\n\n\n", STOP, DONE + b"\n\n\n"),
    Case("crlf", chunk().replace(b"\n", b"\r\n") + STOP + DONE, chunk().replace(b"\n", b"\r\n") + STOP, DONE),
    Case("byte order mark", b"\xef\xbb\xbf" + STOP + DONE, b"\xef\xbb\xbf" + STOP, DONE),
    Case(
        "data on two lines",
        b'data: {"choices":\ndata: []}\n\n' + STOP + DONE,
        b'data: {"choices":\ndata: []}\n\n' + STOP,
        DONE,
    ),
    Case("json that is no object", b"data: [1]\n\ndata: 5\n\n" + STOP + DONE, b"data: [1]\n\ndata: 5\n\n" + STOP, DONE),
    Case("u+2028", chunk("a\u2028b") + STOP + DONE, chunk("a\u2028b") + STOP, DONE),
    Case("empty data", b"data:\n\ndata: \n\n" + STOP + DONE, b"data:\n\ndata: \n\n" + STOP, DONE),
    Case("[DONE] in a text is none", chunk("data: [DONE]") + STOP + DONE, chunk("data: [DONE]") + STOP, DONE),
    Case(
        "usage in a text is none",
        chunk('\\"usage\\": {\\"prompt_tokens\\": 1}') + STOP + DONE,
        chunk('\\"usage\\": {\\"prompt_tokens\\": 1}') + STOP,
        DONE,
    ),
    Case(
        "the last usage counts",
        chunk(more=',"usage":{"prompt_tokens":1}') + chunk("", '"stop"', "," + USAGE) + DONE,
        chunk(more=',"usage":{"prompt_tokens":1}') + chunk("", '"stop"', "," + USAGE),
        DONE,
        usage=COUNTS,
    ),
    Case(
        "usage elsewhere",
        chunk("", '"stop"', ',"x_groq":{' + USAGE + "}") + DONE,
        chunk("", '"stop"', ',"x_groq":{' + USAGE + "}"),
        DONE,
        usage=COUNTS,
        quirks=Quirks(usage_member="x_groq.usage"),
    ),
    Case(
        "error event",
        chunk() + b'data: {"error":{"message":"no more","code":429}}\n\n' + DONE,
        chunk() + b'data: {"error":{"message":"no more","code":429}}\n\n',
        DONE,
        finished=False,
        clean=False,
        error="no more",
    ),
    Case(
        "named error event",
        chunk() + b'event: error\ndata: {"message":"no more"}\n\n\n',
        chunk() + b'event: error\ndata: {"message":"no more"}\n\n',
        b"\n",
        finished=False,
        done=False,
        clean=False,
        error="no more",
    ),
    Case("null error", chunk(more=',"error":null') + STOP + DONE, chunk(more=',"error":null') + STOP, DONE),
    Case(
        "completions",
        b'data: {"choices":[{"text":"hi","finish_reason":"stop"}]}\n\n' + EXTRA + DONE,
        b'data: {"choices":[{"text":"hi","finish_reason":"stop"}]}\n\n',
        DONE,
        dialect="openai_completions",
        hide=True,
        usage=COUNTS,
        tier="flex",
    ),
    Case(
        "responses",
        CREATED + DELTA + COMPLETED,
        CREATED + DELTA,
        COMPLETED,
        dialect="openai_responses",
        usage=COUNTS,
        tier="default",
    ),
    Case(
        "responses, then [DONE]",
        DELTA + COMPLETED + DONE,
        DELTA,
        COMPLETED + DONE,
        dialect="openai_responses",
        usage=COUNTS,
        tier="default",
    ),
    Case(
        "responses, cut short by the limit",
        DELTA + response("response.incomplete", "incomplete", R_USAGE),
        DELTA,
        response("response.incomplete", "incomplete", R_USAGE),
        dialect="openai_responses",
        usage=COUNTS,
        tier="default",
    ),
    Case(
        "responses, failed",
        CREATED + FAILED,
        CREATED,
        FAILED,
        dialect="openai_responses",
        finished=False,
        clean=False,
        error="it broke",
    ),
    Case(
        "responses, error event",
        CREATED
        + b'event: error\ndata: {"type":"error","code":"x","message":"it broke","param":null,"sequence_number":1}\n\n',
        CREATED
        + b'event: error\ndata: {"type":"error","code":"x","message":"it broke","param":null,"sequence_number":1}\n\n',
        dialect="openai_responses",
        finished=False,
        done=False,
        clean=False,
        error="it broke",
    ),
    Case(
        "responses, died",
        CREATED + DELTA,
        CREATED + DELTA,
        dialect="openai_responses",
        finished=False,
        done=False,
        clean=False,
    ),
    Case(
        "responses, terminal name in a text",
        DELTA.replace(b"hi", b"response.completed") + COMPLETED,
        DELTA.replace(b"hi", b"response.completed"),
        COMPLETED,
        dialect="openai_responses",
        usage=COUNTS,
        tier="default",
    ),
]


def cuts(stream: bytes) -> Iterator[list[bytes]]:
    yield [stream]
    yield [stream[at : at + 1] for at in range(len(stream))]
    dice = random.Random(len(stream))
    for _ in range(10):
        places = sorted(dice.randint(0, len(stream)) for _ in range(dice.randint(1, 9)))
        yield [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


def opened(case: Case) -> StreamScanner:
    return DIALECTS[case.dialect].open_stream(case.quirks, hide_usage=case.hide, event_limit=LIMIT)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_stream(case: Case) -> None:
    for chunks in cuts(case.stream):
        scanner = opened(case)
        out = b"".join(scanner.feed(piece) for piece in chunks)
        scanner.close()
        usage = scanner.usage
        assert out == case.out
        assert scanner.ending == case.ending
        assert (usage and dict(usage.counts)) == case.usage
        assert (usage and usage.tier) == case.tier
        assert (scanner.finished, scanner.done, scanner.clean) == (case.finished, case.done, case.clean)
        assert (scanner.error and scanner.error.message) == case.error


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (b"data: {not json}\n\n", "not JSON"),
        (b'data: {"choices":[\n\n', "not JSON"),
        (b"data: <html>\n\n", "not JSON"),
        (b'data: {"a":"\xff"}\n\n', "UTF-8"),
        (b": \xff\n\n", "UTF-8"),
        (b"data: " + b"x" * LIMIT, "4096 bytes"),
    ],
)
@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses"])
def test_malformed_after_what_came_before(fault: bytes, says: str, dialect: str) -> None:
    before = chunk() + chunk("there")
    for chunks in cuts(before + fault):
        scanner = DIALECTS[dialect].open_stream(Quirks(), hide_usage=False, event_limit=LIMIT)
        out = b""
        with pytest.raises(Malformed, match=says):
            for piece in chunks:
                out += scanner.feed(piece)
            scanner.close()
        assert out == before
        assert not scanner.clean
        with pytest.raises(Malformed):
            scanner.close()


def test_what_is_seen_is_handed_out_once_and_not_after_usage() -> None:
    scanner = DIALECTS["openai_chat"].open_stream(Quirks(), hide_usage=True, event_limit=LIMIT)
    for word in ("one", "two"):
        scanner.feed(chunk(word))
    assert scanner.seen_bytes == 2 * len(chunk("one"))
    assert DIALECTS["openai_chat"].texts_of(scanner.take_seen()) == ["onetwo"]
    assert (scanner.seen_bytes, scanner.take_seen()) == (0, [])
    scanner.feed(chunk("three") + EXTRA)
    scanner.feed(chunk("four") + DONE)
    assert scanner.seen_bytes == 0


def test_the_finish_is_known_after_what_was_seen_is_taken() -> None:
    scanner = DIALECTS["openai_chat"].open_stream(Quirks(), hide_usage=False, event_limit=LIMIT)
    for _ in range(200):
        scanner.feed(chunk("word") * 10)
        scanner.take_seen()
    scanner.feed(STOP)
    scanner.take_seen()
    scanner.close()
    assert scanner.finished
    assert scanner.clean


def test_the_raw_usage_is_kept_as_it_came() -> None:
    raw = '{ "prompt_tokens" : 5, "completion_tokens": 2, "vendor": [1.0] }'
    scanner = DIALECTS["openai_chat"].open_stream(Quirks(), hide_usage=False, event_limit=LIMIT)
    scanner.feed(f'data: {{"choices":[],"usage":{raw}}}\n\n'.encode())
    assert scanner.usage is not None
    assert scanner.usage.raw == raw


def test_an_error_says_its_status() -> None:
    scanner = DIALECTS["openai_chat"].open_stream(Quirks(), hide_usage=False, event_limit=LIMIT)
    scanner.feed(b'data: {"error":{"message":"slow down","type":"rate","code":429,"param":"n"}}\n\n')
    error = scanner.error
    assert error is not None
    assert (error.message, error.type, error.code, error.param, error.status) == ("slow down", "rate", "429", "n", 429)


TEXTS: list[tuple[str, bytes, list[str]]] = [
    ("openai_chat", chunk("a") + chunk("b") + DONE, ["ab"]),
    (
        "openai_chat",
        b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"t","reasoning":"t"}}]}\n\n'
        b'data: {"choices":[{"index":1,"delta":{"refusal":"r"}}]}\n\n',
        ["t", "r"],
    ),
    (
        "openai_chat",
        b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f"}}]}}]}\n\n'
        b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}\n\n',
        ["f", "{}"],
    ),
    ("openai_chat", b'data: {"choices":null}\n\ndata: [1]\n\n', []),
    ("openai_completions", b'data: {"choices":[{"text":"a"}]}\n\ndata: {"choices":[{"text":"b"}]}\n\n', ["ab"]),
    ("openai_responses", CREATED + DELTA + DELTA, ["hihi"]),
    (
        "openai_responses",
        b'data: {"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","name":"f"}}\n\n'
        b'data: {"type":"response.function_call_arguments.delta","output_index":1,"delta":"{}"}\n\n',
        ["f", "{}"],
    ),
    ("openai_embeddings", b"data: {}\n\n", []),
]


@pytest.mark.parametrize(("dialect", "events", "texts"), TEXTS)
def test_texts(dialect: str, events: bytes, texts: list[str]) -> None:
    found = [text for text in DIALECTS[dialect].texts_of([events]) if text]
    assert found == texts


def scanned(*blocks: bytes, dialect: str = "openai_chat") -> StreamScanner:
    scanner = DIALECTS[dialect].open_stream(Quirks(), hide_usage=False, event_limit=LIMIT)
    for block in blocks:
        scanner.feed(block)
    return scanner


def report(given: int, produced: int) -> str:
    return f',"usage":{{"prompt_tokens":{given},"completion_tokens":{produced}}}'


@pytest.mark.parametrize(
    "empty",
    [',"usage":{}', ',"usage":{"prompt_tokens":null}', report(0, 0), report(5, -1), ',"usage":{"cost":0}'],
)
def test_a_form_that_is_not_filled_in_is_no_report(empty: str) -> None:
    scanner = scanned(chunk("one", more=empty), chunk("two", more=empty))
    assert scanner.usage is None
    assert DIALECTS["openai_chat"].texts_of(scanner.take_seen()) == ["onetwo"]


def test_zeros_after_a_report_take_nothing_back() -> None:
    scanner = scanned(chunk(), STOP, EXTRA, f'data: {{"choices":[]{report(0, 0)}}}\n\n'.encode())
    assert scanner.usage is not None
    assert dict(scanner.usage.counts) == COUNTS


def test_zeros_at_the_end_are_a_report() -> None:
    scanner = scanned(chunk(), chunk("", '"stop"', report(0, 0)))
    assert scanner.usage is not None
    assert not any(scanner.usage.counts.values())


def test_what_comes_after_the_last_report_is_kept() -> None:
    scanner = scanned(chunk("one", more=report(5, 1)), chunk("two", more=report(5, 2)), chunk("three"), chunk("four"))
    assert scanner.usage is not None
    assert dict(scanner.usage.counts) == {"input_tokens": 5, "output_tokens": 2}
    assert DIALECTS["openai_chat"].texts_of(scanner.unreported) == ["threefour"]
    assert (scanner.take_seen(), scanner.seen_bytes) == ([], 0)
    scanner.feed(chunk("five", more=report(5, 5)))
    assert scanner.unreported == []


def test_what_comes_after_a_report_does_not_pile_up() -> None:
    scanner = scanned(chunk(more=report(5, 1)), *[chunk("x" * 1000)] * 1000)
    assert 50_000 < sum(map(len, scanner.unreported)) < 200_000


def test_a_finish_after_the_report_is_seen() -> None:
    scanner = scanned(chunk(more=report(5, 1)), STOP)
    scanner.close()
    assert scanner.clean


def test_tools_of_the_vendor_are_counted_in_streams_too() -> None:
    output = (
        ',"output":[{"type":"web_search_call","action":{"type":"search"}},'
        '{"type":"web_search_call","action":{"type":"open_page"}},{"type":"file_search_call"},{"type":"message"},5]'
    )
    ended = response("response.completed", "completed", R_USAGE + output)
    scanner = scanned(CREATED, DELTA, ended, dialect="openai_responses")
    assert scanner.usage is not None
    assert dict(scanner.usage.counts) == {**COUNTS, "web_searches": 1, "storage_searches": 1}


def test_texts_of_every_kind() -> None:
    deltas = [
        '{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"hi"}]}',
        '{"audio":{"transcript":"la la","data":"AAAA"}}',
    ]
    events = [
        f'data: {{"choices":[{{"index":[1],"delta":{delta},"logprobs":-1e999}}]}}\n\n'.encode() for delta in deltas
    ]
    assert DIALECTS["openai_chat"].texts_of(events) == ["hm", "hi", "la la"]
    strange = b'data: {"type":"response.output_text.delta","output_index":{},"delta":"hi"}\n\n'
    assert DIALECTS["openai_responses"].texts_of([strange]) == ["hi"]
