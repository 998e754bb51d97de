"""Refusals of what would read one source twice: copies, and reads at the wrong time."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

from tokenstream._basics.elsewhere import UnsupportedUse
from tokenstream.errors import MisuseError, StreamInterrupted


class UncopyableObject:
    """An object that cannot be copied, because both copies would read from one source."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """Raise an error: the object cannot be copied or pickled."""
        raise UnsupportedUse(
            f"{type(self).__name__} cannot be copied or pickled, because both would read one source: "
            "hand on the object itself, or stream.message, which is a value"
        )


def interrupted_read_error() -> StreamInterrupted:
    """Return the error for an interrupted read, after which the source cannot be read any further."""
    return StreamInterrupted(
        "a read was cancelled or broken off, and the source does not survive that; "
        "what had arrived is in .partial"
    )


def concurrent_read_error() -> MisuseError:
    return MisuseError(
        "another thread or task is reading this stream, and only one may at a time: give each a reader of "
        "its own, with stream.tee(n) or stream.broadcast(), and ask for views after that",
        kind="concurrent",
    )


def shared_stream_error() -> MisuseError:
    """Return the error for reading the answers of a shared stream one by one."""
    return MisuseError("this stream is shared as one answer: share each stream of an unshared `.responses`")
