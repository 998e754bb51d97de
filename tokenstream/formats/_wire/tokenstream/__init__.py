"""The protocol `tokenstream`: this library's events, as a relay sends them."""

from __future__ import annotations

from tokenstream.formats._wire.tokenstream.format import TokenStream

__all__ = ["TokenStream"]
