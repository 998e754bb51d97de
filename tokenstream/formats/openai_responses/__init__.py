"""OpenAI Responses, as sent by OpenAI, Azure and servers that imitate them."""

from __future__ import annotations

from tokenstream.formats.openai_responses._format import OpenAIResponses

__all__ = ["OpenAIResponses"]
