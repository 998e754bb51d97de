"""The UI message stream of Vercel's AI SDK, from version 5 on."""

from __future__ import annotations

from tokenstream.formats.ui_message._format import UIMessage

__all__ = ["UIMessage"]
