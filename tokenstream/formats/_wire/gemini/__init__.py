"""Google Gemini's generateContent, as sent by the Gemini API and Vertex AI."""

from __future__ import annotations

from tokenstream.formats._wire.gemini.format import Gemini

__all__ = ["Gemini"]
