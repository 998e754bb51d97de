"""The UI message stream of Vercel's AI SDK, from version 5 on."""

from __future__ import annotations

from tokenstream.formats._wire.ui_message.format import UIMessage

__all__ = ["UIMessage"]
