"""Conversations over one WebSocket: OpenAI Responses and Realtime, and Gemini Live."""

from __future__ import annotations

from tokenstream.session._async import AsyncAnswer, AsyncSession
from tokenstream.session._sync import Answer, Session

__all__ = ["Answer", "AsyncAnswer", "AsyncSession", "Session"]
