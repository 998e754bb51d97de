"""OpenAI Responses, as sent by OpenAI, Azure and servers that imitate them."""

from __future__ import annotations

from tokenstream.formats._wire.openai_responses.format import OpenAIResponses

__all__ = ["OpenAIResponses"]
