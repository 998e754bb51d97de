"""OpenAI Chat Completions and its many dialects."""

from __future__ import annotations

from tokenstream.formats.openai_chat._chat import OpenAIChat

__all__ = ["OpenAIChat"]
