"""Functions that log messages, and make the errors that both drivers raise."""

from __future__ import annotations

import sys

from tokenstream.errors import ConcurrentRead, StreamInterrupted


def log(message: str, *details: object) -> None:
    """Log a debugging message; it must never contain the answer or the request."""
    # Importing `logging` takes as long as importing a dozen of our own modules. A program that
    # shows debugging messages has already imported it.
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("tokenstream").debug(message, *details)


def inform(message: str, *details: object) -> None:
    """Log a hint for the application's developer; it must never contain the answer or the request."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("tokenstream").info(message, *details)


def warn(message: str, *details: object) -> None:
    """Log a warning about a problem that raises no error; never with text of the answer or request."""
    import logging

    logging.getLogger("tokenstream").warning(message, *details)


def broken_off_error() -> StreamInterrupted:
    """Return the error for an interrupted read, after which the source cannot be read any further."""
    return StreamInterrupted(
        "a read was cancelled or broken off, and the source does not survive that; "
        "what had arrived is in .partial"
    )


def loop_over_error() -> StreamInterrupted:
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
