"""Refusals of reads at the wrong time, which would read one source twice."""

from __future__ import annotations

from tokenstream.errors import MisuseError, StreamInterrupted


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
