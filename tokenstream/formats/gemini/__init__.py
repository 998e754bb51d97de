"""Google Gemini's generateContent, as the Gemini API and Vertex AI send it."""

from __future__ import annotations

from tokenstream.formats.gemini._format import Gemini

__all__ = ["Gemini"]
