"""State that outlives the connections of sessions, as it does at a provider."""

from __future__ import annotations

import string
import threading
from itertools import count
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import is_dict, is_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json

_ID_FIELDS = frozenset({"id", "item_id", "response_id", "call_id", "event_id", "previous_item_id"})
"""Fields of a message that contain ids."""
_MOST_DIGITS = 15
"""Digits at the end of an id that are read as its number; Python converts a few thousand at most."""


class SessionStore:
    """Keeps the responses and the handles of a server's sessions, and the ids that were used.

    All methods may be called from any thread.

    Args:
        steers: True if answers take input while they are played.
    """

    def __init__(self, *, steers: bool = False) -> None:
        self.steers = steers
        """True if answers take input while they are played."""
        self._lock = threading.Lock()
        self._used_ids: set[str] = set()
        self._last_numbers: dict[str, int] = {}
        """The last number that was given to an id, for each beginning of ids."""
        self.responses: set[str] = set()
        """Ids of stored responses."""
        self.handles: set[str] = set()
        """Handles with which a session can be resumed."""
        self._numbers = count(1)

    def make_id(self, prefix: str) -> str:
        """Return a new id with a prefix."""
        return self.reserve(f"{prefix}_{next(self._numbers)}")

    def reserve(self, id: str) -> str:
        """Return an id if no answer has used it yet; otherwise one with the next free number."""
        with self._lock:
            if id in self._used_ids:
                head = id.rstrip(string.digits)
                prefix, digits = head.removesuffix("_"), id[len(head) :][-_MOST_DIGITS:]
                number = max(self._last_numbers.get(prefix, 0), int(digits or 1))
                while id in self._used_ids:
                    number += 1
                    id = f"{prefix}_{number}"
                self._last_numbers[prefix] = number
            self._used_ids.add(id)
            return id


class AnswerIds:
    """The ids of one answer, which differ from those of all earlier answers of the server.

    A script has the same ids each time it is played; a provider never uses an id twice.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._ids: dict[str, str] = {}
        """Maps each id in the recording to the id that is sent."""

    def rewrite(self, message: Json) -> bool:
        """Replace the ids in a message; return True if one of them has changed."""
        return _rewrite(message, self._of)

    def _of(self, id: str) -> str:
        if id not in self._ids:
            self._ids[id] = self._store.reserve(id)
        return self._ids[id]


def _rewrite(value: Json, new_id: Callable[[str], str]) -> bool:
    """Replace the ids in a JSON value, at any depth; return True if one of them has changed."""
    changed = False
    pending = [value]
    while pending:
        current = pending.pop()
        if is_list(current):
            pending += current
        elif is_dict(current):
            for name, item in current.items():
                if isinstance(item, str):
                    if name in _ID_FIELDS and item != (replacement := new_id(item)):
                        current[name] = replacement
                        changed = True
                else:
                    pending.append(item)
    return changed
