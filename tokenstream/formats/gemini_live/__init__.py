"""Gemini Live: the server's messages of a session over a WebSocket."""

from __future__ import annotations

from tokenstream.formats.gemini_live._format import GeminiLive

__all__ = ["GeminiLive"]
