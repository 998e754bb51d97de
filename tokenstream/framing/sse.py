"""Deprecated: import what was here from `tokenstream.framing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.framing._sse import SSEParser
    from tokenstream.framing._sse_event import ServerSentEvent

__all__ = ["SSEParser", "ServerSentEvent"]


def __getattr__(name: str) -> object:
    """Return a name that has moved, with a warning."""
    from tokenstream._basics.deprecated import load_moved

    return load_moved(name, __name__, home="tokenstream.framing", real="tokenstream.framing._sse")
