"""What Gemini answers: whole replies and frames → events.

Parts come whole or in pieces (text), calls always whole unless Vertex was asked to stream their arguments. There is no
last event, so a candidate is finished when the stream closes. A call without an id gets one from the reply's own. What
a prompt's feedback blocks is an error: a 200 with nothing in it.

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from ..framing.sse import Frame
from ..values.conversation import FinishReason, Hosted, Media, Opaque, Reply
from ..values.errors import Malformed
from ..values.events import Event, Failed, Noted, Started, UsageSeen
from ..values.vendor import Quirks
from .dialect import VendorError
from .gemini_calls import PartialCall
from .gemini_contents import HOSTED, kind_of
from .gemini_errors import any_error_in, error_in
from .gemini_grounding import places_in
from .gemini_relay import NAME
from .gemini_usage import charged, has_output, queries_in, usage_from
from .parts import PartWriter, collect
from .vendor_values import decoded_object, object_of, objects_of, text_of

MOST_TEXT = 1 << 20
"""Characters of an answer that are kept to find its citations in."""

_SOURCES = ("groundingMetadata", "citationMetadata", "urlContextMetadata")

UNREAD = 8
"""Events whose usage may wait for the next one's: reading it costs as much as all the rest of an event."""

_FINISHES: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "CONTINUATION": "pause",
    "LANGUAGE": "error",
    "OTHER": "error",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
}


def decode_reply(payload: Mapping[str, Any], quirks: Quirks) -> Reply | VendorError:
    """A whole 2xx body. Raises Malformed when it is something else."""
    if (error := refusal_in(payload)) is not None:
        return error
    if not isinstance(payload.get("candidates"), list) and "usageMetadata" not in payload:
        if (error := any_error_in(payload)) is not None:
            return error
        raise Malformed("The upstream's answer has no `candidates`")
    if not objects_of(payload.get("candidates")):
        return VendorError(
            message="The upstream returned no candidates: nothing was generated and nothing says why",
            type="server_error",
            code="no_candidates",
            status=502,
        )
    decoder = Decoder(whole=True)
    reply = collect([*decoder.read(payload), *decoder.close()])
    logprobs = decoder.logprobs
    choices = [
        replace(choice, logprobs=logprobs[number]) if logprobs.get(number) is not None else choice
        for number, choice in enumerate(reply.choices)
    ]
    return replace(reply, choices=choices)


def decode_stream(quirks: Quirks) -> Decoder:
    return Decoder(whole=False)


def refusal_in(payload: Mapping[str, Any]) -> VendorError | None:
    """An error in a 200, or a prompt that was blocked."""
    if payload.get("error") and (error := error_in(payload)) is not None:
        return error
    feedback = object_of(payload.get("promptFeedback"))
    reason = text_of(feedback.get("blockReason"))
    if not reason or objects_of(payload.get("candidates")):
        return None
    said = text_of(feedback.get("blockReasonMessage"))
    return VendorError(
        message=f"The prompt was blocked ({reason})" + (f": {said}" if said else ""),
        type="invalid_request_error",
        code="content_filter",
        param="messages",
        status=400,
    )


class _Candidate:
    """One candidate's state. texts: what its text parts say, in pieces, as far as kept."""

    def __init__(self, number: int) -> None:
        self.writer = PartWriter(number)
        self.texts: list[list[str]] = []
        self.kept = 0
        self.in_text = False
        self.signature: Opaque | None = None  # of the text that is open: told when it is over
        self.grounding: dict[str, Any] = {}
        self.partial: PartialCall | None = None
        self.finish = ""
        self.message = ""


