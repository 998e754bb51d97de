"""Functions that log messages, without importing `logging` if nobody else has."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger


def log(message: str, *details: object) -> None:
    """Log a debugging message; it must never contain the answer or the request."""
    # Importing `logging` takes as long as importing a dozen of our own modules. A program that
    # shows debugging messages has already imported it.
    if "logging" in sys.modules:
        _find_logger().debug(message, *details)


def inform(message: str, *details: object) -> None:
    """Log a hint for the application's developer; it must never contain the answer or the request."""
    # Without an import of `logging`, nobody has asked to see this message.
    if "logging" in sys.modules:
        _find_logger().info(message, *details)


def warn(message: str, *details: object) -> None:
    """Log a warning about a problem that raises no error; never with text of the answer or request."""
    _find_logger().warning(message, *details)


@cache
def _find_logger() -> Logger:
    import logging

    return logging.getLogger("tokenstream")
