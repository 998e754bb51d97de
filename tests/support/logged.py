"""What was logged, without the origins of the answers that it is about."""

from __future__ import annotations

import logging
from collections.abc import Iterable

__all__ = ["words_of"]


def words_of(records: Iterable[logging.LogRecord]) -> list[str]:
    """Return the messages of records, each without the origin of its answer."""
    return [record.getMessage().partition(" · ")[0] for record in records]
