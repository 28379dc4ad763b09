"""OpenAI's paths below a base URL, for rows to join with `|`: dialect → path, first preferred."""

from __future__ import annotations

CHAT = {"openai_chat": "/chat/completions"}
COMPLETIONS = {"openai_completions": "/completions"}
EMBEDDINGS = {"openai_embeddings": "/embeddings"}
MODERATIONS = {"openai_moderations": "/moderations"}
RESPONSES = {"openai_responses": "/responses"}
ALL = CHAT | COMPLETIONS | EMBEDDINGS | MODERATIONS | RESPONSES
