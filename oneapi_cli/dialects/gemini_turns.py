"""Turns → `contents` and `systemInstruction`.

A run of turns of one role is one content, but for tool responses, which stand in a content of their own right after
their calls. A signature returns on the part that it came with; the first call of a model's content must have one from
Gemini 3 on, so a call of another model gets the one that Google gives for that.

Sources: https://ai.google.dev/gemini-api/docs/thought-signatures ·
https://ai.google.dev/gemini-api/docs/function-calling#multimodal (2026-11)
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ..values.conversation import (
    Conversation,
    Hosted,
    Media,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from ..values.vendor import Traits
from .gemini_contents import guessed
from .gemini_relay import NAME
from .openai_chat_media import sniffed
from .reading import fault

Json = dict[str, Any]

NO_SIGNATURE = base64.b64encode(b"skip_thought_signature_validator").decode()

_IN_RESPONSES = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"})
_DEFAULT_TYPES = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4", "document": "application/pdf"}
_object = msgspec.json.Decoder(dict[str, Any])


class Writer:
    """One conversation's contents. notes: what could not be carried."""

    def __init__(self, talk: Conversation, traits: Traits) -> None:
        self._signs = traits.thinking == "level"
        self._media_in_responses = self._signs
        self._turns = talk.turns
        self._names = {part.id: part.name for turn in talk.turns for part in turn.parts if isinstance(part, ToolCall)}
        self._signatures = dict(_signatures_of_calls(talk.turns))
        self.system: list[Json] = []
        self.notes: dict[str, None] = {}
        self.contents: list[Json] = []
        self._kind = ""
        self._results: Json | None = None  # the responses to the last content of the model
        self._after_model = 0

    def write(self) -> None:
        """Raises BadRequest for what Gemini cannot be sent."""
        heard = False
        for turn in self._turns:
            if turn.role in ("system", "developer"):
                if heard:
                    self.notes["changed:system_position"] = None
                self.system += [{"text": part.text} for part in turn.parts if isinstance(part, Text)]
                continue
            heard = True
            if turn.role == "assistant":
                self._add("model", self._model_parts(turn.parts))
            else:
                self._user(turn.parts)
        if self.system and not self.contents:
            self.notes["changed:system_position"] = None
            self.contents, self.system = [{"role": "user", "parts": self.system}], []
        if self.contents and self.contents[0]["role"] == "model":
            self.contents.insert(0, {"role": "user", "parts": [{"text": ""}]})
        if self._signs:
            self._sign()

    def _add(self, kind: str, parts: list[Json]) -> None:
        """kind: `model`, `user`, or `results`: a user's content with responses alone."""
        if not parts:
            return
        if kind == "results":
            self._add_results(parts)
        elif self._kind == kind:
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": kind, "parts": parts})
            self._kind = kind
        if kind == "model":
            self._results, self._after_model = None, len(self.contents)

    def _add_results(self, parts: list[Json]) -> None:
        """All responses to the calls of one content stand together right after it, whatever else was said."""
        if self._results is not None:
            self._results["parts"] += parts
            return
        self._results = {"role": "user", "parts": parts}
        self.contents.insert(self._after_model, self._results)
        if self._after_model == len(self.contents) - 1:
            self._kind = "results"

    def _user(self, parts: Sequence[Part]) -> None:
        results: list[Json] = []
        others: list[Json] = []
        for part in parts:
            if isinstance(part, ToolResult):
                results.append(self._result(part, others))
            else:
                others += self._plain(part)
        self._add("results", results)
        self._add("user", others or ([] if results else [{"text": ""}]))

    def _model_parts(self, parts: Sequence[Part]) -> list[Json]:
        found: list[Json] = []
        waiting = ""  # a signature for the part to come
        for part in parts:
            if isinstance(part, Thinking):
                signature = self._own_signature(part)
                if part.text and signature is not None:
                    thought: Json = {"text": part.text, "thought": True}
                    found.append(thought | ({"thoughtSignature": signature} if signature else {}))
                elif signature:
                    waiting = signature
                continue
            if isinstance(part, ToolCall):
                made = [self._call(part)]
                signature = self._signatures.get(part.id)
                if signature and signature == waiting:
                    waiting = ""
                if signature:
                    made[0]["thoughtSignature"] = signature
                    found += made
                    continue
            else:
                made = self._plain(part)
            if made and waiting:
                made[0]["thoughtSignature"], waiting = waiting, ""
            found += made
        return found + ([{"text": "", "thoughtSignature": waiting}] if waiting else [])

    def _own_signature(self, part: Thinking) -> str | None:
        """This dialect's signature, None for a thought that is not Gemini's. One that names its call is told apart
        already."""
        sealed = part.sealed
        if sealed is None or sealed.dialect != NAME or not isinstance(sealed.data, dict):
            if sealed is not None:
                self.notes["dropped:thinking_signature"] = None
            if part.text:
                self.notes["dropped:thinking"] = None
            return None
        if sealed.data.get("call") in self._signatures and not part.text:
            return None
        signature = sealed.data.get("thoughtSignature")
        return signature if isinstance(signature, str) else ""

    def _call(self, call: ToolCall) -> Json:
        made: Json = {"name": call.name, "args": {"input": call.arguments} if call.custom else _args(call)}
        if call.id:
            made["id"] = call.id
        if call.cache is not None:
            self.notes["dropped:cache_control"] = None
        return {"functionCall": made}

    def _result(self, result: ToolResult, others: list[Json]) -> Json:
        """others: parts of the same turn that come after all responses; media go there where a response has no place
        for them."""
        texts = [part.text for part in result.content if isinstance(part, Text)]
        media = [part for part in result.content if isinstance(part, Media)]
        texts += [part.text for part in media if part.text]
        name = result.name or self._names.get(result.id, "")
        if not name:
            raise fault("messages", f"has a tool result for a call that is not there: {result.id[:80]!r}")
        made: Json = {"name": name, "response": {"error" if result.is_error else "output": "\n".join(texts)}}
        if result.id:
            made["id"] = result.id
        for part in media:
            if part.text:
                continue
            encoded = self._media(part)
            inline = encoded.get("inlineData")
            if self._media_in_responses and inline is not None and inline["mimeType"] in _IN_RESPONSES:
                made.setdefault("parts", []).append(encoded)
            else:
                others.append(encoded)
        if result.cache is not None:
            self.notes["dropped:cache_control"] = None
        return {"functionResponse": made}

    def _plain(self, part: Part) -> list[Json]:
        """A part that is neither a call, a response nor a thought."""
        if getattr(part, "cache", None) is not None:
            self.notes["dropped:cache_control"] = None
        match part:
            case Text() | Refusal():
                return [{"text": part.text}] if part.text else []
            case Media(text=text) if text:
                return [{"text": f"{part.name}\n\n{text}" if part.name else text}]
            case Media():
                return [self._media(part)]
            case Hosted():
                return self._hosted(part)
            case Thinking():
                self.notes["dropped:thinking"] = None
        return []

    def _hosted(self, part: Hosted) -> list[Json]:
        own = part.sealed.data.get("part") if isinstance(part.sealed.data, dict) else None
        if part.sealed.dialect == NAME and isinstance(own, dict):
            return [dict(own)]
        self.notes[f"dropped:hosted:{part.kind}"] = None
        return []

    def _media(self, media: Media) -> Json:
        if media.cites:
            self.notes["dropped:citations"] = None
        media_type = media.media_type.partition(";")[0] if media.kind != "audio" else media.media_type
        if media.data:
            media_type = media_type or sniffed(media.data) or _DEFAULT_TYPES[media.kind]
            return {"inlineData": {"mimeType": media_type, "data": media.data}}
        if media.file_id and media.origin != NAME:
            raise fault("messages", "holds a file id of another vendor; send the file's bytes")
        uri = media.file_id or media.url
        file = {"fileUri": uri, "mimeType": media_type or guessed(uri) or _DEFAULT_TYPES[media.kind]}
        return {"fileData": file}

    def _sign(self) -> None:
        """The first call of each model's content must be signed."""
        for content in self.contents:
            if content["role"] != "model":
                continue
            first = next((part for part in content["parts"] if "functionCall" in part), None)
            if first is not None and "thoughtSignature" not in first:
                first["thoughtSignature"] = NO_SIGNATURE


def _signatures_of_calls(turns: Iterable[Turn]) -> Iterable[tuple[str, str]]:
    """(call id, signature) for those that say which call they belong to, and for the others that stand right before a
    call."""
    for turn in turns:
        known = {part.id for part in turn.parts if isinstance(part, ToolCall)}
        for part in turn.parts:
            if not isinstance(part, Thinking) or part.text or part.sealed is None or part.sealed.dialect != NAME:
                continue
            data = part.sealed.data if isinstance(part.sealed.data, dict) else {}
            call, signature = data.get("call"), data.get("thoughtSignature")
            if call and call in known and isinstance(signature, str):
                yield call, signature


def _args(call: ToolCall) -> Json:
    """A call's arguments as the object that they must be. Raises BadRequest."""
    if not call.arguments.strip():
        return {}
    try:
        return _object.decode(call.arguments)
    except (msgspec.DecodeError, RecursionError):
        raise fault("messages", f"holds a call of {call.name[:80]!r} whose arguments are no JSON object") from None