class Decoder:
    """An `EventDecoder`. whole: the one frame there is holds a whole reply. logprobs: by candidate, of a whole one."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._candidates: dict[int, _Candidate] = {}
        self._started = False
        self._id = ""
        self._calls = 0
        self._model = ""
        self._queries: set[str] = set()
        self._has_output = False
        self._block: dict[str, Any] | None = None
        self._unread = 0
        self._over = False  # a candidate has finished
        self.logprobs: dict[int, Any] = {}

    def feed(self, frame: Frame) -> list[Event]:
        """Raises Malformed."""
        return self.read(decoded_object(frame.data, "an event")) if frame.data else []

    def read(self, payload: Mapping[str, Any]) -> list[Event]:
        """One event's object."""
        if (error := refusal_in(payload)) is not None:
            failed = Failed(message=error.message, type=error.type or "", code=error.code or "", status=error.status)
            return [*self._usage(), failed]
        events: list[Event] = [] if self._started else self._start(payload)
        for place, candidate in enumerate(objects_of(payload.get("candidates"))):
            index = candidate.get("index")
            number = index if isinstance(index, int) and index >= 0 else place
            events += self._candidate(number, candidate)
        return self._with_usage(payload, events)

    def close(self) -> list[Event]:
        events: list[Event] = self._usage()
        for state in self._candidates.values():
            events += self._cite(state) + self._end_text(state)
            if state.partial is not None:
                events += self._emit(state, state.partial)
            if not state.finish:
                events += state.writer.end()  # it broke off: whoever reads on must not take it for finished
                continue
            finish = _FINISHES.get(state.finish, "unknown")
            if state.writer.called:
                finish = "tool_calls"
            events += state.writer.finish(finish, raw=state.finish, explanation=state.message)
        return events

    def _start(self, payload: Mapping[str, Any]) -> list[Event]:
        self._started = True
        self._id = text_of(payload.get("responseId"))
        self._model = text_of(payload.get("modelVersion")).removeprefix("models/")
        return [Started(id=self._id, model=self._model)]

    def _with_usage(self, payload: Mapping[str, Any], events: list[Event]) -> list[Event]:
        """Usage is read now and then, and when it may be the last. One that tells the prompt alone stands before what
        its event said, since it does not count that."""
        block = payload.get("usageMetadata")
        if not isinstance(block, dict):
            return events
        whole = has_output(block)
        if self._has_output and not whole:
            return events
        is_first = self._block is None
        self._has_output, self._block = whole, block
        self._unread += 1
        if not whole and not self._whole:
            return [*self._usage(), *events] if is_first else events
        over = self._whole or self._over or is_first or self._unread > UNREAD
        return [*events, *self._usage()] if over else events

    def _usage(self) -> list[Event]:
        """The last usage there is, where it has not been told."""
        if self._block is None or not self._unread:
            return []
        self._unread = 0
        usage = usage_from(self._block, charged(self._queries, self._model))
        return [] if usage is None else [UsageSeen(usage=usage)]

    def _candidate(self, number: int, candidate: Mapping[str, Any]) -> list[Event]:
        state = self._candidates.get(number)
        if state is None:
            state = self._candidates[number] = _Candidate(number)
        parts = objects_of(object_of(candidate.get("content")).get("parts"))
        logprobs = _logprobs(candidate.get("logprobsResult"))
        if self._whole:
            self.logprobs[number] = logprobs
        self._note_sources(state, candidate)
        if self._whole and state.grounding:
            return self._whole_candidate(state, candidate, parts)
        events: list[Event] = []
        for part in parts:
            events += self._part(state, part, logprobs)
            logprobs = None if part.get("text") else logprobs
        self._note_finish(state, candidate)
        return events

    def _whole_candidate(self, state: _Candidate, candidate: Mapping[str, Any], parts: list[Any] | Any) -> list[Event]:
        """Every citation stands with the text that it belongs to; what belongs to none, with the last."""
        numbers = [place for place, part in enumerate(parts) if part.get("text") and part.get("thought") is not True]
        texts = [text_of(parts[place]["text"]) for place in numbers]
        found = places_in(state.grounding, texts)
        state.grounding = {}
        events: list[Event] = []
        for place, part in enumerate(parts):
            events += self._part(state, part, None)
            if place not in numbers:
                continue
            text = numbers.index(place)
            last = text == len(texts) - 1
            for each in found:
                if each.text == text or (each.text is None and last):
                    events += state.writer.cite(each.citation)
            events += self._end_text(state)  # the next text is another part, with citations of its own
        if not texts:
            for each in found:
                events += state.writer.cite(each.citation)
        self._note_finish(state, candidate)
        return events

    def _note_sources(self, state: _Candidate, candidate: Mapping[str, Any]) -> None:
        for name in _SOURCES:
            if name in candidate and (found := object_of(candidate[name])):
                state.grounding[name] = found
                self._queries |= queries_in(found)

    def _note_finish(self, state: _Candidate, candidate: Mapping[str, Any]) -> None:
        reason = text_of(candidate.get("finishReason"))
        if reason and reason != "FINISH_REASON_UNSPECIFIED":
            state.finish, self._over = reason, True
            state.message = text_of(candidate.get("finishMessage"))

    def _part(self, state: _Candidate, part: Mapping[str, Any], logprobs: Any) -> list[Event]:
        text = part.get("text")
        if len(part) == 1 and isinstance(text, str):
            return self._text(state, text, "", logprobs)
        signature = text_of(part.get("thoughtSignature"))
        if any(part.get(name) is not None for name in HOSTED):
            kind = next(HOSTED[name] for name in HOSTED if part.get(name) is not None)
            hosted = Hosted(kind=kind, sealed=Opaque(dialect=NAME, data={"part": dict(part)}))
            return [*self._end_text(state), *state.writer.hosted(hosted)]
        if part.get("thought") is True:
            return self._thought(state, part, signature)
        if isinstance(text, str):
            return self._text(state, text, signature, logprobs)
        call = part.get("functionCall")
        if isinstance(call, dict):
            return self._call(state, call, signature)
        events = self._signed(state, signature, "")
        blob = object_of(part.get("inlineData"))
        if data := text_of(blob.get("data")):
            media_type = text_of(blob.get("mimeType"))
            media = Media(kind=kind_of(media_type), media_type=media_type, data=data)
            return [*events, *self._end_text(state), *state.writer.media(media)]
        file = object_of(part.get("fileData"))
        if uri := text_of(file.get("fileUri")):
            media_type = text_of(file.get("mimeType"))
            media = Media(kind=kind_of(media_type), media_type=media_type, file_id=uri, origin=NAME)
            return [*events, *self._end_text(state), *state.writer.media(media)]
        return events

    def _thought(self, state: _Candidate, part: Mapping[str, Any], signature: str) -> list[Event]:
        text = text_of(part.get("text"))
        events = [*self._end_text(state), *state.writer.thinking(text)]
        if signature:
            events += state.writer.seal(_own(signature, ""))
        if object_of(part.get("inlineData")):
            events.append(Noted(notes=("dropped:thought_image",)))
        return events

    def _text(self, state: _Candidate, text: str, signature: str, logprobs: Any) -> list[Event]:
        """A signature on the rest of a text waits until that text is over; one on a whole text stands before it."""
        events: list[Event] = []
        if signature and (state.in_text or not text):
            state.signature = _own(signature, "")
        elif signature:
            events += self._signed(state, signature, "")
        if not text and logprobs is None:
            return events
        if not state.in_text:
            state.in_text = True
            state.texts.append([])
        if state.kept < MOST_TEXT:
            state.texts[-1].append(text)
            state.kept += len(text)
        return [*events, *state.writer.text(text, logprobs)]

    def _signed(self, state: _Candidate, signature: str, call_id: str) -> list[Event]:
        """The signature of the part that comes next."""
        if not signature:
            return []
        return [*self._end_text(state), *state.writer.end_prose(), *state.writer.seal(_own(signature, call_id))]

    def _end_text(self, state: _Candidate) -> list[Event]:
        """The text that is open is over, and with it the signature that came in the middle of it is told."""
        state.in_text = False
        if state.signature is None:
            return state.writer.end_prose()
        sealed, state.signature = state.signature, None
        return [*state.writer.end_prose(), *state.writer.seal(sealed)]

    def _call(self, state: _Candidate, call: Mapping[str, Any], signature: str) -> list[Event]:
        if state.partial is None and (call.get("partialArgs") is not None or call.get("willContinue") is True):
            state.partial = PartialCall(id=self._call_id(call), name=text_of(call.get("name")), signature=signature)
        if state.partial is not None and not (call.get("args") is not None and call.get("name")):
            state.partial.add(call)
            if call.get("willContinue") is True:
                return []
            partial, state.partial = state.partial, None
            return self._emit(state, partial)
        args = call.get("args")
        arguments = msgspec.json.encode(args if isinstance(args, dict) else {}).decode()
        whole = PartialCall(id=self._call_id(call), name=text_of(call.get("name")), signature=signature)
        return self._emit(state, whole, arguments)

    def _emit(self, state: _Candidate, call: PartialCall, arguments: str = "") -> list[Event]:
        events = self._signed(state, call.signature, call.id) or self._end_text(state)
        arguments = arguments or call.arguments()
        return [*events, *state.writer.whole_call(id=call.id, name=call.name, arguments=arguments)]

    def _call_id(self, call: Mapping[str, Any]) -> str:
        """The vendor's, else one made of the reply's id; "" where that has none either."""
        if id := text_of(call.get("id")):
            return id
        if not self._id:
            return ""
        self._calls += 1
        return f"call_{self._id}_{self._calls - 1}"

    def _cite(self, state: _Candidate) -> list[Event]:
        """Citations of a stream, at its end: those of the open text with their places, others without."""
        if not state.grounding:
            return []
        last = len(state.texts) - 1 if state.in_text else None
        events: list[Event] = []
        for each in places_in(state.grounding, ["".join(pieces) for pieces in state.texts]):
            citation = each.citation
            if each.text != last or last is None:
                citation = replace(citation, start=None, end=None)
            events += state.writer.cite(citation)
        state.grounding = {}
        return events


def _own(signature: str, call_id: str) -> Opaque:
    return Opaque(dialect=NAME, data={"thoughtSignature": signature, "call": call_id})


def _logprobs(result: object) -> Any:
    """`logprobsResult` in OpenAI chat's shape, None where there is none."""
    found = object_of(result)
    chosen = objects_of(found.get("chosenCandidates"))
    if not chosen:
        return None
    tops = objects_of(found.get("topCandidates"))
    content = []
    for place, token in enumerate(chosen):
        each = objects_of(tops[place].get("candidates")) if place < len(tops) else ()
        content.append({**_token(token), "top_logprobs": [_token(top) for top in each]})
    return {"content": content, "refusal": None}


def _token(token: Mapping[str, Any]) -> dict[str, Any]:
    text = text_of(token.get("token"))
    value = token.get("logProbability")
    logprob = float(value) if isinstance(value, int | float) else 0.0
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
