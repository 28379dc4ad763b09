"""Every dialect there is, by name. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping

import oneapi_cli.dialects.anthropic_messages as anthropic_messages
import oneapi_cli.dialects.bedrock_converse as bedrock_converse
import oneapi_cli.dialects.cohere_chat as cohere_chat
import oneapi_cli.dialects.gemini as gemini
import oneapi_cli.dialects.ollama as ollama
import oneapi_cli.dialects.openai_chat as openai_chat
import oneapi_cli.dialects.openai_completions as openai_completions
import oneapi_cli.dialects.openai_embeddings as openai_embeddings
import oneapi_cli.dialects.openai_images as openai_images
import oneapi_cli.dialects.openai_moderations as openai_moderations
import oneapi_cli.dialects.openai_responses as openai_responses
import oneapi_cli.dialects.openai_speech as openai_speech
import oneapi_cli.dialects.replicate_chat as replicate_chat
import oneapi_cli.dialects.rerank as rerank
import oneapi_cli.dialects.tasks.gemini_images as gemini_images
import oneapi_cli.dialects.tasks.imagen as imagen
import oneapi_cli.dialects.tasks.replicate_images as replicate_images

from .dialect import Dialect, Follower, Listener, Speaker, TaskSpeaker
from .gemini_embedding import batch, one
from .openai_image_edits import edits, variations
from .openai_transcriptions import transcriptions, translations
from .tasks.embeddings import EMBEDDERS
from .tasks.reranking import RERANKERS
from .tasks.uploads import FormDialect

DIALECTS: Mapping[str, Dialect] = {
    anthropic_messages.NAME: anthropic_messages,
    gemini.NAME: gemini,
    openai_chat.NAME: openai_chat,
    openai_completions.NAME: openai_completions,
    openai_embeddings.NAME: openai_embeddings,
    openai_moderations.NAME: openai_moderations,
    openai_responses.NAME: openai_responses,
    openai_images.NAME: openai_images,
    edits.NAME: edits,
    variations.NAME: variations,
    openai_speech.NAME: openai_speech,
    transcriptions.NAME: transcriptions,
    translations.NAME: translations,
    one.NAME: one,
    batch.NAME: batch,
    rerank.NAME: rerank,
}

FORMS: Mapping[str, FormDialect] = {each.NAME: each for each in (edits, variations, transcriptions, translations)}
"""Doors that take forms."""

LISTENERS: Mapping[str, Listener] = {
    anthropic_messages.NAME: anthropic_messages,
    gemini.NAME: gemini,
    openai_chat.NAME: openai_chat,
    openai_responses.NAME: openai_responses,
}
"""Conversational formats that clients may speak."""

SPEAKERS: Mapping[str, Speaker] = {
    anthropic_messages.NAME: anthropic_messages,
    bedrock_converse.NAME: bedrock_converse,
    cohere_chat.NAME: cohere_chat,
    gemini.NAME: gemini,
    ollama.NAME: ollama,
    openai_chat.NAME: openai_chat,
    openai_responses.NAME: openai_responses,
    replicate_chat.NAME: replicate_chat,
}
"""Conversational formats that vendors speak."""

FOLLOWS: Mapping[str, Follower] = {
    replicate_chat.NAME: replicate_chat,
    replicate_images.images.NAME: replicate_images.images,
    replicate_images.edits.NAME: replicate_images.edits,
    replicate_images.variations.NAME: replicate_images.variations,
}
"""Those of them whose vendor answers in several requests."""

_PICTURES: tuple[TaskSpeaker, ...] = (
    gemini_images.images,
    gemini_images.edits,
    imagen.images,
    imagen.edits,
    replicate_images.images,
    replicate_images.edits,
    replicate_images.variations,
)

TASKS: Mapping[str, TaskSpeaker] = {each.NAME: each for each in (*_PICTURES, *EMBEDDERS, *RERANKERS)}
"""Vendors' own ways of doing what the doors that are no conversation ask for (`tasks/`), by dialect; the door is their
`SURFACE`. Their way to the gateway is `gateway/tasking.py`."""
