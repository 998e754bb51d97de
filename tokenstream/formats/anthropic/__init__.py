"""Anthropic Messages, as Anthropic, Vertex and servers that imitate them send it."""

from __future__ import annotations

from tokenstream.formats.anthropic._format import Anthropic

__all__ = ["Anthropic"]
