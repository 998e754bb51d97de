"""A stream out again: what a reader was given, in the bytes of any provider."""

from __future__ import annotations

__all__: list[str] = []
