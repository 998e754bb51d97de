"""Ollama's native API: chat and generate."""

from __future__ import annotations

from tokenstream.formats._wire.ollama.format import Ollama

__all__ = ["Ollama"]
