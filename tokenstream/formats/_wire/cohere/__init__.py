"""Cohere chat, v2 and v1."""

from __future__ import annotations

from tokenstream.formats._wire.cohere.format import Cohere

__all__ = ["Cohere"]
