"""OpenAI Chat Completions and its many dialects."""

from __future__ import annotations

from tokenstream.formats._wire.openai_chat.format import OpenAIChat

__all__ = ["OpenAIChat"]
