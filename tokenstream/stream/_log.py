"""Functions that log messages, without importing `logging` if nobody else has."""

from __future__ import annotations

import sys


def log(message: str, *details: object) -> None:
    """Log a debugging message; it must never contain the answer or the request."""
    # Importing `logging` takes as long as importing a dozen of our own modules. A program that
    # shows debugging messages has already imported it.
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("tokenstream").debug(message, *details)


def inform(message: str, *details: object) -> None:
    """Log a hint for the application's developer; it must never contain the answer or the request."""
    # Without an import of `logging`, nobody has asked to see this message.
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("tokenstream").info(message, *details)


def warn(message: str, *details: object) -> None:
    """Log a warning about a problem that raises no error; never with text of the answer or request."""
    import logging

    logging.getLogger("tokenstream").warning(message, *details)
