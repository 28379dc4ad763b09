"""The names that both sides of the Messages format share."""

from __future__ import annotations

NAME: str = "anthropic_messages"

JSON_TOOL = "oneapi_json_output"
"""The tool that stands in for an output format: its one call is the answer, as JSON, and is read back as text."""

JSON_VALUE_TOOL = "oneapi_json_value"
"""The same for formats that are no object: the answer is the call's member `value`."""

JSON_TOOLS = frozenset({JSON_TOOL, JSON_VALUE_TOOL})

CUSTOM_INPUT = "input"
"""The one member of a tool's arguments that stands for a tool which takes free text."""
