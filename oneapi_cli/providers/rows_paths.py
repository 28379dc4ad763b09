"""OpenAI's paths below a base URL, for rows to join with `|`: dialect → path, first preferred."""

from __future__ import annotations

CHAT = {"openai_chat": "/chat/completions"}
COMPLETIONS = {"openai_completions": "/completions"}
EMBEDDINGS = {"openai_embeddings": "/embeddings"}
MODERATIONS = {"openai_moderations": "/moderations"}
RESPONSES = {"openai_responses": "/responses"}
MESSAGES = {"anthropic_messages": "/messages"}
"""Anthropic's format, for vendors that keep it beside OpenAI's below the same `/v1`. Others have an address of its own
for it."""
RERANK = {"rerank": "/rerank"}
IMAGES = {"openai_images": "/images/generations"}
EDITS = {"openai_image_edits": "/images/edits"}
VARIATIONS = {"openai_image_variations": "/images/variations"}
SPEECH = {"openai_speech": "/audio/speech"}
TRANSCRIPTIONS = {"openai_transcriptions": "/audio/transcriptions"}
TRANSLATIONS = {"openai_translations": "/audio/translations"}
MEDIA = IMAGES | EDITS | VARIATIONS | SPEECH | TRANSCRIPTIONS | TRANSLATIONS
ALL = CHAT | COMPLETIONS | EMBEDDINGS | MODERATIONS | RESPONSES | MEDIA | RERANK
