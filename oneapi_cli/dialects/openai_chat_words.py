"""What is the same in a whole reply of a chat vendor and in the chunks of its streams.

Compatible vendors agree on the frame and differ in the words: finish reasons of their own, sources in five places,
tools that they ran themselves beside the text. Nothing here blames: what is not understood is passed over.

Sources: https://platform.openai.com/docs/api-reference/chat/object · https://docs.mistral.ai/api ·
https://console.groq.com/docs/compound · https://docs.perplexity.ai/api-reference/chat-completions-post ·
https://docs.z.ai/api-reference/llm/chat-completion · https://api-docs.deepseek.com/api/create-chat-completion ·
https://openrouter.ai/docs/api-reference/overview (2026-11)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ..values.conversation import Citation, FinishReason, Hosted, Media, Opaque
from ..values.usage import Usage
from ..values.vendor import Quirks
from .dialect import VendorError
from .openai_chat_media import DIALECT, sniffed
from .openai_errors import error_in
from .openai_usage import read_usage, tier_of, usage_of

Fields = Mapping[str, Any]

_FINISHES: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "complete": "stop",
    "completed": "stop",
    "stop_sequence": "stop_sequence",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "context",  # Mistral
    "model_context_window_exceeded": "context",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "sensitive": "content_filter",  # Z.ai
    "safety": "content_filter",
    "recitation": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "error": "error",
    "network_error": "error",  # Z.ai
    "insufficient_system_resource": "error",  # DeepSeek
    "abort": "error",
    "aborted": "error",
    "cancelled": "error",
}
_ENDS_WELL = frozenset({"stop", "stop_sequence", "unknown", "pause"})


def finish_of(choice: Fields, *, called: bool, refused: bool) -> tuple[FinishReason, str, str]:
    """(finish, stop sequence, the vendor's own word) of a choice that is over. called: whether it holds calls for the
    client; refused: whether it holds a refusal.

    Without a word of the vendor's it is what its parts say. vLLM names the stop sequence in `stop_reason`.
    """
    word = choice.get("finish_reason")
    own = choice.get("native_finish_reason")
    raw = own if isinstance(own, str) and own else word if isinstance(word, str) else ""
    finish: FinishReason = _FINISHES.get(word.lower(), "unknown") if isinstance(word, str) and word else "stop"
    if called and finish in _ENDS_WELL:
        return "tool_calls", "", raw
    if not called and finish == "tool_calls":
        finish = "stop"
    stop = choice.get("stop_reason")
    if finish == "stop" and isinstance(stop, str) and stop and word != stop:
        return "stop_sequence", stop, raw
    return ("refusal" if refused and finish == "stop" else finish), "", raw


def has_finished(choice: Fields) -> bool:
    """Whether the vendor says that this choice is over. Some fill the member with an empty string until then."""
    word = choice.get("finish_reason")
    return isinstance(word, str) and bool(word)


# --- usage and errors -----------------------------------------------------------------------------------------------


def usage_in(payload: Fields, choices: Iterable[Any], quirks: Quirks) -> Usage | None:
    """Usage wherever vendors put it: at the top, in `x_groq`, in a choice (Moonshot's streams)."""
    found = read_usage(payload, quirks)
    if found is not None:
        return found
    groq = payload.get("x_groq")
    holders = [groq, *choices] if isinstance(groq, Mapping) else choices
    for holder in holders:
        block = holder.get("usage") if isinstance(holder, Mapping) else None
        if isinstance(block, Mapping):
            return usage_of(msgspec.json.encode(block), tier_of(payload.get("service_tier")), quirks)
    return None


def failure_in(payload: Fields) -> VendorError | None:
    """The error that a 200 or an event carries, None for an answer."""
    error = payload.get("error")
    if error:
        return error_in(payload)
    status = payload.get("base_resp")  # Minimax
    if isinstance(status, Mapping) and status.get("status_code") and not payload.get("choices"):
        said = {"message": status.get("status_msg"), "code": str(status["status_code"])}
        return error_in({"error": said})
    choices = payload.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        error = choice.get("error") if isinstance(choice, Mapping) else None
        if error:  # OpenRouter
            return error_in({"error": error})
    if choices is None and not isinstance(payload.get("usage"), Mapping):
        return error_in(payload)
    return None


# --- sources --------------------------------------------------------------------------------------------------------


def citations_in(message: Fields) -> list[Citation]:
    """`annotations`, places as they are in the whole content. What has neither address nor title is none of ours."""
    found = message.get("annotations")
    cited = (_annotation(each) for each in found if isinstance(each, dict)) if isinstance(found, list) else ()
    return [each for each in cited if each is not None]


def _annotation(raw: Fields) -> Citation | None:
    held = raw.get("url_citation")
    held = held if isinstance(held, Mapping) else raw
    url, title = _text(held.get("url")), _text(held.get("title"))
    if not url and not title:
        return None
    start, end = held.get("start_index"), held.get("end_index")
    placed = isinstance(start, int) and isinstance(end, int) and end > start
    return Citation(
        url=url,
        title=title,
        quoted=_text(held.get("content")),
        start=start if placed else None,
        end=end if placed else None,
        raw=Opaque(dialect=DIALECT, data=dict(raw)),
    )


def sources_in(payload: Fields) -> list[Citation]:
    """Sources of the whole reply: `search_results` or `citations` (Perplexity, xAI)."""
    results = payload.get("search_results")
    if isinstance(results, list) and results:
        found = (
            Citation(url=_text(each.get("url")), title=_text(each.get("title")), quoted=_text(each.get("snippet")))
            for each in results
            if isinstance(each, Mapping)
        )
    else:
        urls = payload.get("citations")
        found = (Citation(url=each) for each in (urls if isinstance(urls, list) else ()) if isinstance(each, str))
    return [each for each in found if each.url]


def moved(citation: Citation, base: int, length: int) -> Citation:
    """A citation whose place counts from the start of the content → one that counts from its part, which starts at
    `base`. Without a place where it does not lie there. length: characters of the part."""
    if citation.start is None or citation.end is None:
        return citation
    start, end = citation.start - base, citation.end - base
    if start < 0 or end > length:
        return msgspec.structs.replace(citation, start=None, end=None)
    return msgspec.structs.replace(citation, start=start, end=end)


# --- beside the text ------------------------------------------------------------------------------------------------


def hosted_in(message: Fields) -> list[Hosted]:
    """`executed_tools`: what Groq's systems ran themselves."""
    found = message.get("executed_tools")
    tools = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return [Hosted(kind=_hosted_kind(each), sealed=Opaque(dialect=DIALECT, data=each)) for each in tools]


def _hosted_kind(tool: Fields) -> str:
    word = _text(tool.get("type")) or _text(tool.get("name"))
    if "search" in word:
        return "web_search"
    if word in ("python", "code_interpreter", "code_execution"):
        return "code_execution"
    return "url_context" if word.startswith("visit") else word or "tool"


def images_in(message: Fields) -> list[Media]:
    """`images`: pictures that the model made (OpenRouter)."""
    found = message.get("images")
    pictures = (image_of(each) for each in found if isinstance(each, Mapping)) if isinstance(found, list) else ()
    return [each for each in pictures if each is not None]


def image_of(part: Fields) -> Media | None:
    """An `image_url` part of a reply."""
    held = part.get("image_url")
    url = _text(held.get("url")) if isinstance(held, Mapping) else _text(held)
    if url[:5].lower() != "data:":
        return Media(kind="image", url=url) if url else None
    head, _, data = url.partition(",")
    return Media(kind="image", media_type=head[5:].partition(";")[0].lower(), data=data)


def audio_of(data: Iterable[str], transcript: str) -> Media | None:
    """A sound that came in pieces of base64, each whole in itself; raw samples (`pcm16`) where no header says more."""
    pieces = [piece for piece in data if piece]
    if not pieces and not transcript:
        return None
    whole = pieces[0] if len(pieces) == 1 else _joined(pieces)
    return Media(kind="audio", media_type=sniffed(whole) or "audio/pcm", data=whole, transcript=transcript)


def _joined(pieces: list[str]) -> str:
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece) for piece in pieces)).decode()
    except (binascii.Error, ValueError):
        return "".join(pieces)


def arguments_of(value: object) -> str:
    """A call's arguments or a piece of them: text, or the object itself as some vendors send it."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def signature_of(holder: Fields) -> Fields | None:
    """What Google's OpenAI path wants back with a call or a message."""
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    signed = isinstance(google, Mapping) and google.get("thought_signature")
    return extra if signed and isinstance(extra, Mapping) else None


def is_thought(holder: Fields) -> bool:
    """Whether Google's OpenAI path marks this message's content as a thought."""
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    return isinstance(google, Mapping) and google.get("thought") is True


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
