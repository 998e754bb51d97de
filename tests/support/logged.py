"""What was logged: by a handler of a test's own, and without the origins of the answers that it is about."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable
from contextlib import contextmanager


@contextmanager
def logging_to(handler: logging.Handler, level: int) -> Generator[None]:
    """Have a handler told what the library logs, from a level on."""
    logger = logging.getLogger("tokenstream")
    before = logger.level
    logger.addHandler(handler)
    # Unlike an assignment, it forgets which levels were found to be off.
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def words_of(records: Iterable[logging.LogRecord]) -> list[str]:
    """Return the messages of records, each without the origin of its answer."""
    return [record.getMessage().partition(" · ")[0] for record in records]
