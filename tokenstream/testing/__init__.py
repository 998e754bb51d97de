"""What tests of streaming code need."""

from __future__ import annotations

__all__: list[str] = []
