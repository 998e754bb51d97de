"""OpenAI Assistants: the events of a run on a thread."""

from __future__ import annotations

from tokenstream.formats._wire.openai_assistants.format import OpenAIAssistants

__all__ = ["OpenAIAssistants"]
