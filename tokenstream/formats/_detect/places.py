"""URL paths of providers' endpoints, and the formats of their answers."""

from __future__ import annotations

import re

_PATHS: tuple[tuple[str, str], ...] = (
    (r"/chat/completions", "openai-chat"),
    (r"(?<!/chat)/completions", "openai-completions"),
    (r"/responses(/[^/]+)?", "openai-responses"),
    (r"/threads(/[^/]+)?/runs(/[^/]+/submit_tool_outputs)?", "openai-assistants"),
    (r"/realtime", "openai-realtime"),
    (r"/messages|:streamRawPredict", "anthropic"),
    (r":streamGenerateContent", "gemini"),
    (r"[./]BidiGenerateContent(Constrained)?", "gemini-live"),
    (r"/interactions(/[^/]+)?", "gemini-interactions"),
    (r"/converse-stream", "bedrock-converse"),
    (r"/invoke-with-response-stream", "bedrock-invoke"),
    (r"/v2/chat", "cohere"),
    (r"/api/chat", "ollama"),
    (r"/generate_stream", "tgi"),
)
"""Endings of endpoint paths, each with the format of the answers; no path has two of them."""
FORMATS = [(re.compile(f"(?:{end})/?$"), format) for end, format in _PATHS]


def format_of_path(path: str) -> str | None:
    """Return the format that providers use at a path; None if the path is not known.

    Args:
        path: The path, without a query.

    Example:
        >>> format_of_path("/v1/chat/completions"), format_of_path("/v1/messages"), format_of_path("/")
        ('openai-chat', 'anthropic', None)
    """
    return next((format for end, format in FORMATS if end.search(path)), None)
