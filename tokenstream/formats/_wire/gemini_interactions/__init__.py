"""Google's Interactions API: steps of a model or an agent, each with an index."""

from __future__ import annotations

from tokenstream.formats._wire.gemini_interactions.format import GeminiInteractions

__all__ = ["GeminiInteractions"]
