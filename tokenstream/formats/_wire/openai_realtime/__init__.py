"""OpenAI Realtime: the events of a session over a WebSocket, as sent by OpenAI, Azure and xAI."""

from __future__ import annotations

from tokenstream.formats._wire.openai_realtime.format import OpenAIRealtime

__all__ = ["OpenAIRealtime"]
