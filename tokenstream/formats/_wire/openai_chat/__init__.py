"""OpenAI Chat Completions, and the variations of the format that other servers send."""

from __future__ import annotations

from tokenstream.formats._wire.openai_chat.format import OpenAIChat

__all__ = ["OpenAIChat"]
