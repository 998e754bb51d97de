"""OpenAI Responses, as OpenAI, Azure and servers that imitate them send it."""

from __future__ import annotations

from tokenstream.formats.openai_responses._format import OpenAIResponses

__all__ = ["OpenAIResponses"]
