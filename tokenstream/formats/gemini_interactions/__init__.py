"""Google's Interactions API: steps of a model or an agent, each with an index."""

from __future__ import annotations

from tokenstream.formats.gemini_interactions._format import GeminiInteractions

__all__ = ["GeminiInteractions"]
