"""The names of the formats, for type checkers and editors."""

from __future__ import annotations

from typing import Literal, TypeAlias

FormatName: TypeAlias = Literal[
    "openai-chat",
    "anthropic",
    "openai-responses",
    "gemini",
    "ollama",
    "bedrock-converse",
    "bedrock-invoke",
    "cohere",
    "ui-message",
    "ag-ui",
    "tokenstream",
    "openai-realtime",
    "gemini-live",
    "gemini-interactions",
    "openai-completions",
    "openai-assistants",
    "tgi",
    "langchain",
    "llamaindex",
    "text",
    "pieces",
    "mistral",
]
"""The names that `format=` accepts. For a format of another distribution, pass its class, an instance
of the class, or the name as `cast(FormatName, "its-name")`: at runtime every installed name is accepted."""
