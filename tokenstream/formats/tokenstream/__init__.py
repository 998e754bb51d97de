"""Our own events, as a relay sends them on: the protocol `tokenstream`."""

from __future__ import annotations

from tokenstream.formats.tokenstream._format import TokenStream

__all__ = ["TokenStream"]
