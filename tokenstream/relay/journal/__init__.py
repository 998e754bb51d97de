"""Journals, which record answers while they stream; any number of readers can follow from any position."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader
from tokenstream.relay.journal._bounds import Bounds
from tokenstream.relay.journal._errors import JournalError
from tokenstream.relay.journal._feed import Entry
from tokenstream.relay.journal._journal import Journal
from tokenstream.relay.journal._memory import MemoryJournal
from tokenstream.relay.journal._redis import RedisJournal
from tokenstream.relay.journal._storage import Page, State, Storage

__all__ = [
    "Bounds",
    "Entry",
    "Journal",
    "JournalError",
    "MemoryJournal",
    "Page",
    "RedisJournal",
    "State",
    "Storage",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), {})
