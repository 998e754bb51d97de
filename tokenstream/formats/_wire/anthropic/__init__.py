"""Anthropic Messages, as sent by Anthropic, Vertex AI and servers that imitate them."""

from __future__ import annotations

from tokenstream.formats._wire.anthropic.format import Anthropic

__all__ = ["Anthropic"]
