"""OpenAI Chat Completions, and the many servers that speak it with an accent."""

from __future__ import annotations

from tokenstream.formats.openai_chat._chat import OpenAIChat

__all__ = ["OpenAIChat"]
