"""Google Gemini's generateContent, as sent by the Gemini API and Vertex AI."""

from __future__ import annotations

from tokenstream.formats.gemini._format import Gemini

__all__ = ["Gemini"]
