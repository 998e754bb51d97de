"""Words for the log, and errors that both drivers raise."""

from __future__ import annotations

import sys

from tokenstream.errors import ConcurrentRead, StreamInterrupted

__all__ = ["broken_off", "concurrent", "homeless", "inform", "log", "warn"]


def log(message: str, *details: object) -> None:
    """Tell those who look for a fault; nothing that was sent is ever among it."""
    # Loading it costs as much as a dozen modules of ours; who looks for this has loaded it.
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("tokenstream").debug(message, *details)


def inform(message: str, *details: object) -> None:
    """Tell whoever develops the application what they may have overlooked, and nothing that was sent."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("tokenstream").info(message, *details)


def warn(message: str, *details: object) -> None:
    """Tell whoever runs the application what nothing else tells; nothing that was sent is ever among it."""
    import logging

    logging.getLogger("tokenstream").warning(message, *details)


def broken_off() -> StreamInterrupted:
    """Return the error for a read that was broken off, and that the source did not survive."""
    return StreamInterrupted(
        "a read was cancelled or broken off, and the source does not survive that; "
        "what had arrived is in .partial"
    )


def homeless() -> StreamInterrupted:
    """Return the error for a read of a stream whose event loop is over, and its source with it."""
    return StreamInterrupted(
        "the event loop that the stream was read in is over, and its connection with it; "
        "read it to its end there: what had arrived is in .partial",
        retryable=False,
    )


def concurrent() -> ConcurrentRead:
    """Return the error for a read that meets another one."""
    return ConcurrentRead(
        "another thread or task is reading this stream, and only one may at a time: give each a reader of "
        "its own, with stream.tee(n) or stream.broadcast(), and ask for views after that"
    )
