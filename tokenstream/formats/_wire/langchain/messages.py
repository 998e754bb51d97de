"""Tells apart the messages of LangChain's streaming protocol that are open at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

START, FINISH = "message-start", "message-finish"
_MOST_OPEN = 1_000
"""Number of open messages that are known at most; the oldest one has lost its end."""


class OpenMessage:
    """A message that has begun and not ended.

    Args:
        id: The message's id; "" if it has none.
        is_answer: True if a model writes the message; False for any other, such as a tool's.
    """

    __slots__ = ("count", "id", "ids", "is_answer", "is_mixed", "was_taken")

    def __init__(self, id: str, *, is_answer: bool) -> None:
        self.id = id
        self.ids = [id]
        """The ids of the messages that this one stands for, until they are taken."""
        self.is_answer = is_answer
        self.is_mixed = False
        """True if another message is open of which nothing tells this one."""
        self.was_taken = False
        """True once ids were taken: the answers that were open have ended, and its pieces belong to none."""
        self.count = 1
        """Number of messages that this one stands for: more than 1 if they are mixed."""

    def mix(self, others: Iterable[OpenMessage]) -> None:
        """Stand for other messages, too."""
        self.is_mixed = True
        for other in others:
            other.is_mixed = True
            self.is_answer = self.is_answer or other.is_answer
            self.count += other.count
            self.ids += other.ids
        del self.ids[_MOST_OPEN:]

    def end_one(self) -> bool:
        """End one of the messages that this one stands for; return True if it was the last."""
        self.count -= 1
        return not self.count

    def take_ids(self) -> list[str]:
        """Return the ids of the messages that have been mixed since the last call."""
        ids, self.ids, self.was_taken = self.ids, [], True
        return ids


class OpenMessages:
    """The open messages of one namespace, by their sources: a model's run, or a node.

    Only its start has a message's id. Other events belong to the message that is open at their source. Two
    messages with one source, or without any, are mixed until both have ended.

    Example:
        >>> messages = OpenMessages()
        >>> a = messages.place({"event": "message-start", "id": "a"}, "node_a")
        >>> b = messages.place({"event": "message-start", "id": "b"}, "node_b")
        >>> messages.place({"event": "message-finish"}, "node_a") is a, b.is_mixed
        (True, False)
        >>> messages.place({"event": "message-start", "id": "c"}, "node_b") is b, b.is_mixed
        (True, True)
    """

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[str | None, OpenMessage] = {}
        """The messages by their sources; mixed ones are a single object."""

    def place(self, event: dict[str, Any], source: str | None) -> OpenMessage | None:
        """Return the message of an event, which may begin or end it; None if its start has not come.

        Args:
            event: The event.
            source: The run of its model, or its node; None if neither is known.
        """
        kind, message = text_of(event, "event"), self._find(source)
        if kind == START:
            id = text_of(event, "id") or ""
            is_answer = text_of(event, "role") in (None, "ai")
            if message is None:
                return self.begin(source, id, is_answer=is_answer)
            if not id or id != message.id:
                message.mix([OpenMessage(id, is_answer=is_answer)])
        elif message is not None and kind in (FINISH, "error") and message.end_one():
            self._open = {key: each for key, each in self._open.items() if each is not message}
        return message

    def begin(self, source: str | None, id: str, *, is_answer: bool) -> OpenMessage:
        """Begin a message, and return it."""
        if len(self._open) >= _MOST_OPEN:
            del self._open[next(iter(self._open))]
        message = self._open[source] = OpenMessage(id, is_answer=is_answer)
        return message

    def clear(self) -> None:
        """Forget all messages, because the run has ended."""
        self._open.clear()

    def _find(self, source: str | None) -> OpenMessage | None:
        """Return the open message of a source; those among which nothing tells are mixed."""
        if source is not None:
            return self._open.get(source) or self._open.get(None)
        first = next(iter(self._open.values()), None)
        if first is not None and len(self._open) > 1:
            first.mix({each for each in self._open.values() if each is not first})
            self._open = dict.fromkeys(self._open, first)
        return first
