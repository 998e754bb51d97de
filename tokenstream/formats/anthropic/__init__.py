"""Anthropic Messages, as sent by Anthropic, Vertex AI and servers that imitate them."""

from __future__ import annotations

from tokenstream.formats.anthropic._format import Anthropic

__all__ = ["Anthropic"]
