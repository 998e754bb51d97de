"""Gemini Live: the server's messages in a session over a WebSocket."""

from __future__ import annotations

from tokenstream.formats._wire.gemini_live.format import GeminiLive

__all__ = ["GeminiLive"]
