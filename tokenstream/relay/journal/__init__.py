"""Journals, which record answers while they stream; any number of readers can follow from any position."""

from __future__ import annotations

from tokenstream.relay.journal._bounds import Bounds
from tokenstream.relay.journal._errors import (
    AnswerExpired,
    JournalError,
    JournalUnavailable,
    TooManyAnswers,
    UnknownAnswer,
    UnknownPosition,
)
from tokenstream.relay.journal._feed import Entry
from tokenstream.relay.journal._journal import Journal
from tokenstream.relay.journal._memory import MemoryJournal
from tokenstream.relay.journal._redis import RedisJournal
from tokenstream.relay.journal._storage import Fenced, Page, State, Storage

__all__ = [
    "AnswerExpired",
    "Bounds",
    "Entry",
    "Fenced",
    "Journal",
    "JournalError",
    "JournalUnavailable",
    "MemoryJournal",
    "Page",
    "RedisJournal",
    "State",
    "Storage",
    "TooManyAnswers",
    "UnknownAnswer",
    "UnknownPosition",
]
