"""Text blocks of Anthropic: an open one, and one in two pieces."""

from __future__ import annotations

from tests.formats.anthropic.payloads import block, stop, text

OPEN = block(0, "text", text="")
HELLO = (OPEN, text(0, "Hel"), text(0, "lo"), stop(0))
