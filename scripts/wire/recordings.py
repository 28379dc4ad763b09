"""The recorded exchanges, and which dialect each is in."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "wire" / "recorded.jsonl.gz"

# What a path ends with → the dialect spoken there. Other paths (files, embeddings, token counts) are no chats.
_CHATS = (
    (re.compile(r"/chat/completions$"), "openai_chat"),
    (re.compile(r"/responses$"), "openai_responses"),
    (re.compile(r"/messages$"), "anthropic_messages"),
    (re.compile(r":(generateContent|streamGenerateContent)$"), "gemini"),
    (re.compile(r"/converse(-stream)?$"), "bedrock_converse"),
    (re.compile(r"/v2/chat$"), "cohere_chat"),
    (re.compile(r"/api/chat$"), "ollama"),
)
# The same company's other paths: they answer with the same errors.
_ERRORS = (
    (re.compile(r"/v1/messages/|/v1/files"), "anthropic", "anthropic_messages"),
    (re.compile(r"/v1beta|/publishers/google/"), "gemini", "gemini"),
    (re.compile(r"/publishers/google/"), "vertex", "gemini"),
    (re.compile(r"/model/"), "bedrock", "bedrock_converse"),
    (re.compile(r"/v2/"), "cohere", "cohere_chat"),
)


@dataclass(frozen=True)
class Recording:
    """One exchange. request: the decoded body, None where there was none. reply: its bytes as they came."""

    id: str
    provider: str
    path: str
    request: Mapping[str, Any] | None
    status: int
    content_type: str
    stream: bool
    reply: bytes

    @property
    def failed(self) -> bool:
        return self.status >= 400

    @property
    def dialect(self) -> str:
        """The conversational dialect, "" for none."""
        return next((name for ending, name in _CHATS if ending.search(self.path)), "")

    @property
    def error_dialect(self) -> str:
        """Whose errors are spoken there, "" for none of ours."""
        others = (name for path, vendor, name in _ERRORS if vendor == self.provider and path.search(self.path))
        return self.dialect or next(others, "")

    @property
    def model(self) -> str:
        named = (self.request or {}).get("model")
        found = re.search(r"/models?/([^/:]+)", self.path)
        return str(named) if named else (found.group(1) if found else "model-1")


def recordings(path: Path = RECORDED) -> Iterator[Recording]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            binary = row.get("response_b64")
            reply = base64.b64decode(binary) if binary else (row.get("response") or "").encode()
            yield Recording(
                id=row["id"],
                provider=row["provider"],
                path=row["path"].rstrip("/"),
                request=row["request"] if isinstance(row["request"], dict) else None,
                status=row["status"],
                content_type=row["content_type"] or "",
                stream=row["stream"],
                reply=reply,
            )
