"""Our own events, as sent by a relay: the protocol `tokenstream`."""

from __future__ import annotations

from tokenstream.formats._wire.tokenstream.format import TokenStream

__all__ = ["TokenStream"]
