"""Our own events, as sent by a relay: the protocol `tokenstream`."""

from __future__ import annotations

from tokenstream.formats.tokenstream._format import TokenStream

__all__ = ["TokenStream"]
