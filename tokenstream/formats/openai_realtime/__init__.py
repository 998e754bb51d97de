"""OpenAI Realtime: the events of a session over a WebSocket, of OpenAI, Azure and xAI."""

from __future__ import annotations

from tokenstream.formats.openai_realtime._format import OpenAIRealtime

__all__ = ["OpenAIRealtime"]
