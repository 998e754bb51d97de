"""AG-UI, the protocol between agents and user interfaces."""

from __future__ import annotations

from tokenstream.formats._wire.ag_ui.format import AGUI

__all__ = ["AGUI"]
