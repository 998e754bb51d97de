"""Journals: answers that are written down while they come, for any number of readers from any position."""

from __future__ import annotations

__all__: list[str] = []
