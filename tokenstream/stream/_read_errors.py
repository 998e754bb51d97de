"""Functions that make the errors of reads: interrupted, concurrent, or after the end of the event loop."""

from __future__ import annotations

from tokenstream.errors import ConcurrentRead, StreamInterrupted


def interrupted_read_error() -> StreamInterrupted:
    """Return the error for an interrupted read, after which the source cannot be read any further."""
    return StreamInterrupted(
        "a read was cancelled or broken off, and the source does not survive that; "
        "what had arrived is in .partial"
    )


def ended_loop_error() -> StreamInterrupted:
    """Return the error for reading a stream whose event loop has ended, and its source with it."""
    return StreamInterrupted(
        "the event loop that the stream was read in is over, and its connection with it; "
        "read it to its end there: what had arrived is in .partial",
        retryable=False,
    )


def concurrent_read_error() -> ConcurrentRead:
    """Return the error for a read during another read."""
    return ConcurrentRead(
        "another thread or task is reading this stream, and only one may at a time: give each a reader of "
        "its own, with stream.tee(n) or stream.broadcast(), and ask for views after that"
    )
