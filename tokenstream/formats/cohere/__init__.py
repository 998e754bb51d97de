"""Cohere chat, v2 and v1."""

from __future__ import annotations

from tokenstream.formats.cohere._format import Cohere

__all__ = ["Cohere"]
