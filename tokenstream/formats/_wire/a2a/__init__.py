"""A2A, the protocol between agents, in versions 0.3 and 1.0."""

from __future__ import annotations

from tokenstream.formats._wire.a2a.format import A2A

__all__ = ["A2A"]
