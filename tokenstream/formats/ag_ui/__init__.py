"""AG-UI, the protocol between agents and user interfaces."""

from __future__ import annotations

from tokenstream.formats.ag_ui._format import AGUI

__all__ = ["AGUI"]
