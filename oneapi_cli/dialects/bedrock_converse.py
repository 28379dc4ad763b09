"""Bedrock's Converse and ConverseStream: one format for every model that Bedrock serves. Vendors alone speak it.

The model stands in the URL. Claude's thoughts carry the same seals here as in Anthropic's own format, so that a
conversation may go on with either.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, botocore 1.44 (2026-11)
"""

from __future__ import annotations

from .bedrock_asking import encode_request
from .bedrock_errors import decode_error
from .bedrock_names import NAME
from .bedrock_reading import decode_reply
from .bedrock_stream import decode_stream
from .bedrock_usage import read_usage

__all__ = ["NAME", "decode_error", "decode_reply", "decode_stream", "encode_request", "read_usage"]
